"""float16, bfloat16, float8, int8 and int4: accuracy of each format, what searches answer, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore import index_spec as spec
from vecstore.errors import Corruption, InvalidArgument
from vecstore.kernels.encode import row_dots
from vecstore.kernels.select import get_kernels
from vecstore.quantize.base import Codes, Encoded, Lists, Probes, Quantizer
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric

SPECS = {
    "float16": spec.Float16(),
    "bfloat16": spec.BFloat16(),
    "e4m3": spec.Float8("e4m3"),
    "e5m2": spec.Float8("e5m2"),
    "int8": spec.Int8(),
    "int8 clipped": spec.Int8(clip=0.002),
    "int4": spec.Int4(),
}
METRICS = (Metric.L2, Metric.DOT)


def train(name: str, metric: Metric, sample: np.ndarray, centroids: np.ndarray | None = None) -> Quantizer:
    kind = QUANTIZERS[str(type(SPECS[name]).__struct_config__.tag)]
    return kind.train(SPECS[name], metric, sample, centroids, seed=0)


def unit_rows(seed: int, n: int, dim: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clustered(seed: int, n: int, dim: int, nlist: int) -> tuple[np.ndarray, np.ndarray, Lists, np.ndarray]:
    """Rows around centroids away from the origin, the centroids, the lists, and each row's list."""
    rng = np.random.default_rng(seed)
    centroids = (rng.standard_normal((nlist, dim)) + 1).astype(np.float32)
    homes = rng.integers(0, nlist, n)
    rows = (centroids[homes] + 0.4 * rng.standard_normal((n, dim))).astype(np.float32)
    order = np.argsort(homes, kind="stable").astype(np.uint32)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(homes, minlength=nlist))]).astype(np.int64)
    return rows, centroids, Lists(offsets, order), homes


def all_distances(codes: Codes, metric: Metric, queries: np.ndarray, centroids: np.ndarray, n: int) -> np.ndarray:
    """Estimated distances of every row, by visiting every list (nq, n)."""
    nq = len(queries)
    lists = np.tile(np.arange(len(centroids), dtype=np.int32), (nq, 1))
    gaps = queries[:, None, :].astype(np.float64) - centroids
    add = (gaps**2).sum(2) if metric is Metric.L2 else -queries.astype(np.float64) @ centroids.T
    probes = Probes(lists, add.astype(np.float32), np.linalg.norm(gaps, axis=2).astype(np.float32))
    found = codes.search(get_kernels(), queries, probes, 10, n, None, 0.0)
    assert np.sort(found.rows, axis=1).tolist() == np.tile(np.arange(n), (nq, 1)).tolist()
    out = np.empty((nq, n), np.float32)
    np.put_along_axis(out, found.rows, found.distances, axis=1)
    return out


def exact(metric: Metric, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    q, x = queries.astype(np.float64), rows.astype(np.float64)
    if metric is Metric.DOT:
        return -q @ x.T
    return ((q[:, None, :] - x) ** 2).sum(2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("float16", 4.3e-8), ("bfloat16", 2.8e-6), ("e4m3", 7.0e-4), ("e5m2", 2.8e-3), ("int8", 3.9e-5)],
)
def test_angle_lost_by_each_format(name: str, expected: float) -> None:
    """pq-fastscan, section 1 (int8's figure is for ranges of the 200 rows themselves; wider ranges lose more), each
    dimension rounded by itself, as int8 does it under L2."""
    rows = unit_rows(1, 200, 768)
    quantizer = train(name, Metric.L2 if name == "int8" else Metric.DOT, rows)
    decoded = quantizer.decode(quantizer.encode(rows, None), None).astype(np.float64)
    wide = rows.astype(np.float64)
    cosines = (decoded * wide).sum(1) / np.linalg.norm(decoded, axis=1) / np.linalg.norm(wide, axis=1)
    assert np.mean(1 - cosines**2) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", SPECS)
