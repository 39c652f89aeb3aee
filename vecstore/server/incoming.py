"""Messages of a call with many of them."""

from __future__ import annotations

import asyncio
from typing import Any


async def next_message(context: Any, draining: asyncio.Event, other: asyncio.Future[Any] | None = None) -> bytes | None:
    """The next message, or None at the end, when the server drains, or when `other` has ended (it raises then)."""
    drained = asyncio.ensure_future(draining.wait())
    reading = asyncio.ensure_future(context.read())
    try:
        watched: list[asyncio.Future[Any]] = [reading, drained]
        if other is not None:
            watched.append(other)
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if other is not None and other.done():
            other.result()
        if not reading.done():
            return None
        data = reading.result()
        return data if isinstance(data, bytes) else None
    finally:
        drained.cancel()
        reading.cancel()
