"""What the options of `vecstore query` ask for: which go together, and the request that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from vecstore.cli.query_values import (
    Leg,
    find_point,
    ids_between_commas,
    ids_that_read,
    numbers_between_commas,
    read_body,
    read_json,
    read_legs,
)
from vecstore.client._sync.collection import Collection
from vecstore.client.filters import as_filter
from vecstore.client.query import QueryOptions, query_request
from vecstore.client.rankings import Recommend
from vecstore.client.requests import as_count
from vecstore.client.stages import MMR, Prefetch
from vecstore.client.vectors import only_vector
from vecstore.config import Limits
from vecstore.query.filter import Filter, HasId, PointId
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.ranking import OrderBy
from vecstore.types import QueryRequest
from vecstore.wire.rest.query_requests import query_from_json

CANDIDATES = 100
EFFORT = (
    "nprobe", "ef", "oversampling", "recall", "exact", "rescore", "truncate_dim", "block_factor", "indexed_only",
    "allow_partial",
)  # fmt: skip
SHOWN = {"k", "filter", "threshold", "payload", "explain", "plan", "why_not", "group_by", "group_size"}
SEARCH = {*SHOWN, *EFFORT, "using"}
# The options that say what to search for, and those that each goes with.
WAYS: dict[str, tuple[str, ...]] = {
    "vector": ("vector", "text", "sparse", "multi"), "id": ("id",), "recommend": ("recommend", "negative"),
    "order_by": ("order_by",), "facet": ("facet",), "request": ("request",),
}  # fmt: skip
GOES_WITH: dict[str, set[str]] = {
    "vector": {*SEARCH, "fusion", "weights", "weigh_ranks", "formula", "candidates", "mmr"},
    "id": {*SEARCH, "mmr", "candidates"},
    "recommend": {*SEARCH, "strategy"},
    "order_by": {*SHOWN, "descending"} - {"threshold"},
    "facet": {"k", "filter"},
    "request": {"explain", "plan", "why_not", "group_by", "group_size"},
}
ALWAYS = {"collection", "target", "as_json"}
NEEDS = {
    "weights": ("fusion",), "weigh_ranks": ("weights",), "group_size": ("group_by",),
    "candidates": ("fusion", "formula", "mmr"),
}  # fmt: skip
EXCLUDES = {
    "formula": {"fusion", "mmr"},
    "why_not": {"explain", "plan", "group_by", "payload"},
    "plan": {"explain", "group_by", "payload"},
    "fusion": {"mmr"},
}


def way_of(ctx: typer.Context) -> str:
    """The key of `WAYS` that is asked for. Raises BadParameter for options that do not go together."""
    given = {name for name in ctx.params if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"}
    given -= ALWAYS
    asked = [way for way, options in WAYS.items() if given & set(options)]
    if len(asked) != 1:
        every = ", ".join(_flag(option) for options in WAYS.values() for option in options)
        one = "give one kind of query, not several" if asked else "give a query"
        raise typer.BadParameter(f"{one}: {every}", param_hint=_flag("vector"))
    (way,) = asked
    if odd := sorted(given - set(WAYS[way]) - GOES_WITH[way]):
        own = next(name for name in WAYS[way] if name in given)
        raise typer.BadParameter(f"does not go with {_flag(own)}", param_hint=_flag(odd[0]))
    legs = sum(len(ctx.params[name] or ()) for name in WAYS["vector"])
    present = {*given, *(["fusion"] if legs > 1 and "formula" not in given else [])}
    for name, others in EXCLUDES.items():
        if name in present and (both := sorted(present & others)):
            why = "several vectors and texts" if name == "fusion" and name not in given else _flag(name)
            raise typer.BadParameter(f"does not go with {why}", param_hint=_flag(both[0]))
    for name, any_of in NEEDS.items():
        if name in given and not present & set(any_of):
            raise typer.BadParameter(f"needs {' or '.join(map(_flag, any_of))}", param_hint=_flag(name))
    if "using" in given and legs > 1:
        raise typer.BadParameter("names one field of several: write FIELD=VALUE", param_hint=_flag("using"))
    if "fusion" in given and legs < 2:
        raise typer.BadParameter("needs several vectors or texts", param_hint=_flag("fusion"))
    if "weigh_ranks" in given and ctx.params["fusion"] not in (None, FusionMethod.RRF):
        raise typer.BadParameter("is of --fusion rrf", param_hint=_flag("weigh_ranks"))
    return way


def _flag(name: str) -> str:
    return "-k" if name == "k" else "--" + name.replace("_", "-")


def request_of(handle: Collection, way: str, params: Mapping[str, Any]) -> QueryRequest:
    """Raises InvalidArgument, and NotFound for points and files that do not exist."""
    if way == "request":
        request = query_from_json(handle.name, read_body(params["request"]), Limits())
        request.explain = request.explain or params["explain"]
        return request
    schema = handle.schema()
    effort: Any = {name: params[name] for name in EFFORT}
    options: QueryOptions = {
        "filter": read_filter(params["filter"]), "score_threshold": params["threshold"],
        "with_payload": params["payload"], "explain": params["explain"],
    }  # fmt: skip
    asked: Any = None
    if way == "vector":
        legs = read_legs(params, schema)
        if len(legs) == 1 and params["formula"] is None:
            asked = legs[0].vector
            options = {**options, **effort, "using": legs[0].using, "mmr": _mmr(params)}
        else:
            asked = None if params["formula"] is None else {"formula": params["formula"]}
            options["prefetch"] = [_prefetch(leg, params, effort) for leg in legs]
            options["fusion"] = None if asked is not None else _fusion(params)
    elif way == "id":
        name = only_vector(schema, params["using"])
        own, asked = find_point(handle, params["id"], name)
        tree = read_filter(params["filter"])
        options["filter"] = Filter(must=() if tree is None else (tree,), must_not=(HasId((own,)),))
        options = {**options, **effort, "using": name, "mmr": _mmr(params)}
    elif way == "recommend":
        like, unlike = (_examples(handle, params[name]) for name in ("recommend", "negative"))
        asked = Recommend(like, unlike, params["strategy"])
        options = {**options, **effort, "using": params["using"]}
    else:
        asked = OrderBy(params["order_by"], params["descending"])
    return query_request(handle.name, schema, Limits(), asked, params["k"], 0, handle._timeout_s, options)


def read_filter(text: str | None) -> Filter | None:
    return None if text is None else as_filter(read_json(text, "--filter", "BAD_FILTER"), Limits())


def one_that_exists(handle: Collection, text: str) -> PointId:
    """The id that `text` is read as: of a point that exists, or what reads first."""
    every = ids_that_read(text)
    found = handle.get(every, with_payload=False)
    return found[0].id if found else every[0]


def _examples(handle: Collection, text: str | None) -> list[PointId]:
    return [one_that_exists(handle, one) for one in ids_between_commas(text)]


def _prefetch(leg: Leg, params: Mapping[str, Any], effort: Any) -> Prefetch:
    k = params["candidates"]
    return Prefetch(vector=leg.vector, using=leg.using, k=CANDIDATES if k is None else as_count("k", k), **effort)


def _fusion(params: Mapping[str, Any]) -> Fusion:
    method = params["fusion"] or FusionMethod.RRF
    weights = numbers_between_commas(params["weights"], "--weights")
    return Fusion(method, weights=weights, weigh_ranks=params["weigh_ranks"])


def _mmr(params: Mapping[str, Any]) -> Any:
    if params["mmr"] is None:
        return None
    return MMR(params["mmr"], CANDIDATES if params["candidates"] is None else params["candidates"])
