"""What merges replace goes when its last reader does, not when Python next looks for cycles: a segment maps files,
which take disk, memory and descriptors for as long as it lives."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import F
from vecstore.config import Settings, Storage
from vecstore.engine.collection import Collection
from vecstore.engine.sealed import SealedSegment

N, DIM, ROUNDS = 400, 16, 4
KEPT = 4  # the segment that is served, and those that the last change replaced


def fields(kind: str) -> dict[str, Any]:
    dense: dict[str, Any] = {
        "exact": {"vectors": {"v": vecstore.Dense(DIM, index="flat")}},
        "ivf": {"vectors": {"v": vecstore.Dense(DIM, index="ivf(nlist=4) | int8")}},
        "graph": {"vectors": {"v": vecstore.Dense(DIM, index="graph(degree=16)")}},
        "sparse": {"sparse": {"v": vecstore.Sparse(index="seismic")}},
        "inverted": {"sparse": {"v": vecstore.Sparse(index="inverted")}},
        "text": {"text": {"v": vecstore.Text()}},
        "multi": {"multi": {"v": vecstore.Multi(DIM, index="plaid")}},
        "binary": {"binary": {"v": vecstore.Binary(DIM)}},
    }
    return dense[kind]  # type: ignore[no-any-return]


def rows(kind: str, rng: np.random.Generator, n: int) -> Any:
    if kind in ("sparse", "inverted"):
        return [(np.sort(rng.choice(50, 5, replace=False)), rng.random(5).astype(np.float32) + 0.1) for _ in range(n)]
    if kind == "text":
        return [" ".join(rng.choice(["cat", "dog", "sea", "sun", "oak"], 3)) for _ in range(n)]
    if kind == "multi":
        return [rng.standard_normal((3, DIM)).astype(np.float32) for _ in range(n)]
    if kind == "binary":
        return rng.integers(0, 256, (n, DIM // 8), np.uint8)
    return rng.standard_normal((n, DIM)).astype(np.float32)


@pytest.fixture
def without_collections() -> Iterator[None]:
    """No searches for cycles; what other tests left is neither searched nor listed, which took most of the time."""
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("kind", ["exact", "ivf", "graph", "sparse", "inverted", "text", "multi", "binary"])
def test_replaced_segments_go_at_once(kind: str, without_collections: None) -> None:
    with vecstore.connect(":memory:", settings=Settings(storage=Storage(maintenance=False))) as db:
        docs = db.create_collection("c", **fields(kind), indexes={"n": "integer"})
        rng = np.random.default_rng(3)
        for turn in range(ROUNDS):
            ids = np.arange(N) if turn == 0 else rng.choice(N, N // 3, replace=False)
            docs.upsert(ids.tolist(), {"v": rows(kind, rng, len(ids))}, [{"n": int(one) % 5} for one in ids])
            docs.compact()
            for where in (None, F("n").lt(2)):
                assert len(docs.query(rows(kind, rng, 1)[0], using="v", k=3, filter=where).ids) == 3
            docs.query(rows(kind, rng, 1)[0], using="v", k=3, explain=True)
        alive = [one for one in gc.get_objects() if type(one) is SealedSegment]
        assert 0 < len(alive) <= KEPT


@pytest.mark.parametrize("kind", ["exact", "graph"])
def test_a_dropped_collection_goes_at_once(kind: str, without_collections: None) -> None:
    """A server leaves what it started with out of Python's searches for cycles (`memory/cycles.py`)."""
    with vecstore.connect(":memory:", settings=Settings(storage=Storage(maintenance=False))) as db:
        docs = db.create_collection("c", **fields(kind))
        rng = np.random.default_rng(3)
        docs.upsert(list(range(N)), {"v": rows(kind, rng, N)})
        docs.compact()
        docs.query(rows(kind, rng, 1)[0], using="v", k=3)
        assert left()
        db.delete_collection("c")
        until = time.monotonic() + 60  # the committer's thread lets go of it a moment later
        while left() and time.monotonic() < until:
            time.sleep(0.01)
        assert not left()


def left() -> list[str]:
    return [type(one).__name__ for one in gc.get_objects() if type(one) in (Collection, SealedSegment)]
