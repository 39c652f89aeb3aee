"""What a database must hold after a crash, kept in files of its own.

A `Ledger` is one writer's diary: a line with what it is about to do, flushed before the request is sent, and a line
once the answer is there. Writers own disjoint ids and send one request at a time, so after a crash a writer's points
must be exactly what its acknowledged requests leave, or that and the whole of the one request without an answer:
acked <= visible <= acked + in flight, batches whole or absent, last values, deleted ids gone, all in one comparison.
Versions only grow, so no two writes of an id carry the same vector.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from vecstore.client._sync.client import Client
from vecstore.client._sync.collection import Collection
from vecstore.query.filter import Filter, MatchValue, PointId, Range
from vecstore.schema import FieldKind

DIM = 8
KEYS = 300  # ids of each writer
BUCKETS = 7
Intent = dict[str, Any]
State = dict[int, tuple[int, int | None]]  # key -> (version, what set_payload left)
COLLECTIONS = {"numbers": ("int",), "mixed": ("int", "uuid", "text")}


def create_collections(client: Client) -> None:
    """`mixed` has ids of all kinds, three vector fields of which points may lack two, and payload indexes."""
    client.create_collection("numbers", {"a": vecstore.Dense(DIM, metric="l2")}, exist_ok=True)
    client.create_collection(
        "mixed",
        {"a": vecstore.Dense(DIM, metric="l2")},
        binary={"b": vecstore.Binary(16)},
        sparse={"s": vecstore.Sparse()},
        indexes={"bucket": FieldKind.INTEGER, "writer": FieldKind.KEYWORD},
        exist_ok=True,
    )


def apply(state: State, intent: Intent) -> State:
    """The state after a request."""
    after = dict(state)
    match intent["op"]:
        case "upsert":
            after.update(dict.fromkeys(intent["keys"], (intent["version"], None)))
        case "delete":
            for key in intent["keys"]:
                after.pop(key, None)
        case "delete_where":
            after = {key: value for key, value in after.items() if key % BUCKETS != intent["bucket"]}
        case "replace":
            after = {key: value for key, value in after.items() if key % BUCKETS != intent["bucket"]}
            after.update(dict.fromkeys(intent["keys"], (intent["version"], None)))
        case "set":
            after.update({key: (after[key][0], intent["note"]) for key in intent["keys"] if key in after})
        case "set_where":
            after.update({
                key: (version, intent["note"])
                for key, (version, _) in after.items() if key % BUCKETS == intent["bucket"]
            })  # fmt: skip
        case "unset":
            after.update({key: (after[key][0], None) for key in intent["keys"] if key in after})
    return after


class Ledger:
    """A writer's diary in `path`, read back when it exists."""

    def __init__(self, path: Path, writer: int, collection: str) -> None:
        self.writer = writer
        self.collection = collection
        self.state: State = {}
        self.pending: Intent | None = None
        self.acked = 0
        self.versions = 0
        self._path = path
        if path.exists():
            for line in path.read_text().splitlines():
                self._take(json.loads(line))

    def intend(self, intent: Intent) -> None:
        self._note({"intent": intent})

    def ack(self) -> None:
        self._note({"done": True})

    def settle(self, happened: bool) -> None:
        """What became of the request that a crash left without an answer."""
        self._note({"done": happened})

    def _note(self, line: Intent) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._take(line)

    def _take(self, line: Intent) -> None:
        if "intent" in line:
            assert self.pending is None, "a request was sent before the answer to the last one"
            self.pending = line["intent"]
            self.versions = max(self.versions, self.pending.get("version", 0), self.pending.get("note", 0))
            return
        assert self.pending is not None
        if line["done"]:
            self.state = apply(self.state, self.pending)
            self.acked += 1
        self.pending = None

    def choose(self, random: random.Random) -> Intent:
        """The next request to send."""
        self.versions += 1
        weights = {"upsert": 50, "delete": 12, "delete_where": 4, "replace": 10, "set": 12, "set_where": 6, "unset": 6}
        kind = random.choices(list(weights), list(weights.values()))[0]
        keys = random.sample(range(KEYS), random.randint(1, 40))
        match kind:
            case "upsert":
                return {"op": kind, "keys": keys, "version": self.versions}
            case "delete_where":
                return {"op": kind, "bucket": random.randrange(BUCKETS)}
            case "replace":
                bucket = random.randrange(BUCKETS)
                return {"op": kind, "bucket": bucket, "keys": keys, "version": self.versions}
            case "set":
                return {"op": kind, "keys": keys, "note": self.versions}
            case "set_where":
                return {"op": kind, "bucket": random.randrange(BUCKETS), "note": self.versions}
            case _:
                return {"op": kind, "keys": keys}

    def send(self, collection: Collection, intent: Intent) -> None:
        """Write it down, send it, write down that it was answered."""
        self.intend(intent)
        ids = [self.point_id(key) for key in intent.get("keys", ())]
        mine = ("writer", name_of(self.writer))
        where = Filter(must=(MatchValue(*mine), MatchValue("bucket", intent.get("bucket", 0))))
        match intent["op"]:
            case "upsert":
                collection.upload(self.points(intent))
            case "replace":
                points = self.points(intent)
                names = {name for point in points for name in point["vectors"]}
                columns = {name: [point["vectors"].get(name) for point in points] for name in names}
                batch = vecstore.Batch().delete(filter=where)
                collection.update_batch(batch.upsert(ids, columns, [point["payload"] for point in points]))
            case "delete":
                collection.delete(ids)
            case "delete_where":
                collection.delete(filter=where)
            case "set":
                collection.set_payload({"note": intent["note"]}, ids)
            case "set_where":
                collection.set_payload({"note": intent["note"]}, filter=where)
            case "unset":
                collection.delete_payload(["note"], ids)
        self.ack()

    def points(self, intent: Intent) -> list[dict[str, Any]]:
        version = intent["version"]
        return [
            {
                "id": self.point_id(key),
                "vectors": {"a": vector_a(key, version), **self.others(key, version)},
                "payload": self.payload(key, version, None),
            }
            for key in intent["keys"]
        ]

    def point_id(self, key: int) -> PointId:
        kinds = COLLECTIONS[self.collection]
        match kinds[key % len(kinds)]:
            case "int":
                return self.writer * 1_000_000 + key
            case "uuid":
                return uuid.UUID(int=(self.writer << 64) + key)
            case _:
                return f"{self.writer}/{key}"

    def others(self, key: int, version: int) -> dict[str, Any]:
        """The vectors beside `a`."""
        if self.collection != "mixed":
            return {}
        found: dict[str, Any] = {"b": vector_b(key, version)} if has_b(key, version) else {}
        return found | ({"s": vector_s(key, version)} if has_s(key, version) else {})

    def payload(self, key: int, version: int, note: int | None) -> dict[str, Any]:
        payload = {"writer": name_of(self.writer), "key": key, "bucket": key % BUCKETS, "version": version}
        return payload if note is None else {**payload, "note": note}


