"""Block-masked scans: the answer of a whole scan with a zeroed query, on every instruction set and in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import oracle
import pytest
from masks import bitmap

from vecstore.kernels.block_scan import numpy_block_scan
from vecstore.schema import Metric


@pytest.fixture(params=["native", "numpy"])
def scans(request: pytest.FixtureRequest) -> list[Callable[..., None]]:
    if request.param == "numpy":
        return [numpy_block_scan]
    force = request.getfixturevalue("native_isa")
    from vecstore.kernels import _native

    def on(isa: str) -> Callable[..., None]:
        def scan(*args: object) -> None:
            force(isa)
            _native.block_scan(*args)

        return scan

    return [on(isa) for isa in _native.supported_isas()]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("metric", [Metric.DOT, Metric.COSINE])
@pytest.mark.parametrize(("n", "nblocks", "width"), [(1, 1, 16), (700, 6, 32), (2100, 3, 64), (90, 5, 7)])
def test_equals_a_scan_with_a_zeroed_query(
    scans: list[Callable[..., None]], dtype: str, metric: Metric, n: int, nblocks: int, width: int
) -> None:
    seed = 31
    rng = np.random.default_rng(seed)
    rows = oracle.to_storage(rng.standard_normal((n, nblocks * width)), dtype)
    blocks = np.ascontiguousarray(rows.reshape(n, nblocks, width).transpose(1, 0, 2))
    queries = rng.standard_normal((4, nblocks * width)).astype(np.float32)
    kept = np.full((4, nblocks), -1, np.int32)
    kept[0] = rng.permutation(nblocks)
    kept[1, : nblocks // 2] = rng.permutation(nblocks)[: nblocks // 2]
    kept[2, -1] = nblocks - 1
    norms = oracle.inverse_norms(rows) if metric is Metric.COSINE else None
    mask = rng.random(n) < 0.3
    mask[0] = True
    for q in range(4):
        zeroed = np.zeros_like(queries[q : q + 1])
        for block in kept[q][kept[q] >= 0]:
            zeroed[:, block * width : (block + 1) * width] = queries[q, block * width : (block + 1) * width]
        with np.errstate(divide="ignore", invalid="ignore"):
            exact, allowed_error = oracle.distances(metric, zeroed, rows)
        if not zeroed.any() and metric is Metric.COSINE:
            exact, allowed_error = np.ones((1, n)), np.zeros((1, n))
        for allowed in (np.ones(n, bool), mask):
            words = None if allowed.all() else bitmap(allowed)
            for scan in scans:
                out = oracle.outputs(4, 9)
                scan(queries, blocks, norms, kept, words, *out)
                oracle.check_top_k(out[0][q], out[1][q], exact[0], allowed_error[0], allowed)


def test_bad_arguments_are_refused(native_isa: object) -> None:
    from vecstore.kernels import _native

    blocks, out = np.ones((3, 20, 8), np.float32), oracle.outputs(1, 2)
    queries = np.ones((1, 24), np.float32)
    for bad in (-2, 3, 2**31 - 1):
        with pytest.raises(ValueError, match="kept block"):
            _native.block_scan(queries, blocks, None, np.array([[bad]], np.int32), None, *out)
    with pytest.raises(ValueError, match="queries"):
        _native.block_scan(queries[:, :23].copy(), blocks, None, np.zeros((1, 1), np.int32), None, *out)
    with pytest.raises(ValueError, match="inverse_norms"):
        _native.block_scan(queries, blocks, np.ones(19, np.float32), np.zeros((1, 1), np.int32), None, *out)
