"""Every quantizer in lists: estimates that follow list and metric, exact answers after the rerank, safe to open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ivf_support import clustered, dense, exact, recall, silent, stored

from vecstore.errors import Corruption
from vecstore.index.base import SearchParams
from vecstore.index.registry import built_index
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

# The spec, and how far an estimate may be off as a share of what distances vary by.
QUANTIZED = {
    "float16": 0.01, "bfloat16": 0.02, "float8": 0.15, "int8": 0.05, "int4": 0.4, "rabitq(bits=8)": 0.03,
    "rabitq(bits=4)": 0.15, "rabitq(bits=1)": 1.5, "lloyd_max(bits=4)": 0.3, "pq(m=32, bits=8)": 0.3,
    "pq(m=32, bits=4)": 1.0, "saq(bits=8)": 0.1, "binary": 2.0,
}  # fmt: skip
EVERYWHERE = SearchParams(nprobe=1000, oversampling=20)


def build(text: str, metric: Metric, n: int = 800) -> Any:
    rng = np.random.default_rng(1)
    both = clustered(rng, n + 30, 64, spread=0.8) + np.float32(0.5)
    field = dense(64, metric)
    kept, norms = stored(field, both[:n])
    spec = parse_index(text)
    index = built_index(spec).build(field, spec, kept, norms, get_kernels(), silent)
    return field, kept, norms, index, both[n:]


SPILLED = ("int8", "rabitq(bits=4)", "pq(m=32, bits=8)")  # one of each layout
STRUCTURED = [(f"ivf(nlist=8) | {text}", text) for text in QUANTIZED]
STRUCTURED += [(text, text) for text in QUANTIZED]
STRUCTURED += [(f"ivf(nlist=8, spill=soar) | {text}", text) for text in SPILLED]


METRICS = [Metric.COSINE, Metric.DOT, Metric.L2]
# In lists by every metric; a single list, whose codes are the same, by one of them in turn.
CASES = [
    (spec, text, metric)
    for place, (spec, text) in enumerate(STRUCTURED)
    for metric in (METRICS if spec != text else [METRICS[place % 3]])
]


@pytest.mark.parametrize(("spec", "text", "metric"), CASES)
def test_estimates_and_answers(spec: str, text: str, metric: Metric) -> None:
    field, kept, norms, index, queries = build(spec, metric)
    truth, distances = exact(field, queries, kept, norms, 10)
    found = index.search(get_kernels(), queries, 10, None, EVERYWHERE)
    assert recall(found.rows, truth) > 0.98
    assert (found.distances[:, 0] == distances[:, 0]).mean() > 0.9
    everything, whole = exact(field, queries, kept, norms, 800)
    spread = whole.std(axis=1).mean()
    estimated = index.search(get_kernels(), queries, 10, None, SearchParams(nprobe=1000, rescore=False))
    place = (everything[:, None, :] == estimated.rows[:, :, None]).argmax(axis=2)
    error = np.abs(estimated.distances - np.take_along_axis(whole, place, axis=1)).mean() / spread
    assert error < QUANTIZED[text], error


@pytest.mark.parametrize("text", QUANTIZED)
def test_restart_and_damage(text: str) -> None:
    field, kept, norms, index, queries = build(f"ivf(nlist=12) | {text}", Metric.COSINE, 400)
    arrays = index.arrays() | {"inverse_norms": norms}
    again = type(index).from_arrays(field, kept, arrays)
    before, after = (each.search(get_kernels(), queries, 10, None) for each in (index, again))
    assert before.rows.tobytes() == after.rows.tobytes()
    assert before.distances.tobytes() == after.distances.tobytes()

    rng = np.random.default_rng(2)
    for name in [name for name in arrays if name.startswith("codes.")]:
        for damage in ("missing", "short", "noise"):
            bad = dict(arrays)
            if damage == "missing":
                del bad[name]
            elif damage == "short":
                bad[name] = arrays[name][:-1]
            else:
                bytes_ = rng.integers(0, 256, arrays[name].nbytes, np.uint8)
                bad[name] = bytes_.view(arrays[name].dtype).reshape(arrays[name].shape)
            if damage != "noise" or name == "codes.rows":
                with pytest.raises(Corruption):
                    type(index).from_arrays(field, kept, bad)
            else:  # other numbers are other codes: answers are poor, never out of bounds
                try:
                    odd = type(index).from_arrays(field, kept, bad)
                except Corruption:
                    continue
                found = odd.search(get_kernels(), queries, 10, None)
                assert ((found.rows >= 0) & (found.rows < 400)).all()
