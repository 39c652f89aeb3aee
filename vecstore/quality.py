"""How good an answer is, as far as the engine knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

QUALITIES_REMEMBERED = 256
BASES = ("exact", "queries", "rows", "unfamiliar")  # what is known best comes first


@dataclass(frozen=True, slots=True)
class Quality:
    """`est_recall` is the share of the true nearest that the calibration of the indexes promises for the settings that
    were used, over the segments that were searched by their rows: 1.0 for an exact answer, None where nothing is known.
    It takes filters to have nothing to do with the query.

    `basis` is what it rests on, of several segments the weakest: `exact`; `queries` of the user's own, or live ones,
    that the indexes were tuned on; `rows` held out at build; `unfamiliar`: the query (one of the batch) is farther from
    what it found than 98 % of those that the calibration asked, and a margin was kept for that; empty where nothing is
    known.

    `complete` is False where a part of the collection was left out: `skipped_segments` with `skipped_points` alive,
    which wait for an index (`indexed_only`) or were not searched in time (`allow_partial`; then `timed_out`).
    `strategy` names what searched: `exact_scan`, or an index (`graph`, `ivf`, ...) with `_filtered` where it passed by
    what a filter refuses and `_scan` where it read the codes of what a filter allows; several segments' joined by `+`,
    stages as `rrf(graph, inverted)`."""

    est_recall: float | None
    complete: bool
    strategy: str
    basis: str = ""
    skipped_segments: int = 0
    skipped_points: int = 0
    timed_out: bool = False


class Part(NamedTuple):
    """One segment that was searched."""

    rows: int
    recall: float | None
    strategy: str
    basis: str


NOTHING = Quality(1.0, True, "none", "exact")  # of a search among no rows


def over_segments(parts: Sequence[Part]) -> Quality:
    """Of the segments that were searched, where none was left out."""
    if len(parts) == 1:
        return of_segment(parts[0].recall, parts[0].strategy, parts[0].basis)
    if not parts:
        return NOTHING
    rows = known = 0.0
    for part in parts:
        if part.recall is None:
            rows = 0.0
            break
        rows += part.rows
        known += part.rows * part.recall
    strategies = "+".join(sorted({part.strategy for part in parts}))
    return Quality(known / rows if rows else None, True, strategies, _weakest([part.basis for part in parts]))


@lru_cache(QUALITIES_REMEMBERED)
def of_segment(recall: float | None, strategy: str, basis: str) -> Quality:
    """Of the one that was searched: the same object again and again, as the same settings promise the same."""
    return Quality(recall, True, strategy, basis)


def over_stages(name: str, parts: Sequence[Quality], own: Quality = NOTHING) -> Quality:
    """Of a stage over what its prefetches found: no better than the worst of them. What several left out counts once,
    as much as the one that left out most. `own` is of what the stage itself scored, which may be a part of that."""
    recalls = [part.est_recall for part in parts]
    worst = (
        None if any(recall is None for recall in recalls) else min((r for r in recalls if r is not None), default=1.0)
    )
    listed = ", ".join(part.strategy for part in parts)
    quality = _over(parts, worst, f"{name}({listed})" if listed else name)
    if own.complete:
        return quality
    every = _over((quality, own), worst, quality.strategy)
    return replace(every, basis=quality.basis)


def over_rounds(first: Quality, more: Quality) -> Quality:
    """Of a search, and another one for what it did not reach."""
    recalls = (first.est_recall, more.est_recall)
    worst = None if None in recalls else min(recall for recall in recalls if recall is not None)
    return _over((first, more), worst, "+".join(dict.fromkeys((first.strategy, more.strategy))))


def _over(parts: Sequence[Quality], recall: float | None, strategy: str) -> Quality:
    return Quality(
        recall,
        all(part.complete for part in parts),
        strategy,
        _weakest([part.basis for part in parts]),
        max((part.skipped_segments for part in parts), default=0),
        max((part.skipped_points for part in parts), default=0),
        any(part.timed_out for part in parts),
    )


def _weakest(bases: Sequence[str]) -> str:
    if "" in bases:
        return ""
    return max(bases, key=BASES.index, default="exact")
