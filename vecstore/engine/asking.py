"""One query: answered, planned, or asked why it did not find a point."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from vecstore.embed.requests import Embedding
from vecstore.engine.named import Named
from vecstore.engine.planning import Planning
from vecstore.engine.read_path import stop_after
from vecstore.engine.staged_reads import StagedReader
from vecstore.hits import Hits
from vecstore.query.filter import PointId
from vecstore.rows import TextRows
from vecstore.types import QueryRequest


class Asking(Named):
    embedding: Embedding
    _staged: StagedReader

    def query(self, request: QueryRequest) -> Hits:
        request = self.named(request)
        staged = request.is_staged
        if staged or isinstance(request.vector, TextRows):  # what else holds no texts
            (request,) = self.embedding.resolved([request])
        collection = self.collection(request.collection)
        with stop_after(request.timeout_s, self.settings):
            if staged:
                return self._staged.run(collection, request, self._staged.check(collection, request))
            return self.reader.answer(collection, request)

    def explain(self, request: QueryRequest, *, analyze: bool = False) -> dict[str, Any]:
        """The plan of a query (`engine.planning`), its filter and prefetches included, without answering it; with
        `analyze` it is answered too: `measured` is what `explain=True` gives, `found` the number of answers. JSON-able.

        Raises what the query would."""
        (request,) = self.embedding.resolved([self.named(request)])
        collection = self.collection(request.collection)
        with stop_after(request.timeout_s, self.settings):
            stage = self._staged.check(collection, request)
            view = self.reader.view_at(collection, request.min_seq)
            plan = Planning(self.reader.kernels, view, self.settings.storage).described(stage)
            if request.mmr is not None:
                plan = {"stage": "mmr", "limit": request.k, "prefetch": [plan]}
        found: dict[str, Any] = {"seq": view.seq, "points": view.points, "plan": plan}
        if not analyze:
            return found
        hits = self.query(replace(request, explain=True))
        quality = None if hits.quality is None else asdict(hits.quality)
        return {**found, "measured": hits.explain, "found": len(hits), "quality": quality}

    def why_not(self, request: QueryRequest, id: PointId) -> tuple[dict[str, Any], int]:
        """Why a point is not among the answers to a query (`engine.why_not`), and the seq read."""
        (request,) = self.embedding.resolved([self.named(request)])
        collection = self.collection(request.collection)
        with stop_after(request.timeout_s, self.settings):
            return self._staged.why_not(collection, request, id, self._staged.check(collection, request))
