"""Random graphs with random codes, estimates computed one field at a time as kernels/graph.py tells, and graphs built
whole."""

from __future__ import annotations

import numpy as np
from masks import bitmap
from oracle import inverse_norms, to_storage

from vecstore.kernels.base import Kernels
from vecstore.kernels.graph import HEADER, LINE, BuildParams, ByteRows, GraphArrays, Walk
from vecstore.schema import Metric

F = np.float32


def aligned(shape: tuple[int, int]) -> np.ndarray:
    """Zero bytes that begin at a multiple of 64."""
    size = int(np.prod(shape))
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].reshape(shape)


def random_fields(rng: np.random.Generator, lines: int, widths: tuple[int, ...], directions: int) -> np.ndarray:
    """Fields of mixed widths in most bytes, in any order; some bytes hold none, or leave some of their bits unused."""
    fields = []
    for byte in range(HEADER, lines * LINE):
        if rng.random() < 0.1:
            continue
        width = int(rng.choice(widths))
        shifts = [shift for shift in range(0, 8, width) if rng.random() < 0.95]
        fields += [(byte, shift, width, int(rng.integers(directions))) for shift in shifts]
    return rng.permutation(np.array(fields, np.int32))


def random_arrays(
    rng: np.random.Generator, n: int, dim: int, *, degree: int = 12, lines: int = 1, widths: tuple[int, ...] = (1, 2, 4)
) -> GraphArrays:
    """Neighbours drawn anywhere, some lists filled up with their own row, and codes of random bits."""
    directions = min(dim, 96)
    neighbours = np.array([rng.choice(n, degree, replace=False) for _ in range(n)], np.uint32)
    own = np.arange(n, dtype=np.uint32)
    for row in range(0, n, 5):
        neighbours[row, degree // 2 :] = row
    neighbours = np.where(neighbours == own[:, None], own[:, None], neighbours)
    codes = aligned((n, lines * LINE))
    codes[:] = rng.integers(0, 256, codes.shape)
    header = np.stack((rng.uniform(5, 15, n), rng.uniform(-0.2, 0.2, n)), axis=1)
    codes[:, :HEADER] = header.astype(np.float16).view(np.uint8)
    fields = random_fields(rng, lines, widths, directions)
    return GraphArrays(
        neighbours,
        codes,
        rng.choice(n, min(n, 9), replace=False).astype(np.uint32),
        (rng.standard_normal(dim) * 0.3).astype(np.float32),
        rng.integers(-127, 128, (directions, dim)).astype(np.int8),
        rng.uniform(0.5, 1.5, directions).astype(np.float32) / F(127),
        fields,
        rng.uniform(0.2, 1, len(fields)).astype(np.float32),
        0.7,
        0.9,
    )


def random_rows(rng: np.random.Generator, n: int, dim: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Rows as stored and their inverse norms."""
    rows = to_storage(rng.standard_normal((n, dim)).astype(np.float32), dtype)
    return rows, inverse_norms(rows)


def _bytes_of(values: np.ndarray) -> tuple[np.ndarray, np.float32]:
    top = F(np.abs(values).max())
    if top == 0:
        return np.zeros(len(values), np.int64), F(0)
    return np.rint(values * (F(127) / top)).astype(np.int64), top / F(127)


def estimates(arrays: GraphArrays, metric: Metric, query: np.ndarray) -> np.ndarray:
    """What a scan without rescoring answers for every row (n,), float32."""
    along = square = mean_square = 0.0
    for x, m in zip(query.tolist(), arrays.mean.tolist(), strict=True):
        along, square, mean_square = along + x * m, square + x * x, mean_square + m * m
    if metric is Metric.L2:
        asked, base = query - arrays.mean, F(square - 2 * along + float(F(mean_square)))
    else:
        unit = metric is Metric.COSINE
        scale = 1 / np.sqrt(square) if unit and square > 0 else float(not unit)
        asked, base = (query.astype(np.float64) * scale).astype(np.float32), F(-along * scale) + F(unit)
    asked_bytes, unit_of_query = _bytes_of(asked)
    sums = (arrays.directions.astype(np.int64) @ asked_bytes).astype(np.float32)
    rotated = sums * (unit_of_query * arrays.direction_scales)
    weights, step = _bytes_of(arrays.field_weights * rotated[arrays.fields[:, 3]])
    total, doubled = np.zeros(len(arrays.codes), np.int64), 0
    for (byte, shift, width, _), weight in zip(arrays.fields.tolist(), weights.tolist(), strict=True):
        total += (arrays.codes[:, byte].astype(np.int64) >> shift & (1 << width) - 1) * weight
        doubled += weight * ((1 << width) - 1)
    header = arrays.codes[:, :HEADER].copy().view(np.float16).astype(np.float32)
    centred = total.astype(np.float32) - F(doubled) * F(0.5)
    found = F(arrays.add_unit) * header[:, 0] + header[:, 1] * ((step * F(arrays.scale_unit)) * centred)
    return base + found


def _outputs(nq: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.full((nq, k), -7, np.int64), np.full((nq, k), np.nan, np.float32), np.full((nq, 4), -7, np.int64)


def search(
    kernels: Kernels, graph: object, queries: np.ndarray, walk: Walk, k: int, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    outputs = _outputs(len(queries), k)
    kernels.graph_search(graph, queries, walk, None if mask is None else bitmap(mask), *outputs)
    return outputs


def scan(
    kernels: Kernels, graph: object, queries: np.ndarray, rescored: int, k: int, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    outputs = _outputs(len(queries), k)
    kernels.graph_scan(graph, queries, rescored, None if mask is None else bitmap(mask), *outputs)
    return outputs


def byte_rows(values: np.ndarray) -> ByteRows:
    """Rows as the builder takes them, padded to eight columns."""
    top = np.abs(values).max(axis=1, keepdims=True)
    rounded = np.rint(values / np.where(top > 0, top, 1) * 127).astype(np.int8)
    width = -(-values.shape[1] // 8) * 8
    rows = np.zeros((len(values), width), np.int8)
    rows[:, : values.shape[1]] = rounded
    scales = (top[:, 0] / 127).astype(np.float32)
    wide = rows.astype(np.int64)
    squares = (scales * scales) * (wide * wide).sum(axis=1).astype(np.float32)
    return ByteRows(rows, scales, squares, wide.sum(axis=1).astype(np.int32))


def build(
    kernels: Kernels,
    rows: ByteRows,
    params: BuildParams,
    degree: int,
    known: tuple[np.ndarray, np.ndarray] | None = None,
    parts: int = 1,
) -> np.ndarray:
    """Neighbour lists (n, degree), every step done in so many calls; `known` are edges to begin with."""
    n = len(rows.bytes)
    neighbours = np.full((n, degree), 0xFFFFFFFF, np.uint32)
    builder = kernels.graph_builder(rows, params, neighbours)
    leaves = builder.carve()
    if known is not None:
        builder.seed(*known)
    _in_parts(builder.join, leaves, parts)
    _in_parts(builder.prune, n, parts)
    builder.reverse()
    _in_parts(builder.finish, n, parts)
    return neighbours


def _in_parts(step: object, count: int, parts: int) -> None:
    for part in range(parts):
        step(count * part // parts, count * (part + 1) // parts)


def plain_graph(rows: ByteRows, params: BuildParams, degree: int) -> list[list[int]]:
    """The neighbour lists where all rows are in one leaf, by sorted lists of (distance, row)."""
    n = len(rows.bytes)
    wide = rows.bytes.astype(np.int64)
    scaled = (rows.scales[:, None] * rows.scales) * (wide @ wide.T).astype(np.float32)
    between = np.maximum((rows.squares[:, None] + rows.squares) - F(2) * scaled, F(0))
    ranked = [sorted((between[a, b], b) for b in range(n) if b != a) for a in range(n)]
    found = [set(ranked[a][: params.leaf_nearest]) for a in range(n)]
    for a in range(n):
        for distance, b in ranked[a][: params.leaf_nearest]:
            found[b].add((distance, a))
    held = [sorted(of)[: params.reservoir] for of in found]
    kept = [_select(between, of, degree, params.alpha)[0] for of in held]
    lists = []
    for a in range(n):
        edges = {(between[a, b], b) for b in range(n) if a in kept[b]}
        candidates = sorted(edges | set(held[a]))[: 2 * params.reservoir]
        chosen, others = _select(between, candidates, degree, params.alpha)
        lists.append((chosen + others + degree * [a])[:degree])
    return lists


def _select(
    between: np.ndarray, candidates: list[tuple[np.float32, int]], degree: int, alpha: float
) -> tuple[list[int], list[int]]:
    chosen: list[int] = []
    others: list[tuple[int, int, int]] = []
    for place, (distance, row) in enumerate(candidates):
        near = sum(F(alpha) * between[other, row] <= distance for other in chosen)
        if near == 0 and len(chosen) < degree:
            chosen.append(row)
        else:
            others.append((near, place, row))
    return chosen, [row for _, _, row in sorted(others)]
