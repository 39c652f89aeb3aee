"""From hits to passages: equal ones once, unlike ones first where that is asked for, so many of a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecstore.documents.asking import Wanted
from vecstore.documents.layout import read_point
from vecstore.documents.types import Chunk, DocumentInfo
from vecstore.query.diversify import mmr
from vecstore.schema import Metric
from vecstore.text.tokenize import tokens
from vecstore.types import Hit


@dataclass(slots=True)
class Candidate:
    document: DocumentInfo
    chunk: Chunk
    score: float
    legs: Mapping[str, float]
    words: frozenset[str]
    vector: np.ndarray | None


def candidates_of(hits: Sequence[Hit], names: Sequence[str], dense: str | None) -> list[Candidate]:
    """Raises FailedPrecondition (NOT_FOR_DOCUMENTS)."""
    found = []
    for hit in hits:
        document, chunk = read_point(hit)
        legs = {names[place]: score for place, score in (hit.legs or {}).items()}
        vector = (hit.vectors or {}).get(dense) if dense else None
        one = vector if isinstance(vector, np.ndarray) else None
        found.append(Candidate(document, chunk, hit.score, legs, frozenset(tokens(chunk.text)), one))
    return found


def chosen(found: Sequence[Candidate], wanted: Wanted) -> list[Candidate]:
    """Of candidates, best first, those to be shown, best first."""
    unlike = _without_duplicates(found, wanted.duplicates)
    if wanted.diversity > 0 and len(unlike) > 1:
        unlike = _diverse(unlike, wanted.diversity)
    counts: Counter[str] = Counter()
    kept = []
    for one in unlike:
        counts[one.document.id] += 1
        if wanted.per_document is None or counts[one.document.id] <= wanted.per_document:
            kept.append(one)
    return kept if wanted.by_document else kept[: wanted.k]


def _without_duplicates(found: Sequence[Candidate], share: float) -> list[Candidate]:
    """Without those whose words overlap a better one's by more than `share` of all words of the two (Jaccard), or that
    have the same words."""
    kept: list[Candidate] = []
    for one in found:
        if not any(_overlap(one.words, other.words) >= min(share, 1.0) for other in kept):
            kept.append(one)
    return kept


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    either = len(one | other)
    return len(one & other) / either if either else 1.0


def _diverse(found: Sequence[Candidate], diversity: float) -> list[Candidate]:
    """By maximal marginal relevance; alike as their vectors are, or else their words. Scores count from 0 to 1."""
    scores = np.array([one.score for one in found], np.float32)
    spread = float(scores.max() - scores.min())
    relevance = (scores - scores.min()) / spread if spread else np.ones_like(scores)
    vectors = [one.vector for one in found if one.vector is not None]
    rows = np.stack(vectors).astype(np.float32) if len(vectors) == len(found) else _words(found)
    order = mmr(relevance, rows, Metric.COSINE, diversity, len(found))
    return [found[place] for place in order.tolist()]


def _words(found: Sequence[Candidate]) -> np.ndarray:
    """One component for each word that a candidate has."""
    places = {word: place for place, word in enumerate(sorted(frozenset().union(*(one.words for one in found))))}
    rows = np.zeros((len(found), max(1, len(places))), np.float32)
    for row, one in enumerate(found):
        rows[row, [places[word] for word in one.words]] = 1
    return rows
