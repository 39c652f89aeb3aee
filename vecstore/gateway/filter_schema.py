"""JSON schemas of filters and formulas, for the OpenAPI document: what `vecstore.query.parse` and `formula_parse` read.
A test holds them to these parsers."""

from __future__ import annotations

from typing import Any

from vecstore.query.formula import ARITY, DECAYS
from vecstore.query.parse import BOUNDS, MATCHES


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(required), "additionalProperties": False,
    }  # fmt: skip


SCALAR = {"type": ["string", "number", "boolean"]}
KEY = {"type": "string", "minLength": 1, "description": "Path of a payload field, such as `author.name` or `tags[]`."}
PLACE = _object({"lat": {"type": "number"}, "lon": {"type": "number"}}, "lat", "lon")
_match = {
    name: {"type": "array", "items": SCALAR} if field == "values" else SCALAR if name == "value" else {"type": "string"}
    for name, (_, field) in MATCHES.items()
}
KEYED: dict[str, Any] = {
    "match": {**_object(_match), "minProperties": 1, "maxProperties": 1},
    "range": _object({bound: {"type": ["number", "string"]} for bound in BOUNDS}),
    "values_count": _object({bound: {"type": "integer"} for bound in BOUNDS}),
    "geo_radius": _object({"center": PLACE, "radius": {"type": "number"}}, "center", "radius"),
    "geo_bounding_box": _object({"top_left": PLACE, "bottom_right": PLACE}, "top_left", "bottom_right"),
}
UNKEYED: dict[str, Any] = {
    **{name: _object({"key": KEY}, "key") for name in ("exists", "is_null", "is_empty")},
    "has_id": {"type": "array", "items": {"type": ["integer", "string", "object"]}},
    "has_vector": {"type": "string"},
    "nested": _object({"key": KEY, "filter": _ref("Filter")}, "key", "filter"),
    "filter": _ref("Filter"),
}
_conditions = {"anyOf": [_ref("Condition"), {"type": "array", "items": _ref("Condition")}, {"type": "null"}]}
_groups = {
    "must": _conditions,
    "should": _conditions,
    "must_not": _conditions,
    "min_should": {
        "anyOf": [_object({"conditions": _conditions, "min_count": {"type": "integer"}}, "conditions", "min_count"),
                  {"type": "null"}],
    },
}  # fmt: skip
_operand = {"anyOf": [{"type": "number"}, _ref("Expression")]}
_decay = _object({"x": _operand, "target": _operand, "scale": {"type": "number"}, "midpoint": {"type": "number"}}, "x")
_number_or_null = {"type": ["number", "null"]}

SCHEMAS: dict[str, Any] = {
    "Filter": {
        "description": "All of must, none of must_not, one of should, min_count of min_should; or one condition; or a "
        "list of conditions that must all hold.",
        "anyOf": [_object(_groups), _ref("Condition"), {"type": "array", "items": _ref("Condition")},
                  {"type": "null"}],
    },
    "Condition": {
        "anyOf": [
            *(_object({"key": KEY, name: clause}, "key", name) for name, clause in KEYED.items()),
            *(_object({name: clause}, name) for name, clause in UNKEYED.items()),
            _object(_groups),
        ],
    },
    "Formula": {
        "description": "A rank expression over the scores and payloads of candidates, as a tree or as text, such as "
        "`score(0) + 0.2 * field('year', 0)`.",
        "anyOf": [{"type": "string"}, {"type": ["number", "null"]}, _ref("Expression")],
    },
    "Expression": {
        "description": "A node of a rank expression.",
        "anyOf": [
            *(_object({name: {"type": "array", "items": _operand, "minItems": low, "maxItems": high}}, name)
              for name, (low, high) in ARITY.items()),
            _object({"score": {"type": "integer"}, "default": {"type": "number"}}, "score"),
            _object({"field": KEY, "default": _number_or_null, "datetime": {"type": "boolean"}}, "field"),
            _object({"matches": _ref("Filter")}, "matches"),
            _object({"geo_distance": _object(
                {"key": KEY, "lat": {"type": "number"}, "lon": {"type": "number"}, "default": _number_or_null},
                "key", "lat", "lon")}, "geo_distance"),
            *(_object({f"{kind}_decay": _decay}, f"{kind}_decay") for kind in DECAYS),
        ],
    },
}  # fmt: skip
