"""Queries made of held-out rows' tokens: parts of rows, and about as hard as real ones."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from late_support import DIM, nothing
from seeds import seeded
from test_plaid import bitmap

from vecstore.index import late_calibration
from vecstore.index.base import SearchParams
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.index.muvera import MuveraIndex
from vecstore.index.scored_once import ScoredOnce
from vecstore.index_spec import Muvera
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.tokens import TokenRows

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "labelled-cranfield"
EPS = 1e-4


def test_queries_are_parts_of_rows_that_are_alive() -> None:
    rng = np.random.default_rng(3)
    lengths = [0, 1, 2, 5, 30, 90] * 20
    rows = TokenRows.of([rng.standard_normal((length, DIM)) for length in lengths], DIM, np.float16)
    alive = rng.random(len(rows)) < 0.7
    queries, own = late_calibration.queries_of(rows, bitmap(alive))
    assert own.tolist() == [row for row in range(len(rows)) if lengths[row] and alive[row]]
    starts = set()
    for at, row in enumerate(own.tolist()):
        tokens, query = rows.row(row).tokens.astype(np.float32), queries.row(at).tokens
        assert len(query) == {1: 1, 2: 2, 5: 4, 30: 20, 90: 20}[len(tokens)]
        (start,) = [low for low in range(len(tokens) - len(query) + 1) if (tokens[low] == query[0]).all()]
        np.testing.assert_array_equal(tokens[start : start + len(query)], query)
        starts.add(start)
    assert len(starts) > 10


def test_scores_known_are_not_computed_again() -> None:
    rng, asked = seeded(), []

    def scores(found: Int64Array) -> Float32Array:
        asked.extend((query, row) for query, rows in enumerate(found.tolist()) for row in rows if row >= 0)
        return np.where(found < 0, np.inf, np.arange(len(found))[:, None] * 1000 + found).astype(np.float32)

    once, seen = ScoredOnce(scores), set()
    for most in (5, 9, 9, 300):
        found = np.stack([rng.permutation(300)[:most] for _ in range(7)])
        found[rng.random(found.shape) < 0.3] = -1
        np.testing.assert_array_equal(once(found), scores(found))
        del asked[-np.count_nonzero(found >= 0) :]  # by the line above
        seen |= {(query, row) for query, rows in enumerate(found.tolist()) for row in rows if row >= 0}
        assert sorted(asked) == sorted(seen)


@pytest.mark.parametrize("n", [700, 1000])
def test_they_need_about_as_many_candidates_as_real_ones(n: int) -> None:
    """More would cost work, fewer the recall that is asked for."""
    path = DATA / "multivec-minilm-96-maxsim.hdf5"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    with h5py.File(path) as file:
        scale = np.float32(file.attrs["scale"])
        parts = [(file[f"{name}_offsets"][:].astype(np.int64), file[name][:] / scale) for name in ("train", "test")]
    rows = TokenRows(parts[0][0], parts[0][1].astype(np.float16))[:n]
    asked = TokenRows(*parts[1])
    field = VectorField(VectorKind.MULTI, rows.dim, Metric.MAXSIM, DataType.FLOAT16)
    index = MuveraIndex.build(field, Muvera(), rows, None, get_kernels(), nothing)
    tuned = index.tuned(asked, get_kernels())
    limits = MaxSimFlatIndex(field, rows).search(get_kernels(), asked, 10, None).distances[:, -1:]
    assert tuned.table.depth_for(0.9, 10) < n // 10
    for target in (0.9, 0.99):
        found = index.search(get_kernels(), asked, 10, None, SearchParams(recall_target=target))
        assert (found.distances <= limits + EPS).mean() >= target - 0.01
        assert index.table.depth_for(target, 10) < 1.5 * tuned.table.depth_for(target, 10)
