"""Filters to measure graph indexes with: payload fields, and for each query the filter that it carries.

`random`: rows drawn alike, one field for all queries. `far`: negatively correlated; queries are grouped around pivots,
and a group's field is the rank of a row by distance from the group's pivot, the farthest first, in thousandths: the 1 %
that such a filter lets through are the hundredth of the rows that is farthest from what the queries look for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench import datasets
from bench.configs import BUCKETS, buckets
from bench.contest import Data, Truth

GROUPS = 8
GROUP_QUERIES = 25
SHARES = (0.5, 0.1, 0.01, 0.001)


@dataclass(frozen=True, slots=True)
class Group:
    """Queries that carry the filter `field < limit`."""

    queries: np.ndarray  # (nq, dim)
    field: str
    limit: int
    allowed: np.ndarray  # (n,) bool, the rows that match


@dataclass(frozen=True, slots=True)
class Case:
    name: str  # random, far
    share: float
    groups: list[Group]
    truth: Truth  # of the groups' queries, one group after another


def grouped(queries: np.ndarray, seed: int = 1) -> list[np.ndarray]:
    """Row numbers of queries, a group's pivot first: pivots are drawn, and the queries nearest to one are its group."""
    rng = np.random.default_rng(seed)
    pivots = rng.choice(len(queries), min(GROUPS, len(queries)), replace=False)
    return [np.argsort(-(queries @ queries[pivot]), kind="stable")[:GROUP_QUERIES] for pivot in pivots]


def fields(data: Data, groups: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The payload: for each field a value from 0 to BUCKETS - 1 for each row."""
    count = len(data.rows)
    found = {"bucket": buckets(count)}
    for number, queries in enumerate(groups):
        order = np.argsort(data.rows @ data.queries[queries[0]], kind="stable")  # the farthest first
        rank = np.empty(count, np.int64)
        rank[order] = np.arange(count)
        found[f"far{number}"] = rank * BUCKETS // count
    return found


def cases(data: Data, payload: dict[str, np.ndarray], groups: list[np.ndarray], k: int) -> Iterator[Case]:
    """Every share of both kinds by which each filter lets k rows through or more."""
    for name in ("random", "far"):
        for share in SHARES:
            limit = round(share * BUCKETS)
            found = []
            for number, rows in enumerate(groups):
                field = "bucket" if name == "random" else f"far{number}"
                found.append(Group(data.queries[rows], field, limit, payload[field] < limit))
            if min(int(group.allowed.sum()) for group in found) < k:
                continue
            asked = np.concatenate([group.queries for group in found])
            nearest = [datasets.nearest("dot", data.rows, group.queries, k, group.allowed) for group in found]
            yield Case(name, share, found, Truth(data.rows, asked, np.concatenate(nearest), k))
