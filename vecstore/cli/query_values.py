"""Values of the options of `vecstore query`: vectors, texts, ids and files."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from vecstore.client._sync.collection import Collection
from vecstore.client.vectors import only_vector
from vecstore.errors import InvalidArgument, NotFound, invalid
from vecstore.gateway.decoding import Decoders
from vecstore.io.jsonl import read_vector
from vecstore.query.filter import PointId
from vecstore.rows import StoredVector
from vecstore.schema import Schema, VectorField, VectorKind
from vecstore.wire.rest.queries import QueryBody


@dataclass(frozen=True, slots=True)
class Leg:
    """What is searched in one field."""

    using: str
    vector: Any


def read_legs(params: Mapping[str, Any], schema: Schema) -> list[Leg]:
    """The vectors, texts, sparse vectors and multi-vectors given, in this order. Raises InvalidArgument, NotFound."""
    legs = []
    for option in ("vector", "text", "sparse", "multi"):
        for given in params[option] or ():
            name, value = _named(given, option, params["using"], schema)
            field = schema.vectors[name]
            if option == "text":
                vector: Any = sys.stdin.read() if value == "-" else value
            else:
                vector = read_given(value, field, f"--{option}")
            legs.append(Leg(name, vector))
    return legs


def _named(given: str, option: str, using: str | None, schema: Schema) -> tuple[str, str]:
    """The field, and what is left when its name and = are taken away."""
    name, equals, value = given.partition("=")
    if equals and name in schema.vectors:
        return name, value
    if using is not None or option == "vector":
        return only_vector(schema, using), given
    suited = [name for name, field in schema.vectors.items() if _suits(field, option)]
    if len(suited) != 1:
        what = f"one of {', '.join(suited)}" if suited else f"none of the collection's fields takes --{option}"
        message = f"--{option} needs a field, as --{option} FIELD=...: {what}"
        raise invalid("VECTOR_NAME_UNKNOWN", message, option)
    return suited[0], given


def _suits(field: VectorField, option: str) -> bool:
    if option == "text":
        return field.kind is VectorKind.TEXT or bool(field.embedder)
    return field.kind is (VectorKind.SPARSE if option == "sparse" else VectorKind.MULTI)


def read_json(text: str, where: str, reason: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidArgument(f"{where} is not JSON: {error}", reason=reason) from None


def read_given(text: str, field: VectorField, option: str) -> Any:
    """A vector, or words for a text field, from the command line, standard input or a file."""
    if field.kind is VectorKind.TEXT:
        return sys.stdin.read() if text == "-" else text
    if text == "-":
        return _vector(sys.stdin.read(), "standard input")
    if text.lstrip().startswith(("[", "{", '"')):
        return _vector(text, option)
    path = Path(text)
    if not path.is_file():
        raise NotFound(f"{option} {text} is neither JSON nor a file", reason="FILE_NOT_FOUND")
    if path.suffix == ".npy":
        try:
            found = np.load(path)
        except (ValueError, EOFError) as error:
            raise InvalidArgument(f"{path} is not a numpy array: {error}", reason="BAD_VECTOR") from None
        return found if field.kind is VectorKind.MULTI else np.squeeze(found)
    return _vector(path.read_text(encoding="utf-8"), text)


def _vector(text: str, where: str) -> Any:
    try:
        return read_vector(read_json(text, where, "BAD_VECTOR"))
    except ValueError as error:
        raise InvalidArgument(f"{where} is no vector: {error}", reason="BAD_VECTOR") from None


def read_body(path: str) -> QueryBody:
    """A query in the form that the REST interface takes. Raises InvalidArgument naming the part that is wrong."""
    if path == "-":
        data = sys.stdin.read().encode()
    elif Path(path).is_file():
        data = Path(path).read_bytes()
    else:
        raise NotFound(f"--request {path} is no file", reason="FILE_NOT_FOUND")
    body: QueryBody = Decoders().decode(data, QueryBody)
    return body


def find_point(collection: Collection, text: str, name: str) -> tuple[PointId, StoredVector]:
    """The point whose id reads as `text` (as a number, UUID or string, the first that exists) and its vector."""
    for one in ids_that_read(text):
        for point in collection.get([one], with_payload=False, with_vectors=[name]):
            if not point.vectors or name not in point.vectors:
                raise NotFound(f"point {text} has no vector {name!r}", reason="VECTOR_NOT_FOUND")
            return point.id, point.vectors[name]
    raise NotFound(f"point {text} does not exist in {collection.name}", reason="POINT_NOT_FOUND")


def ids_that_read(text: str) -> list[PointId]:
    ids: list[PointId] = []
    if text.isascii() and text.isdigit() and int(text) < 1 << 64:
        ids.append(int(text))
    with contextlib.suppress(ValueError):
        ids.append(UUID(text))
    return [*ids, text]


def ids_between_commas(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").split(",") if one.strip()]


def numbers_between_commas(text: str | None, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in ids_between_commas(text))
    except ValueError as error:
        raise InvalidArgument(f"{option} has what is no number: {error}", reason="BAD_ARGUMENT") from None
