"""Builders of a collection's schema. Every builder has a plain dictionary that means the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from vecstore.errors import InvalidArgument
from vecstore.index_check import IndexLike, read_index
from vecstore.schema import NEAREST, DataType, FieldKind, Metric, Schema, SearchDefaults, VectorField, VectorKind

_ENUMS = {"kind": tuple(VectorKind), "metric": tuple(Metric), "datatype": tuple(DataType)}
DEFAULT_VECTOR = "default"  # the name of a collection's vector field when it is given without one

VectorSpec: TypeAlias = VectorField | Mapping[str, Any]
VectorSpecs: TypeAlias = VectorSpec | Mapping[str, VectorSpec]
SearchLike: TypeAlias = SearchDefaults | Mapping[str, float | int | None] | None
IndexKind: TypeAlias = FieldKind | str  # keyword, integer, float, bool, datetime or text


def Dense(  # noqa: N802 (reads as a type where schemas are written)
    dim: int = 0,
    *,
    metric: Metric | Literal["cosine", "dot", "l2"] = "cosine",
    datatype: DataType | Literal["float32", "float16", "bfloat16"] = "float32",
    index: IndexLike = None,
    embedder: str | None = None,
    device: str | None = None,
    search: SearchLike = None,
) -> VectorField:
    """A dense vector field: `dim` numbers, compared by `metric`, stored as `datatype`. `index` is a builder such as
    `IVF(quantizer=RaBitQ(bits=4))`, the same as a dictionary, or a line such as "ivf | rabitq(bits=4)"; "flat" is exact
    search. Without one the engine chooses: exact search of small segments, else a graph or lists, as memory allows.

    `embedder` names one of the server's (of `connect`'s, for an embedded database): texts may then be given in place of
    vectors, and `dim` may be left out. `device` "cuda:0" (1, ...) or "auto" searches and builds with a GPU where the
    machine has one, which needs the package's extra `gpu`. `search` says how hard to look for queries that do not, such
    as {"recall": 0.95} (or `ef`, `nprobe`, `oversampling`)."""
    spec = {"kind": "dense", "dim": dim, "metric": metric, "datatype": datatype, "index": index, "embedder": embedder}
    return vector_field({**spec, "device": device, "search": search})


def Binary(  # noqa: N802
    dim: int, *, index: IndexLike = None, device: str | None = None, search: SearchLike = None
) -> VectorField:
    """A binary vector field of `dim` bits (a multiple of 8), compared by Hamming distance, exactly unless there is an
    `index`, such as `HammingIVF()` or "mih". `device` and `search` as in `Dense`."""
    spec = {"kind": "binary", "dim": dim, "metric": "hamming", "index": index}
    return vector_field({**spec, "device": device, "search": search})


def Sparse(  # noqa: N802
    *,
    datatype: DataType | Literal["float32", "float16"] = "float32",
    index: IndexLike = None,
    embedder: str | None = None,
    search: SearchLike = None,
) -> VectorField:
    """A sparse vector field: any number of indices (uint32) and weights, compared by inner product. `index` is
    `Seismic()`, "inverted" (exact), "flat" (exact, without an index) or None, which leaves it to the engine.
    `embedder` and `search` as in `Dense`."""
    spec = {"kind": "sparse", "datatype": datatype, "index": index, "embedder": embedder}
    return vector_field({**spec, "search": search})


def Text(  # noqa: N802
    language: str = "english", *, stop_words: bool = True, k1: float = 1.2, b: float = 0.75, index: IndexLike = None
) -> VectorField:
    """A text field: points hold texts, which are searched for words and ranked by BM25 with the collection's own word
    statistics, deleted points left out. `language` chooses the stemmer and, with `stop_words`, the words that are left
    out; "none" takes words as they are. Ranking by `k1` (how soon repeats stop to count) and `b` (how much length
    counts)."""
    analysis = {"language": language, "stop_words": stop_words, "k1": k1, "b": b}
    return vector_field({"kind": "text", "analysis": analysis, "index": index})


def Multi(  # noqa: N802
    dim: int = 0,
    *,
    datatype: DataType | Literal["float32", "float16"] = "float32",
    index: IndexLike = None,
    embedder: str | None = None,
    device: str | None = None,
    search: SearchLike = None,
) -> VectorField:
    """A multi-vector field: any number of token vectors of `dim` numbers for each point, compared by MaxSim (the sum,
    over the query's tokens, of the largest inner product with a token of the point). Tokens are compared as they are
    given: of unit length where cosines are meant. `index` is `Plaid()`, `Muvera()`, "flat" (exact) or None, which
    leaves it to the engine. `embedder`, `dim`, `device` and `search` as in `Dense`."""
    spec = {"kind": "multi", "dim": dim, "datatype": datatype, "index": index, "embedder": embedder}
    return vector_field({**spec, "device": device, "search": search})


def vector_field(spec: VectorSpec, kind: VectorKind = VectorKind.DENSE) -> VectorField:
    """Read one vector field from a dictionary: `dim`, unless there is an `embedder`, and optionally `kind`, `metric`,
    `datatype`, `index`, `analysis`, `device`, `search`.

    Raises InvalidArgument (BAD_SCHEMA) for unknown keys and values, BAD_INDEX_SPEC for those of an index.
    """
    if isinstance(spec, VectorField):
        return spec
    if not isinstance(spec, Mapping):
        known = "Dense, Binary, Sparse, Text, Multi or a dictionary"
        raise InvalidArgument(f"a vector field must be {known}, not {spec!r}", reason="BAD_SCHEMA")
    values = {"kind": kind, **spec}
    kind = next((known for known in VectorKind if known == values["kind"]), kind)
    values.setdefault("metric", NEAREST[kind])
    if kind in (VectorKind.SPARSE, VectorKind.TEXT) or values.get("embedder"):
        values.setdefault("dim", 0)
    for name, known in _ENUMS.items():
        if values.get(name, known[0]) not in known:
            message = f"{name}={values[name]!r:.80} of a vector field is not one of {', '.join(known)}"
            raise InvalidArgument(message, reason="BAD_SCHEMA")
    index = read_index(values.pop("index", None))
    try:
        return msgspec.structs.replace(msgspec.convert(values, VectorField), index=index)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"bad vector field {dict(spec)!r}: {error}", reason="BAD_SCHEMA") from None


def build_schema(
    vectors: VectorSpecs | None,
    binary: VectorSpecs | None = None,
    sparse: VectorSpecs | None = None,
    text: VectorSpecs | None = None,
    multi: VectorSpecs | None = None,
    indexes: Mapping[str, IndexKind] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Schema:
    """Join vector fields and payload indexes into a schema; dictionaries among `binary` are binary fields, and so on.

    A field given without a name is called "default". Raises InvalidArgument (BAD_SCHEMA) when nothing is given, when a
    name occurs twice or when an index kind is unknown; names, dimensions and limits are checked by the engine.
    """
    fields: dict[str, VectorField] = {}
    groups = (
        (vectors, VectorKind.DENSE), (binary, VectorKind.BINARY), (sparse, VectorKind.SPARSE), (text, VectorKind.TEXT),
        (multi, VectorKind.MULTI),
    )  # fmt: skip
    for group, kind in groups:
        for name, field in _named(group, kind).items():
            if name in fields:
                raise InvalidArgument(f"vector field {name!r} is given twice", reason="BAD_SCHEMA")
            fields[name] = field
    if not fields:
        raise InvalidArgument("a collection needs at least one vector field", reason="BAD_SCHEMA")
    try:
        kinds = {key: FieldKind(kind) for key, kind in (indexes or {}).items()}
    except ValueError as error:
        message = f"bad index kind: {error}; known: {', '.join(FieldKind)}"
        raise InvalidArgument(message, reason="BAD_SCHEMA") from None
    return Schema(vectors=fields, fields=kinds, metadata=dict(metadata or {}))


def _named(group: VectorSpecs | None, kind: VectorKind) -> dict[str, VectorField]:
    if group is None:
        return {}
    named = isinstance(group, Mapping) and any(isinstance(group.get(key), str) for key in ("kind", "embedder"))
    single = named or (isinstance(group, Mapping) and isinstance(group.get("dim"), int))
    if isinstance(group, VectorField) or single:
        return {DEFAULT_VECTOR: vector_field(group, kind)}
    if not isinstance(group, Mapping):
        message = f"vectors must be a field such as Dense(384), or fields by name, not {group!r:.80}"
        raise InvalidArgument(message, reason="BAD_SCHEMA")
    return {str(name): vector_field(spec, kind) for name, spec in group.items()}
