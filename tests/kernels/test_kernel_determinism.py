"""What must not change an answer: the number of threads, other Python threads, a fork, and (native) batching."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from masks import bitmap
from oracle import inverse_norms, outputs, to_storage

from vecstore.kernels.base import Kernels
from vecstore.schema import Metric

METRICS = [Metric.L2, Metric.DOT, Metric.COSINE]


def _scan(
    kernels: Kernels, metric: Metric, queries: np.ndarray, rows: np.ndarray, allowed: np.ndarray | None = None
) -> tuple[bytes, bytes]:
    out_rows, out_distances = outputs(len(queries), 20)
    kernels.scan(metric, queries, rows, inverse_norms(rows), allowed, out_rows, out_distances)
    return out_rows.tobytes(), out_distances.tobytes()


def test_thread_counts_agree(kernels: Kernels) -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((30_000, 40)).astype(np.float32)
    rows[1::2] = rows[::2]
    queries = rng.standard_normal((9, 40)).astype(np.float32)
    mask = bitmap(rng.random(len(rows)) < 0.7)
    for allowed in (None, mask):
        for nq in (1, 9):
            answers = set()
            for threads in (1, 2, 4):
                kernels.set_threads(threads)
                assert kernels.threads == threads
                answers.add(_scan(kernels, Metric.L2, queries[:nq], rows, allowed))
            assert len(answers) == 1


def test_several_python_threads(kernels: Kernels) -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((30_000, 40)).astype(np.float32)
    queries = [rng.standard_normal((1 + i % 5, 40)).astype(np.float32) for i in range(8)]
    kernels.set_threads(2)
    expected = [_scan(kernels, Metric.DOT, query, rows) for query in queries]
    with ThreadPoolExecutor(4) as executor:
        for _ in range(5):
            assert list(executor.map(lambda query: _scan(kernels, Metric.DOT, query, rows), queries)) == expected


def test_usable_after_fork(kernels: Kernels) -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((30_000, 40)).astype(np.float32)
    queries = rng.standard_normal((4, 40)).astype(np.float32)
    kernels.set_threads(2)
    expected = _scan(kernels, Metric.L2, queries, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads
        child = os.fork()
    if child == 0:
        os._exit(0 if _scan(kernels, Metric.L2, queries, rows) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_native_batch_has_the_bits_of_singles(native_isa: object, isa: str, dtype: str) -> None:
    kernels = native_isa(isa)
    rng = np.random.default_rng(4)
    for dim in (1, 5, 15, 16, 17, 31, 32, 33, 47, 48, 63, 100, 384):
        rows = to_storage(rng.standard_normal((300, dim)), dtype)
        queries = rng.standard_normal((7, dim)).astype(np.float32)
        norms = inverse_norms(rows)
        for metric in METRICS:
            batch = outputs(7, 300)
            kernels.scan(metric, queries, rows, norms, None, *batch)
            listed = np.full((7, 300), np.nan, np.float32)
            kernels.rerank(metric, queries, rows, norms, batch[0], listed)
            assert listed.tobytes() == batch[1].tobytes()
            for q in range(7):
                single = outputs(1, 300)
                kernels.scan(metric, queries[q : q + 1].copy(), rows, norms, None, *single)
                assert single[0].tobytes() == batch[0][q].tobytes()
                assert single[1].tobytes() == batch[1][q].tobytes()


def test_native_vector_isas_have_the_same_bits(native_isa: object) -> None:
    from vecstore.kernels.native_backend import supported_isas

    vector = [isa for isa in supported_isas() if isa != "scalar"]
    if len(vector) < 2:
        pytest.skip("this machine runs one vector instruction set")
    rng = np.random.default_rng(5)
    for dim in (3, 16, 50, 129, 384):
        for dtype in ("float32", "float16", "bfloat16"):
            rows = to_storage(rng.standard_normal((200, dim)), dtype)
            queries = rng.standard_normal((6, dim)).astype(np.float32)
            for metric in METRICS:
                assert len({_scan(native_isa(isa), metric, queries, rows) for isa in vector}) == 1
