"""What a collection holds: its vector fields and its indexed payload fields. Stored as JSON in the meta family."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from vecstore.index_spec import Index


class VectorKind(StrEnum):
    DENSE = "dense"
    BINARY = "binary"
    SPARSE = "sparse"  # indices and weights, any number of them
    TEXT = "text"  # terms and how often they occur, made from text by the field's analysis
    MULTI = "multi"  # any number of token vectors (late interaction)


class Metric(StrEnum):
    """How near two vectors are. Inside, a distance (small is near); see `score_of` for what the API returns."""

    COSINE = "cosine"  # 1 - cosine similarity
    DOT = "dot"  # minus the inner product
    L2 = "l2"  # squared Euclidean distance
    HAMMING = "hamming"  # number of differing bits
    BM25 = "bm25"  # minus the BM25 score of a text for the terms asked for
    MAXSIM = "maxsim"  # minus the sum, over a query's tokens, of the largest inner product with a token of the row


NEAREST = {  # the metric of a kind where none is named
    VectorKind.DENSE: Metric.COSINE,
    VectorKind.BINARY: Metric.HAMMING,
    VectorKind.SPARSE: Metric.DOT,
    VectorKind.TEXT: Metric.BM25,
    VectorKind.MULTI: Metric.MAXSIM,
}


class DataType(StrEnum):
    """How the values of a dense or sparse field are stored."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"  # held in numpy as uint16: the high half of a float32


class FieldKind(StrEnum):
    """The type of an indexed payload field."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"
    TEXT = "text"


SPARSE_WIDTH, TOKENS = 128, 64  # entries of a sparse row, and tokens of a multi-vector, that plans reckon with
WEIGHED_TOKENS, WEIGHT_MAX = 8, 40  # tokens of a multi-vector that count as a row, and rows that one counts for at most


def weight_of(rows: int, tokens: float) -> int:
    """What multi-vectors count as where rows are counted to tell whether a scan takes long: those of many tokens for
    several. Of few rows, however long, an index has to look at most."""
    return max(rows, min(int(tokens) // WEIGHED_TOKENS, WEIGHT_MAX * rows))


_STORAGE: dict[DataType, np.dtype[np.generic]] = {
    DataType.FLOAT32: np.dtype(np.float32),
    DataType.FLOAT16: np.dtype(np.float16),
    DataType.BFLOAT16: np.dtype(np.uint16),
}


class Analysis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How text becomes terms, and how BM25 weighs them (Robertson & Zaragoza 2009, section 3.4).

    `language` chooses the stemmer and the stop words, "none" for neither; `k1` says how soon repeats of a term stop to
    count, `b` (0 to 1) how much a text's length counts against it."""

    language: str = "english"
    stop_words: bool = True
    k1: float = 1.2
    b: float = 0.75


class SearchDefaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How hard a field is searched for queries that say nothing of it; None is the index's own choice. See
    `vecstore.index.base.SearchParams`."""

    recall: float | None = None  # 0 < r <= 1
    ef: int | None = None
    nprobe: int | None = None
    oversampling: float | None = None
    block_factor: float | None = None


class VectorField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One named vector of a collection. For BINARY, `dim` counts bits and must be a multiple of 8; SPARSE and TEXT have
    rows of any length (`vecstore.sparse`), and a `dim` of 0; MULTI has rows of any number of tokens of `dim` components
    (`vecstore.tokens`), compared as they are: give them unit length where cosines are meant."""

    kind: VectorKind
    dim: int
    metric: Metric
    datatype: DataType = DataType.FLOAT32
    index: Index | None = None  # None says nothing, which the engine takes for Auto()
    analysis: Analysis | None = None  # of TEXT
    embedder: str | None = None  # the name of the one that makes its vectors of texts (`vecstore.embed`)
    fingerprint: str | None = None  # of the embedder's model; the database fills it in at creation
    device: str | None = None  # where it is searched and built: None or "cpu", "auto" (a GPU if there is one), "cuda:N"
    search: SearchDefaults | None = None

    @property
    def is_sparse(self) -> bool:
        """Whether rows are `SparseRows`, of values of `storage_dtype`."""
        return self.kind in (VectorKind.SPARSE, VectorKind.TEXT)

    @property
    def storage_dtype(self) -> np.dtype[np.generic]:
        if self.kind is VectorKind.BINARY:
            return np.dtype(np.uint8)
        return _STORAGE[self.datatype]

    @property
    def is_ragged(self) -> bool:
        """Whether rows are of any length: `SparseRows` or `TokenRows`."""
        return self.is_sparse or self.kind is VectorKind.MULTI

    @property
    def storage_width(self) -> int:
        """Elements of one stored row; of a ragged one, about as many as a scan is busy with."""
        if self.is_sparse:
            return SPARSE_WIDTH
        if self.kind is VectorKind.MULTI:
            return TOKENS * self.dim
        return self.dim // 8 if self.kind is VectorKind.BINARY else self.dim

    @property
    def row_bytes(self) -> int:
        """Of one stored row, or about so many of a ragged one."""
        return self.storage_width * (self.storage_dtype.itemsize + (4 if self.is_sparse else 0))


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collection's vector fields by name and its payload field indexes by key. `metadata` is the user's own: any
    JSON object."""

    vectors: dict[str, VectorField]
    fields: dict[str, FieldKind] = {}
    metadata: dict[str, Any] = {}


def with_defaults(schema: Schema, index: Index) -> Schema:
    """The schema with `index` for the fields that say nothing of an index, and an analysis for those of texts."""
    vectors = {}
    for name, field in schema.vectors.items():
        analysis = field.analysis or Analysis() if field.kind is VectorKind.TEXT else field.analysis
        vectors[name] = msgspec.structs.replace(field, index=field.index or index, analysis=analysis)
    return msgspec.structs.replace(schema, vectors=vectors)


def score_of(metric: Metric, distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn distances into API scores: similarity for cosine, dot, bm25 and maxsim (large is near), Euclidean distance
    for l2 and differing bits for hamming (small is near)."""
    if metric is Metric.COSINE:
        return np.float32(1.0) - distances
    if metric in (Metric.DOT, Metric.BM25, Metric.MAXSIM):
        return np.float32(0.0) - distances  # a score of zero has no sign
    if metric is Metric.L2:
        roots: NDArray[np.float32] = np.sqrt(np.maximum(distances, np.float32(0.0)))
        return roots
    return distances


def larger_is_nearer(metric: Metric) -> bool:
    return metric in (Metric.COSINE, Metric.DOT, Metric.BM25, Metric.MAXSIM)
