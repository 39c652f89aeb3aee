"""What a collection would take on disk and in memory with so many points, without making it.

Sizes are those of rows in sealed segments that are merged as far as they go. Index sizes are the index registry's
(`index.sizes`), the rest follows from the columns of a segment (docs/FORMAT.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from vecstore.config import Settings
from vecstore.engine.indexing import Indexing
from vecstore.index.sizes import Shape, index_sizes, sparse_bytes
from vecstore.index_spec import Flat, Graph, Index, Inverted, Seismic
from vecstore.index_text import format_index
from vecstore.schema import SPARSE_WIDTH, TOKENS, FieldKind, Metric, Schema, VectorField, VectorKind

COPIES_ON_DISK = 2  # the store's, and the file that is mapped
KEY_BYTES = 13  # of a text or UUID as an id, beside it: its tag, offset, hash and row, less what numbers take
_WORDS, _WORD_BYTES, _TERMS = 20, 24, 1_000  # of payload texts and keywords, where nothing is known
_GRAPH, _LISTS = ("neighbours", "entries"), ("lists", "centroids", "scales", "offsets", "list_rows")
_RERANK, _OTHER = ("rerank",), ("header",)


@dataclass(frozen=True, slots=True)
class Typical:
    """A point on average. `field_bytes` are what payload indexes take of it where that is known, by key."""

    entries: dict[str, float]
    terms: dict[str, int]
    payload_bytes: float
    id_bytes: float
    field_bytes: dict[str, float]


@dataclass(slots=True)
class _Component:
    disk: float = 0.0
    mapped: float = 0.0
    resident: float = 0.0

    def add(self, stored: float, resident: float) -> None:
        self.disk += COPIES_ON_DISK * stored
        self.mapped += stored
        self.resident += resident

    def described(self) -> dict[str, int]:
        return {"disk": round(self.disk), "mapped": round(self.mapped), "resident": round(self.resident)}


class Estimate:
    """`used` are the bytes of the indexes of other collections."""

    def __init__(self, schema: Schema, points: int, typical: Typical, indexing: Indexing, settings: Settings) -> None:
        self._schema, self._points, self._typical = schema, points, typical
        self._indexing, self._settings = indexing, settings
        self._components: dict[str, _Component] = {}
        self._bytes: dict[str, float] = {}

    def described(self, used: int) -> dict[str, Any]:
        """JSON-able. `bytes` are by component as `stats` has them, `components` by what they are for: on disk (the
        store's copy and the mapped one), mapped, and resident (what is in memory when queries are answered at full
        speed)."""
        n, typical = self._points, self._typical
        rows = {name: self._row_bytes(name, field) for name, field in self._schema.vectors.items()}
        own = sum(rows.values()) + typical.payload_bytes + 16 + self._id_bytes()
        segments = max(1, math.ceil(n * own / self._settings.storage.segment_bytes_max))
        per_segment = math.ceil(n / segments)
        self._put("ids", "ids", n * self._id_bytes(), n * self._id_bytes())
        self._put("seqs", "other", 8.0 * n, 0)
        self._put("payload", "payload", n * (typical.payload_bytes + 8), 0)
        vectors = {}
        for name, field in self._schema.vectors.items():
            vectors[name] = self._vector(name, field, rows[name], segments, per_segment, used)
            used += sum(vectors[name]["bytes"].values()) - vectors[name]["bytes"]["vectors"]
        for key, kind in self._schema.fields.items():
            size = n * typical.field_bytes.get(key, 0.0) or _field_bytes(kind, n, typical.terms.get(key, 0), segments)
            self._put("field", "payload_indexes", size, size)
        self._component("live_rows").resident = n / 8
        total = _Component()
        for one in self._components.values():
            total.disk, total.mapped = total.disk + one.disk, total.mapped + one.mapped
            total.resident += one.resident
        return {
            "points": n,
            "segments": segments if n else 0,
            "entries": {name: round(value, 2) for name, value in typical.entries.items()},
            "payload_bytes": round(typical.payload_bytes, 2),
            "vectors": vectors,
            "bytes": {name: round(size) for name, size in self._bytes.items()},
            "components": {name: one.described() for name, one in sorted(self._components.items())},
            "total": total.described(),
        }

    def _vector(
        self, name: str, field: VectorField, row: float, segments: int, per_segment: int, used: int
    ) -> dict[str, Any]:
        shape = Shape(per_segment, self._typical.entries.get(name, 0.0), self._typical.terms.get(name, 0))
        tokens = per_segment * shape.entries if field.kind is VectorKind.MULTI else 0
        choice = self._indexing.planned(field, per_segment, tokens, used)
        sizes = _sizes(choice.spec, field, shape)
        if segments > 1 and choice.why:  # left to the engine, which sees what the others take
            others = used + int((segments - 1) * sum(sizes.values()))
            choice = self._indexing.planned(field, per_segment, tokens, others)
            sizes = _sizes(choice.spec, field, shape)
        spec = choice.spec or Flat()
        parts = {part: segments * size for part, size in sizes.items()}
        norms = 4.0 * self._points if field.metric is Metric.COSINE else 0.0
        stored = self._points * row
        indexed = bool(parts) and format_index(spec) != "flat"
        hot = min(stored, self._settings.storage.resident_vectors_bytes) if indexed else stored
        self._put("vector", "vectors", stored, hot)
        if norms:
            self._put("norms", "other", norms, norms)
        for part, size in parts.items():
            self._put("index", _purpose(spec, part), size, size)
        return {
            "index": format_index(spec),
            **({"why": choice.why} if choice.why else {}),
            "row_bytes": round(row + sum(parts.values()) / max(1, self._points), 2),
            "bytes": {"vectors": round(stored + norms), **{part: round(size) for part, size in parts.items()}},
        }

    def _row_bytes(self, name: str, field: VectorField) -> float:
        """Of a stored row, and where it begins. Counts of terms fit bytes."""
        entries = self._typical.entries.get(name, 0.0)
        if field.is_sparse:
            value = 1 if field.kind is VectorKind.TEXT else field.storage_dtype.itemsize
            plain = 8 + (entries or SPARSE_WIDTH) * (4 + field.storage_dtype.itemsize)
            shape = Shape(max(1, self._points), entries or SPARSE_WIDTH, self._typical.terms.get(name, 0))
            return min(plain, 8 + sum(sparse_bytes(shape, value).values()) / shape.n)
        if field.kind is VectorKind.MULTI:
            return 8 + (entries or TOKENS) * field.dim * field.storage_dtype.itemsize
        return field.row_bytes

    def _id_bytes(self) -> float:
        return 8 + (self._typical.id_bytes + KEY_BYTES if self._typical.id_bytes else 0)

    def _put(self, stats: str, purpose: str, stored: float, resident: float) -> None:
        self._bytes[stats] = self._bytes.get(stats, 0.0) + stored
        self._component(purpose).add(stored, resident)

    def _component(self, purpose: str) -> _Component:
        return self._components.setdefault(purpose, _Component())


def _sizes(spec: Index | None, field: VectorField, shape: Shape) -> dict[str, float]:
    return {} if spec is None else index_sizes(spec, field, shape)


def _purpose(spec: Index, part: str) -> str:
    if isinstance(spec, Inverted | Seismic):
        return "inverted"
    if isinstance(spec, Graph) and part in _GRAPH:
        return "graph"
    named = {"lists": _LISTS, "rerank": _RERANK, "other": _OTHER}
    return next((purpose for purpose, parts in named.items() if part in parts), "codes")


def _field_bytes(kind: FieldKind, n: int, terms: int, segments: int) -> float:
    """A flag and, of one value in each payload, a number and its row, or a row and each term once a segment."""
    if kind is FieldKind.BOOL:
        return float(n)
    if kind in (FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DATETIME):
        return 13.0 * n
    text = kind is FieldKind.TEXT
    terms = min(n, terms or (10 * _TERMS if text else _TERMS))
    return n * (1 + 4.0 * (_WORDS if text else 1)) + terms * segments * _WORD_BYTES
