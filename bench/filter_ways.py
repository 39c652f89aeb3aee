"""How a filtered query may be answered: through our collection and index, by a plain search that is asked for more
until enough match, and by peers."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from bench.filter_cases import Group
from bench.graph_library import GraphLibrary
from bench.graph_ours import OurCollection, OurIndex
from bench.payloads import Payload, stacked
from bench.peers.hnsw import Hnswlib
from bench.peers.qdrant import QdrantGraph
from vecstore.config import Limits
from vecstore.engine.bitmaps import from_bools
from vecstore.index.base import SearchParams
from vecstore.query.filter import Filter, Range


class Ask(Protocol):
    def __call__(self, library: Any, group: Group, k: int, ef: int) -> Any:
        """As the library answers; `ef` 0 is its own choice."""


def by_collection(library: OurCollection, group: Group, k: int, ef: int) -> Any:
    """The filter on an indexed payload field."""
    matching = Filter(must=(Range(group.field, lt=group.limit),))
    return library.batch(group.queries, k, filter=matching, **{library.knob: ef})


def by_index(library: OurIndex, group: Group, k: int, ef: int) -> np.ndarray:
    """The filter as a bitmap of rows."""
    params = SearchParams(**{library.knob: ef})
    return library.index.search(library.kernels, group.queries, k, from_bools(group.allowed), params).rows


def asked_for_more(library: OurIndex, group: Group, k: int, ef: int) -> np.ndarray:
    """Without the filter: k / share answers to each query, then twice as many while fewer than k match, as far as a
    query may ask."""
    most = min(library.index.ntotal, Limits().k_max)
    found = np.full((len(group.queries), k), -1, np.int64)
    waiting, count = np.arange(len(found)), int(k / group.allowed.mean())
    while len(waiting):
        many = min(count, most)
        params = SearchParams(**{library.knob: max(ef, many) if library.knob == "ef" else ef})
        rows = library.index.search(library.kernels, group.queries[waiting], many, None, params).rows
        matching = (rows >= 0) & group.allowed[np.maximum(rows, 0)]
        found[waiting] = stacked([one[good][:k] for one, good in zip(rows, matching, strict=True)], k)
        if many == most:
            break
        waiting, count = waiting[matching.sum(axis=1) < k], 2 * count
    return found


def by_callback(library: Hnswlib, group: Group, k: int, ef: int) -> np.ndarray:
    """hnswlib asks a function for each label; where it finds fewer than k it raises an error."""
    library.index.set_ef(max(ef, k))
    allowed = group.allowed.tolist().__getitem__
    answers: list[Any] = []
    for query in group.queries:
        try:
            answers.append(library.index.knn_query(query, k, num_threads=1, filter=allowed)[0][0])
        except RuntimeError:
            answers.append(())
    return stacked(answers, k)


def by_shard(library: QdrantGraph, group: Group, k: int, ef: int) -> Any:
    import qdrant_edge as qdrant

    requests = [library.request(query, k, ef, (group.field, group.limit)) for query in group.queries]
    return library.shard.query_batch(qdrant.QueryBatchRequest(requests))


def ways(spec: str, payload: Payload) -> list[tuple[str, GraphLibrary, Ask]]:
    """(name, library to build, how it is asked); one library may be asked in several ways."""
    index, hnsw = OurIndex(spec), Hnswlib(16)
    return [
        ("vecstore collection", OurCollection(spec, payload), by_collection),
        ("vecstore index", index, by_index),
        ("vecstore index, asked for more", index, asked_for_more),
        ("hnswlib, filter function", hnsw, by_callback),
        ("qdrant-edge", QdrantGraph("f32", payload), by_shard),
    ]
