"""Damage costs what depends on it and no more: a vector column its queries, a payload index its speed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from crash_engine import open_client

import vecstore
from vecstore.client._sync.collection import Collection
from vecstore.errors import Corruption
from vecstore.storage.format import cache_file_name
from vecstore.storage.rocks_options import SEGMENTS
from vecstore.storage.segment_keys import chunk_key

ROWS = 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """One sealed segment of points with two dense fields, a sparse one and an indexed payload key."""
    client = open_client(tmp_path / "db")
    docs = client.create_collection(
        "docs",
        {"a": vecstore.Dense(4, metric="l2"), "b": vecstore.Dense(4, metric="l2")},
        sparse={"s": vecstore.Sparse()},
        indexes={"year": "integer"},
    )
    rows = np.arange(ROWS * 4, dtype=np.float32).reshape(ROWS, 4)
    terms = [{row: 1.0, 1_000 + row // 10: 0.5} for row in range(ROWS)]
    payloads = [{"year": 1900 + row, "even": row % 2 == 0} for row in range(ROWS)]
    docs.upsert(range(ROWS), {"a": rows, "b": -rows, "s": terms}, payloads)
    docs.compact(timeout_s=60)
    client.close()
    return tmp_path / "db"


def damage(path: Path, prefix: str, *, stored: bool = True, cached: bool = True) -> list[str]:
    """Spoil the columns whose names start with `prefix`: the copy in RocksDB, the cache file, or both."""
    client = open_client(path, maintenance=False)
    database = client._transport
    segment = next(iter(database.collection("docs").sealed.values()))
    columns = [column for column in segment.header.columns if column.name.startswith(prefix) and column.ref.length]
    for column in columns:
        if stored:
            rocks = database._storage.blobs._database
            with rocks.using():
                rocks.family(SEGMENTS).put(chunk_key(column.ref.name, 0), b"not what was written")
    client.close()
    for column in columns:
        if cached:
            file = path / "cache" / cache_file_name(column.ref.name)
            content = bytearray(file.read_bytes())
            content[0] ^= 16
            file.write_bytes(content)
    return [column.name for column in columns]


@pytest.fixture
def opened(path: Path, request: pytest.FixtureRequest) -> Iterator[Collection]:
    damage(path, *request.param)
    with open_client(path, maintenance=False) as client:
        yield client.collection("docs")


def nearest(docs: Collection, using: str, **options: object) -> list[object]:
    query = np.array([40, 41, 42, 43], np.float32)
    return [hit.id for hit in docs.query(query if using == "a" else -query, k=3, using=using, **options)]


@pytest.mark.parametrize("opened", [["vector.a"]], indirect=True)
def test_a_damaged_vector_column_stops_queries_on_its_field_only(opened: Collection) -> None:
    for _ in range(2):
        with pytest.raises(Corruption, match=r"vector\.a") as caught:
            nearest(opened, "a")
        assert caught.value.reason == "CHECKSUM_MISMATCH"
    with pytest.raises(Corruption):
        opened.get([1], with_vectors=True)
    assert nearest(opened, "b") == [10, 9, 11]
    assert [point.payload for point in opened.get([7])] == [{"year": 1907, "even": False}]
    assert opened.get([7], with_vectors=["b"])[0].vectors["b"].tolist() == [-28, -29, -30, -31]
    assert opened.count({"must": [{"key": "year", "range": {"lt": 1950}}]}) == 50
    assert len(list(opened.scroll())) == ROWS
    stats = opened.stats()
    assert stats["state"] == "damaged"
    assert list(stats["segments"][0]["damaged"]) == ["vector.a"]
    assert "vector.a" in (opened.verify(timeout_s=60).error or "")
    opened.upsert([7], {"b": [[0, 0, 0, 0]]})
    opened.delete([8])
    assert opened.count() == ROWS - 1
    assert [point.seq > 1 for point in opened.get([7])] == [True]


PARTS = [f"vector.s.{part}" for part in ("offsets", "terms", "lows", "starts")]


@pytest.mark.parametrize("opened", [[part] for part in PARTS], indirect=True)
def test_a_damaged_part_of_sparse_rows_stops_queries_on_its_field_only(
    opened: Collection, request: pytest.FixtureRequest
) -> None:
    (part,) = request.node.callspec.params["opened"]
    for call in (
        lambda: opened.query({7: 1.0}, using="s"),
        lambda: opened.query({7: 1.0}, using="s", exact=True),
        lambda: opened.query_batch([{7: 1.0}, {8: 1.0}], using="s", filter={"key": "even", "match": {"value": True}}),
        lambda: opened.get([1], with_vectors=["s"]),
        lambda: list(opened.scroll(with_vectors=True)),
    ):
        with pytest.raises(Corruption, match=re.escape(part)) as caught:
            call()
        assert caught.value.reason == "CHECKSUM_MISMATCH"
    assert nearest(opened, "a") == nearest(opened, "b") == [10, 9, 11]
    assert opened.get([7], with_vectors=["b"])[0].vectors["b"].tolist() == [-28, -29, -30, -31]
    assert opened.count({"must": [{"key": "year", "range": {"lt": 1950}}]}) == 50
    stats = opened.stats()
    assert stats["state"] == "damaged"
    assert list(stats["segments"][0]["damaged"]) == [part]
    assert part in (opened.verify(timeout_s=60).error or "")
    opened.upsert([7], {"s": [{7: 2.0}]})
    assert opened.count() == ROWS
    with pytest.raises(Corruption):
        opened.query({7: 1.0}, using="s")


@pytest.mark.parametrize("opened", [["field."]], indirect=True)
def test_a_damaged_payload_index_costs_time_but_no_answer(opened: Collection) -> None:
    early = {"must": [{"key": "year", "range": {"lt": 1910}}]}
    assert opened.count(early) == 10
    assert nearest(opened, "a", filter=early) == [9, 8, 7]
    assert nearest(opened, "b") == [10, 9, 11]
    assert any(name.startswith("field.") for name in opened.stats()["segments"][0]["damaged"])
    assert "field." in (opened.verify(timeout_s=60).error or "")


@pytest.mark.parametrize("prefix", ["vector.a", "vector.b", *PARTS, "ids.", "payload.", "seqs", "field."])
def test_a_damaged_cache_file_is_made_anew_without_a_word(path: Path, prefix: str) -> None:
    assert damage(path, prefix, stored=False)
    with open_client(path, maintenance=False) as client:
        docs = client.collection("docs")
        assert nearest(docs, "a") == nearest(docs, "b") == [10, 9, 11]
        assert [hit.id for hit in docs.query({7: 1.0, 1_000: 1.0}, k=3, using="s")] == [7, 0, 1]
        assert docs.get([7], with_vectors=True)[0].payload == {"year": 1907, "even": False}
        assert docs.count({"must": [{"key": "year", "range": {"lt": 1910}}]}) == 10
        assert docs.stats()["state"] == "ok"
        assert docs.verify(timeout_s=60).error is None


@pytest.mark.parametrize("opened", [["ids."], ["payload."], ["seqs"]], indirect=True)
def test_a_damaged_column_of_ids_payloads_or_seqs_is_never_answered_from(opened: Collection) -> None:
    """Typed errors where the column is needed; the numbers of points need none."""
    assert opened.count() == ROWS
    with pytest.raises(Corruption):
        opened.get([1])
    with pytest.raises(Corruption):
        list(opened.scroll())
    assert opened.verify(timeout_s=60).error is not None
