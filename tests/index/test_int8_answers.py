"""Lists of int8 codes whose estimates are the answer: each is of a query that is told as finely as its rows."""

from __future__ import annotations

import numpy as np
import pytest
from ivf_support import clustered, dense, silent, stored

from vecstore.index.base import SearchParams
from vecstore.index.registry import built_index
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric


@pytest.mark.parametrize("spec", ["int8 | rerank(none)", "ivf(nlist=4) | int8"])
def test_estimates_are_those_of_the_decoded_rows(spec: str) -> None:
    both = clustered(np.random.default_rng(1), 830, 64, spread=0.8) * np.linspace(0.05, 2, 64, dtype=np.float32)
    field = dense(64, Metric.COSINE)
    kept, norms = stored(field, both[:800])
    asked = parse_index(spec)
    index = built_index(asked).build(field, asked, kept, norms, get_kernels(), silent)
    queries = both[800:]
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (queries, both[:800])]
    quantizer = index.learned.quantizer
    decoded = quantizer.decode(quantizer.encode(unit[1].astype(np.float32), None), None)
    params = SearchParams(nprobe=4, rescore=False, oversampling=3)
    found = index.search(get_kernels(), queries, 10, None, params)
    truth = 1 - np.take_along_axis(unit[0] @ decoded.T, found.rows, axis=1)
    assert np.abs(found.distances - truth).max() < 5e-5
