"""How good an answer is, as far as the engine knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quality:
    """`est_recall` is the share of the true nearest that the calibration of the indexes promises for the settings that
    were used, over segments by their rows: 1.0 for an exact answer, None where nothing is known. It is of queries like
    those that the calibration was measured on, and takes filters to have nothing to do with the query.

    `complete` is False where a part of the collection was left out. `strategy` names what searched: `exact_scan`, or an
    index (`graph`, `ivf`, ...) with `_filtered` where it passed by what a filter refuses and `_scan` where it read the
    codes of what a filter allows; several segments' joined by `+`, stages as `rrf(graph, inverted)`."""

    est_recall: float | None
    complete: bool
    strategy: str


NOTHING = Quality(1.0, True, "none")  # of a search among no rows


def over_segments(parts: Sequence[tuple[int, float | None, str]], complete: bool = True) -> Quality:
    """Of (rows, recall, strategy) of each segment that was searched."""
    if len(parts) == 1:
        return Quality(parts[0][1], complete, parts[0][2])
    if not parts:
        return NOTHING if complete else Quality(None, False, "none")
    rows = known = 0.0
    for count, recall, _ in parts:
        if recall is None:
            rows = 0.0
            break
        rows += count
        known += count * recall
    strategies = "+".join(sorted({strategy for _, _, strategy in parts}))
    return Quality(known / rows if rows else None, complete, strategies)


def over_stages(name: str, parts: Sequence[Quality]) -> Quality:
    """Of a stage over what its prefetches found: no better than the worst of them."""
    recalls = [part.est_recall for part in parts]
    worst = (
        None if any(recall is None for recall in recalls) else min((r for r in recalls if r is not None), default=1.0)
    )
    listed = ", ".join(part.strategy for part in parts)
    return Quality(worst, all(part.complete for part in parts), f"{name}({listed})" if listed else name)