def name_of(writer: int) -> str:
    return f"w{writer}"


def vector_a(key: int, version: int) -> np.ndarray:
    """Distinct for each (key, version), exact in float32."""
    return np.array([key, version, *(((key + 1) * (version + 3) * i) % 251 for i in range(1, DIM - 1))], np.float32)


def vector_b(key: int, version: int) -> np.ndarray:
    return np.array([key % 256, version % 256], dtype=np.uint8)


def has_b(key: int, version: int) -> bool:
    return (key + version) % 3 != 0


def vector_s(key: int, version: int) -> dict[int, float]:
    """An index of the key's own, and some that others have, too; without an entry for some versions."""
    if version % 7 == 0:
        return {}
    shared = {10_000 + version * step % 97: float(step) for step in range(1, 1 + key % 5)}
    return {key: float(version), (1 << 32) - 1 - key % 3: 0.5, **shared}


def has_s(key: int, version: int) -> bool:
    return (key + version) % 4 != 1


def entries(vector: Any) -> dict[int, float]:
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))


def check_database(client: Client, ledgers: Sequence[Ledger], *, settle: bool = True) -> int:
    """Compare everything that the database shows with the ledgers, and settle what was in flight; without `settle`,
    what was in flight must not show. Returns how many requests without an answer turned out to have happened.
    Raises AssertionError."""
    happened = 0
    for name in COLLECTIONS:
        mine = [ledger for ledger in ledgers if ledger.collection == name]
        happened += _check_collection(client.collection(name), mine, settle)
    return happened


