"""LIMIT, the data set on which single vectors fail, made up from its recipe or read from its published files.

1,000 queries "Who likes X?" have two right documents each: the pairs of 46 documents. 1,848 things are liked; 848 of
them are never asked for, and fill every document up to the same number of things. The recipe: O. Weller and others,
"On the Theoretical Limitations of Embedding-Based Retrieval".
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

QUERIES, THINGS, DENSE_DOCS = 1_000, 1_848, 46
HEADS = (
    "Trees", "Pie", "Tea", "Football", "Music", "Novels", "Cars", "Dogs", "Soup", "Museums", "Lakes", "Cheese",
    "Bridges", "Dances", "Poems", "Games", "Boots", "Bread", "Islands", "Flowers", "Films", "Guitars", "Kites", "Maps",
    "Paintings", "Puzzles", "Recipes", "Rivers", "Salads", "Stamps",
)  # fmt: skip
ONSETS = ("b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br", "st")
SYLLABLES = [onset + vowel for onset in ONSETS for vowel in "aeiou"]
SHARED = 32  # one thing in so many; with it BM25 finds among 46 documents about what it finds in the published ones


@dataclass(slots=True)
class Limit:
    name: str
    docs: list[str]
    queries: list[str]
    relevant: list[list[int]]  # of each query: two rows


def generate(docs: int, things: int, seed: int) -> Limit:
    """`docs` documents, 46 at least, that like `things` things each."""
    rng = np.random.default_rng(seed)
    liked = rng.permutation(np.array(_things(rng)))
    asked, fillers = liked[:QUERIES], liked[QUERIES:]
    pairs = list(itertools.islice(itertools.combinations(range(DENSE_DOCS), 2), QUERIES))
    names: set[str] = set()  # words of names end in n and none of a thing does: nobody is called what others like
    texts = []
    for row in range(docs):
        own = [asked[place] for place, pair in enumerate(pairs) if row in pair] if row < DENSE_DOCS else []
        if len(own) > things:
            raise ValueError(f"things={things} are fewer than the {len(own)} that document {row} is asked for")
        every = rng.permutation([*own, *rng.choice(fillers, things - len(own), replace=False)])
        while (name := f"{_word(rng, 2)}n {_word(rng, 3)}n") in names:
            pass
        names.add(name)
        texts.append(f"{name} likes {', '.join(every[:-1])} and {every[-1]}.")
    return Limit(f"made, {docs:,}", texts, [f"Who likes {one}?" for one in asked], [list(pair) for pair in pairs])


def _things(rng: np.random.Generator) -> list[str]:
    """Half are a word of their own and half end in one of thirty words; a few share both their words with
    others, as things in life do ("apple trees", "apple pie"), and that costs exact words the points that they lose."""
    found: dict[str, None] = {}
    words: dict[str, None] = {}
    while len(words) < THINGS:
        words[_word(rng, int(rng.integers(2, 4)))] = None
    own = list(words)
    for place in range(THINGS):
        while True:
            word = own[int(rng.integers(THINGS))] if place % SHARED == 0 else own[place]
            thing = f"{word} {HEADS[int(rng.integers(len(HEADS)))]}" if place % 2 == 0 else word
            if thing not in found:
                break
        found[thing] = None
    return list(found)


def _word(rng: np.random.Generator, syllables: int) -> str:
    return "".join(rng.choice(SYLLABLES, syllables)).capitalize()


def read(folder: Path) -> Limit:
    """Of the published files: corpus.jsonl, queries.jsonl and qrels.jsonl."""
    corpus, queries, qrels = (_lines(folder / f"{name}.jsonl") for name in ("corpus", "queries", "qrels"))
    row_of = {one["_id"]: row for row, one in enumerate(corpus)}
    relevant: dict[str, list[int]] = {}
    for one in qrels:
        relevant.setdefault(one["query-id"], []).append(row_of[one["corpus-id"]])
    texts = [one["text"] for one in corpus]
    return Limit(folder.name, texts, [one["text"] for one in queries], [relevant[one["_id"]] for one in queries])


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
