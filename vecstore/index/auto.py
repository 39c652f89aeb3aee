"""What a field without an index setting is indexed by: a graph, or lists of ever shorter codes, as memory allows.

The choice follows from the field, a segment's rows, what it has, and the memory of all other indexes against a budget.
A segment keeps what it has while the budget is not clearly exceeded and nothing better clearly fits, so that nothing is
rebuilt back and forth when the budget is nearly full.
"""

from __future__ import annotations

from dataclasses import dataclass

from vecstore.index.sizes import Shape, index_sizes
from vecstore.index_spec import IVF, SAQ, Graph, Index, Inverted, Plaid, Seismic
from vecstore.index_text import format_index
from vecstore.schema import TOKENS, WEIGHED_TOKENS, VectorField, VectorKind, weight_of

TIGHT = 1.25  # what a segment has may lead this far past the budget
ROOMY = 0.75  # something better takes its place only if it leads no further than this
_MIB = 1 << 20
_MANY = Shape(100_000)
POSTINGS_ROWS_MIN = 500  # sparse rows and texts from which on lists, made in milliseconds, beat a scan by far
SEISMIC_ROWS_MIN = 65_536  # up to there lists answer exactly in about the time that blocks take for .99
_CODE_BITS_MIN = 256  # shorter codes are mostly factors; such short vectors are compared as they are stored


@dataclass(frozen=True, slots=True)
class Choice:
    """The spec that a segment's index is built by, None for an exact scan; and why, where the engine chose."""

    spec: Index | None
    why: str = ""


def tiers(field: VectorField) -> tuple[Index, ...]:
    """What can be chosen: the fastest first, then what takes less. Scans of bits are fast enough without."""
    if field.kind is not VectorKind.DENSE:
        return _OTHERS[field.kind]
    codes = (SAQ(bits=bits) for bits in (4.0, 2.0, 1.0) if bits * field.dim >= _CODE_BITS_MIN)
    every: list[Index] = [Graph(), *(IVF(quantizer=code) for code in codes)]
    if len(every) == 1:
        every.append(IVF())
    kept: list[Index] = []
    for spec in every:
        if not kept or row_bytes(spec, field) < row_bytes(kept[-1], field):
            kept.append(spec)
    return tuple(kept)


_OTHERS: dict[VectorKind, tuple[Index, ...]] = {
    VectorKind.BINARY: (),
    VectorKind.SPARSE: (Seismic(), Inverted()),
    VectorKind.TEXT: (Inverted(),),
    VectorKind.MULTI: (Plaid(),),
}


def row_bytes(spec: Index, field: VectorField) -> float:
    """About what a row takes in memory, of many."""
    return sum(index_sizes(spec, field, _MANY).values()) / _MANY.n


def choose(
    field: VectorField,
    n_rows: int,
    has: Index | None,
    used: int,
    budget: int,
    rows_min: int,
    refused: Index | None = None,
    tokens: float = 0,
) -> Choice:
    """`tokens` are those of multi-vectors, which count as rows (`schema.weight_of`).
    `has` is the spec of the index that the segment has, or that of what it replaces; `used` are the bytes of all
    other indexes, `budget` those that all may take. Fewer than `rows_min` rows are searched exactly. What comes after
    `refused`, which could not be built, is left."""
    every = tiers(field)
    if Seismic() in every and n_rows < SEISMIC_ROWS_MIN:
        every = (Inverted(),)
    if not every:
        return Choice(None, f"{field.kind.value} vectors are scanned exactly")
    if weight_of(n_rows, tokens) < rows_min:
        return few_rows(field, n_rows, rows_min)
    if refused in every:
        every = every[every.index(refused) + 1 :]
        if not every:
            return Choice(None, "no index could be built")
    typical = tokens / TOKENS if tokens else n_rows
    sizes = [int(row_bytes(spec, field) * typical) for spec in every]

    def fits(place: int, share: float) -> bool:
        return used + sizes[place] <= share * budget

    if has in every:
        at = every.index(has)
        chosen = next((place for place in range(at) if fits(place, ROOMY)), at)
        if chosen == at and not fits(at, TIGHT):
            chosen = next((place for place in range(at, len(every)) if fits(place, 1)), len(every) - 1)
    else:
        chosen = next((place for place in range(len(every)) if fits(place, 1)), len(every) - 1)
    why = f"about {_mib(sizes[chosen])} beside {_mib(used)} of other indexes, of {_mib(budget)} that all may take"
    if chosen and not fits(chosen - 1, 1):
        why += f"; {format_index(every[chosen - 1])} would take {_mib(sizes[chosen - 1])}"
    return Choice(every[chosen], why)


def few_rows(field: VectorField, n_rows: int, rows_min: int) -> Choice:
    """For fewer rows than an index is worth that takes long to build."""
    if field.is_sparse and n_rows >= POSTINGS_ROWS_MIN:
        return Choice(Inverted(), f"fewer than {rows_min:,} rows are searched exactly, by lists")
    tokens = f", or {rows_min * WEIGHED_TOKENS:,} tokens," if field.kind is VectorKind.MULTI else ""
    return Choice(None, f"fewer than {rows_min:,} rows{tokens} are scanned exactly")


def _mib(nbytes: float) -> str:
    return f"{nbytes / _MIB:,.1f} MiB"
