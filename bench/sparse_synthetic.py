"""`python -m bench make-sparse`: made-up sparse vectors like SPLADE's, of any number, as big-ann `.csr` files.

Rows mix the terms of a few topics (some popular, most not) with terms of everywhere; term frequencies fall like Zipf's
law, weights are exponential and topics agree on which of their terms are heavy, so that a few entries hold most of a
row's weight and near rows are there to be found. A query keeps the heavier terms of some row, with other weights, and
adds some of its topics'. Rows are made in blocks from the seed and the block's number: any block can be made alone.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import contest
from vecstore.sparse import SparseRows

COLUMNS = 30_522  # BERT's vocabulary, of which a third is hardly used
BLOCK = 10_000
ROW_NNZ, ROW_SPREAD, QUERY_NNZ, QUERY_SPREAD = 120, 35, 45, 12
DRAWN = 200  # terms of a row before repeats are dropped
TOPIC_TERMS = 400
ROWS_A_TOPIC = 250
SHARES = (0.5, 0.25, 0.25)  # of a row's terms: its first topic's, its second's, of everywhere
GRID = 256  # weights are multiples of 1/256, exact in float16
CEILING = 3.5
QUERIES = 1_000


@dataclass(slots=True)
class World:
    """What all rows share."""

    seed: int
    rows: int
    popularity: np.ndarray  # (columns,) cumulated chance of a term
    terms: np.ndarray  # (topics, TOPIC_TERMS) of each topic, the heaviest first
    weights: np.ndarray  # (topics, TOPIC_TERMS) how heavy
    topics: np.ndarray  # (topics,) cumulated chance of a topic


def world(rows: int, seed: int) -> World:
    rng = np.random.default_rng([seed, 0])
    chance = 1 / (np.arange(COLUMNS) + 30.0)
    chance = rng.permutation(chance / chance.sum())
    count = max(20, rows // ROWS_A_TOPIC)
    terms = np.empty((count, TOPIC_TERMS), np.int64)
    for topic in range(count):  # without repeats, by chance (Gumbel's trick); the rarer ones of them are heavier
        keys = 0.7 * np.log(chance) + rng.gumbel(size=COLUMNS)
        terms[topic] = np.argpartition(-keys, TOPIC_TERMS)[:TOPIC_TERMS]
    weights = -np.sort(-rng.exponential(size=(count, TOPIC_TERMS)), axis=1)
    popular = 1 / (np.arange(count) + 20.0) ** 0.7
    return World(seed, rows, np.cumsum(chance), terms, weights, np.cumsum(popular / popular.sum()))


def drawn(cumulated: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return np.minimum(np.searchsorted(cumulated, rng.random(shape)), len(cumulated) - 1)


def block_of(made: World, number: int) -> tuple[SparseRows, np.ndarray]:
    """Rows `number * BLOCK` and on, and their topics (n, 2)."""
    rng = np.random.default_rng([made.seed, 1, number])
    n = min(BLOCK, made.rows - number * BLOCK)
    topics = drawn(made.topics, (n, 2), rng)
    wanted = np.clip(rng.normal(ROW_NNZ, ROW_SPREAD, n), 15, DRAWN).astype(np.int64)
    source = np.searchsorted(np.cumsum(SHARES), rng.random((n, DRAWN)))
    rank = (TOPIC_TERMS * rng.random((n, DRAWN)) ** 1.5).astype(np.int64)  # heavier terms come more often
    topic = topics[np.arange(n)[:, None], np.minimum(source, 1)]
    terms, heavy = made.terms[topic, rank], made.weights[topic, rank] * np.where(source == 0, 1.0, 0.7)
    everywhere = source == len(SHARES) - 1
    terms[everywhere] = drawn(made.popularity, (int(everywhere.sum()),), rng)
    heavy[everywhere] = 0.3
    return tidied(terms, heavy * (0.3 + 0.7 * rng.exponential(size=(n, DRAWN))), wanted), topics


def tidied(terms: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> SparseRows:
    """The first `wanted` different terms of each row (n, places), sorted."""
    n, places = terms.shape
    keys = (np.arange(n)[:, None] * COLUMNS + terms).reshape(-1)
    owner = np.repeat(np.arange(n), places)
    _, first = np.unique(keys, return_index=True)
    first.sort()
    starts = np.searchsorted(owner[first], np.arange(n))
    kept = first[np.arange(len(first)) - starts[owner[first]] < wanted[owner[first]]]
    kept = kept[np.argsort(keys[kept])]
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(owner[kept], minlength=n), out=offsets[1:])
    weights = np.clip(np.round(values.reshape(-1)[kept] * GRID), 1, CEILING * GRID) / GRID
    return SparseRows(offsets, (keys[kept] % COLUMNS).astype(np.uint32), weights.astype(np.float32))


def query_from(made: World, row: SparseRows, topic: int, rng: np.random.Generator) -> SparseRows:
    """About two thirds are terms of the row, heavier ones sooner, the rest its topic's."""
    order = np.argsort(-(row.values * rng.exponential(size=row.nnz)))[: 2 * QUERY_NNZ // 3]
    rank = (TOPIC_TERMS * rng.random(QUERY_NNZ) ** 2).astype(np.int64)
    terms = np.concatenate([row.indices[order].astype(np.int64), made.terms[topic, rank]])
    heavy = np.concatenate([row.values[order], 0.5 * made.weights[topic, rank]])
    values = heavy * (0.3 + 0.7 * rng.exponential(size=len(heavy)))
    wanted = np.clip(rng.normal(QUERY_NNZ, QUERY_SPREAD, 1), 5, 2 * QUERY_NNZ).astype(np.int64)
    return tidied(terms[None], values[None], wanted)


def make(rows: int, queries: int, seed: int, out: str) -> tuple[Path, Path]:
    """Write `out` and, beside it, the queries."""
    path = Path(out)
    asked_path = path.with_suffix(".queries.csr")
    made = world(rows, seed)
    rng = np.random.default_rng([seed, 2])
    sources = np.sort(rng.choice(rows, min(queries, rows), replace=False))
    asked: list[SparseRows] = []

    def blocks() -> Iterator[SparseRows]:
        for number in range(-(-rows // BLOCK)):
            block, topics = block_of(made, number)
            yield block
            mine = (sources[sources // BLOCK == number] - number * BLOCK).tolist()
            asked.extend(query_from(made, block.row(row), int(topics[row, 0]), rng) for row in mine)

    write(path, blocks())
    write(asked_path, iter([SparseRows.concat(asked)]))
    contest.say(f"written to {path} and {asked_path}")
    return path, asked_path


def write(path: Path, blocks: Iterator[SparseRows]) -> None:
    """big-ann's format: rows, columns, entries; indptr; indices; values. In bounded memory: values wait in a file."""
    waiting, indices_file = path.with_suffix(".values"), path.with_suffix(".indices")
    lengths = []
    with waiting.open("wb") as values, indices_file.open("wb") as indices:
        for block in blocks:
            lengths.append(np.diff(block.offsets))
            indices.write(block.indices.astype("<i4").tobytes())
            values.write(block.values.astype("<f4").tobytes())
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype("<i8")
    with path.open("wb") as file:
        file.write(struct.pack("<3q", len(offsets) - 1, COLUMNS, int(offsets[-1])) + offsets.tobytes())
        for part in (indices_file, waiting):
            with part.open("rb") as source:
                shutil.copyfileobj(source, file)
            part.unlink()
