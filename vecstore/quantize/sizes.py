"""What codes take before there are any: bytes of a row with its factors, and of what a quantizer learns."""

from __future__ import annotations

import math

from vecstore.index_spec import (
    PQ,
    SAQ,
    BFloat16,
    Binary,
    Float8,
    Float16,
    Int4,
    Int8,
    LloydMax,
    Quantizer,
    RaBitQ,
)
from vecstore.quantize.rabitq import HALF_BITS_MAX
from vecstore.quantize.saq import STAGED_ABOVE
from vecstore.schema import Metric
from vecstore.transform.rotation import DENSE_BELOW, ROUNDS, padded

FACTORS = 8  # scale and offset of a row, float32


def code_sizes(spec: Quantizer, metric: Metric, dim: int, *, unit: bool) -> tuple[float, float]:
    """Bytes of a row, and those that all rows share. `dim` is that after transforms, `unit` whether rows are of a
    length near 1, whose factors fit half floats."""
    half = 2 if unit and metric is not Metric.L2 else 4
    match spec:
        case Float16() | BFloat16():
            return 2 * dim + FACTORS, 0
        case Float8():
            return dim + FACTORS, 0
        case Int8(clip=clip):
            if metric is not Metric.L2 and clip <= 0:
                return _up(dim, 8), 8 * dim + 2 * dim * (dim - 1)
            return _up(dim, 8) + (FACTORS if metric is Metric.L2 else 4), 8 * dim
        case Int4():
            return _up(dim, 8) / 2 + FACTORS, 8 * dim
        case PQ(m=m, bits=bits):
            return (m if bits == 8 else _up(m, 8) / 2) + FACTORS, 4 * dim * 2**bits
        case RaBitQ(bits=bits):
            finer = 0 if bits == 1 else 3 * (half if bits <= HALF_BITS_MAX else 4)
            return padded(dim) * bits / 8 + 3 * half + finer, rotation_bytes(dim)
        case LloydMax(bits=bits):
            return padded(dim) * bits / 8 + (3 if bits < 4 else 2) * half, rotation_bytes(dim)
        case Binary(bits=wanted, itq=itq):
            bits = wanted or (dim if itq else padded(dim))
            shared = 4 * dim * bits if itq else rotation_bytes(dim) * -(-bits // padded(dim))
            return _up(bits, 32) / 8 + 2 * half, shared
        case SAQ(bits=average):
            row = int(average * dim / 8)
            fields = min(dim, 8 * max(4, row - (3 * half if average > STAGED_ABOVE else 2 * half)))
            return row, 4 * dim * fields + 16 * fields


def rotation_bytes(dim: int) -> int:
    """A random rotation: a matrix, or rounds of permutations and signs."""
    width = padded(dim)
    return 4 * dim * width if width < DENSE_BELOW else 5 * ROUNDS * width


def _up(count: int, to: int) -> int:
    return math.ceil(count / to) * to
