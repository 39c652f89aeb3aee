"""Waiting for a write to come into view without a thread that waits, for event loops."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from vecstore.engine.collection import Collection
from vecstore.engine.database import Database
from vecstore.engine.read_path import not_reached

R = TypeVar("R")


async def named(database: Database, request: R) -> R:
    """As `Database.named`."""
    return (await named_all(database, (request,)))[0]


async def named_all(database: Database, requests: Sequence[R]) -> list[R]:
    """As `Database.named_all`."""
    for request in requests:
        waited: Any = getattr(request, "query", request)
        if seqs := getattr(waited, "min_seqs", None):
            given: float | None = getattr(waited, "timeout_s", None)
            await seen(database, seqs, time.monotonic() + (given or database.settings.limits.deadline_default_s))
    return database.named_all(requests)


async def seen(database: Database, seqs: Mapping[str, int], deadline: float) -> None:
    """Returns once the views of collections have the seqs. Raises as `reached`."""
    for collection, seq in database.unseen(seqs):
        await reached(collection, seq, deadline)


async def reached(collection: Collection, min_seq: int, deadline: float) -> None:
    """Returns once the collection's view has `min_seq`. Raises DeadlineExceeded at `deadline`, a time.monotonic()."""
    if collection.view.seq >= min_seq:
        return
    loop = asyncio.get_running_loop()
    there = loop.create_future()

    def settle() -> None:
        if not there.done():
            there.set_result(None)

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(settle)

    forget = collection.when(min_seq, tell)
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            await there
    except TimeoutError:
        raise not_reached(collection.view, min_seq) from None
    finally:
        forget()
