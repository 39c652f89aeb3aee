"""T25: what others do in their collections does not show in anything that a key for its own gets to see.

A script of one tenant is run twice, alone and beside another tenant whose names and ids it guesses, and what it was
told must be the same, but for what is drawn at random. Every other call of both goes over REST, the rest over gRPC.
TENANT_SCRIPTS=n: so many scripts (300 take some minutes).
"""

from __future__ import annotations

import os
import random
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from vecstore import F
from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.config import Server, Settings, Storage
from vecstore.engine.database import Database
from vecstore.errors import VecstoreError
from vecstore.gateway.serving import start_server
from vecstore.index_text import parse_index

DIM, STEPS = 8, 60
OURS, THEIRS = ("ours-a", "ours-b"), ("theirs-a", "theirs-b")
WORDS = ("amber", "basalt", "cedar", "dune")
RANDOM = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|[0-9a-f]{16}")
ANSWERED = 3  # what is kept of a call that was not refused
TIMES = {"started_at", "finished_at", "created_at", "rate", "eta_s", "version", "uptime_s"}


def test_a_tenant_learns_nothing_of_another(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    for number in range(int(os.environ.get("TENANT_SCRIPTS", "1"))):
        alone, beside = (
            transcript(tmp_path / f"keys-{number}-{with_them}", seed + number, with_them) for with_them in (False, True)
        )
        for step, (one, two) in enumerate(zip(alone, beside, strict=True)):
            assert one == two, f"SEED={seed + number} step {step}"
        assert sum(len(one) == ANSWERED for one in alone) > STEPS / 5


def transcript(keys: Path, seed: int, with_them: bool) -> list[Any]:
    settings = Settings(
        server=Server(port=0, rest_port=0, api_key="root", keys_file=str(keys)),
        storage=Storage(index_rows_min=20, maintenance=False),
    )
    key, record = new_key("us", "admin", ("ours-*",))
    change_keys(keys, lambda known: (*known, record))
    database = Database.open(None, settings)
    handle = start_server(database, settings)
    doors = (f"grpc://127.0.0.1:{handle.port}", f"http://127.0.0.1:{handle.rest_port}")
    choose, other = random.Random(seed), random.Random(seed + 1)
    said = []
    try:
        with ExitStack() as stack:
            us, them = (
                [stack.enter_context(vecstore.connect(door, api_key=one)) for door in doors] for one in (key, "root")
            )
            for name in OURS:
                create(us[0], name, choose)
            for number in range(STEPS):
                for door in them if with_them else ():
                    step(door, THEIRS, other, guesses=())
                said.append(step(us[number % 2], OURS, choose, guesses=THEIRS))
    finally:
        handle.stop(0)
        database.close()
    return said


def step(db: vecstore.Client, names: tuple[str, ...], choose: random.Random, guesses: tuple[str, ...]) -> Any:
    """One call and what came of it, without what is random or a time."""
    kind = choose.choice([*CALLS, "upsert", "upsert", "query"])
    name = choose.choice(guesses if guesses and choose.random() < 0.25 else names)
    try:
        return kind, name, plain(CALLS[kind](db, name, choose))
    except VecstoreError as error:
        return kind, name, type(error).__name__, error.reason, RANDOM.sub("?", error.message), plain(error.metadata)


def create(db: vecstore.Client, name: str, _: random.Random) -> Any:
    field = vecstore.Dense(DIM, metric="l2", index=parse_index("ivf(nlist=2) | int8"))
    db.create_collection(name, {"v": field}, text={"t": vecstore.Text()}, indexes={"n": "integer"})


def upsert(db: vecstore.Client, name: str, choose: random.Random) -> Any:
    ids = choose.sample(range(60), 30)
    vectors = np.array([[choose.randrange(100) for _ in range(DIM)] for _ in ids], np.float32)
    texts = [" ".join(choose.choices(WORDS, k=4)) for _ in ids]
    return db.collection(name).upsert(ids, {"v": vectors, "t": texts}, [{"n": one % 5} for one in ids])


def query(db: vecstore.Client, name: str, choose: random.Random) -> Any:
    where = F("n").eq(choose.randrange(5)) if choose.random() < 0.5 else None
    if choose.random() < 0.5:
        return list(db.collection(name).query(choose.choice(WORDS), using="t", k=5, filter=where))
    vector = np.array([choose.randrange(100) for _ in range(DIM)], np.float32)
    return list(db.collection(name).query(vector, using="v", k=5, filter=where))


CALLS: dict[str, Any] = {
    "create": create,
    "upsert": upsert,
    "query": query,
    "get": lambda db, name, choose: db.collection(name).get(choose.sample(range(60), 5)),
    "count": lambda db, name, choose: db.collection(name).count(F("n").lt(choose.randrange(5))),
    "scroll": lambda db, name, _: list(db.collection(name).scroll()),
    "facet": lambda db, name, _: db.collection(name).facet("n"),
    "delete points": lambda db, name, choose: db.collection(name).delete(choose.sample(range(60), 4)),
    "compact": lambda db, name, _: db.collection(name).compact(),
    "stats": lambda db, name, _: db.collection(name).stats(),
    "info": lambda db, name, _: db.collection(name).info(),
    "exists": lambda db, name, _: db.has_collection(name),
    "drop": lambda db, name, choose: choose.random() < 0.15 and db.delete_collection(name),
    "alias": lambda db, name, _: db.update_aliases([{"create": {"alias": f"{name}-alias", "collection": name}}]),
    "unalias": lambda db, name, _: db.update_aliases([{"delete": {"alias": f"{name}-alias"}}]),
    "by alias": lambda db, name, _: db.collection(f"{name}-alias").count(),
    "collections": lambda db, *_: db.list_collections(),
    "aliases": lambda db, *_: db.list_aliases(),
    "operations": lambda db, *_: sorted((one.kind, one.collection) for one in db.operations()),
    "an operation": lambda db, name, choose: db.operation(f"{choose.getrandbits(128):032x}"),
    "snapshots": lambda db, *_: db.list_snapshots(),
    "snapshot": lambda db, name, _: db.snapshot(name),
    "estimate": lambda db, name, _: db.collection(name).estimate(10_000),
    "server": lambda db, *_: db.info(),
}


def plain(value: Any) -> Any:
    """Of any answer, what can be compared."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in TIMES}
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "__slots__") and not isinstance(value, str | bytes):
        return {
            name: plain(getattr(value, name))
            for name in dir(value)
            if name[0] != "_" and name not in TIMES and not callable(getattr(value, name))
        }
    return RANDOM.sub("?", repr(value))
