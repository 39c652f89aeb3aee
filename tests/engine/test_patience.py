"""How many queries a batch waits for: as many as come, seldom in vain, more of them where cores are short."""

from __future__ import annotations

import pytest

from vecstore.engine.patience import PROBE_FIRST, PROBE_LAST, Patience


def asked_by(patience: Patience, callers: int, batches: int, shortage: float = 0.0) -> list[int]:
    """What batches waited for, where `callers` ask again and again."""
    targets = []
    for _ in range(batches):
        targets.append(patience.target(shortage))
        patience.learn(targets[-1], min(targets[-1], callers))
    return targets


def test_a_batch_is_judged_by_what_the_last_ones_took() -> None:
    patience = Patience()
    assert patience.query_s is None
    patience.timed(0.016, 16)
    assert patience.query_s == pytest.approx(0.001)
    patience.timed(1.0, 1)  # another program had the processor
    assert patience.query_s == pytest.approx(0.00125)
    patience.timed(0.0005, 1)
    assert patience.query_s == pytest.approx(0.0005)
    for _ in range(20):
        patience.timed(0.004, 1)
    assert patience.query_s == pytest.approx(0.004)


@pytest.mark.parametrize("shortage", [0.0, 1.0])
def test_waiting_is_given_up_for_a_lone_caller(shortage: float) -> None:
    vain = sum(target > 1 for target in asked_by(Patience(), 1, 1_000, shortage))
    assert 5 <= vain <= 25  # tried now and then, in case others came


@pytest.mark.parametrize("shortage", [0.0, 1.0])
def test_waiting_for_more_than_there_are_gets_rare(shortage: float) -> None:
    patience = Patience()
    assert asked_by(patience, 12, 40, shortage).count(24) == 1  # whether there are more by now
    late = asked_by(patience, 12, 2_000, shortage)
    assert set(late) == {12, 24}
    assert 2_000 // PROBE_LAST - 1 <= late.count(24) <= 2_000 // PROBE_LAST + 4


def test_callers_who_come_later_are_found() -> None:
    patience = Patience()
    asked_by(patience, 3, 2_000)
    assert asked_by(patience, 40, PROBE_LAST + 10)[-1] == 40
    patience.learn(40, 64)  # they came while the last batch ran
    assert patience.target() == 64


def test_callers_who_leave_are_waited_for_once() -> None:
    patience = Patience()
    asked_by(patience, 12, 500)
    assert asked_by(patience, 5, 4)[1:] == [5, 5, 5]


def test_who_is_late_where_cores_are_short_is_waited_for() -> None:
    patience = Patience()
    asked_by(patience, 12, 6)
    patience.learn(12, 12)
    patience.learn(12, 7)
    assert (patience.target(), patience.target(0.5), patience.target(0.75), patience.target(1.0)) == (7, 7, 8, 11)
    assert asked_by(patience, 7, 6, 1.0) == [11, 10, 9, 8, 7, 7]  # but not for ever


def test_batches_that_a_stall_made_small_grow_again() -> None:
    patience = Patience()
    asked_by(patience, 12, 2_000)  # it has tried for more in vain for long
    patience.learn(patience.target(), 2)
    assert asked_by(patience, 12, PROBE_FIRST + 4)[-1] == 12
