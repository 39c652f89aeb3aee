"""The grid: transforms x quantizers x rerank, as far as it suits the dimension."""

from __future__ import annotations

from dataclasses import dataclass

from vecstore.index_spec import (
    OPQ,
    PCA,
    PQ,
    SAQ,
    BFloat16,
    Binary,
    Flat,
    Float8,
    Float16,
    Int4,
    Int8,
    LloydMax,
    Quantizer,
    RaBitQ,
    Rerank,
    Transform,
    Truncate,
)
from vecstore.quantize.registry import QUANTIZERS

OVERSAMPLING = 4.0  # candidates for the rerank, as a multiple of k
SMALLEST_DIM = 16


@dataclass(frozen=True, slots=True)
class Option:
    """One way to compress, as a flat index: lists change speed, hardly recall for each byte."""

    spec: Flat
    oversampling: float = OVERSAMPLING

    @property
    def exact(self) -> bool:
        return self.spec.quantizer is None and not self.spec.transforms


def default_options(dim: int, prefixes: tuple[int, ...] = (), thorough: bool = False) -> list[Option]:
    """`prefixes` are the lengths that a Matryoshka model was trained for; others cannot be cut. `thorough` adds learned
    rotations, whose training takes as long as all the rest."""
    options = [Option(Flat())]
    for transforms, quantizer in _codes(dim, prefixes, thorough):
        options += [Option(Flat(quantizer, transforms, rerank)) for rerank in _reranks(quantizer)]
    return options


def _codes(dim: int, prefixes: tuple[int, ...], thorough: bool) -> list[tuple[tuple[Transform, ...], Quantizer]]:
    shorter = [part for part in (dim * 3 // 4, dim // 2, dim // 4) if part >= SMALLEST_DIM]
    cuts: list[tuple[Transform, ...]] = [(), *((PCA(part),) for part in shorter)]
    cuts += [(Truncate(part),) for part in prefixes if part < dim]
    found: list[tuple[tuple[Transform, ...], Quantizer]] = []
    plain: list[Quantizer] = [Float16(), Float8(), Int8(), Int4(), RaBitQ(bits=4), LloydMax(bits=4)]
    for cut in cuts:
        found += [(cut, quantizer) for quantizer in plain]
    found += [((), BFloat16())]
    found += [((), RaBitQ(bits=bits)) for bits in (1, 2, 3, 5, 6, 8)]
    found += [((), SAQ(bits=bits)) for bits in (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)]
    found += [((), quantizer) for quantizer in (LloydMax(bits=1), LloydMax(bits=2), Binary())]
    for width in (4, 2):  # dimensions of a subspace
        if dim % width == 0:
            parts = dim // width
            found.append(((), PQ(m=parts)))
            if thorough:
                found.append(((OPQ(m=parts),), PQ(m=parts)))
    return [(cut, quantizer) for cut, quantizer in found if str(type(quantizer).__struct_config__.tag) in QUANTIZERS]


def _reranks(quantizer: Quantizer) -> tuple[Rerank, ...]:
    """Codes that are nearly exact gain nothing from a rerank; int8 beside the codes pays for coarse ones only."""
    if isinstance(quantizer, Float16 | BFloat16):
        return ("none",)
    coarse = isinstance(quantizer, Binary | PQ) or getattr(quantizer, "bits", 8) <= 2
    return ("none", "stored", "int8") if coarse else ("none", "stored")
