"""The law of `table_scan`: TableCodes read word for word, every row refined, float64 sums rounded once at the end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, ByteCodes, Factors, Float32Array, Int64Array, TableCodes
from vecstore.kernels.stop import check_stop

Float64Array = NDArray[np.float64]

_LANES = 32
_BLOCK_BYTES = 1 << 22  # table entries looked up at once, float64


def query_tables(codes: TableCodes | ByteCodes, query: Float32Array) -> Float64Array:
    """One query's tables (m, entries)."""
    padded = np.append(query.astype(np.float64), 0.0)  # table_dims of -1 reads the zero
    tables: Float64Array = np.einsum("jw,jwv->jv", padded[codes.table_dims], codes.table_values.astype(np.float64))
    return tables


def probed_blocks(codes: TableCodes | ByteCodes, probes: NDArray[np.int32]) -> tuple[Int64Array, Int64Array]:
    """Block numbers in the order of the probes, and the place in `probes` that each comes from."""
    used = np.flatnonzero(probes >= 0)
    first, last = codes.offsets[probes[used]], codes.offsets[probes[used] + 1]
    blocks = [np.arange(a, b, dtype=np.int64) for a, b in zip(first, last, strict=True)]
    return np.concatenate([np.empty(0, np.int64), *blocks]), np.repeat(used, last - first)


def places_to_scan(
    codes: TableCodes | ByteCodes, probes: NDArray[np.int32], allowed: Bitmap | None
) -> tuple[Int64Array, ...]:
    """Places (block * 32 + lane) of the allowed rows of the probed lists, and the probe that each comes from."""
    blocks, probe = probed_blocks(codes, probes)
    lanes = np.arange(_LANES)
    places = blocks[:, None] * _LANES + lanes
    listed = probes[probe]
    within = (blocks - codes.offsets[listed])[:, None] * _LANES + lanes
    keep = within < codes.counts[listed][:, None]  # lanes past a list's rows are padding
    if allowed is not None:
        rows = codes.rows[places].astype(np.int64)
        inside = rows < len(allowed) * 64
        words = allowed[np.where(inside, rows >> 6, 0)] if len(allowed) else np.zeros(rows.shape, np.uint64)
        keep &= inside & ((words >> (rows & 63).astype(np.uint64)) & np.uint64(1)).astype(bool)
    return places[keep], np.repeat(probe, _LANES).reshape(-1, _LANES)[keep]


def first_sums(codes: TableCodes, tables: Float64Array, places: Int64Array) -> Float64Array:
    """S of each place: the sum of its m table entries."""
    sums = np.empty(len(places))
    numbers = np.arange(len(tables))
    for part in _parts(len(places), len(tables)):
        block, lane = places[part] // _LANES, places[part] % _LANES
        stored = codes.blocks[block, :, lane].reshape(len(block), -1)
        nibbles = np.stack([stored & 15, stored >> 4], axis=2).reshape(len(block), -1)[:, : len(tables)]
        sums[part] = tables[numbers, nibbles].sum(axis=1)
    return sums


def extra_sums(codes: TableCodes, query: Float32Array, places: Int64Array) -> Float64Array:
    """What the low bits add to S."""
    extra, runs, dims, steps = codes.extra, codes.extra_runs, codes.extra_dims, codes.extra_steps
    assert extra is not None  # the four stand together
    assert runs is not None
    assert dims is not None
    assert steps is not None
    weights = np.append(query.astype(np.float64), 0.0)[dims] * steps
    sums = np.zeros(len(places))
    for part in _parts(len(places), int(runs[:, 1].max(initial=1))):
        stored = extra[places[part]]
        byte, dim = 0, 0
        for bits, count in runs.tolist():
            width = count * bits // 8
            run = stored[:, byte : byte + width]
            values = np.concatenate([run >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)], axis=1)
            sums[part] += (values - ((1 << bits) - 1) / 2) @ weights[dim : dim + count]
            byte, dim = byte + width, dim + count
    return sums


def _parts(n: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK_BYTES // (8 * max(1, width)))
    for start in range(0, n, step):
        check_stop()
        yield slice(start, start + step)


def _columns(factors: Float64Array, places: int) -> tuple[Float64Array, Float64Array, Float64Array | None]:
    """Scale, add and error of rows, from 1 to 3 columns."""
    columns = factors.shape[1]
    add = factors[:, 1] if columns > 1 else np.zeros(places)
    return factors[:, 0], add, factors[:, 2] if columns > 2 else None


def _of_places(factors: Factors, places: Int64Array) -> Float64Array:
    return factors.transpose(0, 2, 1)[places // _LANES, places % _LANES].astype(np.float64)


def scan_query(
    codes: TableCodes,
    query: Float32Array,
    probes: NDArray[np.int32],
    list_add: Float32Array,
    list_radius: Float32Array,
    k: int,
    eps: float,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_counters: Int64Array,
) -> None:
    """One query of `table_scan`."""
    out_rows.fill(-1)
    out_distances.fill(np.inf)
    places, probe = places_to_scan(codes, probes, allowed)
    sums = first_sums(codes, query_tables(codes, query), places)
    if codes.extra is not None and codes.extra_factors is not None:
        sums += extra_sums(codes, query, places)
        scale, add, error = _columns(codes.extra_factors[places].astype(np.float64), len(places))
    else:
        scale, add, error = _columns(_of_places(codes.factors, places), len(places))
    estimates = list_add[probe] + add + scale * sums
    distances = estimates.astype(np.float32)
    distances[np.isnan(distances)] = np.inf
    rows = codes.rows[places].astype(np.int64)
    if eps > 0 and error is not None and len(places) > k:
        slack = eps * error * list_radius[probe]
        within = np.flatnonzero(estimates - slack <= np.partition(estimates + slack, k - 1)[k - 1])
        distances, rows = distances[within], rows[within]
    best = np.lexsort((rows, distances))[: len(out_rows)]
    out_rows[: len(best)] = rows[best]
    out_distances[: len(best)] = distances[best]
    out_counters[:] = len(places), len(places) if codes.extra is not None else 0, len(rows)
