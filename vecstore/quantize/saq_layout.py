"""SAQ's training: which directions are kept, how finely each is cut, and what goes into stage one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vecstore.kernels.base import Float32Array
from vecstore.kernels.encode import Float64Array
from vecstore.quantize import saq_plan
from vecstore.quantize.codebooks import grid_error, grid_step
from vecstore.quantize.grid import Grid
from vecstore.quantize.saq_basis import directions, moments, split

COARSE_SHARE = 0.75  # of the kept directions' error


@dataclass(frozen=True, slots=True)
class Layout:
    basis: Float32Array  # (dim, dims) columns: the directions that got bits
    grid: Grid  # its weights: root mean squares of queries along the directions, of queries of length 1
    dropped: float  # mean square of such queries along the other directions, weighed by the rows' energy there
    coarse_bits: int  # directions of at most so many bits leave most of what the code does not tell


def fitted(residuals: Float32Array, queries: Float32Array | None, room: int, staged: bool) -> Layout:
    """The layout of at most `room` bytes a row with the least expected error of <r, q>, for residuals (n, dim) and
    queries like `queries` (n, dim), or like the residuals where estimates are of <r, q - c>.

    Queries that share a mean lie along it more than anywhere, which principal axes of the residuals do not see: then
    the mean's own direction as the first axis often serves better. Both are tried."""
    means: list[Float64Array | None] = [None]
    if queries is not None:
        means.append(queries.mean(axis=0, dtype=np.float64))
    train, held_out = split(len(residuals))
    layouts: list[tuple[float, Layout]] = []
    for mean in means:
        basis = directions(residuals[train], mean)
        variances = moments(residuals[held_out], basis)
        of_queries = variances if queries is None else moments(queries[held_out], basis)
        layouts.append(_layout(basis, variances, of_queries, room, staged))
    return min(layouts, key=lambda layout: layout[0])[1]


def code_bytes(grid: Grid) -> int:
    """Bytes of both stages; nibbles are stored eight together."""
    tables = grid.tables()
    return -(-len(tables.table_dims) // 8) * 4 + tables.extra_bytes


def _layout(
    basis: Float64Array, variances: Float64Array, queries: Float64Array, room: int, staged: bool
) -> tuple[float, Layout]:
    """A layout, and the expected squared error of an inner product with it."""
    group = 8 if staged else 4  # runs of stage two are padded to 8 dimensions
    variances = np.maximum(variances, 1e-12 * variances.mean() or 1.0)  # no step is zero
    queries = np.maximum(queries, 1e-12 * queries.mean() or 1.0)
    queries = queries / queries.sum()
    shares = variances * queries
    budget = room * 8 if staged else room // 4 * 32
    while True:
        bits = top = saq_plan.plan(shares, budget, group)
        if staged:  # one bit a dimension for stage one
            top = saq_plan.first_stage(shares, bits, min(budget, -(-len(bits) // 32) * 32), group)
        used = np.flatnonzero(bits)
        steps = np.array([grid_step(count) for count in bits[used].tolist()]) * np.sqrt(variances[used])
        weights = np.sqrt(queries[used]).astype(np.float32)
        grid = Grid(bits[used], top[used], steps.astype(np.float32), weights)
        over = code_bytes(grid) - room
        if over <= 0:
            break
        budget -= 8 * over
    rest = bits == 0
    errors = np.array([grid_error(count) for count in bits.tolist()])
    by_bits = np.bincount(bits[used], (variances * errors)[used]).cumsum()
    coarse_bits = int(np.searchsorted(by_bits, COARSE_SHARE * by_bits[-1]))
    dropped = float(shares[rest].sum() / variances[rest].sum()) if rest.any() else 0.0
    layout = Layout(np.ascontiguousarray(basis[:, used], np.float32), grid, dropped, coarse_bits)
    return float((shares * errors).sum()), layout
