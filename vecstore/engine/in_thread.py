"""Reads for asyncio: they run in a thread, and end soon when the task that awaits them is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

from vecstore.kernels.stop import Stop

T = TypeVar("T")
Args = TypeVarTuple("Args")


async def in_thread(executor: Executor, call: Callable[[*Args], T], *args: *Args) -> T:
    """`call(*args)` in one of the executor's threads, under a `Stop` that is cancelled with the awaiting task."""
    stop = Stop()

    def run() -> T:
        with stop:
            return call(*args)

    try:
        return await asyncio.get_running_loop().run_in_executor(executor, run)
    except asyncio.CancelledError:
        stop.cancel()
        raise
