"""What answering a query took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

# When it began and ended (time.perf_counter), queries, and the counters of each segment that was searched: what is
# noted while a query runs, of which `Usage` is made when it is asked for.
Spent: TypeAlias = tuple[float, float, int, Sequence[Mapping[str, int]]]


@dataclass(frozen=True, slots=True)
class Usage:
    """Of all `queries` that were answered together, in one pass over the data: a batch's, or those of several callers
    that met in a server. One query's part is a share of it.

    `time_us`: microseconds of the clock within the engine, from the view that was read to the answers' payloads;
    without waiting for others, for a write or for an embedder, and without the wire. `segments` that were searched, by
    each stage anew. `rows_scored`: rows that were compared with a query, by vector, code or token, again where a stage
    or a query did so again; of inverted lists those that were scored beyond their bounds. Rescoring of what an index
    found is not counted, nor are rows that a formula or a fusion ranked."""

    time_us: int
    queries: int
    segments: int
    rows_scored: int


def usage_of(spent: Spent) -> Usage:
    began, ended, queries, counted = spent
    scored = sum(one.get("rows_scanned", one.get("rows_scored", 0)) for one in counted)
    return Usage(round(1e6 * (ended - began)), queries, len(counted), scored)
