"""The MCP server, through the SDK's own client: in process, over stdio to a real process, and over HTTP to one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mcp", reason="needs the mcp extra")
import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from word_embedding import DIM, embed

import vecstore
from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.client.connect import connect_async
from vecstore.config import Server, Settings
from vecstore.embed.base import Role
from vecstore.errors import InvalidArgument
from vecstore.integrations.mcp import run_http
from vecstore.integrations.mcp.callers import Trusted
from vecstore.integrations.mcp.serving import build_server
from vecstore.schema import VectorKind

TEXTS = {"a": "a whale and the captain who hunts it", "b": "two sisters inherit a bakery", "c": "the captain's bread"}
READS = {"list_collections", "search", "get", "search_documents"}
WRITES = {"add", "add_document", "create_collection"}
ROLES = ("read", "write", "admin")
# What each tool may be called for, and a call of it: a new tool belongs here, too.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "list_collections": ("read", {}),
    "search": ("read", {"collection": "books", "query": "captain"}),
    "get": ("read", {"collection": "books", "ids": ["a"]}),
    "search_documents": ("read", {"collection": "books", "question": "Who hunts whales?"}),
    "add": ("write", {"collection": "books", "points": [{"id": 1}]}),
    "add_document": ("write", {"collection": "books", "content": "A ship."}),
    "create_collection": ("admin", {"name": "books"}),
}


def fill(target: str, **options: Any) -> None:
    """A collection "books" with texts and vectors, and one for vectors only."""
    with vecstore.connect(target, **options) as db:
        books = db.create_collection("books", {"dense": vecstore.Dense(2)}, text={"text": vecstore.Text()},
                                     indexes={"year": "integer"})  # fmt: skip
        payloads = [{"text": text, "year": 2000 + place} for place, text in enumerate(TEXTS.values())]
        vectors = {"dense": [[1, 0], [0, 1], [1, 1]], "text": list(TEXTS.values())}
        books.upsert(list(TEXTS), vectors, payloads)
        db.create_collection("other", {"x": vecstore.Dense(2), "y": vecstore.Dense(2)})


@asynccontextmanager
async def in_process(target: str, *, read_only: bool = False) -> AsyncIterator[Client]:
    async with (
        await connect_async(target) as db,
        Client(build_server(Trusted(db), read_only=read_only)) as client,
    ):
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return result.content[0].text.removeprefix(f"Error executing tool {tool}: ")  # type: ignore[union-attr]


def denied(result: Any) -> bool:
    return bool(result.is_error) and "PERMISSION_DENIED" in result.content[0].text


def ids(answer: dict[str, Any]) -> list[str]:
    return [point["id"] for point in answer["points"]]


async def tour(client: Client) -> None:
    """What a model does with a database that `fill` has filled."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == READS | WRITES
    listed = (await call(client, "list_collections"))["collections"]
    assert [(one["name"], one["points"]) for one in listed] == [("books", 3), ("other", 0)]
    assert listed[0]["fields"]["text"] == {
        "kind": "text", "dim": None, "metric": "bm25", "language": "english", "embedder": None
    }  # fmt: skip
    assert listed[0]["payload_indexes"] == {"year": "integer"}
    found = await call(client, "search", collection="books", query="captains")
    assert sorted(ids(found)) == ["a", "c"]
    assert found["points"][0]["score"] > 0
    recent = {"must": [{"key": "year", "range": {"gte": 2001}}]}
    assert ids(await call(client, "search", collection="books", query="captain", filter=recent)) == ["c"]
    assert ids(await call(client, "search", collection="books", vector=[0, 1], limit=1)) == ["b"]
    assert ids(await call(client, "search", collection="books", query="bread", vector=[1, 1], limit=1)) == ["c"]
    new = [{"text": "a spaceship", "vector": [1, 2], "payload": {"year": 2024}}, {"id": 7, "payload": {"k": None}}]
    added = (await call(client, "add", collection="books", points=new))["ids"]
    assert added[1] == 7
    assert ids(await call(client, "search", collection="books", query="spaceships")) == added[:1]
    stored = (await call(client, "get", collection="books", ids=[*added, "a", "nobody"]))["points"]
    assert [point["id"] for point in stored] == [*added, "a"]
    assert stored[0] == {"id": added[0], "payload": {"year": 2024, "text": "a spaceship"}, "score": None}
    made = await call(client, "create_collection", name="notes", dim=3)
    assert set(made["fields"]) == {"dense", "text"}
    resource = await client.read_resource("vecstore://collections/books")
    facts = json.loads(resource.contents[0].text)  # type: ignore[union-attr]
    assert (facts["name"], facts["points"], facts["stats"]["points"]) == ("books", 5, 5)


