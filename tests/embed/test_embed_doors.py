"""Texts in place of vectors through every door: the same points, answers and refusals as with the vectors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embed_support import Letters, Words
from waiting import wait_until

import vecstore
from vecstore import RRF, Dense, Discover, FailedPrecondition, InvalidArgument, Multi, Prefetch, Recommend, Sparse, Text
from vecstore.client._async.documents import AsyncDocuments
from vecstore.config import Server, Settings
from vecstore.embed.base import Role
from vecstore.engine.database import Database
from vecstore.schema import VectorKind
from vecstore.server.running import start_server

TEXTS = ["alpha beta", "gamma delta", "epsilon", "zeta eta theta", None, "iota kappa"]
WAYS = ["embedded", "async", "grpc"]


HANDLES = (vecstore.AsyncCollection, AsyncDocuments)


class Awaited:
    """An async collection or client whose methods block."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner, self._loop = inner, loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            found = method(*args, **kwargs)
            if asyncio.iscoroutine(found):
                found = asyncio.run_coroutine_threadsafe(found, self._loop).result(60)
            return Awaited(found, self._loop) if isinstance(found, HANDLES) else found

        return call


class Doors:
    """A database with embedders, and a client by one of the ways."""

    def __init__(self, way: str, embedders: dict[str, Any], path: Path | None = None) -> None:
        self.embedders = embedders
        self.database = self.server = self._loop = None
        if way == "grpc":
            self.database = Database.open(path, Settings(server=Server(port=0)), embedders=embedders)
            self.server = start_server(self.database)
            self.client: Any = vecstore.connect(f"grpc://127.0.0.1:{self.server.port}")
        elif way == "async":
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()
            opening = vecstore.connect_async(path or ":memory:", embedders=embedders)
            self.client = Awaited(asyncio.run_coroutine_threadsafe(opening, self._loop).result(60), self._loop)
        else:
            self.client = vecstore.connect(path or ":memory:", embedders=embedders)

    def close(self) -> None:
        self.client.close()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        if self.server is not None:
            self.server.stop(0)
        if self.database is not None:
            self.database.close()


@pytest.fixture(params=WAYS)
def doors(request: pytest.FixtureRequest) -> Iterator[Doors]:
    embedders = {"letters": Letters(), "lengths": Words(VectorKind.SPARSE), "late": Words(VectorKind.MULTI)}
    opened = Doors(request.param, embedders)
    yield opened
    opened.close()


@pytest.fixture
def docs(doors: Doors) -> Any:
    docs = doors.client.create_collection(
        "docs",
        vectors={"dense": Dense(embedder="letters"), "plain": Dense(27)},
        sparse={"lengths": Sparse(embedder="lengths")},
        multi={"late": Multi(embedder="late")},
        text={"body": Text("none")},
    )
    ids = list(range(len(TEXTS)))
    vectors = [None if text is None else Letters().row(text, Role.PASSAGE) for text in TEXTS]
    docs.upsert(ids, {"dense": TEXTS, "plain": vectors, "lengths": TEXTS, "late": TEXTS, "body": TEXTS})
    return docs


def rows(hits: Any) -> list[tuple[int, float]]:
    return [(hit.id, pytest.approx(hit.score, rel=1e-5)) for hit in hits]


def test_the_schema_says_whose_vectors_they_are(docs: Any) -> None:
    field = docs.info().schema.vectors["dense"]
    assert (field.dim, field.embedder, field.fingerprint) == (27, "letters", "letters")
    assert docs.info().schema.vectors["late"].dim == 27
    assert docs.info().schema.vectors["plain"].embedder is None


def test_texts_are_stored_as_their_vectors(doors: Doors, docs: Any) -> None:
    stored = docs.get(list(range(len(TEXTS))), with_vectors=True)
    for point, text in zip(stored, TEXTS, strict=True):
        if text is None:
            assert not point.vectors
            continue
        np.testing.assert_array_equal(point.vectors["dense"], Letters().row(text, Role.PASSAGE))
        assert len(point.vectors["late"]) == len(text.split())
        assert point.vectors["lengths"].values.sum() == len(text.split())
    assert doors.embedders["letters"].texts.count("epsilon") == 1


