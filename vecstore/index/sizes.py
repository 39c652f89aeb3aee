"""What an index takes before it is built: the bytes of each of its parts, by the names that `stats` gives them.

One function for each kind of spec. Whatever wants to know what an index would take asks here: the engine's own choice
(`auto`), and estimates for users.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vecstore.index import token_codes
from vecstore.index.graph_build import DEGREE
from vecstore.index.graph_codes import DEFAULT_BITS
from vecstore.index.hamming_ivf import list_count as hamming_lists
from vecstore.index.learned import list_count
from vecstore.index.mih_tables import auto_chunks, chunk_starts
from vecstore.index.muvera import dense_field, fde_of, holds_whole
from vecstore.index_spec import (
    IVF,
    MIH,
    OPQ,
    PCA,
    SAQ,
    Center,
    Flat,
    Funnel,
    Graph,
    HammingIVF,
    Index,
    Inverted,
    Muvera,
    Plaid,
    RaBitQ,
    Rotate,
    Seismic,
    Transform,
    Truncate,
)
from vecstore.kernels.graph import HEADER, LINE
from vecstore.kernels.seismic import BLOCK, GROUP, OCTETS
from vecstore.kernels.seismic import DENSE_SHARE as DENSE_BLOCKS
from vecstore.kernels.sparse import DENSE_SHARE, WINDOW_ROWS
from vecstore.kernels.tokens import code_bytes
from vecstore.quantize.sizes import code_sizes, rotation_bytes
from vecstore.schema import SPARSE_WIDTH, TOKENS, DataType, Metric, VectorField, VectorKind

Sizes = dict[str, float]

_BLOCK = 32  # rows that codes are stored by: lists are filled up to whole blocks
_HEADER, _TABLES = 430, 650  # bytes of JSON, without and with a calibration of lists
# Bytes of an entry of sparse rows in real data, where terms are not known: 2.7 to 3.0 stored, and tables once opened.
_SEISMIC_ENTRY, _POSTING = 4.0, 3.3
_TERMS = 30_000  # distinct indices of sparse rows, where nothing is known: those of learned models
_TOGETHER = 0.9  # of parts, where the largest values of a term count: rows that share them stand together
_ASKED = 256  # queries that a first stage of encodings is calibrated on


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows of one segment. `entries` are those of a sparse row or text, or the tokens of a multi-vector, on average;
    `terms` the distinct indices or words of all rows, 0 for unknown."""

    n: int
    entries: float = 0.0
    terms: int = 0


def index_sizes(spec: Index, field: VectorField, shape: Shape) -> Sizes:
    """Bytes of each part of an index of this spec over such rows; empty for one that is not built."""
    if shape.n == 0 or spec == Flat():
        return {}
    if not shape.entries:
        shape = Shape(shape.n, TOKENS if field.kind is VectorKind.MULTI else SPARSE_WIDTH, shape.terms)
    return SIZES[type(spec)](spec, field, shape)


def sparse_bytes(shape: Shape, value_bytes: float) -> Sizes:
    """Packed sparse rows (`vecstore.packed_sparse`) but for their offsets: where a term is by the gap before it, a byte
    and, past 255, more."""
    terms = shape.terms or _TERMS
    entries = shape.n * shape.entries
    far = (1 - min(1.0, shape.entries / terms)) ** 256  # of gaps, by chance
    return {
        "terms": 4.0 * min(terms, entries),
        "lows": entries + 16,
        "flags": entries / 8 + 4,
        "highs": entries * far * (1 if terms <= 1 << 16 else 2) + 16,
        "starts": 4.0 * (shape.n + 1),
        "values": entries * value_bytes,
    }


def _coded(spec: Flat | IVF, field: VectorField, shape: Shape) -> Sizes:
    n, nlist = shape.n, list_count(spec, shape.n)
    dim, transform = field.dim, 0.0
    for step in spec.transforms:
        fixed, dim = _transformed(step, field.metric, dim)
        transform += fixed
    copies = 2 if isinstance(spec, IVF) and spec.spill == "soar" and nlist > 1 else 1
    sizes = {"header": _HEADER + (_TABLES if nlist > 1 else 0.0), "lists": 8.0 * (nlist + 1) + 4.0 * n * copies}
    sizes |= {"centroids": 4.0 * nlist * dim, "scales": 4.0 * nlist}
    if transform:
        sizes["transform"] = transform
    if spec.quantizer is None:
        return sizes
    row, learned = code_sizes(spec.quantizer, field.metric, dim, unit=field.metric is not Metric.L2)
    filled = n * copies + (nlist * (_BLOCK - 1) / 2 if nlist > 1 else -n % _BLOCK)
    return sizes | {"quantizer": learned, "codes": filled * (4 + row), **_copy(spec.rerank, field, n)}


