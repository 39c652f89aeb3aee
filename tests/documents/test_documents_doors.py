"""Documents through every door: put in once, replaced as a whole, found with their places, taken out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("semantic_text_splitter", reason="needs the documents extra")
pytest.importorskip("Stemmer", reason="needs the text extra")

from embed_support import Letters, Words
from test_embed_doors import Doors

from vecstore import Dense, F, FailedPrecondition, InvalidArgument, NotFound, Text
from vecstore.documents.types import Chunking, Document, State
from vecstore.schema import VectorKind

SMALL = Chunking(tokens=16, overlap=0)
TIDES = "# Tides\n\nHigh water comes twice a day.\n\n## Moon\n\nThe moon pulls the sea.\n\n## Sun\n\nThe sun does.\n"
FOG = "Fog hides the harbour. " * 12


@pytest.fixture(params=["embedded", "async", "grpc"])
def doors(request: pytest.FixtureRequest) -> Iterator[Doors]:
    opened = Doors(request.param, {"letters": Letters(), "late": Words(VectorKind.MULTI)})
    yield opened
    opened.close()


@pytest.fixture
def docs(doors: Doors) -> Any:
    return doors.client.create_documents(
        "docs", embedder="letters", multi_embedder="late", indexes={"metadata.lang": "keyword"}
    )


def test_a_document_is_found_with_its_place(docs: Any) -> None:
    done = docs.add(TIDES, id="tides", uri="http://sea/tides.md", metadata={"lang": "en"}, chunking=SMALL)
    assert (done.state, done.id) == (State.ADDED, "tides")
    docs.add(FOG, id="fog", title="About fog", metadata={"lang": "de"}, chunking=SMALL)
    found = docs.search("what does the moon pull", k=3)
    best = found.passages[0]
    assert best.document.id == "tides"
    assert (best.document.title, best.document.uri) == ("Tides", "http://sea/tides.md")
    assert best.document.metadata == {"lang": "en"}
    assert "moon pulls" in best.text
    assert best.text == TIDES[best.start : best.end]
    assert best.headings[:2] == ("Tides", "Moon")
    assert set(best.legs) == {"body", "dense", "tokens"}
    assert found.context.startswith("[1] Tides > Moon")
    assert "(http://sea/tides.md)" in found.context.splitlines()[0]
    assert found.seq >= done.seq
    only = docs.search("what does the moon pull", filter=F("metadata.lang").eq("de"))
    assert {one.document.id for one in only.passages} == {"fog"}


def test_the_same_document_again_is_neither_embedded_nor_written(doors: Doors, docs: Any) -> None:
    first = docs.add(TIDES, id="tides", chunking=SMALL)
    asked = list(doors.embedders["letters"].asked)
    again = docs.add(TIDES, id="tides", chunking=SMALL)
    assert again.state is State.UNCHANGED
    assert doors.embedders["letters"].asked == asked
    assert doors.client.get_collection("docs").info().seq == first.seq
    for change in ({"metadata": {"n": 1}}, {"title": "Other"}, {"chunking": Chunking(tokens=17, overlap=0)}):
        assert docs.add(TIDES, id="tides", **{"chunking": SMALL, **change}).state is State.REPLACED


def test_a_shorter_version_leaves_nothing_of_the_longer(doors: Doors, docs: Any) -> None:
    long = docs.add(FOG, id="fog", chunking=SMALL)
    assert long.chunks > 3
    short = docs.add("Clear sky.", id="fog", chunking=SMALL)
    assert (short.state, short.chunks, short.seq) == (State.REPLACED, 1, long.seq + 1)  # one write
    assert [one.text for one in docs.get("fog").chunks] == ["Clear sky."]
    assert doors.client.get_collection("docs").count() == 1


def test_documents_are_listed_counted_and_deleted(docs: Any) -> None:
    for n in range(7):
        docs.add(f"{FOG} {n}", id=f"d{n}", metadata={"n": n}, chunking=SMALL)
    assert docs.count() == 7
    seen, after = [], None
    while True:
        page, after = docs.list(3, after=after)
        seen += [one.id for one in page]
        if after is None:
            break
    assert sorted(seen) == [f"d{n}" for n in range(7)]
    assert {one.id for one in docs.list(filter=F("metadata.n").gte(5))[0]} == {"d5", "d6"}
    whole = docs.get("d3")
    assert whole.info.chunks == len(whole.chunks) > 1
    assert [one.number for one in whole.chunks] == list(range(len(whole.chunks)))
    assert docs.delete("d3") == len(whole.chunks)
    assert docs.delete(["d3", "nothing"]) == 0
    with pytest.raises(NotFound, match="no document 'd3'") as caught:
        docs.get("d3")
    assert caught.value.reason == "DOCUMENT_NOT_FOUND"
    assert docs.count() == 6


def test_a_folder_is_read_and_what_cannot_be_is_told(docs: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.md").write_text(TIDES)
    (tmp_path / "sub" / "b.html").write_text("<h1>Fog</h1><p>It hides things.</p>")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xff")
    (tmp_path / "picture.png").write_bytes(b"x")
    (tmp_path / ".hidden.md").write_text("no")
    (tmp_path / "out.md").symlink_to("/etc/hostname")
    advanced = []
    done = {one.id: one for one in docs.add_folder(tmp_path, progress=advanced.append)}
    assert {name: one.state for name, one in done.items()} == {
        "a.md": State.ADDED, "sub/b.html": State.ADDED, "bad.txt": State.FAILED,
    }  # fmt: skip
    assert "not UTF-8" in done["bad.txt"].error
    assert sum(advanced) == 3
    (tmp_path / "a.md").write_text(TIDES + "\nMore.")
    again = {one.id: one.state for one in docs.add_folder(tmp_path)}
    assert again == {"a.md": State.REPLACED, "sub/b.html": State.UNCHANGED, "bad.txt": State.FAILED}


def test_a_document_that_fails_leaves_the_old_one(doors: Doors, docs: Any) -> None:
    docs.add(TIDES, id="tides", chunking=SMALL)
    for document, reason in (
        (Document(b"\xff", "tides", media_type="text/plain"), "BAD_DOCUMENT"),
        (Document("x", "tides", metadata={"big": "x" * 70_000}), "LIMIT_EXCEEDED"),
        (Document("x", "tides", metadata={"bad": object()}), "BAD_DOCUMENT"),
        (Document("x" * 1_025, "x" * 1_025), "LIMIT_EXCEEDED"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            docs.add(document)
        assert caught.value.reason == reason
    doors.embedders["letters"].fingerprint = "another"  # as after a change of the model
    with pytest.raises(FailedPrecondition):
        docs.add("new text", id="tides")
    doors.embedders["letters"].fingerprint = "letters"
    assert docs.get("tides").chunks[0].text.startswith("# Tides")


def test_neighbours_belong_to_a_passage_and_are_not_told_twice(docs: Any) -> None:
    text = "\n\n".join(f"Paragraph {word} stands here with some words about {word}." for word in
                       ("alpha", "beta", "gamma", "delta", "epsilon", "zeta"))  # fmt: skip
    docs.add(text, id="letters", chunking=SMALL)
    assert len(docs.get("letters").chunks) == 6
    found = docs.search("gamma", k=6, neighbours=1)
    best = found.passages[0]
    assert (best.number, best.first, best.last) == (2, 1, 3)
    assert best.text == text[best.start : best.end].replace("\n\n", "\n")
    told = [number for one in found.passages for number in range(one.first, one.last + 1)]
    assert sorted(told) == list(range(6))
    assert [one.citation for one in found.passages] == list(range(1, len(found.passages) + 1))


def test_overlapping_neighbours_are_joined_without_repeats(docs: Any) -> None:
    text = " ".join(f"Sentence number {n} is about thing{n}." for n in range(40))
    docs.add(text, id="one", chunking=Chunking(tokens=40, overlap=15))
    best = docs.search("thing20", k=1, neighbours=2).passages[0]
    assert best.last - best.first == 4
    assert best.text == text[best.start : best.end]


def test_a_budget_is_kept(docs: Any) -> None:
    for n in range(5):
        docs.add(f"The harbour master number {n} knows ship {n * 7}. " * (n + 1), id=f"d{n}", chunking=SMALL)
    free = docs.search("harbour master", k=10, budget=10_000, duplicates=1.0)
    tight = docs.search("harbour master", k=10, budget=free.tokens // 2, duplicates=1.0)
    assert 0 < tight.tokens <= free.tokens // 2
    assert tight.omitted == len(free.passages) - len(tight.passages) > 0
    assert docs.search("harbour master", budget=1).passages == []


def test_near_duplicates_are_told_once(docs: Any) -> None:
    base = "The pilot boards the ship at the outer buoy and brings it safely into the harbour before night"
    for n, text in enumerate([base + ".", base + "!", base + " falls.", "Pilots drink tea."]):
        docs.add(text, id=f"d{n}")
    ids = [one.document.id for one in docs.search("pilot boards the ship").passages]
    assert len({"d0", "d1", "d2"} & set(ids)) == 1
    assert "d3" in ids
    assert len(docs.search("pilot boards the ship", duplicates=1.0).passages) == 3  # d0 and d1 have the same words


def test_unlike_passages_are_preferred_on_request(docs: Any) -> None:
    for n in range(6):
        docs.add(f"harbour harbour pilot pilot berth{n}", id=f"same{n}")
    docs.add("zzz xxx harbour qqq kkk jjj", id="other")
    plain = [one.document.id for one in docs.search("harbour pilot", k=3, duplicates=1.0).passages]
    spread = [one.document.id for one in docs.search("harbour pilot", k=3, duplicates=1.0, diversity=0.9).passages]
    assert "other" not in plain
    assert "other" in spread


def test_so_many_of_a_document_and_whole_documents(docs: Any) -> None:
    docs.add("\n\n".join(f"Harbour text {n} has words about ships{n}." for n in range(8)), id="long", chunking=SMALL)
    docs.add("The harbour is deep.", id="short")
    two = docs.search("harbour", k=8, per_document=2)
    assert [one.document.id for one in two.passages].count("long") == 2
    grouped = docs.search("harbour", k=2, by_document=True, per_document=3)
    ids = [one.document.id for one in grouped.passages]
    assert set(ids) == {"long", "short"}
    assert ids in (["long"] * 3 + ["short"], ["short"] + ["long"] * 3)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"question": " "}, "question"), ({"k": 0}, "k=0"), ({"neighbours": 11}, "NEIGHBOURS_MAX"),
     ({"diversity": 2}, "diversity=2"), ({"duplicates": -1}, "duplicates=-1"), ({"budget": 0}, "budget=0"),
     ({"per_document": 0}, "per_document=0"), ({"candidates": 10**6}, "k_max")],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(docs: Any, options: dict, named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        docs.search(**{"question": "x", **options})


def test_collections_of_other_things_are_told_apart(doors: Doors) -> None:
    client = doors.client
    client.create_collection("vectors", vectors={"v": Dense(4)})
    client.create_collection("points", text={"body": Text()}).upsert([1], {"body": ["harbour"]}, [{"a": 1}])
    for call in (lambda d: d.add("text"), lambda d: d.search("text")):
        with pytest.raises(FailedPrecondition) as caught:
            call(client.documents("vectors"))
        assert caught.value.reason == "NOT_FOR_DOCUMENTS"
    with pytest.raises(FailedPrecondition, match="no chunk of a document"):
        client.documents("points").search("harbour")


def test_a_reader_sees_one_version_or_the_other() -> None:
    doors = Doors("embedded", {"letters": Letters()})
    docs = doors.client.create_documents("docs", embedder="letters")
    versions = [" ".join(f"Word{v} stands in sentence {n}." for n in range(10 + 8 * v)) for v in range(3)]
    docs.add(versions[0], id="d", chunking=SMALL)
    lengths = {tuple(one.text for one in docs.get("d").chunks)}
    for version in versions[1:]:
        docs.add(version, id="d", chunking=SMALL)
        lengths.add(tuple(one.text for one in docs.get("d").chunks))
    stop, seen = threading.Event(), []

    def read() -> None:
        points = doors.client.collection("docs")
        while not stop.is_set():
            page = points.query(prefetch=[], vector="word sentence", using="dense", k=100, exact=True)
            ordered = sorted(page, key=lambda hit: hit.payload["chunk"]["number"])
            seen.append(tuple(hit.payload["text"] for hit in ordered))

    thread = threading.Thread(target=read)
    thread.start()
    for turn in range(60):
        docs.add(versions[turn % 3], id="d", chunking=SMALL)
    stop.set()
    thread.join()
    assert set(seen) <= lengths
    assert len(set(seen)) > 1
    doors.close()


def test_the_last_of_equal_ids_wins_and_equal_documents_are_one() -> None:
    doors = Doors("embedded", {"letters": Letters()})
    docs = doors.client.create_documents("docs", embedder="letters")
    given = [Document("first", "a"), Document("second", "a"), Document("same"), Document("same")]
    states = [one.state for one in docs.ingest(given)]
    assert states == [State.ADDED, State.REPLACED, State.ADDED, State.UNCHANGED]
    assert docs.get("a").chunks[0].text == "second"
    assert docs.count() == 2
    doors.close()


def test_many_small_documents_are_embedded_together() -> None:
    letters = Letters()
    doors = Doors("embedded", {"letters": letters})
    docs = doors.client.create_documents("docs", embedder="letters")
    done = list(docs.ingest(Document(f"Text number {n}.", f"d{n}") for n in range(200)))
    assert [one.id for one in done] == [f"d{n}" for n in range(200)]
    assert len({one.seq for one in done}) == len(letters.asked) == 4
    doors.close()
