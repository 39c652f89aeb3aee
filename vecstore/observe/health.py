"""Is the process alive, is the server ready, and is each collection?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vecstore.engine.database import Database
from vecstore.engine.gauges import Gauges
from vecstore.types import OperationState


class Health:
    """`is_draining` becomes true when a stop begins; a server exists only after its database has recovered."""

    def __init__(self, database: Database, is_draining: Callable[[], bool]) -> None:
        self._database = database
        self.is_draining = is_draining

    def collections(self) -> dict[str, dict[str, Any]]:
        """By name: `state` is `ready`; `indexing` (answers exactly, and slower, where an index is still being built);
        `degraded` (an index or a column is unusable, the rest is served); or `failed` (answers nothing). `verified` is
        when every byte was last found good, in seconds since 1970, and None after a restart or a failure."""
        verified = self._verified()
        return {
            name: {
                "state": _state(gauges),
                "points": gauges.points,
                "indexes": {field: one.state for field, one in gauges.fields.items()},
                "verified": verified.get(name, verified.get("")),
                **({"why": gauges.failed} if gauges.failed else {}),
            }
            for name, gauges in self._database.gauges().items()
        }

    def own(self, name: str) -> str:
        """What a collection is called itself."""
        return self._database.aliases.get(name, name)

    def _verified(self) -> dict[str, float | None]:
        """When each collection was verified last; "" stands for all of them at once."""
        found: dict[str, float | None] = {}
        for one in self._database.list_operations():  # newest first
            if one.kind == "verify" and one.finished_at is not None:
                well = one.state is OperationState.DONE
                found.setdefault(one.collection, one.finished_at if well else None)
        return found


def answers(state: str) -> bool:
    return state != "failed"


def _state(gauges: Gauges) -> str:
    if gauges.failed is not None:
        return "failed"
    states = {field.state for field in gauges.fields.values()}
    if gauges.damaged or "failed" in states:
        return "degraded"
    return "indexing" if "building" in states else "ready"
