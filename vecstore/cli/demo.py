"""The demonstration: a real server, 4,000 real texts, questions with readable answers, and figures checked by numpy."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vecstore.cli.demo_exact import recall
from vecstore.cli.demo_sample import FUSED, K, Kind, Sample, kinds_of, load_sample, queries_of
from vecstore.cli.serve import READY, REST_READY, gateway_is_there
from vecstore.client._sync.client import Client
from vecstore.client._sync.collection import Collection
from vecstore.client.connect import connect
from vecstore.client.fields import Binary, Dense, Multi, Sparse
from vecstore.client.fields import Text as TextField
from vecstore.errors import Unavailable
from vecstore.hits import Hits
from vecstore.index_text import parse_index

SHOWN_QUERIES = (17, 61, 190)
SHOWN_HITS = 3
DIGITS = {"dense": 3, "bits": 0, "terms": 1, "body": 1, "tokens": 2, FUSED: 4}
START_S = 60.0
INDEX_FROM_ROWS = 1_000  # the sample is smaller than what is worth an index otherwise
RECALL_MIN = 0.9  # of the compressed queries; exact ones must be exact

console = Console(width=140, highlight=False)


def main() -> int:
    """Run it all; 0 when every exact answer was exact, and the compressed ones nearly so."""
    sample = load_sample()
    with tempfile.TemporaryDirectory(prefix="vecstore-demo-") as directory, server(Path(directory) / "db") as target:
        console.print(f"[bold]vecstore[/bold] serves an embedded database at {target}")
        with connect(target) as db:
            docs = load(db, sample)
            kinds = kinds_of(sample)
            for kind in kinds:
                if kind.index:
                    build_index(docs, kind.using, kind.index)
                ask(docs, kind, sample)
            show_answers(kinds, sample)
            exact = show_figures(kinds, sample)
    console.print("The server drained and stopped.")
    return 0 if exact else 1


@contextmanager
def server(path: Path) -> Iterator[str]:
    """A server process on a free port; yields its gRPC target once it answers, and stops it gracefully."""
    with served(path, {"VECSTORE_STORAGE_INDEX_ROWS_MIN": str(INDEX_FROM_ROWS)}) as (target, _):
        yield target


@contextmanager
def served(path: Path, settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """A server process on free ports, with settings from the environment; yields its gRPC target and its REST address,
    empty where it has none."""
    command = [sys.executable, "-m", "vecstore.cli.main", "serve", str(path), "--port", "0"]
    environment = {"VECSTORE_SERVER_LOG_LEVEL": "error", **os.environ, **settings}  # its lines would break up ours
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603 (our own)
    try:
        line = process.stdout.readline() if process.stdout else ""  # ends when the process does
        if not line.startswith(READY):
            raise Unavailable(f"the server did not start: exit code {process.wait(START_S)}")
        rest = process.stdout.readline() if process.stdout and gateway_is_there() else ""
        yield line.rsplit(" ", 1)[1].strip(), rest.removeprefix(REST_READY).partition(",")[0]
        process.terminate()
        if process.wait(START_S) != 0:
            raise Unavailable(f"the server stopped with exit code {process.returncode}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def load(db: Client, sample: Sample) -> Collection:
    """Send every row with a dense vector, its sign bits, a sparse vector, its text, its token vectors and a payload."""
    docs = db.create_collection(
        "wordnet",
        vectors={"dense": Dense(sample.dense.shape[1])},
        binary={"bits": Binary(sample.dense.shape[1])},
        sparse={"terms": Sparse()},
        text={"body": TextField()},
        multi={"tokens": Multi(sample.tokens.dim)},
        indexes={"pos": "keyword", "topic": "keyword", "frequency": "integer"},
    )
    started = time.perf_counter()
    vectors = {
        "dense": sample.dense, "bits": sample.dense > 0, "terms": sample.sparse, "body": sample.bodies,
        "tokens": sample.tokens,
    }  # fmt: skip
    result = docs.upload(ids=sample.ids, vectors=vectors, payloads=sample.payloads, progress=False)
    seconds = time.perf_counter() - started
    console.print(
        f"Loaded {result.points:,} texts over gRPC, each with a dense vector (384 float32), its sign bits, a sparse\n"
        f"vector ({sample.sparse.nnz / len(sample.sparse):.0f} terms on average), the text itself for BM25, "
        f"{len(sample.tokens.tokens) / len(sample.tokens):.0f} token vectors (96 float32) and a payload,\n"
        f"every request durable: {seconds:.2f} s, {result.points / seconds:,.0f} points/s; "
        f"the collection counts {docs.count():,}."
    )
    return docs


def build_index(docs: Collection, using: str, index: str) -> None:
    """Seal what was loaded and index one kind of its vectors; the next call for the same index finds it done."""
    stats = docs.stats()["vectors"][using]
    if stats["index_state"] == "ready" and parse_index(stats["index"]) == parse_index(index):
        return
    started = time.perf_counter()
    docs.compact()
    docs.update_index(using, index)
    console.print(f"Built [bold]{index}[/bold] over the {using} vectors: {time.perf_counter() - started:.2f} s.")


def ask(docs: Collection, kind: Kind, sample: Sample) -> None:
    """Every query, one by one, timed as the client sees it."""
    vectors = queries_of(kind, sample)

    def query(vector: Any) -> Hits:
        if kind.using == FUSED:
            return docs.hybrid(vector, K, filter=kind.filter)
        return docs.query(vector, K, using=kind.using, filter=kind.filter)

    query(vectors[0])  # the first call pays for connecting
    for vector in vectors:
        started = time.perf_counter()
        hits = query(vector)
        kind.seconds.append(time.perf_counter() - started)
        kind.answers.append(hits)


def show_answers(kinds: list[Kind], sample: Sample) -> None:
    for number in SHOWN_QUERIES:
        console.print(
            f"\n[bold]“{sample.texts[number]}”[/bold]  [dim](the right sense: {sample.relevant[number]})[/dim]"
        )
        table = Table.grid(padding=(0, 2))
        table.add_column(width=38)
        table.add_column(justify="right", width=6)
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=90)
        for kind in kinds:
            for place, hit in enumerate(kind.answers[number][:SHOWN_HITS]):
                score = f"{hit.score:.{DIGITS[kind.using]}f}"
                text = (hit.payload or {})["text"]
                mark = "*" if hit.id == sample.relevant[number] else ""
                table.add_row("" if place else kind.name, score, mark, Text(text))
        console.print(table)
    console.print(
        "\n[dim]Scores: cosine similarity for dense, differing bits of 384 for binary, inner product for sparse, BM25 "
        "for text, the sum of the query tokens' best cosines for multi-vectors, of 1 / (60 + rank) for hybrid. "
        "*: the right sense.[/dim]"
    )


def show_figures(kinds: list[Kind], sample: Sample) -> bool:
    """Print the table; True when all recalls are what they should be."""
    table = Table(title=f"{len(sample.texts)} queries of each kind, k = {K}, one after another", title_justify="left")
    for name in ("query", "rows searched", f"recall@{K}", f"right sense in top {K}", "p50", "p95"):
        table.add_column(name, justify="left" if name == "query" else "right")
    places = {one: row for row, one in enumerate(sample.ids)}
    recalls = [recall(kind, sample) for kind in kinds]
    for kind, value in zip(kinds, recalls, strict=True):
        able = [number for number, one in enumerate(sample.relevant) if kind.allowed[places[one]]]
        right = sum(any(hit.id == sample.relevant[number] for hit in kind.answers[number]) for number in able)
        p50, p95 = np.percentile(kind.seconds, [50, 95]) * 1000
        share = f"{right / len(able):.1%} of {len(able)}"
        table.add_row(kind.name, f"{kind.allowed.sum():,}", f"{value:.4f}", share, f"{p50:.2f} ms", f"{p95:.2f} ms")
    console.print()
    console.print(table)
    console.print(
        "Recall: share of numpy's exact best, by distance. Right sense: of the queries that the filter lets find it."
    )
    return all(value >= RECALL_MIN if kind.index else value == 1.0 for kind, value in zip(kinds, recalls, strict=True))


if __name__ == "__main__":
    sys.exit(main())