async def test_in_process(tmp_path: Path) -> None:
    fill(str(tmp_path / "db"))
    async with in_process(str(tmp_path / "db")) as client:
        await tour(client)


async def test_what_a_model_reads(tmp_path: Path) -> None:
    async with in_process(":memory:", read_only=True) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == READS
        assert await refusal(client, "add", collection="x", points=[{}]) == "Unknown tool: add"
        (template,) = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "vecstore://collections/{collection}"
    async with in_process(":memory:") as client:
        for tool in (await client.list_tools()).tools:
            assert tool.description
            assert "  " not in tool.description.replace("\n", "  ")
            assert tool.output_schema
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint in ((None, False) if tool.name in WRITES else (True,))
            for name, parameter in tool.input_schema["properties"].items():
                text = parameter.get("description") or name in ("title", "media_type") or parameter.get("items")
                assert text, f"{tool.name}.{name} says nothing"


async def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    fill(str(tmp_path / "db"))
    async with in_process(str(tmp_path / "db")) as client:
        assert "COLLECTION_NOT_FOUND: no collection named 'x'" in await refusal(
            client, "search", collection="x", query="y"
        )
        assert await refusal(client, "search", collection="books") == (
            "BAD_ARGUMENT: give query (a text), vector, or both"
        )
        two = await refusal(client, "search", collection="other", vector=[1, 2])
        assert two == "VECTOR_NAME_UNKNOWN: which dense field? The collection has: x, y"
        none = await refusal(client, "search", collection="other", query="w")
        assert none == "VECTOR_NAME_UNKNOWN: which field that takes texts? The collection has: none"
        assert ids(await call(client, "search", collection="other", vector=[1, 2], vector_field="y")) == []
        wrong = await refusal(client, "search", collection="books", query="x", query_fields=["dense"])
        assert wrong == "VECTOR_NAME_UNKNOWN: which field that takes texts 'dense'? The collection has: text"
        no_texts = await refusal(client, "add", collection="other", points=[{"text": "x"}])
        assert no_texts == "VECTOR_NAME_UNKNOWN: which text field? The collection has: none"
        assert "DIMENSION_MISMATCH" in await refusal(client, "search", collection="books", vector=[1, 2, 3])
        assert "BAD_FILTER: filter" in await refusal(
            client, "search", collection="books", query="x", filter={"must": [{"key": "a", "matches": 1}]}
        )
        assert "COLLECTION_EXISTS" in await refusal(client, "create_collection", name="books")
        assert "BAD_SCHEMA" in await refusal(client, "create_collection", name="empty", language=None)
        for bad in ({"limit": 0}, {"limit": 101}, {"limit": "many"}, {"query": 5}):
            assert "alidation" in await refusal(client, "search", **{"collection": "books", "query": "x", **bad})
        unknown = await refusal(client, "add", collection="books", points=[{"tekst": "x"}])
        assert "tekst" in unknown
        assert "DIMENSION_MISMATCH" in await refusal(
            client, "add", collection="books", points=[{"id": "new", "text": "x"}, {"vector": [1]}]
        )
        assert (await call(client, "get", collection="books", ids=["new"]))["points"] == [], "all or none"
        with pytest.raises(MCPError, match="COLLECTION_NOT_FOUND"):
            await client.read_resource("vecstore://collections/x")


async def test_uuids_are_strings(tmp_path: Path) -> None:
    import uuid

    id = uuid.uuid4()
    with vecstore.connect(tmp_path / "db") as db:
        db.create_collection("c", vecstore.Dense(1)).upsert([id], [[1]])
    async with in_process(str(tmp_path / "db")) as client:
        assert ids(await call(client, "get", collection="c", ids=[str(id)])) == [str(id)]


class Words:
    """An embedder by which texts with words in common are near."""

    gives, dim, fingerprint = VectorKind.DENSE, DIM, "words"

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> np.ndarray:
        return np.array([embed(text) for text in texts], dtype=np.float32)

    def close(self) -> None:
        pass


