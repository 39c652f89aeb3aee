"""From a request of several stages to checked ones. Every error names the stage, such as `prefetch[1].prefetch[0]`."""

from __future__ import annotations

import math
from dataclasses import replace

from vecstore import validate
from vecstore.config import Limits
from vecstore.engine.filtering import Filtering
from vecstore.engine.params import check_leaving, check_params, defaulted, field_of, leaving, searching
from vecstore.engine.ranking_check import check_by_metric, check_ranking, check_unscored
from vecstore.engine.stage import Stage
from vecstore.errors import VecstoreError, invalid, limit_exceeded
from vecstore.given import query_rows
from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.query.formula_check import check_formula
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.query.parse import check_filter
from vecstore.ranking import ByMetric, Formula, OrderBy, Sample
from vecstore.schema import Schema, VectorKind
from vecstore.types import Mmr, Prefetch, QueryRequest

RRF_K_MAX = 1_000_000
WEIGHT_MAX = 1e6


class StageCheck:
    """Checks the stages of one request against a schema."""

    def __init__(self, schema: Schema, limits: Limits, filtering: Filtering) -> None:
        self._schema = schema
        self._limits = limits
        self._filtering = filtering
        self._candidates = 0

    def root(self, request: QueryRequest, k: int) -> Stage:
        """The whole request; its own answer is the k best. Raises InvalidArgument."""
        wanted = request.mmr
        if wanted is not None:
            _check_mmr(wanted, self._limits)
            k = max(k, wanted.candidates)
        stage = self._stage(request, k, "", 1, DEFAULT_PARAMS)
        dense = stage.field is not None and stage.field.kind is VectorKind.DENSE and stage.by_vector
        if wanted is not None and not dense:
            kind = "a fusion" if stage.fusion is not None else "several vectors"
            if stage.field is not None and stage.by_vector:
                kind = f"a {stage.field.kind.value} field"
            elif isinstance(stage.ranking, ByMetric):
                kind = "a metric of the user's own"
            raise invalid("BAD_ARGUMENT", f"mmr needs a query of a dense field, this is one of {kind}", "mmr")
        return stage

    def _stage(self, request: QueryRequest | Prefetch, k: int, path: str, depth: int, above: SearchParams) -> Stage:
        """What may be left out of one stage may be of all below it: `above` says so."""
        limits = self._limits
        check_leaving(request.params)
        params = leaving(request.params, above)
        if depth > limits.prefetch_depth_max + 1:
            raise limit_exceeded("prefetch_depth_max", depth - 1, limits.prefetch_depth_max, path="prefetch depth")
        stages = []
        for place, below in enumerate(request.prefetch):
            inner = f"{path}prefetch[{place}]"
            wanted = validate.check_count(below.k, f"{inner}.limit", 1, "k_max", limits.k_max)
            stages.append(self._stage(below, wanted, f"{inner}.", depth + 1, params))
            self._candidates += wanted
        if self._candidates > limits.prefetch_candidates_max:
            bound = limits.prefetch_candidates_max
            raise limit_exceeded("prefetch_candidates_max", self._candidates, bound, path="limits of all prefetches")
        if request.score_threshold is not None and not math.isfinite(request.score_threshold):
            raise invalid("NAN_OR_INF", f"{path}score_threshold must be finite", f"{path}score_threshold")
        where = request.filter
        if where is not None:
            where = check_filter(where, limits)
            self._filtering.check(where, self._schema)
        stage = Stage(k, filter=where, threshold=request.score_threshold, params=params, stages=stages)
        if request.fusion is not None:
            stage.fusion = self._fusion(request.fusion, request, path)
            return stage
        if stages:
            request = replace(request, params=searching(request.params))  # what may be left out is theirs
        if request.vector is None and request.ranking is None:
            raise invalid("BAD_ARGUMENT", f"{path}query is missing: give a vector or a fusion", f"{path}query")
        try:
            if isinstance(request.ranking, OrderBy | Sample) and request.vector is None:
                self._unscored(request.ranking, request)
                stage.ranking = check_unscored(request.ranking, self._schema, limits)
                return stage
            if isinstance(request.ranking, Formula) and request.vector is None:
                stage.ranking = self._formula(request.ranking, request)
                return stage
            stage.name, stage.field = field_of(self._schema, request.using)
            if isinstance(request.ranking, ByMetric) and request.vector is None:
                stage.ranking = check_by_metric(request.ranking, request.params, stage.field, limits)
                return stage
            if request.ranking is not None:
                if request.vector is not None:
                    raise invalid("BAD_ARGUMENT", "a vector and examples are both given: give one", "query")
                stage.ranking = check_ranking(
                    request.ranking, request.params if stages else params, stage.field, limits
                )
                stage.params = defaulted(params, stage.field)
                return stage
            assert request.vector is not None
            stage.vectors = query_rows(request.vector, stage.field, limits)
            check_params(request.params, stage.field, stage.vectors)
            stage.params = defaulted(params, stage.field)
        except VecstoreError as error:
            raise (error.at(path.rstrip(".")) if path else error) from None
        return stage

    def _formula(self, formula: Formula, request: QueryRequest | Prefetch) -> Formula:
        if request.using is not None or request.params != DEFAULT_PARAMS:
            raise invalid("BAD_ARGUMENT", "using and params do not apply to a formula, which searches nothing", "using")
        if not request.prefetch:
            raise invalid("BAD_ARGUMENT", "formula has nothing to rank: give prefetches", "formula")
        for matches in check_formula(formula.expression, len(request.prefetch), self._limits):
            self._filtering.check(matches.filter, self._schema)
        return formula

    def _unscored(self, ranking: OrderBy | Sample, request: QueryRequest | Prefetch) -> None:
        for name, given in (("using", request.using), ("score_threshold", request.score_threshold)):
            if given is not None:
                kind = type(ranking).__name__
                raise invalid("BAD_ARGUMENT", f"{name} does not apply to {kind}, which scores nothing", name)
        if request.params != DEFAULT_PARAMS:
            raise invalid("BAD_ARGUMENT", "params do not apply to a query without a vector", "params")

    def _fusion(self, fusion: Fusion, request: QueryRequest | Prefetch, path: str) -> Fusion:
        where = f"{path}fusion"
        for what, given in (("a vector", request.vector), ("examples", request.ranking)):
            if given is not None:
                raise invalid("BAD_ARGUMENT", f"{where} and {what} are both given: give one", where)
        if not request.prefetch:
            raise invalid("BAD_ARGUMENT", f"{where} has nothing to fuse: give prefetches", where)
        if fusion.method is FusionMethod.RRF:
            validate.check_count(fusion.k, f"{where}.k", 1, "RRF_K_MAX", RRF_K_MAX)
            if request.score_threshold is not None:
                message = f"{path}score_threshold does not apply to rrf, whose scores are of ranks"
                raise invalid("BAD_ARGUMENT", message, f"{path}score_threshold")
        if fusion.weights and len(fusion.weights) != len(request.prefetch):
            message = f"{where} has {len(fusion.weights)} weights for {len(request.prefetch)} prefetches"
            raise invalid("BAD_ARGUMENT", message, f"{where}.weights")
        for place, weight in enumerate(fusion.weights):
            if not 0 <= weight <= WEIGHT_MAX:
                message = f"{where}.weights[{place}]={weight} must be in 0..{WEIGHT_MAX:g}"
                raise invalid("BAD_ARGUMENT", message, f"{where}.weights[{place}]")
        return fusion


def _check_mmr(wanted: Mmr, limits: Limits) -> None:
    if not 0 <= wanted.diversity <= 1:
        raise invalid("BAD_ARGUMENT", f"mmr.diversity={wanted.diversity} must be in 0..1", "mmr.diversity")
    validate.check_count(wanted.candidates, "mmr.candidates", 1, "k_max", limits.k_max)
