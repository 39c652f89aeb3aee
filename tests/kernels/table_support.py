"""Random TableCodes, and answers of `table_scan` computed for every (query, place) pair one nibble at a time.

The reference shares nothing with the library: loops over the layout as the docstring of TableCodes tells it. A backend
may sum in float32 and may round the first stage to 8-bit tables, so a distance may differ by the tolerance of a float32
sum (see oracle.py), and rows whose distances or bounds lie that near the cut may be in or out. Where the first stage is
all there is, rows that the rounding of tables puts past the cut may be missing too: six standard deviations of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from masks import bitmap
from once import once
from oracle import EPS

from vecstore.kernels.base import Kernels, TableCodes

LANES = 32


def random_codes(
    rng: np.random.Generator,
    counts: list[int],
    m: int,
    dim: int,
    *,
    width: int = 1,
    columns: int = 3,
    runs: list[tuple[int, int]] | None = None,
    extra_columns: int = 3,
    dtype: str = "float32",
    error: float = 0.05,
) -> TableCodes:
    """Codes of sum(counts) rows with every byte random, padding included: garbage there must not come back."""
    offsets = np.concatenate([[0], np.cumsum([-(-count // LANES) for count in counts])]).astype(np.int64)
    nblocks, total = int(offsets[-1]), sum(counts)
    rows = rng.integers(0, 1 << 32, nblocks * LANES, dtype=np.uint32)
    numbers = rng.permutation(total).astype(np.uint32)
    at = 0
    for offset, count in zip(offsets, counts, strict=False):
        rows[offset * LANES : offset * LANES + count] = np.sort(numbers[at : at + count])
        at += count
    scale = rng.uniform(0.5, 1.5, (nblocks, LANES)) * rng.choice([-1, -1, -1, 1], (nblocks, LANES)) / np.sqrt(m)
    add = rng.standard_normal((nblocks, LANES))

    def factors(error: float, columns: int) -> np.ndarray:
        bounds = rng.uniform(0, error, (nblocks, LANES))
        return np.stack([scale, add, bounds], axis=1)[:, :columns].astype(dtype, order="C")

    codes = TableCodes(
        offsets,
        np.array(counts, np.int64),
        rows,
        rng.integers(0, 256, (nblocks, -(-m // 8), LANES, 4), np.uint8),
        factors(error, columns),
        rng.integers(-1, dim, (m, width)).astype(np.int32),
        rng.standard_normal((m, width, 16)).astype(np.float32),
    )
    if runs is None:
        return codes
    dims = sum(count for _, count in runs)
    nbytes = sum(bits * count for bits, count in runs) // 8
    extra_factors = factors(error / 10, extra_columns).transpose(0, 2, 1).reshape(nblocks * LANES, extra_columns)
    return replace(
        codes,
        extra=rng.integers(0, 256, (nblocks * LANES, nbytes), np.uint8),
        extra_factors=np.ascontiguousarray(extra_factors),
        extra_runs=np.array(runs, np.int32).reshape(-1, 2),
        extra_dims=rng.integers(-1, dim, dims).astype(np.int32),
        extra_steps=(rng.standard_normal(dims) / 64).astype(np.float32),
    )


def with_true_bounds(codes: TableCodes, queries: np.ndarray, eps: float, radius: float) -> TableCodes:
    """The same codes with first-stage errors that hold, just, for these queries at lists of at least this radius. The
    two stages share scale and add, so that they differ by what the low bits add."""
    sums = low_sums(codes, queries)
    scale = codes.factors[:, 0].astype(np.float64)
    error = 1.05 * np.abs(sums).max(axis=0).reshape(-1, LANES) * np.abs(scale) / (eps * radius) + 1e-6
    factors = np.stack([codes.factors[:, 0], codes.factors[:, 1], error.astype(codes.factors.dtype)], axis=1)
    return replace(codes, factors=np.ascontiguousarray(factors))


def low_sums(codes: TableCodes, queries: np.ndarray) -> np.ndarray:
    """(nq, places): what the low bits add to S."""
    padded = np.concatenate([queries.astype(np.float64), np.zeros((len(queries), 1))], axis=1)
    return padded[:, codes.extra_dims] * codes.extra_steps.astype(np.float64) @ low_values(codes).T


def low_values(codes: TableCodes) -> np.ndarray:
    """(places, dims): the number in each dim's low bits less its mean."""
    values, first_byte = [], 0
    for bits, count in codes.extra_runs.tolist():
        nbytes = count * bits // 8
        for d in range(count):
            byte = codes.extra[:, first_byte + d % nbytes].astype(np.int64)
            values.append((byte >> (d // nbytes * bits) & ((1 << bits) - 1)) - ((1 << bits) - 1) / 2)
        first_byte += nbytes
    return np.stack(values, axis=1)


@dataclass(slots=True)
class Query:
    """What each reachable place of one query is, in float64, and the error that a backend is allowed."""

    rows: np.ndarray
    est: np.ndarray
    est_lower: np.ndarray  # -inf where the first stage has no bounds
    full: np.ndarray
    slack: np.ndarray  # half the width between the bounds of `full`, 0 without
    tolerance: np.ndarray
    rounding: np.ndarray  # how far 8-bit tables may move est
    bounded: bool


def nibble_values(codes: TableCodes) -> np.ndarray:
    """(places, m): the number in each nibble."""
    values = []
    for j in range(len(codes.table_dims)):
        byte = codes.blocks[:, j // 8, :, j % 8 // 2].reshape(-1)
        values.append(byte >> (4 if j % 2 else 0) & 15)
    return np.stack(values, axis=1)


def reference(
    codes: TableCodes,
    nibbles: np.ndarray,  # nibble_values
    lows: np.ndarray | None,  # low_values
    query: np.ndarray,
    probes: np.ndarray,
    list_add: np.ndarray,
    list_radius: np.ndarray,
    eps: float,
    allowed: np.ndarray | None,
) -> Query:
    q = query.astype(np.float64)
    m, width = codes.table_dims.shape
    tables = np.zeros((m, 16))
    for j in range(m):
        for w in range(width):
            if codes.table_dims[j, w] >= 0:
                tables[j] += q[codes.table_dims[j, w]] * codes.table_values[j, w].astype(np.float64)
    if codes.extra is not None:
        low_terms = np.append(q, 0.0)[codes.extra_dims] * codes.extra_steps.astype(np.float64) * lows
    step = np.ptp(tables, axis=1).max() / 255
    found: list[tuple[float, ...]] = []
    for p, probed in enumerate(probes):
        for within in range(codes.counts[probed] if probed >= 0 else 0):
            block, lane = int(codes.offsets[probed]) + within // LANES, within % LANES
            place = block * LANES + lane
            row = int(codes.rows[place])
            if allowed is not None and not allowed[row]:
                continue
            entries = tables[np.arange(m), nibbles[place]]
            scale, add, error = padded(codes.factors[block, :, lane])
            est = float(list_add[p]) + add + scale * entries.sum()
            lower = est - eps * error * list_radius[p] if codes.factors.shape[1] == 3 else -np.inf
            terms = entries
            if codes.extra is not None:
                terms = np.concatenate([entries, low_terms[place]])
                scale, add, error = padded(codes.extra_factors[place])
            full = float(list_add[p]) + add + scale * terms.sum()
            magnitude = abs(scale) * np.abs(terms).sum() + abs(float(list_add[p])) + abs(add)
            tolerance = (8 + len(terms) / 4) * EPS * magnitude
            rounding = 0.0 if codes.extra is not None else 6 * abs(scale) * step * np.sqrt(m / 12)
            found.append((row, est, lower, full, eps * error * list_radius[p], tolerance, rounding))
    columns = np.array(found, np.float64).reshape(-1, 7).T
    last = codes.factors if codes.extra is None else codes.extra_factors
    return Query(columns[0].astype(np.int64), *columns[1:], bounded=eps > 0 and last.shape[1] == 3)


def padded(factors: np.ndarray) -> list[float]:
    """Scale, add and error; what a code leaves out is 0."""
    return [*factors.astype(np.float64).tolist(), 0.0, 0.0][:3]


def scan(
    kernels: Kernels,
    codes: TableCodes,
    queries: np.ndarray,
    probes: np.ndarray,
    list_add: np.ndarray,
    list_radius: np.ndarray,
    k: int,
    m: int,
    eps: float = 0.0,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, distances and counters, from arrays that hold rubbish before the call."""
    out = np.full((len(queries), m), -7, np.int64), np.full((len(queries), m), np.nan, np.float32)
    counters = np.full((len(queries), 3), -7, np.int64)
    allowed = None if mask is None else bitmap(mask)
    kernels.table_scan(codes, queries, probes, list_add, list_radius, k, eps, allowed, *out, counters)
    return *out, counters


def check(
    kernels: Kernels,
    codes: TableCodes,
    queries: np.ndarray,
    probes: np.ndarray,
    k: int,
    m: int,
    eps: float = 0.0,
    mask: np.ndarray | None = None,
) -> int:
    """Run `table_scan` and compare each query with the reference; returns how many rows were refined."""
    rng = np.random.default_rng(len(queries))
    list_add = rng.standard_normal(probes.shape).astype(np.float32)
    list_radius = rng.uniform(0.5, 2, probes.shape).astype(np.float32)
    if codes.extra is not None and eps > 0 and codes.factors.shape[1] == 3:
        codes = with_true_bounds(codes, queries, eps, 0.5)
    rows, distances, counters = scan(kernels, codes, queries, probes, list_add, list_radius, k, m, eps, mask)
    nibbles, lows = nibble_values(codes), None if codes.extra is None else low_values(codes)
    for q in range(len(queries)):
        own = queries[q], probes[q], list_add[q], list_radius[q]
        truth = once(reference, codes, nibbles, lows, *own, eps, mask)
        check_query(truth, rows[q], distances[q], k, m)
        listed = sum(int(codes.counts[probed]) for probed in probes[q] if probed >= 0)
        assert len(truth.rows) <= counters[q, 0] <= listed
        assert 0 <= counters[q, 1] <= (0 if codes.extra is None else len(truth.rows))
        assert counters[q, 2] >= (rows[q] >= 0).sum()
    return int(counters[:, 1].sum())


def check_query(truth: Query, rows: np.ndarray, distances: np.ndarray, k: int, m: int) -> None:
    """Right distances in order, unused places empty, and nothing left out but what bounds or room allow."""
    count = int((rows >= 0).sum())
    assert (rows[count:] == -1).all()
    assert np.isposinf(distances[count:]).all()
    rows, distances = rows[:count], distances[:count]
    at = {row: i for i, row in enumerate(truth.rows.tolist())}
    assert set(rows.tolist()) <= set(at), "a row that is not allowed, not probed, or padding"
    assert len(set(rows.tolist())) == count
    index = np.array([at[row] for row in rows.tolist()], np.int64)
    assert (np.abs(distances - truth.full[index]) <= truth.tolerance[index]).all()
    pairs = list(zip(distances.tolist(), rows.tolist(), strict=True))
    assert pairs == sorted(pairs)

    # A bound is compared with another row's bound, so both errors count.
    tolerance = truth.tolerance + truth.tolerance.max(initial=0)
    cut = np.sort(truth.full)[m - 1] if len(truth.rows) > m else np.inf
    must = np.full(len(truth.rows), True)
    if truth.bounded and len(truth.rows) > k:
        lower, upper = truth.full - truth.slack, truth.full + truth.slack
        cut = np.partition(upper, k - 1)[k - 1]
        assert (lower <= cut + tolerance)[index].all(), "a row whose lower bound is above the k-th upper bound"
        must = lower <= cut - tolerance
    must &= truth.est_lower <= cut - tolerance  # stage two may be skipped where the first stage's bound is beyond
    must[index] = False
    if count < m:
        assert not must.any(), f"{must.sum()} rows are missing and {m - count} places are free"
    else:
        nearest = truth.full + tolerance + truth.rounding + truth.rounding.max(initial=0)
        assert (nearest[must] >= distances[-1]).all(), "a nearer row is missing"