def test_estimates_are_distances_of_decoded_rows(name: str, metric: Metric) -> None:
    """Exactly for numbers, within 1 % of the distances' spread where the query is rounded too (pq-fastscan, row 5)."""
    rows, centroids, lists, homes = clustered(2, 700, 96, 5)
    quantizer = train(name, metric, rows, centroids[homes])
    encoded = quantizer.encode(rows, centroids[homes])
    codes = quantizer.open(quantizer.pack(encoded, lists), lists)
    queries = (rows[:20] + 0.3 * np.random.default_rng(3).standard_normal((20, 96))).astype(np.float32)
    estimates = all_distances(codes, metric, queries, centroids, len(rows))
    decoded = quantizer.decode(encoded, centroids[homes])
    truth = exact(metric, queries, decoded)
    if metric is Metric.L2 and not name.startswith("int8"):
        # Residuals' own squares are stored exactly, not those of their codes.
        origin = centroids[homes] + getattr(quantizer, "mid", 0)
        truth += row_dots(rows - origin, rows - origin) - row_dots(decoded - origin, decoded - origin)
    if metric is Metric.DOT and not name.startswith("int8"):
        # So is <residual, origin>: only the error of <residual, q - origin> is left.
        origin = centroids[homes] + getattr(quantizer, "mid", np.float32(0))
        truth -= row_dots(rows - decoded, np.ascontiguousarray(origin))
    rounded = name.startswith("int")
    spread = exact(metric, queries, rows).std()
    assert np.abs(estimates - truth).std() <= (1e-2 if rounded else 2e-6) * spread
    assert np.abs(estimates - truth).max() <= (5e-2 if rounded else 1e-5) * spread
    near = 0.12 if name == "int4" else 0.05 if name in ("e5m2", "e4m3") else 0.02
    assert np.abs(estimates - exact(metric, queries, rows)).std() <= near * spread


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", SPECS)
def test_stored_and_opened(name: str, metric: Metric) -> None:
    rows, centroids, lists, homes = clustered(4, 150, 20, 3)
    quantizer = train(name, metric, rows, centroids[homes])
    encoded = quantizer.encode(rows, centroids[homes])
    again = type(quantizer).from_arrays(metric, quantizer.arrays())
    for array, other in zip(quantizer.arrays().values(), again.arrays().values(), strict=True):
        np.testing.assert_array_equal(array, other)
    for key, array in again.encode(rows, centroids[homes]).items():
        assert array.tobytes() == encoded[key].tobytes()
    parts = [again.encode(rows[i : i + 37], centroids[homes[i : i + 37]]) for i in range(0, 150, 37)]
    for key, array in encoded.items():
        assert np.concatenate([part[key] for part in parts]).tobytes() == array.tobytes()
    packed = quantizer.pack(encoded, lists)
    stored = sum(packed[array].nbytes for array in ("blocks", "factors") if array in packed)
    places = len(packed["rows"])
    padded = {"int8": 24 - 20, "int8 clipped": 24 - 20}.get(name, 0)
    assert stored / places == pytest.approx(quantizer.code_bytes + padded)
    assert again.dim == 20
    assert again.code_bytes == quantizer.code_bytes


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("metric", METRICS)
def test_zero_rows_zero_queries_and_constant_dims(name: str, metric: Metric) -> None:
    rows = unit_rows(5, 80, 12)
    rows[:, 3] = 0.25
    rows[7] = 0
    quantizer = train(name, metric, rows)
    encoded = quantizer.encode(rows, None)
    assert all(np.isfinite(array).all() for array in encoded.values())
    lists = Lists(np.array([0, 80]), np.arange(80, dtype=np.uint32))
    queries = np.stack([rows[1], np.zeros(12, np.float32)])
    codes = quantizer.open(quantizer.pack(encoded, lists), lists)
    estimates = all_distances(codes, metric, queries, np.zeros((1, 12), np.float32), 80)
    if "clipped" not in name:  # of so few rows, the range leaves out much of the largest
        assert np.abs(estimates - exact(metric, queries, rows)).max() < 0.25
        assert np.abs(quantizer.decode(encoded, None) - rows).max() < 0.2


def test_int8_cosines_are_at_most_one() -> None:
    rows = unit_rows(6, 500, 64)
    rows[:, 0] += 2  # a common direction: most of each row is in the part that does not vary
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    quantizer = train("int8 clipped", Metric.DOT, rows)
    encoded = quantizer.encode(rows, None)
    lengths = np.linalg.norm(quantizer.decode(encoded, None).astype(np.float64), axis=1)
    assert np.abs(lengths - 1).max() < 1e-6
    lists = Lists(np.array([0, 500]), np.arange(500, dtype=np.uint32))
    codes = quantizer.open(quantizer.pack(encoded, lists), lists)
    estimates = all_distances(codes, Metric.DOT, rows[:50], np.zeros((1, 64), np.float32), 500)
    assert estimates.min() >= -1 - 1e-3  # what rounding the query may add


def test_int8_tells_how_much_it_cut_off() -> None:
    rows = unit_rows(7, 2000, 16)
    quantizer = train("int8 clipped", Metric.L2, rows)
    quantizer.encode(rows, None)
    assert quantizer.arrays()["clipped"].tolist()[1] == rows.size
    assert type(quantizer).from_arrays(Metric.L2, quantizer.arrays()).clipped == pytest.approx(0.004, abs=0.001)
    drifted = train("int8", Metric.L2, rows)
    drifted.encode(rows, None)
    assert drifted.clipped == 0
    drifted.encode(rows * 3, None)
    assert drifted.clipped > 0.02


@pytest.mark.parametrize("bad", [-0.1, 0.5, 2.0, float("nan")])
@pytest.mark.parametrize("kind", [spec.Int8, spec.Int4])
def test_bad_clip(kind: type, bad: float) -> None:
    with pytest.raises(InvalidArgument, match="clip") as caught:
        QUANTIZERS[kind.__struct_config__.tag].train(kind(clip=bad), Metric.L2, unit_rows(0, 9, 4), None, 0)
    assert caught.value.reason == spec.BAD_INDEX_SPEC


@pytest.mark.parametrize("name", SPECS)
def test_no_sample(name: str) -> None:
    with pytest.raises(InvalidArgument):
        train(name, Metric.L2, np.empty((0, 8), np.float32))


def _packed(name: str) -> tuple[Quantizer, dict[str, np.ndarray], Lists]:
    rows = unit_rows(8, 40, 16)
    quantizer = train(name, Metric.DOT, rows)
    lists = Lists(np.array([0, 40]), np.arange(40, dtype=np.uint32))
    return quantizer, quantizer.pack(quantizer.encode(rows, None), lists), lists


@pytest.mark.parametrize("name", SPECS)
def test_arrays_that_do_not_fit_are_corruption(name: str) -> None:
    quantizer, packed, lists = _packed(name)
    for key, array in packed.items():
        for damaged in (None, array[:-1], array.astype(np.float64)):
            arrays: Encoded = {other: value for other, value in packed.items() if other != key}
            if damaged is not None:
                arrays[key] = damaged
            with pytest.raises(Corruption):
                quantizer.open(arrays, lists)
    for key, array in quantizer.arrays().items():
        for damaged in (None, array[:0], array.astype(np.complex64)):
            if damaged is None and key == "feedback":
                continue  # as earlier versions wrote int8
            arrays = {other: value for other, value in quantizer.arrays().items() if other != key}
            if damaged is not None:
                arrays[key] = damaged
            with pytest.raises(Corruption):
                type(quantizer).from_arrays(Metric.DOT, arrays)