def test_a_question_in_words_is_one_by_its_vector(docs: Any) -> None:
    question = "a theta zeta"
    vector = Letters().row(question, Role.QUERY)
    wanted = rows(docs.query(vector, using="plain"))
    assert wanted[0][0] == 3
    assert rows(docs.query(question, using="dense")) == wanted
    assert [hit.id for hit in docs.query("word wordy words", using="lengths")]
    assert docs.query("zeta eta", using="late")[0].id == 3
    nested = Prefetch(prefetch=[Prefetch(vector=question, using="dense", k=4), Prefetch(vector="zeta", using="body")],
                      fusion=RRF())  # fmt: skip
    assert rows(docs.query(question, using="dense", prefetch=[nested]))[0] == wanted[0]
    many = docs.query_batch([question, "epsilon"], using="dense")
    assert rows(many[0]) == wanted
    assert many[1][0].id == 2
    assert docs.hybrid({"dense": question, "body": "zeta"})[0].id == 3


def test_groups_and_reasons_take_words(docs: Any) -> None:
    docs.set_payload({"g": 1}, [0, 1])
    docs.set_payload({"g": 2}, [3])
    groups = docs.query_groups("a theta zeta", using="dense", group_by="g")
    assert [group.value for group in groups.groups] == [2, 1]
    assert docs.why_not(3, "a theta zeta", using="dense")["verdict"] == "answer"


def test_a_batch_is_embedded_in_one_go(doors: Doors, docs: Any) -> None:
    before = len(doors.embedders["letters"].asked)
    docs.query_batch(["one", "two", "one", "three"], using="dense")
    assert doors.embedders["letters"].asked[before:] == [(Role.QUERY, ["one", "two", "three"])]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_blank_text_is_refused_by_name(docs: Any, text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"query\[0\] is blank") as caught:
        docs.query(text, using="dense")
    assert caught.value.reason == "BAD_VECTOR"
    with pytest.raises(InvalidArgument, match=r"vectors.dense\[1\] is blank"):
        docs.upsert([50, 51], {"dense": ["fine", text]})
    assert docs.get([50]) == []


def test_a_field_without_an_embedder_takes_no_texts(docs: Any) -> None:
    for call in (lambda: docs.query("x", using="plain"), lambda: docs.upsert([50], {"plain": ["x"]})):
        with pytest.raises(InvalidArgument, match="has no embedder"):
            call()


