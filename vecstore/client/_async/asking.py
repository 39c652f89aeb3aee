"""Asking a collection: queries of all kinds, and what is said about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, Unpack

from vecstore.client._async.handle import AsyncHandle
from vecstore.client.batches import pieces, request_bytes_max
from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.fusing import as_listed
from vecstore.client.query import Asked, BatchOptions, QueryOptions, check_batch_options, request_of
from vecstore.client.query_batches import Query, are_queries, as_requests, check_no_options, cut_requests, further
from vecstore.client.requests import as_count, as_text, as_timeout
from vecstore.client.stages import RRF, hybrid_stages
from vecstore.client.vectors import Ids, as_ids, as_queries, only_vector
from vecstore.errors import VecstoreError
from vecstore.facets import FacetRequest, Matrix, MatrixRequest
from vecstore.grouping import Groups, GroupsRequest
from vecstore.hits import Hits
from vecstore.query.filter import PointId, Scalar
from vecstore.query.fusion import Fusion
from vecstore.query.fusion_advice import FusionAdvice, advise_fusion
from vecstore.schema import Schema, larger_is_nearer
from vecstore.types import QueryRequest

Q = TypeVar("Q")
T = TypeVar("T")


class AsyncAsking(AsyncHandle):
    """What a handle on a collection can be asked."""

    _queries: Asked

    async def query(self, vector: Any = None, k: int = 10, **options: Unpack[QueryOptions]) -> Hits:
        """The `k` points nearest to `vector`, best first, after the first `offset`.

        `vector` is array-like of shape (dim,); for a binary field packed uint8 or bool, for a sparse field
        {index: value}, (indices, values) or a row of a scipy matrix, for a multi-vector field an array (tokens, dim),
        for a text field a string. `using` names the vector field and may be left out when there is one. Scores:
        similarity for cosine, dot, bm25 and maxsim (large is near), distance for l2 and hamming (small is near);
        `score_threshold` drops what is worse. If at least k live points match the filter, k come back; of a sparse or
        text field, a point matches that has an index in common with the query.

        Instead of a vector, `NearestId(7)` asks by the vector of a stored point, `Recommend` and `Discover` by several
        examples; `OrderBy("year")` gives points in the order of a payload key, `Sample()` any points,
        `ByMetric(vector, name)` the nearest in a metric of your own (`register_metric`).
        An expression of `vecstore.formula`, or {"formula": ...}, ranks what the prefetches found.

        With `prefetch`, what these queries find is the start: `fusion` ranks it (`RRF()`, `DBSF()`, `RelativeScore()`;
        no vector then), or `vector` scores it exactly. `mmr` chooses answers that are unlike each other.

        `with_payload` and `with_vectors` choose what comes back of each point: all, nothing, or some keys or names.
        `timeout_s` bounds the time it takes; `explain` says how it was answered.

        How hard an index looks, each left to it by default: `nprobe` lists to visit, `ef` candidates that a walk of a
        graph keeps, `oversampling` times `k` candidates to rerank, `recall` to reach, `block_factor` by which blocks of
        sparse vectors are given the benefit of the doubt (1 none). `exact` scans the stored vectors;
        `rescore=False` answers with estimated scores; `truncate_dim` compares this many leading components only.

        What may be left out for an answer in time, in the prefetches too: `indexed_only` leaves out segments that wait
        for an index, such as what was written last; `allow_partial` answers from the segments searched so far when
        `timeout_s` runs out, in place of DeadlineExceeded. `hits.quality` then says `complete=False` and how many
        points were skipped.

        The answer is a sequence of `Hit` (`id`, `score`, `payload`, `vectors`) with the arrays `ids` (n,), uint64 or
        objects, and `scores` (n,), float32. Raises InvalidArgument (DIMENSION_MISMATCH, VECTOR_NAME_UNKNOWN,
        NAN_OR_INF, BAD_FILTER, LIMIT_EXCEEDED, ...), NotFound (COLLECTION_NOT_FOUND, POINT_NOT_FOUND), DeadlineExceeded
        (QUERY_TIMEOUT), and TypeError for an option that there is not.
        """
        return await self._by_schema(self._ask, vector, k, options)

    async def query_groups(
        self,
        vector: Any = None,
        k: int = 10,
        *,
        group_by: str,
        group_size: int = 3,
        **options: Unpack[QueryOptions],
    ) -> Groups:
        """The first `k` groups of points with the same value at a payload key, such as the document of each chunk, in
        the order of their best hits, each with its `group_size` best hits. The query is as in `query`, without offset
        and MMR.

        Values are strings, integers and booleans; a point with an array is in the group of each of its values, one
        without such a value is left out."""
        by, size = as_text("group_by", group_by), as_count("group_size", group_size)
        return await self._queried(
            self._transport.query_groups, lambda query: GroupsRequest(query, by, size), vector, k, options
        )

    async def explain(
        self, vector: Any = None, k: int = 10, *, analyze: bool = False, **options: Unpack[QueryOptions]
    ) -> dict[str, Any]:
        """What a query would do: for each stage and segment the way that it would take, what that and the alternatives
        are expected to cost, and how many points its filter lets through, by payload indexes alone. No vector is read.
        With `analyze` the query is answered, too: `measured` has counts and times, as `explain=True` gives them."""
        return await self._queried(
            lambda query: self._transport.explain(query, analyze=analyze), lambda query: query, vector, k, options
        )

    async def why_not(
        self, id: PointId, vector: Any = None, k: int = 10, **options: Unpack[QueryOptions]
    ) -> dict[str, Any]:
        """Why a point is not among the answers to a query: `verdict`, its true `rank` and `score` by exact search, the
        conditions that do not hold, and the same for each prefetch. It ranks every point that matches."""

        async def ask(query: QueryRequest) -> dict[str, Any]:
            return (await self._transport.why_not(query, id))[0]

        return await self._queried(ask, lambda query: query, vector, k, options)

    async def facet(self, key: str, *, filter: FilterLike | None = None, limit: int = 10) -> list[tuple[Scalar, int]]:
        """The `limit` most frequent values of a payload key among the points that match, with exact counts: strings,
        integers and booleans. A point counts once for each of its values."""
        where = as_filter(filter, self._limits)
        request = FacetRequest(self.name, as_text("key", key), where, as_count("limit", limit), self._asked, self._seen)
        return (await self._transport.facet(request)).counts

    async def distance_matrix(
        self,
        ids: Ids | None = None,
        *,
        using: str | None = None,
        filter: FilterLike | None = None,
        sample: int = 100,
        seed: int | None = None,
        timeout_s: float | None = None,
    ) -> Matrix:
        """The scores of points with each other (`.ids`, and `.scores` float32 (n, n)): of those listed, or of a
        `sample` of those that match; the same one for the same `seed`."""
        listed, where = None if ids is None else as_ids(ids), as_filter(filter, self._limits)
        time_s = as_timeout(timeout_s, self._timeout_s)
        count, seed = as_count("sample", sample), None if seed is None else as_count("seed", seed)
        request = MatrixRequest(self.name, using, listed, where, count, seed, self._asked, time_s, self._seen)
        return await self._transport.matrix(request)

    async def _queried(
        self,
        send: Callable[[Q], Awaitable[T]],
        make: Callable[[QueryRequest], Q],
        vector: Any,
        k: int,
        options: QueryOptions,
    ) -> T:
        async def query(schema: Schema) -> T:
            return await send(make(self._query(schema, vector, k, options)))

        return await self._by_schema(query)

    async def _ask(self, schema: Schema, vector: Any, k: int, options: QueryOptions) -> Hits:
        return await self._transport.query(self._query(schema, vector, k, options))

    def _query(self, schema: Schema, vector: Any, k: int, options: QueryOptions) -> QueryRequest:
        min_seq, min_seqs = self._seqs.wanted(self.name)
        request = self._queries.request(self.name, schema, self._limits, vector, k, min_seq, self._timeout_s, options)
        request.min_seqs = min_seqs
        return request

    async def hybrid(
        self,
        queries: Mapping[str, Any],
        k: int = 10,
        *,
        fusion: Fusion | None = None,
        candidates: int = 100,
        rerank: Mapping[str, Any] | None = None,
        filter: FilterLike | None = None,
        with_payload: bool | Sequence[str] = True,
        with_vectors: bool | Sequence[str] = False,
        timeout_s: float | None = None,
        explain: bool = False,
    ) -> Hits:
        """The `k` best points by several fields at once: `queries` has a query for each, such as
        {"dense": vector, "terms": {17: 0.5}}, whose `candidates` best are fused (`RRF()` by default). `rerank` scores
        the `candidates` best of the fusion exactly by one more field, such as {"tokens": array}. For more freedom
        compose `prefetch` in `query`."""
        stages = hybrid_stages(queries, RRF() if fusion is None else fusion, candidates, rerank, k)
        return await self.query(
            stages.vector, k, using=stages.using, filter=filter, with_payload=with_payload, with_vectors=with_vectors,
            prefetch=stages.prefetch, fusion=stages.fusion, timeout_s=timeout_s, explain=explain,
        )  # fmt: skip

    async def query_batch(self, queries: Any, k: int | None = None, **options: Unpack[BatchOptions]) -> list[Hits]:
        """The answers to many queries, in as few requests as the limits allow.

        `queries` is array-like of shape (n, dim), a scipy matrix or a list, each row one query; `k` (10 where it is
        left out) and the options are for all. Or a list of `Query(vector, k, ...)`, each of its own kind and with its
        own options, as in `query`; then no others are given here. Errors name the place of what is wrong
        (`queries[3]`), and one bad query fails them all."""
        if are_queries(queries):
            return await self._query_each(queries, k, options)
        check_batch_options(options)
        count = 10 if k is None else k

        async def query(schema: Schema) -> list[Hits]:
            rows = as_queries(queries, schema.vectors[only_vector(schema, options.get("using"))])
            request = request_of(self.name, self._limits, rows, count, self._asked, self._timeout_s, options)
            request.min_seqs = self._seen
            answers: list[Hits] = []
            for part in pieces(rows, request_bytes_max(self._limits), self._limits.queries_per_request_max):
                sent = request if part is rows else replace(request, vector=part)
                answers += await self._transport.query_many(sent)
            return answers

        return await self._by_schema(query)

    async def _query_each(self, queries: Sequence[Any], k: int | None, options: BatchOptions) -> list[Hits]:
        check_no_options(k, options)

        async def query(schema: Schema) -> list[Hits]:
            def build(one: Query) -> QueryRequest:
                return self._query(schema, one.vector, one.k, one.options)

            answers: list[Hits] = []
            bounds = request_bytes_max(self._limits), self._limits.queries_per_request_max
            for start, part in cut_requests(as_requests(queries, build), *bounds):
                try:
                    answers += await self._transport.query_batch(part)
                except VecstoreError as error:
                    raise further(error, start) from None
            return answers

        return await self._by_schema(query)

    async def tune_fusion(
        self,
        queries: Mapping[str, Any],
        relevant: Sequence[Mapping[PointId, float]],
        k: int = 10,
        *,
        candidates: int = 100,
        filter: FilterLike | None = None,
    ) -> FusionAdvice:
        """Which fusion ranks best by nDCG@k: `queries` has the rows of each field, as for `query_batch`, `relevant` for
        each row (20 at least) the gains of its right points by id. The best of the default and of each field alone is
        kept unless another is better beyond chance (95 %); pass the advice's `pick.fusion` to `hybrid`."""
        legs = [
            await self.query_batch(rows, candidates, using=name, filter=filter, with_payload=False)
            for name, rows in queries.items()
        ]
        schema = await self.schema()
        near = [larger_is_nearer(schema.vectors[name].metric) for name in queries]
        return advise_fusion(list(queries), *as_listed(legs, near, relevant), k)
