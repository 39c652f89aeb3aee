"""Whether an index spec makes sense for a vector field: kind, metric, dimensions and the bounds of every parameter.

The one place that reads a spec from what users write (a builder, a dictionary, a line of text), so that all doors
refuse the same things in the same words. Every error is InvalidArgument (BAD_INDEX_SPEC) with a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar, get_args

import msgspec

from vecstore.errors import InvalidArgument, invalid
from vecstore.index_spec import (
    BAD_INDEX_SPEC,
    IVF,
    MIH,
    OPQ,
    PCA,
    PQ,
    SAQ,
    Binary,
    Flat,
    Funnel,
    Graph,
    HammingIVF,
    Index,
    Int4,
    Int8,
    Inverted,
    Muvera,
    Normalize,
    Plaid,
    Quantizer,
    RaBitQ,
    Seismic,
    Transform,
    Truncate,
)
from vecstore.index_text import parse_index
from vecstore.schema import Metric, VectorField, VectorKind

N = TypeVar("N", int, float)
IndexLike: TypeAlias = Index | Mapping[str, Any] | str | None

NLIST_MAX = 1 << 20
TRANSFORMS_MAX = 8
FUNNEL_DIMS_MAX = 16
OVERSAMPLING_MAX = 1_000
DEGREE_STEP, DEGREE_MAX = 16, 128
EF_MAX = 10_000
MIH_CHUNK_BITS_MAX = 24  # a chunk's table has 2^bits places

_SUITED: dict[tuple[VectorKind, ...], tuple[type[Index], ...]] = {
    (VectorKind.BINARY,): (HammingIVF, MIH),
    (VectorKind.DENSE,): (IVF, Graph, Funnel),
    (VectorKind.MULTI,): (Plaid, Muvera),
    (VectorKind.SPARSE,): (Seismic,),
    (VectorKind.SPARSE, VectorKind.TEXT): (Inverted,),
}
CENTROIDS_MAX = 1 << 16
POOLING_MAX = 16
FDE_DIM_MAX = 1 << 16
_MUVERA_BOUNDS = {
    "repetitions": (1, 1000),
    "k_sim": (0, 12),
    "seed": (0, 1 << 53),
}
_SEISMIC_BOUNDS = {
    "postings": (1, 1 << 20),
    "list_factor": (1, 100),
}


def bad_index(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid(BAD_INDEX_SPEC, message, path)


def read_index(value: IndexLike, path: str = "index") -> Index | None:
    """A spec from a builder, a dictionary with `type`, or a line of text; None says nothing."""
    if value is None:
        return None
    if isinstance(value, str):
        return parse_index(value)
    try:
        spec: Index = msgspec.convert(msgspec.to_builtins(value), Index)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        message = str(error).replace("`", "").replace("$", path)
        raise bad_index(path, f"is no index spec: {message:.300}") from None
    return spec


def check_index(field: VectorField, path: str = "index") -> None:
    """Raises unless the field's spec suits the field."""
    spec = field.index
    if spec is None:
        return
    if not isinstance(spec, get_args(Index)) or read_index(spec, path) != spec:
        raise bad_index(path, f"is {spec!r:.200}, not a spec with parameters of the right types")
    for kinds, specs in _SUITED.items():
        if isinstance(spec, specs) and field.kind not in kinds:
            wanted = " or ".join(kind.value for kind in kinds)
            raise bad_index(path, f"is {_tag(spec)}, which is for {wanted} fields; this one is {field.kind.value}")
    if isinstance(spec, Flat) and field.kind is not VectorKind.DENSE and spec != Flat():
        raise bad_index(
            path, f"is flat over {field.kind.value} vectors, which takes no transforms, quantizer or rerank"
        )
    if isinstance(spec, IVF | HammingIVF):
        _check_lists(spec, path)
    if isinstance(spec, Flat | IVF):
        _check_codes(spec, field, path)
    elif isinstance(spec, Graph):
        _check_graph(spec, field.dim, path)
    elif isinstance(spec, Funnel):
        _check_funnel(spec, field.dim, path)
    elif isinstance(spec, Seismic):
        _check_seismic(spec, path)
    elif isinstance(spec, Plaid | Muvera):
        _check_late(spec, field.dim, path)
    elif isinstance(spec, MIH) and spec.chunks != "auto":
        _bounded(f"{path}.chunks", spec.chunks, -(-field.dim // MIH_CHUNK_BITS_MAX), field.dim, "the field's bits")


def _check_lists(spec: IVF | HammingIVF, path: str) -> None:
    nlist = NLIST_MAX
    if spec.nlist != "auto":
        _bounded(f"{path}.nlist", spec.nlist, 1, NLIST_MAX)
        nlist = spec.nlist
    if spec.nprobe != "auto":
        _bounded(f"{path}.nprobe", spec.nprobe, 1, nlist, "nlist")


def _check_codes(spec: Flat | IVF, field: VectorField, path: str) -> None:
    if len(spec.transforms) > TRANSFORMS_MAX:
        raise bad_index(f"{path}.transforms", f"are {len(spec.transforms)}, the most is {TRANSFORMS_MAX}")
    dim = field.dim
    for place, transform in enumerate(spec.transforms):
        dim = _transformed(transform, dim, field, f"{path}.transforms[{place}]")
    if spec.quantizer is not None:
        _check_quantizer(spec.quantizer, dim, f"{path}.quantizer")
    elif spec.rerank != "stored":
        raise bad_index(f"{path}.rerank", f"is {spec.rerank}, but without a quantizer the stored vectors are compared")
    elif isinstance(spec, Flat) and spec.transforms:
        raise bad_index(f"{path}.transforms", "need a quantizer: a flat index without one is exact")


def _transformed(transform: Transform, dim: int, field: VectorField, path: str) -> int:
    """The dimension after the transform."""
    if isinstance(transform, Normalize) and field.metric is not Metric.COSINE:
        raise bad_index(path, f"is normalize, which changes the order under {field.metric.value}; use it with cosine")
    if isinstance(transform, Truncate | PCA):
        return _bounded(f"{path}.dim", transform.dim, 1, dim, "the dimension before it")
    if isinstance(transform, OPQ):
        out = (
            dim if transform.dim is None else _bounded(f"{path}.dim", transform.dim, 1, dim, "the dimension before it")
        )
        _bounded(f"{path}.m", transform.m, 1, out, "the dimension after it")
        return out
    return dim


def _check_quantizer(spec: Quantizer, dim: int, path: str) -> None:
    if isinstance(spec, Int8 | Int4):
        _bounded(f"{path}.clip", spec.clip, 0, 0.25)
    elif isinstance(spec, PQ):
        _bounded(f"{path}.m", spec.m, 1, dim, "the dimension after transforms")
    elif isinstance(spec, RaBitQ):
        _bounded(f"{path}.bits", spec.bits, 1, 8)
    elif isinstance(spec, SAQ):
        _bounded(f"{path}.bits", spec.bits, 0.25, 8)
    elif isinstance(spec, Binary) and spec.bits is not None:
        most = dim if spec.itq else 8 * dim
        _bounded(f"{path}.bits", spec.bits, 1, most, "the dimension" if spec.itq else "8 times the dimension")


def _check_graph(spec: Graph, dim: int, path: str) -> None:
    if spec.degree != "auto":
        _bounded(f"{path}.degree", spec.degree, DEGREE_STEP, DEGREE_MAX)
        if spec.degree % DEGREE_STEP:
            raise bad_index(f"{path}.degree", f"is {spec.degree}, it must be a multiple of {DEGREE_STEP}")
    if spec.ef != "auto":
        _bounded(f"{path}.ef", spec.ef, 1, EF_MAX)
    if spec.quantizer is None:
        return
    if not isinstance(spec.quantizer, SAQ | RaBitQ):
        raise bad_index(f"{path}.quantizer", f"is {_tag(spec.quantizer)}, a graph is walked by saq or rabitq")
    if isinstance(spec.quantizer, RaBitQ) and spec.quantizer.bits not in (1, 2, 4):
        raise bad_index(f"{path}.quantizer.bits", f"is {spec.quantizer.bits}, a graph takes 1, 2 or 4 bits of rabitq")
    _check_quantizer(spec.quantizer, dim, f"{path}.quantizer")


def _check_funnel(spec: Funnel, dim: int, path: str) -> None:
    if not 1 <= len(spec.dims) <= FUNNEL_DIMS_MAX:
        raise bad_index(f"{path}.dims", f"are {len(spec.dims)}, there must be 1 to {FUNNEL_DIMS_MAX}")
    for place, one in enumerate(spec.dims):
        _bounded(f"{path}.dims[{place}]", one, 1, dim, "the field's dimension")
    if list(spec.dims) != sorted(set(spec.dims)):
        raise bad_index(f"{path}.dims", f"{list(spec.dims)} must ascend")
    _bounded(f"{path}.oversampling", spec.oversampling, 1, OVERSAMPLING_MAX)


def _check_seismic(spec: Seismic, path: str) -> None:
    for name, (low, high) in _SEISMIC_BOUNDS.items():
        value = getattr(spec, name)
        if value != "auto":
            _bounded(f"{path}.{name}", value, low, high)
    if spec.postings == "auto" and spec.list_factor != "auto":
        raise bad_index(f"{path}.list_factor", f"is {spec.list_factor}, a multiple of postings, of which all are kept")
    if spec.values == "stored" and spec.components != "auto":
        raise bad_index(f"{path}.components", f"is {spec.components}, of a copy that values=stored does without")


def _check_late(spec: Plaid | Muvera, dim: int, path: str) -> None:
    _bounded(f"{path}.pooling", spec.pooling, 1, POOLING_MAX)
    _bounded(f"{path}.protected", spec.protected, 0, 1 << 16)
    _bounded(f"{path}.dedup_eps", spec.dedup_eps, 0.0, 1.0)
    if spec.rerank == "none" and spec.tokens == "stored":
        raise bad_index(f"{path}.rerank", "is none, but the index holds no tokens to answer by")
    if isinstance(spec, Plaid):
        if spec.tokens == "int8":
            raise bad_index(f"{path}.tokens", "is int8, plaid holds stored tokens or residuals from its centroids")
        centroids = CENTROIDS_MAX
        if spec.centroids != "auto":
            centroids = _bounded(f"{path}.centroids", spec.centroids, 1, CENTROIDS_MAX)
        if spec.nprobe != "auto":
            _bounded(f"{path}.nprobe", spec.nprobe, 1, centroids, "centroids")
        return
    for name, (low, high) in _MUVERA_BOUNDS.items():
        _bounded(f"{path}.{name}", getattr(spec, name), low, high)
    _bounded(f"{path}.projection", spec.projection, 0, dim, "the field's dimension")
    length = spec.repetitions * (1 << spec.k_sim) * (spec.projection or dim)
    if spec.final_dim:
        _bounded(f"{path}.final_dim", spec.final_dim, 1, length, "repetitions * 2^k_sim * projection")
    if (spec.final_dim or length) > FDE_DIM_MAX:
        raise bad_index(path, f"has vectors of {spec.final_dim or length} components, the most is {FDE_DIM_MAX}")
    if spec.first == "graph":
        _check_graph(Graph(quantizer=spec.quantizer), spec.final_dim or length, path)
    elif spec.quantizer is not None:
        _check_quantizer(spec.quantizer, spec.final_dim or length, f"{path}.quantizer")


def _bounded(path: str, value: N, low: float, high: float, what: str = "") -> N:
    if not low <= value <= high:
        bound = f"{high} ({what})" if what else f"{high}"
        raise bad_index(path, f"is {value}, it must be in {low}..{bound}")
    return value


def _tag(spec: Index | Quantizer) -> str:
    return str(type(spec).__struct_config__.tag)