def test_what_cannot_be_is_refused_at_creation(doors: Doors) -> None:
    create = doors.client.create_collection
    for field, wanted, reason in (
        (Dense(28, embedder="letters"), "dim=28, but the embedder 'letters' gives 27", "DIMENSION_MISMATCH"),
        (Dense(embedder="late"), "gives multi vectors, the field is dense", "BAD_SCHEMA"),
        ({"kind": "text", "embedder": "letters"}, "does not apply to a text field", "BAD_SCHEMA"),
        ({"kind": "binary", "dim": 8, "embedder": "letters"}, "does not apply to a binary field", "BAD_SCHEMA"),
        ({"dim": 4, "fingerprint": "x"}, "is of no embedder", "BAD_SCHEMA"),
    ):
        with pytest.raises(InvalidArgument, match=wanted) as caught:
            create("bad", vectors={"v": field})
        assert caught.value.reason == reason
    with pytest.raises(FailedPrecondition, match="'nobody', which is not configured here; this database has late") as c:
        create("bad", vectors={"v": Dense(4, embedder="nobody")})
    assert c.value.reason == "EMBEDDER_UNKNOWN"
    with pytest.raises(FailedPrecondition) as c:
        create("bad", vectors={"v": {"dim": 27, "embedder": "letters", "fingerprint": "another"}})
    assert c.value.reason == "EMBEDDER_MISMATCH"
    assert not doors.client.has_collection("bad")
    for _ in range(2):
        create("twice", vectors={"v": Dense(embedder="letters")}, exist_ok=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("later", ["another", "none"])
def test_another_model_of_the_same_name_is_refused_and_vectors_still_work(tmp_path: Path, way: str, later: str) -> None:
    first = Doors(way, {"letters": Letters()}, tmp_path)
    docs = first.client.create_collection("docs", vectors={"v": Dense(embedder="letters")})
    docs.upsert([1, 2], {"v": ["alpha", "beta"]})
    first.close()
    second = Doors(way, {"letters": Letters(name="retrained")} if later == "another" else {}, tmp_path)
    try:
        docs = second.client.get_collection("docs")
        reason = "EMBEDDER_MISMATCH" if later == "another" else "EMBEDDER_UNKNOWN"
        for call in (
            lambda: docs.query("alpha"),
            lambda: docs.query_batch(["alpha"]),
            lambda: docs.query(prefetch=[Prefetch(vector="alpha")], fusion=RRF()),
            lambda: docs.upsert([3], {"v": ["gamma"]}),
        ):
            with pytest.raises(FailedPrecondition) as caught:
                call()
            assert caught.value.reason == reason
        vector = Letters().row("alpha", Role.PASSAGE)
        assert docs.query(vector)[0].id == 1
        docs.upsert([3], {"v": [vector]})
        assert docs.count() == 3
    finally:
        second.close()


def test_examples_may_be_texts_on_the_wire() -> None:
    from vecstore.rows import TextRows

    doors = Doors("embedded", {"letters": Letters()})
    docs = doors.client.create_collection("docs", vectors={"v": Dense(embedder="letters")})
    docs.upsert([1, 2, 3], {"v": ["alpha", "beta", "gamma"]})
    likes = docs.query(Recommend(positive=[TextRows(["bet"])], negative=[1]))
    assert likes[0].id == 2
    found = docs.query(Discover(target=TextRows(["gam"]), context=[(TextRows(["mmm"]), TextRows(["b"]))]))
    assert found[0].id == 3
    doors.close()


def test_a_slow_embedder_stalls_neither_reads_nor_writes_of_others() -> None:
    gate = threading.Event()
    slow = Letters(gate=gate)
    gate.set()
    doors = Doors("grpc", {"slow": slow})
    docs = doors.client.create_collection("docs", vectors={"v": Dense(embedder="slow"), "w": Dense(2)})
    gate.clear()
    calls = [
        *(lambda n=n: docs.upsert([n], {"v": [f"text {n}"]}) for n in range(100, 112)),
        *(lambda n=n: docs.query_batch([f"question {n}"], using="v") for n in range(12)),
        *(lambda n=n: docs.query(f"asked {n}", using="v") for n in range(12)),
    ]
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(slow.asked) >= 4)
    docs.upsert([1], {"w": [[1.0, 0.0]]})  # all of these would wait for a thread of the pools
    assert docs.query([1.0, 0.0], using="w")[0].id == 1
    assert docs.query_batch([[1.0, 0.0]], using="w")[0][0].id == 1
    assert docs.count() == 1
    assert all(thread.is_alive() for thread in threads)
    gate.set()
    for thread in threads:
        thread.join(60)
    assert docs.count() == 13
    doors.close()


def test_a_client_of_a_server_brings_no_embedders() -> None:
    with pytest.raises(InvalidArgument, match="a server embeds by its own settings"):
        vecstore.connect("grpc://127.0.0.1:1", embedders={"a": Letters()})


def test_closing_a_database_closes_its_embedders() -> None:
    letters = Letters()
    vecstore.connect(":memory:", embedders={"letters": letters}).close()
    assert letters.closed


def test_texts_of_batches_and_of_vectors_alone_are_embedded_too(doors: Doors) -> None:
    docs = doors.client.create_collection("parts", {"v": Dense(27, metric="l2", embedder="letters")})
    docs.upsert([1, 2, 3], {"v": TEXTS[:3]})
    docs.update_vectors([1], {"v": ["omega"]})
    batch = vecstore.Batch().delete([2]).upsert([4], {"v": ["sigma"]}).update_vectors([3], {"v": ["tau"]})
    assert docs.update_batch(batch).changed == 3
    assert [docs.query(text, k=1).ids.tolist() for text in ("omega", "sigma", "tau")] == [[1], [4], [3]]
    with pytest.raises(InvalidArgument, match=r"operations\[1\].*blank"):
        docs.update_batch(vecstore.Batch().delete([1]).upsert([5], {"v": [" "]}))
    assert docs.count() == 3
