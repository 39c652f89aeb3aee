"""What the meta family says of a collection: its identity, its manifest and each sealed segment's header."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import msgspec

from vecstore.errors import Corruption
from vecstore.index_spec import Index
from vecstore.schema import FieldKind, Schema
from vecstore.storage.arrays import pack, unpack
from vecstore.storage.interfaces import BlobRef

T = TypeVar("T")


class Column(msgspec.Struct, frozen=True):
    """One array of a segment and the blob that holds its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    ref: BlobRef


class FieldColumns(msgspec.Struct, frozen=True):
    """A payload index: the columns that hold its arrays, by array name."""

    kind: FieldKind
    arrays: dict[str, str]


class IndexColumns(msgspec.Struct, frozen=True):
    """A vector index: what it was built by, its class, and the columns that hold its arrays, by array name."""

    spec: Index
    name: str
    arrays: dict[str, str]


class SegmentHeader(msgspec.Struct, frozen=True):
    """A sealed segment: `n_rows` rows ascending by id, of writes up to `max_seq`."""

    id: int
    n_rows: int
    max_seq: int
    columns: tuple[Column, ...]
    fields: dict[str, FieldColumns] = {}
    generation: int = 0  # how often derived columns were added; part of their blobs' names
    indexes: dict[str, IndexColumns] = {}  # by vector field

    @property
    def nbytes(self) -> int:
        return sum(column.ref.length for column in self.columns)

    @property
    def data_columns(self) -> list[Column]:
        """What is not derived: the columns that a merge reads."""
        return [column for column in self.columns if not is_derived(column.name)]

    def index_bytes(self) -> dict[str, int]:
        """What the vector indexes take, by field."""
        sizes = {column.name: column.ref.length for column in self.columns}
        return {name: sum(map(sizes.__getitem__, entry.arrays.values())) for name, entry in self.indexes.items()}

    def extended(self, made: SegmentHeader) -> SegmentHeader:
        """With the derived columns of `made`, which replace older ones of the same fields."""
        gone = {
            column for name in made.indexes if name in self.indexes for column in self.indexes[name].arrays.values()
        }
        return msgspec.structs.replace(
            self,
            columns=(*(column for column in self.columns if column.name not in gone), *made.columns),
            fields={**self.fields, **made.fields},
            indexes={**self.indexes, **made.indexes},
            generation=made.generation,
        )

    def respecified(self, specs: Mapping[str, Index]) -> SegmentHeader:
        """With other specs for vector indexes whose arrays stay."""
        indexes = {name: msgspec.structs.replace(self.indexes[name], spec=spec) for name, spec in specs.items()}
        return msgspec.structs.replace(self, indexes={**self.indexes, **indexes})

    def without_indexes(self, names: Collection[str]) -> SegmentHeader:
        gone = {column for name in names for column in self.indexes[name].arrays.values()}
        return msgspec.structs.replace(
            self,
            columns=tuple(column for column in self.columns if column.name not in gone),
            indexes={name: entry for name, entry in self.indexes.items() if name not in names},
        )


def is_derived(column: str) -> bool:
    """Payload and vector indexes: they can be built again from the other columns."""
    return column.startswith(("field.", "index."))


class CollectionRecord(msgspec.Struct, frozen=True):
    """`number` names the collection in keys and is never used again; `dropping` marks one whose data is going away.
    `version` counts the changes of the schema."""

    number: int
    name: str
    schema: Schema
    created_at: float
    dropping: bool = False
    version: int = 1


class Manifest(msgspec.Struct, frozen=True):
    """The live segments. Every write up to `sealed_seq` is in them and gone from the log. Seqs leap from the first to
    the second of each of `leaps` (`engine.leap`)."""

    sealed_seq: int = 0
    next_segment: int = 1
    segments: tuple[SegmentHeader, ...] = ()
    leaps: tuple[tuple[int, int], ...] = ()


def encode_meta(value: msgspec.Struct) -> bytes:
    return b"".join(pack({"kind": type(value).__name__, "value": msgspec.to_builtins(value)}, {}))


def decode_meta(data: bytes, expected: type[T]) -> T:
    """Raises Corruption when the record is damaged or of another kind."""
    header: dict[str, Any] = unpack(data)[0]
    if header.get("kind") != expected.__name__:
        raise Corruption(f"expected a {expected.__name__} record, found {header.get('kind')!r}")
    try:
        return msgspec.convert(header["value"], expected)
    except (KeyError, msgspec.ValidationError) as error:
        raise Corruption(f"a {expected.__name__} record is malformed: {error}") from None
