"""Aliases through every way to reach a database."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import (
    Alias,
    AlreadyExists,
    CreateAlias,
    DeleteAlias,
    Dense,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    RenameAlias,
    SwapAliases,
    Text,
)

ROWS = np.eye(4, dtype=np.float32)


@pytest.fixture
def blue(db: Any) -> Any:
    """Collections blue (points 0 to 3) and green (4 to 5, five numbers a vector); docs is an alias of blue."""
    db.create_collection("blue", Dense(4)).upsert(range(4), ROWS, [{"n": n} for n in range(4)])
    green = db.create_collection("green", {"wide": Dense(5)}, text={"body": Text()})
    green.upsert([4, 5], {"wide": np.eye(2, 5), "body": ["a harbour", "a hill"]})
    assert db.update_aliases([CreateAlias("docs", "blue")]) == [Alias("docs", "blue")]
    return db


def test_a_switch_is_seen_by_the_next_call_whatever_the_schema(blue: Any) -> None:
    docs = blue.get_collection("docs")
    assert docs.info().name == "blue"
    assert docs.query(ROWS[2], 1)[0].id == 2
    assert blue.update_aliases([{"create": {"alias": "docs", "collection": "green"}}]) == [Alias("docs", "green")]
    assert docs.query(np.eye(2, 5)[1], 1, using="wide")[0].id == 5  # checked by another schema than the handle knew
    assert docs.query("harbour", 1, using="body")[0].id == 4
    assert [hits[0].id for hits in docs.query_batch(np.eye(2, 5), 1, using="wide")] == [4, 5]
    assert docs.count() == 2
    assert docs.info().name == "green"
    written = docs.upsert([6], {"wide": np.ones((1, 5)), "body": ["a ship"]})
    assert (written.collection, docs.last_seq) == ("green", written.seq)
    assert blue.collection("green").count() == 3
    blue.update_aliases([CreateAlias("docs", "blue")])
    assert docs.upsert([6], ROWS[:1]).collection == "blue"
    assert docs.update_vectors([6], ROWS[1:2]).collection == "blue"
    assert docs.get([6], with_vectors=True)[0].vectors["default"].tolist() == ROWS[1].tolist()


def test_calls_by_an_alias(blue: Any) -> None:
    docs = blue.collection("docs")
    assert [point.id for point in docs.scroll(page=1)] == [0, 1, 2, 3]
    assert docs.facet("n", limit=1) == [(0, 1)]
    assert docs.distance_matrix([0, 1]).scores.shape == (2, 2)
    assert docs.why_not(3, ROWS[0], 1)["rank"] > 1
    assert docs.query_groups(ROWS[1], 1, group_by="n").groups[0].value == 1
    assert docs.set_payload({"n": 9}, [0]).changed == 1
    assert docs.update_batch(vecstore.Batch().delete([3]).upsert([3], ROWS[3:])).collection == "blue"
    docs.create_field_index("n", "integer")
    assert docs.delete_field_index("n")
    assert docs.compact().collection == "blue"
    assert docs.verify().collection == "blue"
    assert {one.collection for one in docs.operations()} == {"blue"}
    assert docs.stats()["points"] == 4
    assert docs.upload(ids=range(7), vectors=np.ones((7, 4))).points == 7
    assert docs.delete(range(7)).changed == 7
    assert blue.has_collection("docs")
    assert sorted(one.name for one in blue.list_collections()) == ["blue", "green"]


def test_what_is_asked_of_aliases(blue: Any) -> None:
    blue.update_aliases([CreateAlias("next", "green"), {"swap": {"alias": "next", "other": "docs"}}])
    assert blue.list_aliases() == [Alias("docs", "green"), Alias("next", "blue")]
    assert blue.list_aliases("blue") == blue.list_aliases("next") == [Alias("next", "blue")]
    blue.update_aliases([SwapAliases("docs", "next"), RenameAlias("next", "later"), DeleteAlias("docs")])
    assert blue.list_aliases() == [Alias("later", "green")]
    with pytest.raises(NotFound, match="COLLECTION_NOT_FOUND"):
        blue.list_aliases("docs")


def test_refusals(blue: Any) -> None:
    for kind, reason, actions in (
        (AlreadyExists, r"COLLECTION_EXISTS: actions\[1\]", [CreateAlias("x", "blue"), CreateAlias("green", "blue")]),
        (InvalidArgument, r"ALIAS_OF_ALIAS: actions\[0\]", [CreateAlias("x", "docs")]),
        (InvalidArgument, r"BAD_NAME: actions\[0\]: alias name 'a b'", [CreateAlias("a b", "blue")]),
        (InvalidArgument, r"LIMIT_EXCEEDED: actions\[0\].*name_length_max=255", [CreateAlias("a" * 256, "blue")]),
        (NotFound, r"ALIAS_NOT_FOUND: actions\[0\]", [DeleteAlias("blue")]),
        (NotFound, r"COLLECTION_NOT_FOUND: actions\[0\]", [CreateAlias("x", "red")]),
        (AlreadyExists, r"ALIAS_EXISTS: actions\[1\]", [CreateAlias("x", "blue"), RenameAlias("x", "docs")]),
        (InvalidArgument, "EMPTY_BATCH", []),
        (InvalidArgument, r"BAD_ARGUMENT: actions\[0\]", [{"drop": {"alias": "docs"}}]),
        (InvalidArgument, r"BAD_ARGUMENT: actions\[0\]", [{"delete": {"alias": 5}}]),
        (InvalidArgument, r"BAD_ARGUMENT: actions\[0\]", [{"delete": {}}]),
        (InvalidArgument, r"BAD_ARGUMENT: actions\[0\]", ["docs"]),
        (InvalidArgument, "BAD_ARGUMENT: actions must", {"delete": {"alias": "docs"}}),
    ):
        with pytest.raises(kind, match=reason):
            blue.update_aliases(actions)
    with pytest.raises(AlreadyExists, match="ALIAS_EXISTS"):
        blue.create_collection("docs", Dense(4))
    with pytest.raises(FailedPrecondition, match="NAME_IS_ALIAS"):
        blue.delete_collection("docs")
    with pytest.raises(FailedPrecondition, match="COLLECTION_HAS_ALIASES"):
        blue.delete_collection("blue")
    assert blue.list_aliases() == [Alias("docs", "blue")]
    assert blue.collection("docs").count() == 4


def test_a_long_scroll_stays_in_one_collection(blue: Any) -> None:
    pages = iter(blue.collection("docs").scroll(page=2))
    first = next(pages).id
    blue.update_aliases([CreateAlias("docs", "green")])
    assert [first, *(point.id for point in pages)] == [0, 1, 2, 3]


def test_a_write_of_several_requests_goes_to_one_collection(blue: Any) -> None:
    """The seqs of two collections have nothing to do with each other, either: nothing waits for the other's."""
    docs = blue.collection("docs")
    for number in range(3):
        docs.upsert([number], ROWS[:1])
    blue.update_aliases([CreateAlias("docs", "green")])
    assert docs.last_seq == 4
    assert docs.count() == 2  # green is at seq 1
    assert docs.query(np.eye(2, 5)[0], 1, using="wide")[0].id == 4


def test_documents_by_an_alias(db: Any) -> None:
    for name in ("one", "two"):
        db.create_documents(name)
    db.update_aliases([CreateAlias("texts", "one")])
    texts = db.documents("texts")
    info = texts.add("The harbour is deep.", id="a")
    db.update_aliases([CreateAlias("texts", "two")])
    assert texts.count() == 0
    texts.add("The harbour is small.", id="a")
    texts.add("A hill.", id="b")
    assert texts.search("harbour", neighbours=1).passages[0].text == "The harbour is small."
    assert [texts.count(), db.documents("one").count()] == [2, 1]
    assert texts.get("a").chunks[0].text == "The harbour is small."
    assert db.documents("one").get("a").info.id == info.id