def _copy(rerank: str, field: VectorField, n: int) -> Sizes:
    """Rows for the rerank, where they are not the stored ones."""
    if rerank == "int8":
        return {"rerank": n * (field.dim + (8.0 if field.metric is Metric.L2 else 4.0)) + 8.0 * field.dim}
    if rerank in ("float16", "bfloat16") and field.datatype is DataType.FLOAT32:
        return {"rerank": 2.0 * n * field.dim}
    return {}


def _transformed(step: Transform, metric: Metric, dim: int) -> tuple[float, int]:
    """Bytes of a transform, and the dimension after it."""
    match step:
        case PCA(dim=out, centered=centered):
            mean = dim if centered or (centered is None and metric is Metric.L2) else 0
            return 4.0 * (mean + dim * out), out
        case OPQ(dim=wanted):
            return 4.0 * dim * (wanted or dim), wanted or dim
        case Rotate():
            return rotation_bytes(dim), -(-dim // 64) * 64
        case Truncate(dim=out):
            return 8.0, out
        case Center():
            return 4.0 * dim, dim
    return 8.0, dim


def _graph(spec: Graph, field: VectorField, shape: Shape) -> Sizes:
    n, dim = shape.n, field.dim
    if isinstance(spec.quantizer, RaBitQ):
        lines = -(-(dim * spec.quantizer.bits + 8 * HEADER) // (8 * LINE))
    else:
        bits = spec.quantizer.bits if isinstance(spec.quantizer, SAQ) else DEFAULT_BITS
        lines = max(1, -(-int(dim * bits) // (8 * LINE)))
    degree = DEGREE if spec.degree == "auto" else spec.degree
    sizes = {"header": 2.0 * _HEADER, "neighbours": 4.0 * degree * n, "codes": float(LINE * lines * n)}
    return sizes | {"entries": 4.0 * LINE, "coder": 4.0 * dim * dim + 12 * dim, **_copy(spec.rerank, field, n)}


def _funnel(spec: Funnel, field: VectorField, shape: Shape) -> Sizes:
    sizes: Sizes = {"components": float(shape.n * spec.dims[-1] * field.storage_dtype.itemsize)}
    return sizes | ({"inverse_norms": 4.0 * shape.n * len(spec.dims)} if field.metric is Metric.COSINE else {})


def _hamming(spec: HammingIVF, field: VectorField, shape: Shape) -> Sizes:
    n, nlist, row = shape.n, hamming_lists(spec, shape.n), field.dim // 8
    return {"centroids": float(nlist * row), "offsets": 8.0 * nlist, "list_rows": 4.0 * n, "codes": float(n * row)}


def _mih(spec: MIH, field: VectorField, shape: Shape) -> Sizes:
    chunks = auto_chunks(field.dim, shape.n) if spec.chunks == "auto" else spec.chunks
    starts = chunk_starts(field.dim, chunks).tolist()
    buckets = sum((1 << (end - start)) + 1 for start, end in itertools.pairwise(starts))
    return {"mih_buckets": 4.0 * buckets, "mih_rows": 4.0 * chunks * shape.n}


def _inverted(spec: Inverted, field: VectorField, shape: Shape) -> Sizes:
    """In each window a list of the rows of each term, or a byte for every row where it has many."""
    del spec
    lengths: Sizes = {"lengths": 4.0 * shape.n} if field.kind is VectorKind.TEXT else {}
    entries = shape.n * shape.entries
    if not shape.terms:
        return {"ids": entries * _POSTING * 2 / 3, "codes": entries * _POSTING / 3, **lengths}
    windows = -(-shape.n // WINDOW_ROWS)
    lists: Sizes = dict.fromkeys(("terms", "starts", "steps"), 4.0 * shape.terms * windows) | lengths
    if shape.entries / shape.terms > 1 / DENSE_SHARE:
        return {**lists, "dense": float(shape.terms * -(-shape.n // 64) * 64)}
    return {**lists, "ids": 2.0 * entries, "codes": entries}


def _seismic(spec: Seismic, field: VectorField, shape: Shape) -> Sizes:
    """A part for each block of rows that a term is in; of terms alike, by chance. And the copy of the rows."""
    del field
    copy: Sizes = {}
    if spec.values != "stored":
        parts_of_copy = sparse_bytes(shape, 2 if spec.values == "float16" else 1)
        if spec.components == "plain":
            wide = 4 if (shape.terms or _TERMS) > 1 << 16 else 2
            parts_of_copy |= {"lows": wide * shape.n * shape.entries, "flags": 4.0, "highs": 16.0, "starts": 0.0}
        copy = {"forward": sum(parts_of_copy.values())}
    entries = shape.n * shape.entries
    if not shape.terms:
        kept = 1.0 if spec.postings == "auto" else min(1.0, spec.postings * SPARSE_WIDTH / max(1.0, entries))
        return {"rows": 4.0 * shape.n, "records": entries * kept * _SEISMIC_ENTRY, **copy}
    kept = entries if spec.postings == "auto" else min(entries, float(spec.postings * shape.terms))
    blocks = -(-shape.n // BLOCK)
    mean = kept / shape.terms / blocks  # entries of a term in a block
    parts, ones, octets = (shape.terms * blocks * share for share in _poisson(mean))
    if kept < entries:
        parts, ones = _TOGETHER * parts, _TOGETHER * ones
    sizes: Sizes = {"header": 2.0 * _HEADER, "rows": 4.0 * shape.n}
    sizes |= {"terms": 4.0 * shape.terms, "scales": 4.0 * shape.terms, "term_parts": 8.0 * shape.terms}
    if parts * DENSE_BLOCKS > shape.terms * blocks:
        sizes["block_bits"] = 8.0 * shape.terms * -(-blocks // 64)
    else:
        sizes["part_blocks"] = (4 if blocks > 1 << 16 else 2) * parts
    sizes |= {"part_codes": parts, "part_records": 2 * parts, "record_bases": 8 * parts / GROUP}
    return sizes | {"records": (parts - ones) + (octets - ones) + (kept - ones), **copy}


def _poisson(mean: float) -> tuple[float, float, float]:
    """Of a block: how likely a term is in it, and in one row; in how many octets it is."""
    none = math.exp(-mean)
    return 1 - none, mean * none, OCTETS * (1 - math.exp(-mean / OCTETS))


def _tokens(spec: Plaid | Muvera, field: VectorField, shape: Shape, centroids: int | None) -> Sizes:
    """Tokens as an index holds them; `centroids` None where it needs none."""
    per_row = shape.entries
    if spec.pooling > 1:
        rounded = (spec.pooling - 1) / (2 * spec.pooling)  # down, of each row
        kept = max(1.0, (per_row - spec.protected) / spec.pooling - rounded)
        per_row = min(per_row, spec.protected + kept)
    tokens, bits = shape.n * per_row, token_codes.BITS[spec.tokens]
    total = 8.0 * (shape.n + 1)
    if centroids is not None:
        count = centroids or token_codes.centroid_count(int(tokens))
        total += count * (-(-field.dim // 4) * 4 + 4) + tokens * 2
        if isinstance(spec, Plaid):
            far = (1 - min(1.0, tokens / max(1.0, count * shape.n))) ** 128  # of the gaps in lists, by chance
            total += 4.0 * count + tokens * (1 + far + far**128)
    if bits:
        total += tokens * (code_bytes(field.dim, bits) + (4 if centroids is None else 1))
    return {"tokens": total}


def _plaid(spec: Plaid, field: VectorField, shape: Shape) -> Sizes:
    count = 0 if spec.centroids == "auto" else spec.centroids
    return {"header": 2.5 * _HEADER, **_tokens(spec, field, shape, count)}


def _muvera(spec: Muvera, field: VectorField, shape: Shape) -> Sizes:
    length = fde_of(spec, field.dim).length
    dense = dense_field(spec, length)
    assert dense.index is not None
    sizes: Sizes = {"header": 2.5 * _HEADER, "first": sum(index_sizes(dense.index, dense, Shape(shape.n)).values())}
    if holds_whole(spec):
        sizes["encodings"] = length * (2.0 * shape.n + 4.0 * min(_ASKED, shape.n))
    if spec.tokens == "stored":
        return sizes
    return sizes | _tokens(spec, field, shape, None if spec.tokens == "int8" else 0)


SIZES: dict[type[Index], Callable[[Any, VectorField, Shape], Sizes]] = {
    Flat: _coded,
    IVF: _coded,
    Graph: _graph,
    Funnel: _funnel,
    HammingIVF: _hamming,
    MIH: _mih,
    Inverted: _inverted,
    Seismic: _seismic,
    Plaid: _plaid,
    Muvera: _muvera,
}
