"""The demonstration: a real server, 4,000 real texts, questions with readable answers, and figures checked by numpy."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vecstore.cli.serve import READY
from vecstore.client._sync.client import Client
from vecstore.client._sync.collection import Collection
from vecstore.client.connect import connect
from vecstore.client.fields import Binary, Dense
from vecstore.errors import Unavailable
from vecstore.hits import Hits
from vecstore.index_text import parse_index

K = 10
SHOWN_QUERIES = (17, 61, 190)
SHOWN_HITS = 3
PAYLOAD = ("id", "lemma", "pos", "topic", "sense_count", "frequency", "text")
START_S = 60.0
LISTS, GRAPH = "ivf | saq(bits=2) | rerank(stored)", "graph"
INDEX_FROM_ROWS = 1_000  # the sample is smaller than what is worth an index otherwise
RECALL_MIN = 0.9  # of the compressed queries; exact ones must be exact

console = Console(width=140, highlight=False)


@dataclass(slots=True)
class Sample:
    """Rows and queries: unit vectors (n, 384) float32, payloads, texts, and for each query the id of its right row."""

    ids: list[str]
    dense: np.ndarray
    payloads: list[dict[str, Any]]
    queries: np.ndarray
    texts: list[str]
    relevant: list[str]


@dataclass(slots=True)
class Kind:
    """One way of asking. `allowed` (bool, by row) says in numpy what `filter` says to the server; answers by an
    `index` come from codes and a rerank."""

    name: str
    using: str
    filter: dict[str, Any] | None
    allowed: np.ndarray
    index: str = ""
    answers: list[Hits] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


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
                    build_index(docs, kind.index)
                ask(docs, kind, sample)
            show_answers(kinds, sample)
            exact = show_figures(kinds, sample)
    console.print("The server drained and stopped.")
    return 0 if exact else 1


def load_sample() -> Sample:
    """The sample that is shipped in the package."""
    import pyarrow.parquet as pq

    from vecstore.io.arrow_columns import rows_of

    folder = Path(str(resources.files("vecstore") / "data"))
    rows = pq.read_table(folder / "wordnet-4k.parquet", columns=[*PAYLOAD, "dense"]).combine_chunks()
    asked = pq.read_table(folder / "wordnet-4k-queries.parquet", columns=["text", "relevant", "dense"]).combine_chunks()
    return Sample(
        ids=rows["id"].to_pylist(),
        dense=rows_of(rows["dense"].chunk(0), "dense", folder, 0)[0],
        payloads=rows.select(PAYLOAD).to_pylist(),
        queries=rows_of(asked["dense"].chunk(0), "dense", folder, 0)[0],
        texts=asked["text"].to_pylist(),
        relevant=asked["relevant"].to_pylist(),
    )


@contextmanager
def server(path: Path) -> Iterator[str]:
    """A server process on a free port; yields its target once it answers, and stops it gracefully."""
    command = [sys.executable, "-m", "vecstore.cli.main", "serve", str(path), "--port", "0"]
    settings = {**os.environ, "VECSTORE_STORAGE_INDEX_ROWS_MIN": str(INDEX_FROM_ROWS)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings)  # noqa: S603 (our own command)
    try:
        line = process.stdout.readline() if process.stdout else ""  # ends when the process does
        if not line.startswith(READY):
            raise Unavailable(f"the server did not start: exit code {process.wait(START_S)}")
        yield line.rsplit(" ", 1)[1].strip()
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
    """Send every row with a dense vector, its sign bits and its payload."""
    docs = db.create_collection(
        "wordnet",
        vectors={"dense": Dense(sample.dense.shape[1])},
        binary={"bits": Binary(sample.dense.shape[1])},
        indexes={"pos": "keyword", "topic": "keyword", "frequency": "integer"},
    )
    started = time.perf_counter()
    vectors = {"dense": sample.dense, "bits": sample.dense > 0}
    result = docs.upload(ids=sample.ids, vectors=vectors, payloads=sample.payloads, progress=False)
    seconds = time.perf_counter() - started
    console.print(
        f"Loaded {result.points:,} texts over gRPC, each with a dense vector (384 float32), its sign bits and\n"
        f"a payload, every request durable: {seconds:.2f} s, {result.points / seconds:,.0f} points/s; "
        f"the collection counts {docs.count():,}."
    )
    return docs


def kinds_of(sample: Sample) -> list[Kind]:
    everything = np.ones(len(sample.ids), dtype=bool)
    noun = np.array([payload["pos"] == "noun" for payload in sample.payloads])
    frequent = np.array([payload["frequency"] >= 10 for payload in sample.payloads])
    frequent_nouns = {"must": [{"key": "pos", "match": {"value": "noun"}}, {"key": "frequency", "range": {"gte": 10}}]}
    verbs = {"must": [{"key": "pos", "match": {"value": "verb"}}]}
    verb = np.array([payload["pos"] == "verb" for payload in sample.payloads])
    return [
        Kind("dense", "dense", None, everything),
        Kind("dense, pos = noun and frequency >= 10", "dense", frequent_nouns, noun & frequent),
        Kind("binary", "bits", None, everything),
        Kind("binary, pos = verb", "bits", verbs, verb),
        Kind("dense, by lists of codes", "dense", None, everything, index=LISTS),
        Kind("dense, by lists, pos = verb", "dense", verbs, verb, index=LISTS),
        Kind("dense, by a graph", "dense", None, everything, index=GRAPH),
        Kind("dense, by a graph, pos = verb", "dense", verbs, verb, index=GRAPH),
    ]


def build_index(docs: Collection, index: str) -> None:
    """Seal what was loaded and index its dense vectors; the next call for the same index finds it done."""
    stats = docs.stats()["vectors"]["dense"]
    if stats["index_state"] == "ready" and parse_index(stats["index"]) == parse_index(index):
        return
    started = time.perf_counter()
    docs.compact()
    docs.update_index("dense", index)
    console.print(f"Built [bold]{index}[/bold] over the dense vectors: {time.perf_counter() - started:.2f} s.")


def ask(docs: Collection, kind: Kind, sample: Sample) -> None:
    """Every query, one by one, timed as the client sees it."""
    vectors = sample.queries if kind.using == "dense" else sample.queries > 0
    docs.query(vectors[0], K, using=kind.using, filter=kind.filter)  # the first call pays for connecting
    for vector in vectors:
        started = time.perf_counter()
        hits = docs.query(vector, K, using=kind.using, filter=kind.filter)
        kind.seconds.append(time.perf_counter() - started)
        kind.answers.append(hits)


def exact_distances(kind: Kind, sample: Sample) -> np.ndarray:
    """(queries, rows) by numpy: 1 - cosine in float64, or differing bits; infinite where the filter does not match."""
    if kind.using == "dense":
        rows, queries = (side.astype(np.float64) for side in (sample.dense, sample.queries))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        distances = 1.0 - queries @ rows.T
    else:
        rows, queries = (np.where(side > 0, 1.0, -1.0) for side in (sample.dense, sample.queries))
        distances = (rows.shape[1] - queries @ rows.T) / 2
    return np.where(kind.allowed, distances, np.inf)


def recall(kind: Kind, sample: Sample) -> float:
    """Share of the exact K best that came back, by distance, so that ties count for either."""
    distances = exact_distances(kind, sample)
    places = {one: row for row, one in enumerate(sample.ids)}
    wanted = min(K, int(kind.allowed.sum()))
    found = 0
    for row, hits in zip(distances, kind.answers, strict=True):
        worst = np.partition(row, wanted - 1)[wanted - 1] + 1e-6
        found += sum(bool(row[places[str(hit.id)]] <= worst) for hit in hits)
    return found / (wanted * len(kind.answers))


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
                score = f"{hit.score:.3f}" if kind.using == "dense" else f"{hit.score:.0f}"
                text = (hit.payload or {})["text"]
                mark = "*" if hit.id == sample.relevant[number] else ""
                table.add_row("" if place else kind.name, score, mark, Text(text))
        console.print(table)
    console.print(
        "\n[dim]Scores: cosine similarity for dense, differing bits of 384 for binary. *: the right sense.[/dim]"
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
