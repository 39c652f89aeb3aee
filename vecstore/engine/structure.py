"""Whether what the meta family says of sealed segments makes sense, and the columns with it.

A matching checksum does not make bytes safe to use: names lead to files, shapes to memory. A manifest is checked when
it is read, a column once when it is first mapped; queries pay nothing. Raises Corruption.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vecstore.engine import keys
from vecstore.engine.header import (
    CollectionRecord,
    Column,
    FieldColumns,
    IndexColumns,
    Manifest,
    SegmentHeader,
    is_derived,
)
from vecstore.engine.row_columns import OFFSET_DTYPE, check_offsets, packed_parts, parts
from vecstore.errors import Corruption, InvalidArgument
from vecstore.schema import Metric, Schema
from vecstore.storage.format import check_blob_name

ROWS_MAX = (1 << 32) - 1  # rows are uint32 in bitmaps and payload indexes
NUMBER_MAX = 1 << 62  # of seqs and segment numbers, which count up from 1
_U1, _U4, _U8, _F4 = (np.dtype(code).str for code in ("u1", "<u4", "<u8", "<f4"))


def check_manifest(manifest: Manifest, record: CollectionRecord) -> None:
    """That the manifest is this collection's and each segment has the columns that its schema asks for."""
    ids = [header.id for header in manifest.segments]
    if len(set(ids)) != len(ids) or any(not 0 < segment < manifest.next_segment for segment in ids):
        raise Corruption(f"the manifest's segments {ids[:20]} are not distinct or not below {manifest.next_segment}")
    if not 0 <= manifest.sealed_seq <= NUMBER_MAX or manifest.next_segment > NUMBER_MAX:
        raise Corruption(f"sealed_seq={manifest.sealed_seq} or next_segment={manifest.next_segment} is not possible")
    if any(not 0 <= before < after <= NUMBER_MAX for before, after in manifest.leaps):
        raise Corruption(f"leaps of seqs {manifest.leaps[:20]} are not possible")
    for header in manifest.segments:
        try:
            _check_header(header, record.schema, keys.segment_prefix(record.number, header.id))
        except Corruption as error:
            raise Corruption(f"segment {header.id}: {error.message}") from None


def _check_header(header: SegmentHeader, schema: Schema, prefix: str) -> None:
    if not 0 < header.n_rows <= ROWS_MAX:
        raise Corruption(f"n_rows={header.n_rows} is not in 1..{ROWS_MAX}")
    if not 0 <= header.max_seq <= NUMBER_MAX or not 0 <= header.generation <= ROWS_MAX:
        raise Corruption(f"max_seq={header.max_seq} or generation={header.generation} is not possible")
    columns = {column.name: column for column in header.columns}
    if len(columns) != len(header.columns):
        raise Corruption("two columns have one name")
    for column in header.columns:
        _check_ref(column, prefix)
    n = header.n_rows
    wanted: dict[str, tuple[tuple[str, ...], Sequence[int | None]]] = {
        "seqs": ((_U8,), [n]), "payload.offsets": ((_U8,), [n + 1]), "payload.bytes": ((_U1,), [None]),
    }  # fmt: skip
    if "ids.num" in columns:
        wanted["ids.num"] = (_U8,), [n]
    else:
        wanted |= {"ids.bytes": ((_U1,), [None]), "ids.offsets": ((_U8,), [n + 1])}
        wanted |= {"ids.hash": ((_U8,), [n]), "ids.hash_row": ((_U4,), [n])}
    for name, spec in schema.vectors.items():
        if spec.is_ragged:
            wanted[f"vector.{name}.offsets"] = (OFFSET_DTYPE.str,), [n + 1]
            if spec.is_sparse and f"vector.{name}.terms" in columns:
                wanted |= {f"vector.{name}.{part}": (of, [None]) for part, of in packed_parts(spec).items()}
            else:
                wanted |= {f"vector.{name}.{part}": ((of.str,), [None, *t]) for part, (of, t) in parts(spec).items()}
        else:
            wanted[f"vector.{name}"] = (spec.storage_dtype.str,), [n, spec.storage_width]
        if f"present.{name}" in columns:
            wanted[f"present.{name}"] = (_U1,), [n]
        if spec.metric is Metric.COSINE:
            wanted[f"norms.{name}"] = (_F4,), [n]
    for name, (dtypes, shape) in wanted.items():
        _check_shape(columns.get(name), name, dtypes, shape)
    derived: list[FieldColumns | IndexColumns] = [*header.fields.values(), *header.indexes.values()]
    named = {array for entry in derived for array in entry.arrays.values()}
    strangers = columns.keys() - wanted.keys() - {name for name in columns if is_derived(name)}
    strangers |= header.indexes.keys() - schema.vectors.keys()
    if strangers or not named <= columns.keys():
        raise Corruption(f"columns {sorted(strangers | (named - columns.keys()))[:5]} are unknown or missing")


def _check_ref(column: Column, prefix: str) -> None:
    ref = column.ref
    try:
        check_blob_name(ref.name)
    except InvalidArgument as error:
        raise Corruption(error.message) from None
    if not ref.name.startswith(prefix) or ref.length < 0:
        raise Corruption(f"column {column.name!r} is kept in blob {ref.name!r} of {ref.length} bytes, not its own")


def _check_shape(column: Column | None, name: str, dtypes: Sequence[str], shape: Sequence[int | None]) -> None:
    if column is None:
        raise Corruption(f"column {name!r} is missing")
    fits = len(column.shape) == len(shape) and all(
        want is None or have == want for have, want in zip(column.shape, shape, strict=True)
    )
    if column.dtype not in dtypes or not fits:
        raise Corruption(
            f"column {name!r} is {column.dtype}{list(column.shape)}, not {' or '.join(dtypes)}{list(shape)}"
        )


def check_column(name: str, array: np.ndarray, header: SegmentHeader) -> None:
    """What of a column's contents other code relies on to stay inside its arrays, or to search them."""
    if name == "payload.offsets":
        length = next(column.ref.length for column in header.columns if column.name == "payload.bytes")
        check_offsets(array, length)
    elif name.startswith("vector.") and name.endswith(".offsets"):
        own = [name.removesuffix("offsets") + part for part in ("indices", "values", "tokens")]
        ends = {column.shape[0] for column in header.columns if column.name in own}
        if len(ends) != 1:
            raise Corruption(f"its parts have {sorted(ends)} entries")
        check_offsets(array, ends.pop())
    elif name == "ids.num":
        if (array[1:] <= array[:-1]).any():
            raise Corruption("its ids do not ascend")
    elif name == "ids.hash":
        if (array[1:] < array[:-1]).any():
            raise Corruption("its hashes do not ascend")
    elif name.startswith("present.") and int(array.max()) > 1:
        raise Corruption("its flags are not 0 or 1")
