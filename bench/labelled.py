"""Text collections with judgements: folders of docs.jsonl.gz, queries.jsonl.gz (`id`, `text`) and qrels.tsv.gz."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FILES = ("docs.jsonl.gz", "queries.jsonl.gz", "qrels.tsv.gz")


@dataclass(slots=True)
class Labelled:
    name: str
    docs: list[str]  # texts
    queries: list[str]
    gains: list[dict[int, int]]  # of each query: row to gain; empty where nothing was judged

    def ndcg(self, rankings: Iterable[Sequence[int] | np.ndarray], k: int = 10) -> float:
        """The mean over judged queries of nDCG@k: gain / log2(1 + rank), over the best possible."""
        found = [ndcg(list(rows), gains, k) for rows, gains in zip(rankings, self.gains, strict=True) if gains]
        return float(np.mean(found))

    def mrr(self, rankings: Iterable[Sequence[int] | np.ndarray], k: int = 10) -> float:
        """The mean over judged queries of 1 / the rank of the first answer with a gain; 0 past k."""
        found = []
        for rows, gains in zip(rankings, self.gains, strict=True):
            ranks = (rank for rank, row in enumerate(rows[:k], 1) if gains.get(int(row), 0) > 0)
            if gains:
                found.append(1 / next(ranks, np.inf))
        return float(np.mean(found))


def ndcg(rows: Sequence[int], gains: dict[int, int], k: int) -> float:
    discounts = 1 / np.log2(np.arange(2, k + 2))
    got = [gains.get(int(row), 0) for row in rows[:k]]
    ideal = sorted(gains.values(), reverse=True)[:k]
    return float(discounts[: len(got)] @ got / (discounts[: len(ideal)] @ ideal))


def is_labelled(folder: Path) -> bool:
    return all((folder / name).exists() for name in FILES)


def load(folder: str | Path, queries: int | None = None) -> Labelled:
    """A collection, with its first so many queries. Raises ValueError when a file is missing, or a judged query."""
    folder = Path(folder)
    if not is_labelled(folder):
        raise ValueError(f"{folder} is no labelled collection: it needs {', '.join(FILES)}")
    docs, asked = ([json.loads(line) for line in lines(folder / name)] for name in FILES[:2])
    rows, places = ({one["id"]: place for place, one in enumerate(ones)} for ones in (docs, asked))
    gains: list[dict[int, int]] = [{} for _ in asked]
    for line in lines(folder / FILES[2]):
        query, doc, gain = line.split("\t")
        if query not in places:
            raise ValueError(f"{folder / FILES[2]} judges for a query {query!r}, which is not there")
        row = rows.setdefault(doc, len(rows))  # a document that is not there is one that nobody finds
        gains[places[query]][row] = int(gain)
    chosen = slice(queries)
    texts = [one["text"] for one in docs], [one["text"] for one in asked[chosen]]
    return Labelled(folder.name, *texts, gains[chosen])


def lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()
