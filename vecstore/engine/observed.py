"""What checked queries told, by collection, field and way to search: recalls with their interval, and the queries to
tune on. A process that follows a writer tells it what it saw, so that all of it is counted in one place."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vecstore.engine.row_columns import row_arrays, rows_from
from vecstore.errors import Corruption
from vecstore.rows import Rows, concat
from vecstore.schema import Schema, VectorField
from vecstore.sparse import SparseRows
from vecstore.storage.arrays import pack, unpack

LIVE_KEPT = 512  # queries of each field, the last ones: as many as calibration takes rows
LIVE_MIN = 200  # that have to be seen before a field is tuned on them
UNLIKE_SHARE = 0.25  # of queries that are unfamiliar, from which on a field is tuned on them
TUNED_MAX = 6  # times that the queries wanted for it double
SHORT = 0.01  # of the recall promised: what may be missing
KEPT = 1_000  # of the last recalls of each way to search
WAYS_MAX = 1_000
_ROW = "query"


@dataclass(frozen=True, slots=True)
class Checked:
    """One query and the recall that it got, None where there was no time to find out."""

    collection: str
    name: str  # of the field
    strategy: str
    recall: float | None
    promised: float | None
    unfamiliar: bool | None  # None where a filter leaves that open
    query: Rows | None  # one row as kernels take it; None where it is not to be tuned on, as texts are not

    def encoded(self) -> bytes:
        header = {
            "collection": self.collection, "name": self.name, "strategy": self.strategy, "recall": self.recall,
            "promised": self.promised, "unfamiliar": self.unfamiliar,
        }  # fmt: skip
        return b"".join(pack(header, {} if self.query is None else row_arrays(_ROW, self.query)))


def decoded(data: bytes, schema_of: Callable[[str], Schema | None]) -> Checked | None:
    """None where the collection or its field is not there, or is another by now. Raises Corruption."""
    header, arrays = unpack(data)
    try:
        schema = schema_of(header["collection"])
        spec = None if schema is None else schema.vectors.get(header["name"])
        if spec is None:
            return None
        query = rows_from(_ROW, spec, arrays) if arrays else None
        return Checked(query=query, **header) if query is None or _fits(query, spec) else None
    except KeyError:
        return None  # arrays of another kind of field
    except (TypeError, AttributeError, IndexError) as error:
        raise Corruption(f"what a follower tells of a query is malformed: {error}") from None


def _fits(query: Rows, spec: VectorField) -> bool:
    if isinstance(query, np.ndarray):
        return query.shape == (1, spec.storage_width)
    return len(query) == 1 and (isinstance(query, SparseRows) or query.dim == spec.dim)


@dataclass(slots=True)
class Seen:
    """Recalls of the last queries that a strategy answered, and what was promised for them."""

    checked: int = 0
    looked_at: int = 0  # for whether they are unfamiliar, without a filter
    recalls: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    promised: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    unfamiliar: deque[bool] = field(default_factory=lambda: deque(maxlen=KEPT))  # of those without a filter

    def described(self) -> dict[str, Any]:
        """The mean recall with its 95 % interval: by the normal distribution, and where all found everything, by the
        rule of three."""
        recalls = np.array(self.recalls)
        mean, count = float(recalls.mean()), len(recalls)
        error = 1.96 * float(recalls.std()) / math.sqrt(count) if mean < 1 else 0.0
        low = mean - error if error else mean - min(mean, 3 / count)
        promised = float(np.mean(self.promised)) if self.promised else None
        return {
            "checked": self.checked, "recall": round(mean, 4), "low": round(max(0.0, low), 4),
            "high": round(min(1.0, mean + error), 4),
            "est_recall": None if promised is None else round(promised, 4),
        }  # fmt: skip

    def fell_short(self, wanted: int) -> bool:
        """Whether, of so many queries, recall was below what was promised beyond chance, or many are unfamiliar."""
        unlike = sum(self.unfamiliar) > UNLIKE_SHARE * max(LIVE_MIN, len(self.unfamiliar))
        if unlike and self.looked_at >= wanted:
            return True
        if self.checked < wanted:
            return False
        found = self.described()
        promised = found["est_recall"]
        return promised is not None and bool(found["high"] < promised - SHORT)


class Observed:
    """Threads may share one object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str, str], Seen] = {}
        self._live: dict[tuple[str, str], deque[Rows]] = {}
        self._tuned: dict[tuple[str, str], int] = {}  # how often: what tuning cannot mend is not tuned on and on
        self.on_short: Callable[[str, str, Rows], None] = lambda collection, name, queries: None
        self.on_recall: Callable[[str, str, float], None] = lambda collection, name, recall: None

    def keep(self, checked: Checked) -> None:
        key = (checked.collection, checked.name, checked.strategy)
        with self._lock:
            if key not in self._seen and len(self._seen) >= WAYS_MAX:
                self._seen.pop(next(iter(self._seen)))
            seen = self._seen.setdefault(key, Seen())
            if checked.unfamiliar is not None:
                seen.looked_at += 1
                seen.unfamiliar.append(checked.unfamiliar)
            if checked.recall is not None:
                seen.checked += 1
                seen.recalls.append(checked.recall)
                if checked.promised is not None:
                    seen.promised.append(checked.promised)
            mean = sum(seen.recalls) / max(1, len(seen.recalls))
            queries = self._to_tune_on(key[:2], seen, checked.query)
        if checked.recall is not None:
            self.on_recall(checked.collection, checked.name, mean)
        if queries is not None:
            self.on_short(checked.collection, checked.name, queries)

    def _to_tune_on(self, of: tuple[str, str], seen: Seen, query: Rows | None) -> Rows | None:
        if query is None:
            return None
        live = self._live.setdefault(of, deque(maxlen=LIVE_KEPT))
        live.append(query)
        tuned = self._tuned.get(of, 0)
        if not seen.fell_short(LIVE_MIN << min(tuned, TUNED_MAX)):
            return None
        self._tuned[of] = tuned + 1
        self._seen = {at: one for at, one in self._seen.items() if at[:2] != of}  # begin anew
        return concat(list(live))

    def described(self, collection: str | None = None) -> list[dict[str, Any]]:
        """What was seen, of one collection or of all: for stats and metrics."""
        with self._lock:
            return [
                {"collection": key[0], "using": key[1], "strategy": key[2], **seen.described()}
                for key, seen in self._seen.items()
                if collection in (None, key[0]) and seen.checked
            ]

    def forget(self, collection: str) -> None:
        with self._lock:
            self._seen = {key: seen for key, seen in self._seen.items() if key[0] != collection}
            self._live = {key: live for key, live in self._live.items() if key[0] != collection}
            self._tuned = {key: count for key, count in self._tuned.items() if key[0] != collection}
