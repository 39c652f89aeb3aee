"""Of a few unfamiliar queries in a batch only those are searched again that the mean would feel."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecstore.index.base import BuiltIndex, Candidates, SearchParams
from vecstore.index.familiar import BATCH, FAMILIAR, FEW, LEFT, LOST_MAX, STEP, search_promised
from vecstore.index.familiar_limits import AT, Caution, Familiar
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

TARGET = 0.9
CAUTION = Caution(nines=0.3)
USUAL, LIMIT = 1.0, 2.0
BATCHED = 90


class Told(BuiltIndex):
    """Finds one row for each query, as far as the query (nq, 1) says, and remembers what it was asked."""

    ntotal = 10_000
    familiar = Familiar(Metric.L2, ((USUAL,) * 3,) * len(AT), ((LIMIT,) * 3,) * len(AT))
    cautious = CAUTION
    more = 0.0  # that is promised besides what is asked for

    def __init__(self) -> None:
        self.asked: list[tuple[list[float], float]] = []

    def search(self, _kernels: Any, queries: Any, _k: int, _allowed: Any, params: Any = None) -> Candidates:
        self.asked.append((queries[:, 0].tolist(), params.recall_target))
        return Candidates(np.zeros(queries.shape, np.int64), queries.copy(), recall=params.recall_target + self.more)

    def caution(self, *_: Any) -> Caution:
        return self.cautious

    arrays = build = from_arrays = None  # type: ignore[assignment]


Told.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


def asked(
    distances: list[float], target: float = TARGET, caution: Caution = CAUTION, more: float = 0.0
) -> tuple[list[tuple[list[float], float]], Candidates]:
    """The searches that followed the first, and the answer."""
    index, queries = Told(), np.array(distances, np.float32)[:, None]
    index.familiar, index.cautious, index.more = copy.deepcopy(index.familiar), caution, more
    found = search_promised(index, get_kernels(), queries, 1, None, index.ntotal, SearchParams(recall_target=target))
    return index.asked[1:], found


def beyond(steps: float) -> float:
    return LIMIT + STEP * (LIMIT - USUAL) * (steps - 0.5)


def left_of(count: int, target: float = TARGET) -> int:
    """How many of so many may stay one step beyond."""
    return int(count * min(LEFT, LOST_MAX / (target - CAUTION.kept(target, 1)) + 1 - FAMILIAR))


@pytest.mark.parametrize("target", [0.8, 0.9, 0.99])
def test_a_few_of_a_batch_are_left_and_less_is_promised(target: float) -> None:
    few = left_of(BATCHED, target)
    again, found = asked([USUAL] * (BATCHED - few) + [beyond(1)] * few, target)
    assert again == []
    assert (found.basis, found.counters["queries_unfamiliar"]) == ("unfamiliar", few)
    expected = ((BATCHED - few) * target + few * CAUTION.kept(target, 1)) / BATCHED
    assert found.recall == pytest.approx(expected)
    assert found.recall > target - 0.01


def test_of_more_the_farthest_are_searched_again() -> None:
    few, more = left_of(BATCHED), FEW + 1
    near = [beyond(1) + place / 1_000 for place in range(few + more)]
    far = [beyond(2) + place / 1_000 for place in range(more)]
    again, found = asked([*near, *[USUAL] * (BATCHED - more - len(near)), *far])
    assert [(sorted(which), round(target, 6)) for which, target in again] == [
        (pytest.approx(near[few:]), round(CAUTION.raised(TARGET, 1), 6)),
        (pytest.approx(far), round(CAUTION.raised(TARGET, 2), 6)),
    ]
    assert found.recall == pytest.approx(TARGET - few / BATCHED * (TARGET - CAUTION.kept(TARGET, 1)))


def test_few_are_searched_together_with_farther_ones() -> None:
    """A call costs as much as a few queries."""
    few = [beyond(2), beyond(3), beyond(5)]
    again, found = asked([*few, *[USUAL] * 14])
    assert again == [(pytest.approx(few), CAUTION.raised(TARGET, 5))]
    assert found.recall is not None
    assert found.recall > TARGET  # the nearer ones get more than they need


@pytest.mark.parametrize("queries", [1, 20])
def test_an_index_that_promises_more_has_some_to_spare(queries: int) -> None:
    """What it keeps for a query so far beyond is still what was asked for."""
    more = 0.06
    assert CAUTION.kept(TARGET + more, 2) > TARGET > CAUTION.kept(TARGET + more, 4)
    again, found = asked([beyond(2), *[USUAL] * (queries - 1)], more=more)
    assert again == []
    assert (found.basis, found.counters["queries_unfamiliar"]) == ("unfamiliar", 1)
    again, _ = asked([beyond(4), *[USUAL] * (queries - 1)], more=more)
    assert len(again) == (queries == 1)  # of a batch the mean has it to spare


@pytest.mark.parametrize("count", [1, BATCH, int(1 / LEFT)])
def test_one_alone_or_of_a_small_batch_is_searched_again(count: int) -> None:
    again, found = asked([beyond(1), *[USUAL] * (count - 1)])
    assert again == [([pytest.approx(beyond(1))], pytest.approx(CAUTION.raised(TARGET, 1)))]
    assert found.recall == pytest.approx(TARGET)


def test_where_many_are_unfamiliar_none_is_left() -> None:
    distances: list[float] = [USUAL] * 70 + [beyond(1)] * 30
    again, _ = asked(distances)
    assert sum(len(which) for which, _ in again) == 30
    again, _ = asked(distances[:70] + distances[70:80])
    some: NDArray[np.int64] = np.array([len(which) for which, _ in again])
    assert some.sum() == 10 - left_of(80)


def test_the_mean_loses_little_where_one_step_is_much() -> None:
    """A power takes a fourth of .8, of which no LEFT can be spared: but what calibrations have met, and a little."""
    caution = Caution(power=1.0)
    again, found = asked([USUAL] * 96 + [beyond(1)] * 4, 0.8, caution)
    assert [len(which) for which, _ in again] == [1]
    assert found.recall == pytest.approx(0.8 - 0.03 * (0.8 - caution.kept(0.8, 1)))
    assert found.recall >= 0.8 - 0.01
