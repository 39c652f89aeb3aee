"""What the doors of one server share, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vecstore.access import Access
from vecstore.access.certificates import Certificates
from vecstore.config import Settings
from vecstore.engine.coalesce import Coalescer
from vecstore.engine.database import Database
from vecstore.observe.metrics import Metrics
from vecstore.observe.pages import Pages
from vecstore.observe.tracing import Tracing
from vecstore.server.admission import Admission
from vecstore.server.pools import Pools


class Door(Protocol):
    """Another way in, on the same event loop, such as REST's."""

    port: int

    async def start(self) -> None: ...
    async def stop(self, drain_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Inside:
    """What the doors of one server share."""

    database: Database
    settings: Settings
    access: Access
    admission: Admission
    coalescer: Coalescer
    pools: Pools
    certificates: Certificates | None
    metrics: Metrics
    pages: Pages
    tracing: Tracing | None
    place: Place


Beside = Callable[[Inside], Door]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, if not on the settings' host and port alone: the writer of several processes on a Unix
    `socket`, a reader on a port that it shares, passing on what is the writer's to that one's socket."""

    socket: str = ""
    writer: str = ""


ALONE = Place()
