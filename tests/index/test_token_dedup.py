"""Near copies of tokens left out: which, the bound on what scores change, and indexes that hold the rest."""

from __future__ import annotations

import numpy as np
import pytest
from late_support import DIM, FIELD, nothing, queries_from, recall

from vecstore.index.base import SearchParams
from vecstore.index.muvera import MuveraIndex
from vecstore.index.plaid import PlaidIndex
from vecstore.index.token_dedup import without_copies
from vecstore.index_spec import Muvera, Plaid
from vecstore.kernels.select import get_kernels
from vecstore.tokens import TokenRows

SEED = 20261128
EPS = 0.02


def repeating(counts: list[int] | np.ndarray, dtype: type = np.float32, seed: int = SEED) -> TokenRows:
    """Unit tokens, half of them near others of their row."""
    rng, rows = np.random.default_rng(seed), []
    for count in counts:
        centres = rng.standard_normal((max(1, count // 2), DIM))
        tokens = centres[rng.integers(0, len(centres), count)] + 0.12 * rng.standard_normal((count, DIM))
        rows.append(tokens / np.linalg.norm(tokens, axis=1, keepdims=True))
    return TokenRows.of(rows, DIM, dtype)


@pytest.mark.parametrize("protected", [0, 1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_token_stays_unless_an_earlier_one_that_stays_is_near(
    protected: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = repeating([0, 1, 7, 0, 150, 2, 40, 65, 64, 0], dtype)
    rows.tokens[20] *= np.float16(3)  # a cosine is not enough
    wanted = []
    for row in rows:
        kept: list[np.ndarray] = []
        for place, token in enumerate(row.tokens.astype(np.float64)):
            if place < protected or not kept or min(np.sum((token - one) ** 2) for one in kept) > 2 * EPS:
                kept.append(token)
        wanted.append(np.array(kept).reshape(-1, DIM))
    for floats in (1 << 22, 100):  # rows together, and alone
        monkeypatch.setattr("vecstore.index.token_dedup._FLOATS", floats)
        found = without_copies(rows, EPS, protected, nothing)
        np.testing.assert_array_equal(np.diff(found.offsets), [len(one) for one in wanted])
        np.testing.assert_array_equal(found.tokens.astype(np.float64), np.concatenate(wanted))
        assert 0.4 < len(found.tokens) / len(rows.tokens) < 0.95
    assert without_copies(rows, 0.0, protected, nothing) is rows


@pytest.mark.parametrize("eps", [0.005, 0.1])
def test_no_score_changes_by_more_than_the_bound(eps: float) -> None:
    """In 100,000 random queries of 3 tokens against each of a few rows."""
    rows = repeating(np.full(3, 24))
    fewer = without_copies(rows, eps, 1, nothing)
    rng = np.random.default_rng(SEED)
    asked = rng.standard_normal((300_000, DIM)).astype(np.float32)
    asked[::2] = 0.1 * asked[::2] + rows.tokens[rng.integers(0, len(rows.tokens), 150_000)]  # near what was left out
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    most = 0.0
    for before, after in zip(rows, fewer, strict=True):
        best = [(asked @ one.tokens.T).max(axis=1).reshape(-1, 3).sum(axis=1) for one in (before, after)]
        most = max(most, float(np.abs(best[0] - best[1]).max()))
    assert len(fewer.tokens) < len(rows.tokens)
    assert 0 < most <= 3 * np.sqrt(2 * eps)


@pytest.mark.parametrize("kind", ["plaid", "muvera"])
def test_an_index_holds_the_rest(kind: str) -> None:
    rows = repeating(np.random.default_rng(3).integers(4, 20, 400), np.float16)
    queries, kernels = queries_from(rows, 20), get_kernels()

    def built(eps: float) -> PlaidIndex | MuveraIndex:
        if kind == "plaid":
            return PlaidIndex.build(FIELD, Plaid(tokens="residual4", dedup_eps=eps), rows, None, kernels, nothing)
        spec = Muvera(repetitions=8, k_sim=3, tokens="residual4", dedup_eps=eps)
        return MuveraIndex.build(FIELD, spec, rows, None, kernels, nothing)

    fewer, whole = built(EPS), built(0.0)
    assert len(fewer.arrays()["tokens.scales"]) < 0.9 * len(whole.arrays()["tokens.scales"]) == 0.9 * len(rows.tokens)
    again = type(fewer).from_arrays(FIELD, rows, fewer.arrays())
    assert recall(again, rows, queries, 10, SearchParams(recall_target=0.95)) > 0.85
