"""Building an index over codes: learn from a sample, then pass over the stored rows once, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecstore.index.base import Progress, allowed_count
from vecstore.index.calibrate import Truth
from vecstore.index.calibration import KS, QUERIES
from vecstore.index.learned import SEED, Learned, sample_size
from vecstore.index.soar import soar_assignments
from vecstore.index.stored_rows import BATCH, StoredRows
from vecstore.index_spec import IVF, Flat
from vecstore.kernels.base import Bitmap, Float32Array, Int64Array, Kernels
from vecstore.kernels.places import ahead, in_parts, like
from vecstore.quantize.base import Encoded, Lists


@dataclass(frozen=True, slots=True)
class Chosen:
    """Row numbers, ascending: what to learn from, and what to measure on; disjoint where there are rows enough."""

    sample: Int64Array
    held_out: Int64Array


def choose(spec: Flat | IVF, n: int) -> Chosen:
    """Uniformly, never a prefix: rows may be ordered by time."""
    mixed = np.random.default_rng(SEED).permutation(n)
    held_out = min(QUERIES, n) if n < 10 * QUERIES else QUERIES
    rest = mixed[held_out:] if n >= 10 * QUERIES else mixed
    return Chosen(np.sort(rest[: sample_size(spec, n)]), np.sort(mixed[:held_out]))


def encode(
    learned: Learned,
    source: StoredRows,
    copies: int,
    kernels: Kernels,
    progress: Progress,
    homes: Int64Array | None = None,
) -> tuple[Int64Array, Encoded]:
    """The lists of each row (n, copies), the first found here unless `homes` gives it and a second by SOAR; and the
    codes of `copy * n + row`, relative to the centroid of that list."""
    n, coarse = len(source), learned.coarse
    found = np.empty((n, copies), np.int64)
    encoded: Encoded = {}
    origins = coarse.origins(np.arange(coarse.nlist))

    def coded(rows: Float32Array, homes: Int64Array | None) -> dict[str, np.ndarray]:
        vectors = learned.chain.apply(rows)
        lists = [coarse.home(vectors, kernels) if homes is None else homes]
        if copies > 1:
            lists.append(soar_assignments(vectors, origins, lists[0]))
        made = {"lists": np.stack(lists, axis=1)}
        if learned.quantizer is not None:
            codes = [learned.quantizer.encode(vectors, like(vectors, origins)[own]) for own in lists]
            made |= {name: np.stack([of_copy[name] for of_copy in codes], axis=1) for name in codes[0]}
        return made

    for low, rows in ahead(source.batches(BATCH)):
        progress("encode", low, n)
        own = None if homes is None else homes[low : low + len(rows)]
        for part, made in in_parts(rows, own, coded):
            first = low + part.start
            found[first : low + part.stop] = made.pop("lists")
            for name, array in made.items():  # (n, copies, ...)
                whole = encoded.setdefault(name, np.empty((copies, n, *array.shape[2:]), array.dtype))
                whole[:, first : low + part.stop] = array.swapaxes(0, 1)
    encoded = {name: array.reshape(copies * n, *array.shape[2:]) for name, array in encoded.items()}
    progress("encode", n, n)
    return found, encoded


def pack(learned: Learned, encoded: Encoded, lists: Lists, coded: Lists) -> dict[str, np.ndarray]:
    """The arrays of the scan layout, with the rows of `lists` for the codes of `coded`."""
    if learned.quantizer is None:
        return {}
    packed = learned.quantizer.pack(encoded, coded)
    if "rows" in packed and lists.rows.max(initial=0) < coded.rows.max(initial=0):
        packed["rows"] %= np.uint32(lists.rows.max() + 1)
    return packed


def truth(
    learned: Learned, source: StoredRows, asked: Float32Array, own: Int64Array | None, kernels: Kernels,
    alive: Bitmap | None,
) -> Truth:  # fmt: skip
    """Prepared queries, and their nearest rows alive by an exact scan: of queries that are rows themselves (`own`),
    other rows."""
    itself = 0 if own is None else 1
    k = min(KS[-1], allowed_count(len(source), alive) - itself)
    rows, distances = np.empty((len(asked), k + itself), np.int64), np.empty((len(asked), k + itself), np.float32)
    metric = source.field.metric
    kernels.scan(metric, asked, source.rows, source.inverse_norms, alive, rows, distances)
    if own is not None:
        others = rows != own[:, None]
        others[others.all(axis=1), -1] = False  # a row may have more than k duplicates
        rows = rows[others].reshape(-1, k)
    vectors, _ = learned.chain.apply_queries(asked)
    return Truth(np.ascontiguousarray(vectors), own, rows)
