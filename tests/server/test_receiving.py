"""Large requests arrive a few at a time where memory is short; small ones never wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from vecstore.errors import ResourceExhausted
from vecstore.memory.room import ROOM
from vecstore.server import receiving
from vecstore.server.receiving import Receiving

MESSAGE = 1_000_000
BUDGET = 32 * MESSAGE


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    found = [0]
    monkeypatch.setattr(ROOM, "budget", BUDGET)
    monkeypatch.setattr(ROOM, "_held", lambda: found[0])
    monkeypatch.setattr(receiving, "LOOK_S", 0.005)
    yield found
    assert ROOM.taken == 0


async def arrive(one: Receiving, large: bool, until: asyncio.Event, here: list[str]) -> None:
    with await one.turn(large):
        here.append("large" if large else "small")
        await until.wait()
        await asyncio.sleep(0)


def test_large_ones_take_turns_where_memory_is_short(held: list[int]) -> None:
    async def run() -> None:
        one, until, here = Receiving(MESSAGE), asyncio.Event(), list[str]()
        held[0] = (
            BUDGET // 2
        )  # an eighth of the budget is free below the mark: for two messages, as they arrive and here
        tasks = [asyncio.create_task(arrive(one, True, until, here)) for _ in range(6)]
        tasks.append(asyncio.create_task(arrive(one, False, until, here)))
        await asyncio.sleep(0.05)
        assert sorted(here) == ["large", "large", "small"]
        until.set()
        await asyncio.gather(*tasks)
        assert len(here) == 7

    asyncio.run(run())


def test_one_that_waits_too_long_is_refused_and_slow_ones_take_no_turn(
    held: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        one, until, here = Receiving(MESSAGE), asyncio.Event(), list[str]()
        held[0] = BUDGET * 5 // 8
        tasks = [asyncio.create_task(arrive(one, True, until, here)) for _ in range(2)]  # an eighth is never short
        await asyncio.sleep(0.02)
        monkeypatch.setattr(receiving, "WAIT_S", 0.02)
        with pytest.raises(ResourceExhausted, match="2 requests arrive, and storage") as raised:
            await one.turn(True)
        assert raised.value.reason == "OVERLOADED"
        monkeypatch.setattr(receiving, "SLOW_S", 0.01)
        with await one.turn(True):
            pass
        until.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_those_that_take_long_are_refused_until_one_is_left(held: list[int]) -> None:
    async def run() -> None:
        one, until, here = Receiving(MESSAGE), asyncio.Event(), list[str]()
        tasks = [asyncio.create_task(arrive(one, False, until, here)) for _ in range(4)]
        await asyncio.sleep(0.05)
        held[0] = BUDGET
        async with asyncio.timeout(30):
            await asyncio.wait(tasks[1:])
        await asyncio.sleep(0.05)  # a few more looks
        assert not tasks[0].done()
        for task in tasks[1:]:
            assert isinstance(task.exception(), ResourceExhausted)
            assert not task.cancelling()
        until.set()
        await tasks[0]

    asyncio.run(run())


def test_without_a_budget_nothing_waits(held: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ROOM, "budget", 0)

    async def run() -> None:
        one, until, here = Receiving(MESSAGE), asyncio.Event(), list[str]()
        tasks = [asyncio.create_task(arrive(one, True, until, here)) for _ in range(40)]
        await asyncio.sleep(0.02)
        assert len(here) == 40
        until.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