async def test_texts_are_embedded() -> None:
    async with (
        await connect_async(":memory:", embedders={"words": Words()}) as db,
        Client(build_server(Trusted(db))) as client,
    ):
        made = await call(client, "create_collection", name="books", embedder="words")
        assert made["fields"]["dense"]["embedder"] == "words"
        texts = [{"id": name, "text": text} for name, text in TEXTS.items()]
        await call(client, "add", collection="books", points=texts)
        asked = {"collection": "books", "query": "a whale and a captain"}
        near = await call(client, "search", **asked, query_fields=["dense"])
        assert (ids(near)[0], len(ids(near))) == ("a", 3)
        assert ids(await call(client, "search", **asked, query_fields=["text"])) == ["a", "c"]
        both = await call(client, "search", collection="books", query="whale")
        assert (ids(both)[0], len(ids(both))) == ("a", 3), "by words the whale alone, by meaning all"
        only = await call(client, "create_collection", name="only", embedder="words", language=None)
        assert set(only["fields"]) == {"dense"}
        await call(client, "add", collection="only", points=texts)
        assert ids(await call(client, "search", collection="only", query=TEXTS["b"], limit=1)) == ["b"]
        twice = await refusal(client, "add", collection="only", points=[{"text": "x", "vector": embed("y")}])
        assert twice.startswith("BAD_VECTOR: points with a text get their vector in 'dense' from its embedder")
        assert "EMBEDDER_UNKNOWN" in await refusal(client, "create_collection", name="x", embedder="nobody")


async def test_documents() -> None:
    filler = "Nothing else is known of it. " * 60  # for more than one passage
    handbook = f"# Boiler\n\nIt is serviced every May. {filler}\n\n# Kitchen\n\nThe walls are painted in RAL 9010."
    async with (
        await connect_async(":memory:", embedders={"words": Words()}) as db,
        Client(build_server(Trusted(db))) as client,
    ):
        await call(client, "create_collection", name="house", embedder="words")
        new = {"collection": "house", "content": handbook, "uri": "house.md", "media_type": "text/markdown",
               "metadata": {"lang": "en"}}  # fmt: skip
        kept = await call(client, "add_document", **new)
        assert (kept["id"], kept["state"]) == ("house.md", "added")
        assert kept["chunks"] > 1
        assert (await call(client, "add_document", **new))["state"] == "unchanged"
        asked = {"collection": "house", "question": "What colour are the kitchen walls?"}
        found = await call(client, "search_documents", **asked, limit=1)
        (passage,) = found["passages"]
        assert (passage["document_id"], passage["uri"], passage["citation"]) == ("house.md", "house.md", 1)
        assert passage["metadata"] == {"lang": "en"}
        assert "RAL 9010" in passage["text"]
        assert "[1]" in found["context"]
        german = {"must": [{"key": "metadata.lang", "match": {"value": "de"}}]}
        assert (await call(client, "search_documents", **asked, filter=german))["passages"] == []
        new["content"] = handbook.replace("9010", "1013")
        assert (await call(client, "add_document", **new))["state"] == "replaced"
        assert "1013" in (await call(client, "search_documents", **asked))["context"]
        await db.create_collection("bare", vecstore.Dense(2))
        refused = await refusal(client, "add_document", collection="bare", content="x")
        assert refused.startswith("NOT_FOR_DOCUMENTS")
        assert "COLLECTION_NOT_FOUND" in await refusal(client, "search_documents", collection="x", question="y")


# Real processes


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vecstore.cli.main", "mcp", *arguments]


async def test_over_stdio(tmp_path: Path) -> None:
    fill(str(tmp_path / "db"))
    program, *arguments = command("--target", str(tmp_path / "db"))
    async with Client(StdioServerParameters(command=program, args=arguments)) as client:
        await tour(client)
    with vecstore.connect(tmp_path / "db") as db:
        assert db.get_collection("books").count() == 5, "the process has let go of the directory"


@contextmanager
def running(target: str, *arguments: str, **environ: str) -> Iterator[str]:
    """The address of a process that serves HTTP, which ends well on SIGTERM."""
    process = subprocess.Popen(
        command("--target", target, "--http", "127.0.0.1:0", *arguments),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("serving "), process.communicate()[1]
        yield line.split()[-1]
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=240)[1]
        assert (process.returncode, "Traceback" in errors) == (0, False), errors
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def over_http(url: str, key: str | None = None, mode: Any = "auto") -> AsyncIterator[Client]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