def _check_collection(collection: Collection, ledgers: Sequence[Ledger], settle: bool) -> int:
    points = list(collection.scroll(page=997, with_vectors=True))
    visible = {point.id: point for point in points}
    assert len(visible) == len(points), "scroll shows an id twice"
    assert collection.count() == len(points)
    happened = 0
    for ledger in ledgers:
        seen: State = {}
        for key in range(KEYS):
            point = visible.pop(ledger.point_id(key), None)
            if point is not None:
                payload = point.payload or {}
                version, note = payload["version"], payload.get("note")
                seen[key] = (version, note)
                assert payload == ledger.payload(key, version, note), payload
                assert point.vectors is not None
                assert np.array_equal(point.vectors["a"], vector_a(key, version)), point
                others = ledger.others(key, version)
                assert point.vectors.keys() - {"a"} == others.keys(), point
                assert np.array_equal(point.vectors.get("b", ()), others.get("b", ())), point
                assert "s" not in others or entries(point.vectors["s"]) == others["s"], point
        happened += _settle(ledger, seen, settle)
        _check_reads(collection, ledger)
    assert not visible, f"points that nobody wrote: {list(visible)[:5]}"
    return happened


def _settle(ledger: Ledger, seen: State, settle: bool) -> int:
    if ledger.pending is None or not settle:
        assert seen == ledger.state, difference(ledger, seen, ledger.state)
        return 0
    after = apply(ledger.state, ledger.pending)
    assert seen in (ledger.state, after), (
        f"neither before nor after {ledger.pending}: "
        f"{difference(ledger, seen, ledger.state)} / {difference(ledger, seen, after)}"
    )
    happened = seen == after
    ledger.settle(happened)
    return int(happened)


def _check_reads(collection: Collection, ledger: Ledger) -> None:
    """get, count by filter and exact search agree with the ledger."""
    mine = MatchValue("writer", name_of(ledger.writer))
    every = [ledger.point_id(key) for key in range(KEYS)]
    live = {ledger.point_id(key): (key, version) for key, (version, _) in ledger.state.items()}
    assert {point.id for point in collection.get(every)} == set(live)
    assert collection.count(mine) == len(live)
    for bucket in range(0, BUCKETS, 3):
        wanted = sum(1 for key in ledger.state if key % BUCKETS == bucket)
        assert collection.count(Filter(must=(mine, Range("bucket", gte=bucket, lte=bucket)))) == wanted
    if live:
        vectors = np.stack([vector_a(*value) for value in live.values()])
        found = collection.query_batch(vectors, k=1, using="a", filter=mine, with_payload=False)
        assert [hits[0].id for hits in found] == list(live)
        assert all(hits[0].score == 0.0 for hits in found)
    sparse = {key: version for key, version in live.values() if "s" in ledger.others(key, version) and version % 7}
    if sparse:
        found = collection.query_batch([{key: 1.0} for key in sparse], k=3, using="s", filter=mine)
        assert [[hit.id for hit in hits] for hits in found] == [[ledger.point_id(key)] for key in sparse]
        assert [hits[0].score for hits in found] == list(sparse.values())


def difference(ledger: Ledger, seen: State, expected: State) -> str:
    lost = {key: value for key, value in expected.items() if key not in seen}
    extra = {key: value for key, value in seen.items() if key not in expected}
    wrong = {key: (seen[key], value) for key, value in expected.items() if key in seen and seen[key] != value}
    return f"writer {ledger.writer} lost {lost}, has {extra} that is deleted, shows (seen, expected) {wrong}"
