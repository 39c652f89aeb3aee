"""A server in this process over a database in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from vecstore.config import Limits, Server, Settings
from vecstore.engine.database import Database
from vecstore.server.running import ServerHandle


@contextlib.contextmanager
def served(
    start: Callable[[Database, Settings], ServerHandle], limits: Limits | None, **server: Any
) -> Iterator[tuple[ServerHandle, Database]]:
    """As `start` makes it; `server` are its settings."""
    settings = Settings(limits=limits or Limits(), server=Server(**server))
    with Database.open(None, settings) as database:
        handle = start(database, settings)
        try:
            yield handle, database
        finally:
            handle.stop(0)