def answer(url: str, **headers: str) -> tuple[int, str]:
    """Of a request by hand."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"accept": "application/json, text/event-stream"}
    response = httpx2.post(url, json=hello, headers={**accept, **headers}, timeout=60)
    return response.status_code, response.text


def test_over_http(tmp_path: Path) -> None:
    fill(str(tmp_path / "db"))
    with running(str(tmp_path / "db")) as url:

        async def ask() -> None:
            async with over_http(url) as client:
                await tour(client)
            async with over_http(url, mode="legacy") as client:
                assert sorted(ids(await call(client, "search", collection="books", query="captain"))) == ["a", "c"]

        asyncio.run(ask())
        assert answer(url, host="evil.example")[0] == 421, "a page that names this machine by a name of its own"


def test_keys_of_the_database_over_http(tmp_path: Path) -> None:
    fill(str(tmp_path / "db"))
    with vecstore.connect(str(tmp_path / "db")) as db:
        db.update_aliases([vecstore.CreateAlias("stories", "books"), vecstore.CreateAlias("hidden", "other")])
    keys_file = tmp_path / "keys.json"
    keys, records = {}, []
    given = [("reader", "read", ("books",)), ("writer", "write", None)]
    given += [(role, role, None) for role in ROLES] + [(f"{role}-of-other", role, ("other",)) for role in ROLES]
    for name, role, collections in given:
        keys[name], record = new_key(name, role, collections)
        records.append(record)
    change_keys(keys_file, lambda _: tuple(records))
    with running(str(tmp_path / "db"), VECSTORE_SERVER_KEYS_FILE=str(keys_file)) as url:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"api-key": "x", "authorization": f"Bearer {keys}"}):
            status, text = answer(url, **headers)
            assert (status, "UNAUTHENTICATED" in text) == (401, True)

        async def ask() -> None:
            async with over_http(url, keys["reader"]) as client:
                listed = (await call(client, "list_collections"))["collections"]
                assert [one["name"] for one in listed] == ["books"]
                assert sorted(ids(await call(client, "search", collection="books", query="captain"))) == ["a", "c"]
                assert "PERMISSION_DENIED" in await refusal(client, "get", collection="other", ids=["a"])
                assert ids(await call(client, "get", collection="stories", ids=["a"])) == ["a"]  # an alias of books
                refused = await refusal(client, "get", collection="hidden", ids=["a"])  # and one of other
                assert "PERMISSION_DENIED" in refused
                assert "'hidden'" in refused
                assert "PERMISSION_DENIED" in await refusal(client, "add", collection="books", points=[{"id": 1}])
                with pytest.raises(MCPError, match="PERMISSION_DENIED"):
                    await client.read_resource("vecstore://collections/other")
            async with over_http(url, keys["writer"]) as client:
                assert (await call(client, "add", collection="books", points=[{"id": 1}]))["ids"] == [1]
                assert "PERMISSION_DENIED" in await refusal(client, "create_collection", name="mine")
            for role in ROLES:
                async with over_http(url, keys[role]) as client, over_http(url, keys[f"{role}-of-other"]) as other:
                    assert {tool.name for tool in (await client.list_tools()).tools} == set(CALLS)
                    for tool, (wanted, arguments) in CALLS.items():
                        allowed = ROLES.index(role) >= ROLES.index(wanted)
                        assert denied(await client.call_tool(tool, arguments)) is not allowed, (role, tool)
                        elsewhere = tool != "list_collections"  # which leaves out what a key may not see
                        assert denied(await other.call_tool(tool, arguments)) is elsewhere, (role, tool)

        asyncio.run(ask())


def test_keys_are_passed_on_to_a_server() -> None:
    from vecstore.engine.database import Database
    from vecstore.gateway.serving import start_server

    database = Database.open(None, Settings(server=Server(port=0, rest_port=0, api_key="right")))
    server = start_server(database)
    target = f"grpc://127.0.0.1:{server.port}"
    fill(target, api_key="right")
    with running(target) as url:

        async def ask() -> None:
            async with over_http(url, "right") as client:
                await tour(client)
            for key in ("wrong", None):
                async with over_http(url, key) as client:
                    assert "UNAUTHENTICATED" in await refusal(client, "list_collections")

        asyncio.run(ask())
    target = f"http://127.0.0.1:{server.rest_port}"
    with running(target, "--read-only", VECSTORE_API_KEY="right") as url:

        async def ask_again() -> None:
            async with over_http(url) as client:  # on this machine, with the key that the process was given
                assert len((await call(client, "list_collections"))["collections"]) == 3
                assert "Unknown tool" in await refusal(client, "add", collection="books", points=[{}])
            async with over_http(url, "right") as client:
                assert sorted(ids(await call(client, "search", collection="books", query="captain"))) == ["a", "c"]
            async with over_http(url, "wrong") as client:
                assert "UNAUTHENTICATED" in await refusal(client, "list_collections")

        asyncio.run(ask_again())
    server.stop(0)
    database.close()


def test_other_machines_need_a_key(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"host=0\.0\.0\.0 is not loopback"):
        asyncio.run(run_http(str(tmp_path), "0.0.0.0", 0))


@pytest.mark.parametrize("given", ["host:", ":99999", "host:name", ""])
def test_bad_addresses(given: str) -> None:
    from vecstore.cli.mcp import _address

    with pytest.raises(InvalidArgument, match=f"--http '{given}' must be HOST:PORT"):
        _address(given)
    assert (_address(":1"), _address("1"), _address("h:1")) == (("127.0.0.1", 1), ("127.0.0.1", 1), ("h", 1))
