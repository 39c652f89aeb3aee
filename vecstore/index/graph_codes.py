"""The short codes of a graph: which directions a walk looks along, how finely, and how rows are written by them.

By SAQ's rule (arXiv 2509.12086, see quantize/saq_plan.py): principal directions, with bits where the variance is, and
one scale a row that makes its estimate unbiased. Or as RaBitQ: random directions, the same bits for all, a grid fitted
to each row. Both come to fields of 1, 2 and 4 bits in lines of 64 bytes (kernels/graph.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index_spec import SAQ, Quantizer, RaBitQ
from vecstore.kernels import encode
from vecstore.kernels.base import Float32Array, UInt8Array
from vecstore.kernels.graph import HEADER, LINE
from vecstore.kernels.places import like, quotients, xp_of
from vecstore.quantize.codebooks import grid_error, grid_step
from vecstore.quantize.saq_basis import directions, moments, split
from vecstore.quantize.saq_plan import plan
from vecstore.schema import Metric

DEFAULT_BITS = 2.5  # a dimension, header counted; rounded up to whole lines
WIDTHS = (4, 2, 1)  # of fields, in the order they stand
GROUP = 8  # directions of the same bits: whole bytes of every width
_SPLITS = {0: (), 1: (1,), 2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2), 7: (4, 2, 1), 8: (4, 4)}
_SINGLE_BITS_PAY = 0.97  # of the error without them: single bits take twice the passes


@dataclass(frozen=True, slots=True)
class GraphCodes:
    mean: Float32Array  # (dim,)
    basis: Float32Array  # (dim, d) columns: directions in use
    steps: Float32Array  # (d,) of the grids
    bits: NDArray[np.int32]  # (d,)
    by_row: bool  # the grid is fitted to each row
    lines: int
    units: Float32Array  # (2,): what add and scale are stored in

    @property
    def fields(self) -> tuple[NDArray[np.int32], Float32Array, NDArray[np.int32]]:
        """`fields` and `field_weights` of GraphArrays, and how `gather_bits` packs them."""
        parts = []
        for direction, bits in enumerate(self.bits.tolist()):
            low = bits
            for width in _SPLITS[bits]:
                low -= width
                parts.append((width, low, direction))
        fields, weights, packed = [], [], []
        first = HEADER
        for width in WIDTHS:
            these = sorted(part for part in parts if part[0] == width)
            nbytes = -(-len(these) * width // 8)
            for place, (_, low, direction) in enumerate(these):
                byte, shift = first + place % nbytes, place // nbytes * width
                fields.append((byte, shift, width, direction))
                weights.append(float(self.steps[direction]) * (1 << low))
                packed.append((byte, direction, low, (1 << width) - 1, shift))
            first += nbytes
        return np.array(fields, np.int32), np.array(weights, np.float32), np.array(packed, np.int32)

    def rotation(self) -> tuple[NDArray[np.int8], Float32Array]:
        """`directions` and `direction_scales`: the basis in bytes."""
        tops = np.maximum(np.abs(self.basis).max(axis=0), np.float32(1e-30))
        scales = (tops / np.float32(127)).astype(np.float32)
        return np.ascontiguousarray(np.rint(self.basis / scales).astype(np.int8).T), scales

    def encode(self, rows: Float32Array, metric: Metric, packed: NDArray[np.int32]) -> UInt8Array:
        """Codes (n, lines * 64) of prepared rows (n, dim); `metric` is L2 or DOT."""
        residuals = rows - like(rows, self.mean)
        projected = encode.project(residuals, self.basis)
        codes, values = self._cells(projected)
        squares = encode.row_dots(residuals, residuals)
        along = encode.row_dots(projected, values)
        ratio = quotients(squares, along, along > 0, 0)
        out = encode.gather_bits(codes, packed, self.lines * LINE)
        factor, add = (-2, squares) if metric is Metric.L2 else (-1, np.zeros_like(squares))
        header = np.stack([add / self.units[0], factor * ratio / self.units[1]], axis=1)
        top = float(np.finfo(np.float16).max)
        out[:, :HEADER] = encode.to_half(np.clip(header, -top, top)).view(np.uint8)
        return out

    def _cells(self, projected: Float32Array) -> tuple[NDArray[np.uint16], Float32Array]:
        """Cells of the grids, and the values they stand for along the directions."""
        halves = (np.int64(1) << (self.bits - 1).astype(np.int64)).astype(np.float32)
        inverse = xp_of(projected).ones(len(projected), np.float32)
        if self.by_row:
            inverse = encode.grid_steps(projected, int(halves[0]), grid_step(int(self.bits[0])))
        codes = encode.grid_codes(projected, inverse, np.float32(1) / self.steps, halves)
        centred = codes.astype(np.float32) - like(codes, halves - np.float32(0.5))
        return codes, centred * like(codes, self.steps)

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "mean": self.mean, "basis": self.basis, "steps": self.steps, "bits": self.bits, "units": self.units,
            "shape": np.array([self.by_row, self.lines], np.int64),
        }  # fmt: skip


def train(quantizer: Quantizer | None, metric: Metric, sample: Float32Array) -> GraphCodes:
    """Codes for rows like `sample` (n, dim), prepared: of unit length under cosine. `metric` is L2 or DOT."""
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    residuals = sample - mean
    dim = sample.shape[1]
    if isinstance(quantizer, RaBitQ):
        lines = -(-(dim * quantizer.bits + 8 * HEADER) // (8 * LINE))
        basis, triangle = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, dim)))
        basis *= np.where(triangle.diagonal() < 0, -1.0, 1.0)
        bits, steps = np.full(dim, quantizer.bits, np.int32), np.ones(dim, np.float32)
        return _finished(mean, basis.astype(np.float32), steps, bits, True, lines, metric, residuals)
    wanted = quantizer.bits if isinstance(quantizer, SAQ) else DEFAULT_BITS
    lines = max(1, -(-int(dim * wanted) // (8 * LINE)))
    basis, steps, bits = _principal(metric, sample, residuals, lines * LINE - HEADER)
    return _finished(mean, basis, steps, bits, False, lines, metric, residuals)


def _finished(
    mean: Float32Array, basis: Float32Array, steps: Float32Array, bits: NDArray[np.int32], by_row: bool, lines: int,
    metric: Metric, residuals: Float32Array,
) -> GraphCodes:  # fmt: skip
    """With units by which the largest values of the sample come out near 1, far from what half floats lose or miss."""
    plain = GraphCodes(mean, basis, steps, bits, by_row, lines, np.ones(2, np.float32))
    projected = encode.project(residuals, basis)
    squares = encode.row_dots(residuals, residuals)
    along = encode.row_dots(projected, plain._cells(projected)[1])
    ratio = np.divide(squares, along, out=np.zeros_like(squares), where=along > 0)
    units = [float(squares.max(initial=0)), 2 * float(np.median(ratio)) if len(ratio) else 0]
    return GraphCodes(
        mean, basis, steps, bits, by_row, lines, np.array([unit if unit > 0 else 1 for unit in units], np.float32)
    )


def _principal(
    metric: Metric, sample: Float32Array, residuals: Float32Array, room: int
) -> tuple[Float32Array, Float32Array, NDArray[np.int32]]:
    """Directions, steps and bits of `room` bytes with the least expected error of <residual, query>, for queries like
    the sample, or under L2 like the residuals."""
    train_part, held_out = split(len(sample))
    means = [None] if metric is Metric.L2 else [None, sample.mean(axis=0, dtype=np.float64)]
    best: tuple[float, Float32Array, Float32Array, NDArray[np.int32]] | None = None
    for mean in means:
        basis = directions(residuals[train_part], mean)
        variances = moments(residuals[held_out], basis)
        queries = variances if metric is Metric.L2 else moments(sample[held_out], basis)
        variances = np.maximum(variances, 1e-12 * variances.mean() or 1.0)
        shares = variances * np.maximum(queries, 1e-12 * queries.mean() or 1.0)
        error, bits = _bits(shares, room)
        if best is None or error < best[0]:
            used = np.flatnonzero(bits)
            scale = np.sqrt(variances[used])
            steps = np.array([grid_step(count) for count in bits[used].tolist()]) * scale
            chosen = np.ascontiguousarray(basis[:, used], np.float32)
            best = error, chosen, steps.astype(np.float32), bits[used]
    assert best is not None
    return best[1:]


def _bits(shares: NDArray[np.float64], room: int) -> tuple[float, NDArray[np.int32]]:
    """Bits of each direction, and the error that they leave. Without single bits a line takes four passes, not eight:
    they have to earn that."""
    errors = np.array([grid_error(bits) for bits in range(9)])
    found = []
    for allowed in ((0, 2, 4, 6, 8), tuple(range(9))):
        bits = plan(shares, room * 8, GROUP, allowed)
        found.append((float((shares * errors[bits]).sum()), bits))
    return found[1] if found[1][0] < _SINGLE_BITS_PAY * found[0][0] else found[0]


def open_codes(arrays: Mapping[str, np.ndarray], dim: int) -> GraphCodes:
    """Raises Corruption when the arrays of `GraphCodes.arrays` do not fit together."""
    kinds: dict[str, type[np.generic]] = {
        "mean": np.float32, "basis": np.float32, "steps": np.float32, "bits": np.int32, "units": np.float32,
        "shape": np.int64,
    }  # fmt: skip
    taken: dict[str, Any] = {name: arrays.get(name) for name in kinds}
    for name, kind in kinds.items():
        array = taken[name]
        if array is None or array.dtype != kind or not np.isfinite(array).all():
            raise Corruption(f"a graph index lacks its array {name}, or it is not finite {np.dtype(kind)}")
    bits = taken["bits"]
    directions = len(bits)
    shapes = {
        "mean": (dim,), "basis": (dim, directions), "steps": (directions,), "bits": (directions,), "units": (2,),
        "shape": (2,),
    }  # fmt: skip
    for name, shape in shapes.items():
        if taken[name].shape != shape:
            raise Corruption(f"array {name} of a graph index has shape {taken[name].shape}, not {shape}")
    by_row, lines = (int(value) for value in taken["shape"])
    if not 1 <= lines <= 1024 or ((bits < 1) | (bits > 8)).any() or by_row not in (0, 1):
        raise Corruption("arrays bits and shape of a graph index do not describe codes")
    basis = np.ascontiguousarray(taken["basis"])
    codes = GraphCodes(taken["mean"], basis, taken["steps"], bits, bool(by_row), lines, taken["units"])
    if not directions or codes.fields[0][:, 0].max() >= lines * LINE:
        raise Corruption(f"the fields of a graph index do not fit {lines} lines")
    return codes
