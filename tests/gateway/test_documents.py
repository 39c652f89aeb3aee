"""Documents over REST: put in with progress and without, asked, listed, refused."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_support import client_of, refused

pytest.importorskip("semantic_text_splitter", reason="needs the documents extra")
sys.path.insert(0, str(Path(__file__).parent.parent / "embed"))

from embed_support import Letters

from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.gateway.serving import start_server

HERE = "/v1/collections/sea"
SCHEMA = {
    "vectors": {"body": {"kind": "text"}, "dense": {"embedder": "letters"}},
    "fields": {"document.id": "keyword", "chunk.number": "integer"},
}
TIDES = "# Tides\n\nHigh water comes twice a day.\n\n## Moon\n\nThe moon pulls the sea.\n"
HTML = "<title>Fog</title><h1>Fog</h1><p>Fog hides the harbour.</p>"


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def client(letters: Letters) -> Iterator[httpx.Client]:
    settings = Settings(server=Server(port=0, rest_port=0))
    with Database.open(None, settings, embedders={"letters": letters}) as database:
        handle = start_server(database, settings)
        with client_of(handle) as client:
            created = client.put(HERE, json={"schema": SCHEMA}).json()
            assert created["schema"]["vectors"]["dense"]["dim"] == 27
            assert created["schema"]["vectors"]["dense"]["fingerprint"] == "letters"
            yield client
        handle.stop(0)


def put(client: httpx.Client, *documents: dict[str, Any], **body: Any) -> list[dict[str, Any]]:
    response = client.put(f"{HERE}/documents", json={"documents": list(documents), **body})
    assert response.status_code == 200, response.text
    return response.json()["documents"]


def search(client: httpx.Client, question: str, **body: Any) -> dict[str, Any]:
    response = client.post(f"{HERE}/documents/search", json={"question": question, **body})
    assert response.status_code == 200, response.text
    return response.json()


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_a_question_is_answered_with_sources(client: httpx.Client) -> None:
    data = base64.b64encode(HTML.encode()).decode()
    done = put(
        client,
        {"id": "tides", "text": TIDES, "media_type": "text/markdown", "uri": "http://s/t", "metadata": {"n": 1}},
        {"data": data, "uri": "https://example.org/fog.html"},
        chunking={"tokens": 12, "overlap": 0},
    )
    assert [(one["id"], one["state"]) for one in done] == [
        ("tides", "added"),
        ("https://example.org/fog.html", "added"),
    ]
    found = search(client, "what does the moon pull", k=2, min_seq=done[1]["seq"])
    best = found["passages"][0]
    assert best["citation"] == 1
    assert best["document"]["id"] == "tides"
    assert best["document"]["metadata"] == {"n": 1}
    assert best["text"] == TIDES[best["start"] : best["end"]]
    assert set(best["legs"]) == {"body", "dense"}
    assert found["context"].startswith("[1] Tides > Moon (http://s/t)\n")
    assert found["tokens"] > 0
    only = search(client, "moon", filter={"key": "document.id", "match": {"value": "https://example.org/fog.html"}})
    assert [one["document"]["title"] for one in only["passages"]] == ["Fog"]
    again = put(client, {"id": "tides", "text": TIDES, "media_type": "text/markdown", "uri": "http://s/t",
                         "metadata": {"n": 1}}, chunking={"tokens": 12, "overlap": 0})  # fmt: skip
    assert again[0]["state"] == "unchanged"


def test_progress_comes_as_events(client: httpx.Client, letters: Letters) -> None:
    given = [{"id": f"d{n}", "text": f"Text number {n} of the harbour."} for n in range(40)]
    given[7] = {"id": "bad", "data": base64.b64encode(b"\xff").decode(), "media_type": "text/plain"}
    told = events(client.post(f"{HERE}/documents/ingest", json={"documents": given}))
    assert [name for name, _ in told] == ["document"] * 40 + ["done"]
    assert [one["id"] for name, one in told if name == "document"] == [one["id"] for one in given]
    assert told[-1][1] == {"added": 39, "replaced": 0, "unchanged": 0, "failed": 1}
    assert "not UTF-8" in told[7][1]["error"]
    letters.fingerprint = "another"
    told = events(client.post(f"{HERE}/documents/ingest", json={"documents": [given[0], {"text": "new"}]}))
    assert [name for name, _ in told] == ["error"]
    assert told[0][1]["reason"] == "EMBEDDER_MISMATCH"
    refused(client.put(f"{HERE}/documents", json={"documents": [{"text": "new"}]}), 412, "EMBEDDER_MISMATCH")
    refused(client.post(f"{HERE}/documents/search", json={"question": "new"}), 412, "EMBEDDER_MISMATCH")


def test_documents_are_listed_read_and_deleted(client: httpx.Client) -> None:
    put(client, *({"uri": f"http://s/{n}?a=b", "text": f"Text {n}"} for n in range(5)))
    seen, after = [], None
    while True:
        page = client.get(f"{HERE}/documents", params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [one["id"] for one in page["documents"]]
        after = page["next_after"]
        if after is None:
            break
    assert sorted(seen) == [f"http://s/{n}?a=b" for n in range(5)]
    one = f"{HERE}/documents/http%3A%2F%2Fs%2F3%3Fa%3Db"
    assert client.get(one).json()["chunks"][0]["text"] == "Text 3"
    assert client.delete(one).json() == {"chunks": 1}
    assert client.delete(one).json() == {"chunks": 0}
    refused(client.get(one), 404, "DOCUMENT_NOT_FOUND")


@pytest.mark.parametrize(
    ("document", "reason"),
    [({"id": "a"}, "BAD_DOCUMENT"), ({"text": "a", "data": "YQ=="}, "BAD_DOCUMENT"), ({"data": "%%"}, "BAD_DOCUMENT")],
)
def test_a_document_that_is_none_is_refused(client: httpx.Client, document: dict[str, Any], reason: str) -> None:
    for method, path in (("PUT", f"{HERE}/documents"), ("POST", f"{HERE}/documents/ingest")):
        refused(client.request(method, path, json={"documents": [document]}), 400, reason)


def test_a_file_of_the_server_cannot_be_named(client: httpx.Client) -> None:
    body = {"documents": [{"text": "a"}], "chunking": {"tokenizer": "/etc/passwd"}}
    assert client.put(f"{HERE}/documents", json=body).status_code == 400
    assert client.post(f"{HERE}/documents/search", json={"question": "a", "tokenizer": "/x"}).status_code == 400


def test_no_collection_is_told_by_the_status(client: httpx.Client) -> None:
    body = {"documents": [{"text": "a"}]}
    for method, path, sent in (
        ("PUT", "documents", body), ("POST", "documents/ingest", body), ("POST", "documents/search", {"question": "a"})
    ):  # fmt: skip
        response = client.request(method, f"/v1/collections/nothing/{path}", json=sent)
        refused(response, 404, "COLLECTION_NOT_FOUND")
