"""Answers requests for estimates: a schema that is not there yet, or a collection beside what it takes now."""

from __future__ import annotations

from typing import Any

from vecstore import validate
from vecstore.config import Settings
from vecstore.engine.collection import Collection
from vecstore.engine.estimate import Estimate
from vecstore.engine.indexing import Indexing
from vecstore.engine.stats import collection_stats
from vecstore.engine.typical import asked_of, check_points, typical_of
from vecstore.engine.updating import check_settings
from vecstore.errors import invalid
from vecstore.estimating import EstimateRequest
from vecstore.index_spec import Auto
from vecstore.schema import Schema, with_defaults

_ACTUAL = ("points", "rows", "deleted", "bytes", "log_bytes")


def check_subject(request: EstimateRequest) -> str | None:
    """The collection that is asked about, if it is one. Raises InvalidArgument (BAD_ARGUMENT)."""
    if (request.collection is None) == (request.schema is None):
        raise invalid("BAD_ARGUMENT", "an estimate is of a schema or of a collection: give one", "schema")
    if request.schema is not None and request.points is None:
        raise invalid("BAD_ARGUMENT", "points is missing: an estimate of a schema needs it", "points")
    return request.collection


def estimated(
    request: EstimateRequest,
    collection: Collection | None,
    schema: Schema | None,
    indexing: Indexing,
    settings: Settings,
) -> dict[str, Any]:
    """`schema` is the one to estimate where there is no collection, with the dimensions of its embedders."""
    if collection is None:
        assert schema is not None
        validate.check_schema(schema, settings.limits)
        check_settings(schema, settings.limits)
        schema = with_defaults(schema, Auto())
        typical = asked_of(request, schema, settings.limits)
        points = check_points(request.points)
        return Estimate(schema, points, typical, indexing, settings).described(indexing.used())
    view = collection.view
    typical = asked_of(request, view.schema, settings.limits, typical_of(view))
    points = view.points if request.points is None else check_points(request.points)
    found = Estimate(view.schema, points, typical, indexing, settings).described(indexing.used_beside(collection))
    stats = collection_stats(collection, indexing)
    actual = {name: stats[name] for name in _ACTUAL}
    actual["vectors"] = {
        name: {"index": one["index"], "served_by": one["served_by"], "bytes": one["bytes"]}
        for name, one in stats["vectors"].items()
    }
    return {**found, "actual": actual}
