"""Requests for estimates."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from vecstore.errors import InvalidArgument
from vecstore.estimating import EstimateRequest
from vecstore.wire.rest.base import Answer, Body, Bounded, JsonObject
from vecstore.wire.rest.schemas import SchemaSpec, schema_from_json, schema_to_json


class EstimateBody(Body):
    """What is left out is what the collection has."""

    points: Annotated[Bounded | None, msgspec.Meta(description="How many there would be.")] = None
    entries: Annotated[
        dict[str, float],
        msgspec.Meta(description="By field: entries of a sparse row or text, or tokens of a multi-vector, on average."),
    ] = {}
    terms: Annotated[
        dict[str, Bounded],
        msgspec.Meta(description="By field: distinct indices, words, or values of indexed keywords."),
    ] = {}
    payload_bytes: Annotated[float | None, msgspec.Meta(description="Of a payload's JSON, on average.")] = None
    id_bytes: Annotated[
        float | None, msgspec.Meta(description="Of an id that is a text or a UUID; 0: ids are numbers.")
    ] = None


class EstimateSchemaBody(EstimateBody, kw_only=True):
    """A schema that is not made, and how many points it would have."""

    schema: SchemaSpec


class Estimate(Answer):
    """Per vector field the index and its parts' bytes, bytes by component as in stats, and by purpose what is on disk,
    mapped and resident; of a collection what it takes now (`actual`)."""

    estimate: JsonObject


def estimate_from_json(collection: str | None, given: EstimateBody | None) -> EstimateRequest:
    """Raises InvalidArgument (BAD_INDEX_SPEC)."""
    if given is None:
        return EstimateRequest(collection)
    schema = schema_from_json(given.schema) if isinstance(given, EstimateSchemaBody) else None
    return EstimateRequest(
        collection, schema, given.points, given.entries, given.terms, given.payload_bytes, given.id_bytes
    )


def estimate_to_json(request: EstimateRequest) -> EstimateBody:
    """Raises InvalidArgument (BAD_ARGUMENT) for what the body has no place for."""
    names = ("points", "entries", "terms", "payload_bytes", "id_bytes")
    given: dict[str, Any] = {name: getattr(request, name) for name in names}
    try:
        checked = msgspec.convert(given, EstimateBody)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"bad estimate: {error}", reason="BAD_ARGUMENT") from None
    if request.schema is None:
        return checked
    return EstimateSchemaBody(schema=schema_to_json(request.schema), **msgspec.structs.asdict(checked))
