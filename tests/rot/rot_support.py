"""A database to damage, every way to damage it, and everything a user can see of it.

`observe` asks each question on its own: an answer must be the one that the undamaged database gives, or a typed error.
Anything else, a foreign exception or another answer, is a failure.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from crash_engine import new_ledgers, open_client, write_some
from crash_oracle import DIM, create_collections, entries, vector_a

from vecstore.aliases import CreateAlias
from vecstore.client._sync.client import Client
from vecstore.client._sync.collection import Collection
from vecstore.errors import Corruption, FailedPrecondition, IoFailed, NotFound
from vecstore.query.filter import Filter, HasVector, MatchValue, Range
from vecstore.sparse import SparseVector

ALIASES = {"first": "numbers", "second": "mixed"}
DETECTED = (Corruption, IoFailed, FailedPrecondition)
Observation = dict[str, Any]


def build(directory: Path, seed: int) -> None:
    """Sealed segments with dead rows, payload indexes, tables of RocksDB, and a log to replay; then die."""
    choose = random.Random(seed)
    client = open_client(directory / "db")
    create_collections(client)
    client.update_aliases([CreateAlias(alias, name) for alias, name in ALIASES.items()])
    ledgers = new_ledgers(directory)
    history: dict[str, dict[int, Any]] = {"numbers": {}, "mixed": {}}

    def write(client: Client, count: int) -> None:
        for turn in range(count):
            ledger = ledgers[turn % 2]
            write_some(client, [ledger], choose, 1)
            name = ledger.collection
            history[name][client.collection(name).info().seq] = sorted(
                [key, version] for key, (version, _) in ledger.state.items()
            )

    write(client, 50)
    for name in ("numbers", "mixed"):
        client.collection(name).compact(timeout_s=60)
    write(client, 20)
    client.close()
    client = open_client(directory / "db", maintenance=False)
    write(client, 14)
    (directory / "history.json").write_text(json.dumps(history))
    os._exit(0)


def questions(client: Client) -> dict[str, Callable[[], Any]]:
    """Everything to ask, each as a function without arguments."""
    asked: dict[str, Callable[[], Any]] = {
        "names": lambda: [info.name for info in client.list_collections()],
        "aliases": lambda: [(one.alias, one.collection) for one in client.list_aliases()],
    }
    for alias in ALIASES:
        asked[f"{alias} count by alias"] = lambda alias=alias: client.collection(alias).count()
    for name in ("numbers", "mixed"):
        c = client.collection(name)
        ids = [number * 1_000_000 + key for number in (0, 1) for key in range(0, 300, 7)]
        writer = MatchValue("writer", "w0" if name == "numbers" else "w1")
        bucket = Filter(must=(Range("bucket", gte=2, lte=3), Range("version", gte=1)))
        asked |= {
            f"{name} points": lambda c=c: (c.info().seq, c.info().points),
            f"{name} versions": lambda c=c: (
                c.info().seq, sorted([p.payload["key"], p.payload["version"]] for p in c.scroll(page=500))
            ),
            f"{name} scroll": lambda c=c: [shown(p) for p in c.scroll(page=100, with_vectors=True)],
            f"{name} get": lambda c=c, ids=ids: [shown(p) for p in c.get(ids)],
            f"{name} count": lambda c=c: c.count(),
            f"{name} count writer": lambda c=c, writer=writer: c.count(writer),
            f"{name} count bucket": lambda c=c, bucket=bucket: c.count(bucket),
            f"{name} query": lambda c=c: nearest(c, None),
            f"{name} filtered": lambda c=c, bucket=bucket: nearest(c, bucket),
        }  # fmt: skip
        if name == "mixed":
            asked["mixed query b"] = lambda c=c: [
                (hit.id, hit.score) for hit in c.query(np.array([9, 33], np.uint8), k=9, using="b")
            ]
            asked["mixed has b"] = lambda c=c: c.count(HasVector("b"))
            asked["mixed query s"] = lambda c=c: [
                (str(hit.id), hit.score) for hit in c.query({7: 1.0, 10_003: 2.0, (1 << 32) - 1: 1.0}, k=9, using="s")
            ]
            asked["mixed has s"] = lambda c=c: c.count(HasVector("s"))
    return asked


def shown(point: Any) -> Any:
    vectors = {
        name: entries(row) if isinstance(row, SparseVector) else row.tolist()
        for name, row in sorted((point.vectors or {}).items())
    }
    return str(point.id), point.seq, point.payload_json, vectors


def nearest(collection: Collection, where: Filter | None) -> Any:
    queries = np.stack([vector_a(key, 20) for key in (3, 90, 222)])
    assert queries.shape == (3, DIM)
    found = collection.query_batch(queries, k=6, using="a", filter=where)
    return [[(str(hit.id), hit.score) for hit in hits] for hits in found]


def observe(path: Path, **settings: object) -> Observation:
    """Each question's answer, or the reason of the typed error. "open" alone when it cannot be opened."""
    try:
        client = open_client(path, maintenance=False, **settings)
    except DETECTED as error:
        return {"open": f"error {error.reason}"}
    try:
        return ask(client)
    finally:
        client.close()


def ask(client: Client) -> Observation:
    seen: Observation = {}
    for question, function in questions(client).items():
        try:
            seen[question] = function()
        except (*DETECTED, NotFound) as error:
            seen[question] = f"error {error.reason}"
    operation = client.verify(timeout_s=60)
    seen["verify"] = operation.error
    return seen


def judge(pristine: Observation, seen: Observation, history: dict[str, Any], *, prefix: bool) -> tuple[bool, list[str]]:
    """Whether anything was detected, and the wrong answers. With `prefix`, an earlier state of the whole collection is
    right too: a log that lost its end cannot be told from one that was never written further."""
    detected, wrong = False, []
    for question, answer in seen.items():
        if isinstance(answer, str) and answer.startswith("error "):
            if "NOT_FOUND" in answer and not prefix:
                wrong.append(f"{question}: {answer}")
            detected = True
        elif question == "verify":
            detected |= answer is not None
        elif answer != pristine[question]:
            name, _, what = question.partition(" ")
            earlier = prefix and (what != "versions" or answer[1] == history[name].get(str(answer[0]), []))
            if not earlier:
                wrong.append(f"{question}: {str(answer)[:300]} instead of {str(pristine[question])[:300]}")
    return detected, wrong


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))


def report(kind: str, runs: int, detected: int, wrong: list[str]) -> NoReturn:
    """Tell the test what a child found, and end it as it stands."""
    print(json.dumps({"kind": kind, "runs": runs, "detected": detected, "wrong": wrong}))
    sys.stdout.flush()
    os._exit(0)
