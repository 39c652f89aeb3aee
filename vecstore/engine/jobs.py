"""A build job: which rows become which segment, described as data, so that it runs here or in a worker process."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from vecstore.engine import keys
from vecstore.engine.build import (
    BuiltColumn,
    Progress,
    SegmentBuilder,
    Source,
    field_columns,
    index_arrays,
    whole,
)
from vecstore.engine.header import Column, FieldColumns, IndexColumns, SegmentHeader, is_derived
from vecstore.engine.row_columns import column_names, held_rows
from vecstore.engine.segment import decode_payload
from vecstore.index.base import BuiltIndex, Warm
from vecstore.index.checkpoints import kept_in
from vecstore.index.registry import built_index
from vecstore.index_spec import Index
from vecstore.kernels.base import Bitmap, Int64Array
from vecstore.schema import Schema
from vecstore.storage.arrays import array_blob, pack, unpack
from vecstore.storage.interfaces import BlobRef
from vecstore.storage.staging import stage_blobs

NOTHING: Mapping[str, Warm[BuiltIndex]] = MappingProxyType({})
STAGED = "blobs"  # the folder of a job's directory that receives the staged blobs
Stage = Callable[[Iterable[tuple[str, Iterable[Any]]]], Iterable[BlobRef]]


class FileColumn(msgspec.Struct, frozen=True):
    """A column of a sealed segment as a file of raw bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: str


class SourceFiles(msgspec.Struct, frozen=True):
    """Where a worker finds a source: packed arrays in one file, or columns in files of their own."""

    alive: str
    packed: str | None = None
    columns: tuple[FileColumn, ...] = ()


class WarmFiles(msgspec.Struct, frozen=True):
    """A vector index of another segment as files, and where its rows went (`index.base.Warm`)."""

    spec: Index
    rows: tuple[FileColumn, ...]  # `row_columns.column_names`
    arrays: dict[str, FileColumn]
    new_rows: FileColumn


class Job(msgspec.Struct, frozen=True):
    """Build segment `segment`. With `fields_only`, the one source is that segment itself and only the payload indexes
    of `schema.fields` that `have_fields` lacks are built, as generation `generation`; with `indexes`, only these vector
    indexes, likewise, which `checkpoints` is a folder for, if there is one."""

    collection: int
    segment: int
    schema: Schema
    max_seq: int
    generation: int = 0
    fields_only: bool = False
    have_fields: tuple[str, ...] = ()
    indexes: dict[str, Index] = {}
    warm: dict[str, WarmFiles] = {}
    sources: tuple[SourceFiles, ...] = ()
    checkpoints: str = ""

    def reads(self, column: str) -> bool:
        """Whether the job needs this column of its sources."""
        if self.indexes:
            fields = {name: self.schema.vectors[name] for name in self.indexes}
            return any(column in (*column_names(name, field), f"norms.{name}") for name, field in fields.items())
        return not is_derived(column)


@dataclass(slots=True)
class _Plan:
    columns: list[BuiltColumn] = field(default_factory=list)
    fields: dict[str, FieldColumns] = field(default_factory=dict)
    indexes: dict[str, IndexColumns] = field(default_factory=dict)


def run_job(
    job: Job, sources: list[Source], stage: Stage, progress: Progress, warm: Mapping[str, Warm[BuiltIndex]] = NOTHING
) -> SegmentHeader:
    """Build the job's columns and stage them as blobs; returns the header that makes them a segment (for
    `fields_only` and `indexes`, a header of the new columns alone)."""
    plan = _Plan()
    n_rows = 0

    def blobs() -> Iterator[tuple[str, Iterable[Any]]]:
        nonlocal n_rows
        if job.indexes:
            name = next(iter(job.indexes))
            n_rows = len(held_rows(name, job.schema.vectors[name], sources[0].arrays))
            produced = _index_plan(job, sources[0], warm, plan, progress)
        elif job.fields_only:
            n_rows = len(sources[0].arrays["payload.offsets"]) - 1
            produced = _field_plan(job, lambda: _payloads(sources[0]), n_rows, plan, progress)
        else:
            builder = SegmentBuilder(sources, job.schema, progress)
            n_rows = builder.n_rows
            produced = _chain(builder.columns(), _field_plan(job, builder.payloads, n_rows, plan, progress))
        for place, column in enumerate(produced):
            plan.columns.append(column)
            yield keys.blob(job.collection, job.segment, job.generation, place), column.chunks

    refs = list(stage(blobs()))
    columns = tuple(
        Column(column.name, column.dtype.str, column.shape, ref) for column, ref in zip(plan.columns, refs, strict=True)
    )
    return SegmentHeader(job.segment, n_rows, job.max_seq, columns, plan.fields, job.generation, plan.indexes)


def _chain(*parts: Iterator[BuiltColumn]) -> Iterator[BuiltColumn]:
    for part in parts:
        yield from part


def _field_plan(
    job: Job,
    payloads: Callable[[], Iterator[tuple[int, dict[str, Any] | None]]],
    n_rows: int,
    plan: _Plan,
    progress: Progress,
) -> Iterator[BuiltColumn]:
    for key, kind in job.schema.fields.items():
        if key in job.have_fields:
            continue
        progress(f"index {key}", 0, n_rows)
        arrays = field_columns(key, kind, payloads(), n_rows)
        names = {name: f"field.{job.generation}.{key}.{name}" for name in arrays}
        plan.fields[key] = FieldColumns(kind, names)
        for name, array in arrays.items():
            yield whole(names[name], array)


def _index_plan(
    job: Job, source: Source, warm: Mapping[str, Warm[BuiltIndex]], plan: _Plan, progress: Progress
) -> Iterator[BuiltColumn]:
    for name, spec in job.indexes.items():
        with kept_in(Path(job.checkpoints) if job.checkpoints else None):
            arrays = index_arrays(job.schema.vectors[name], name, spec, source.arrays, warm.get(name), progress)
        names = {array: f"index.{job.generation}.{name}.{array}" for array in arrays}
        plan.indexes[name] = IndexColumns(spec, built_index(spec).name, names)
        for array, values in arrays.items():
            yield whole(names[array], values)


def _payloads(source: Source) -> Iterator[tuple[int, dict[str, Any] | None]]:
    data = np.ascontiguousarray(source.arrays["payload.bytes"]).data
    bounds = source.arrays["payload.offsets"].tolist()
    for row, (low, high) in enumerate(itertools.pairwise(bounds)):
        yield row, (decode_payload(data[low:high]) if high > low else None)


def stage_into(directory: Path, blobs: Iterable[tuple[str, Iterable[Any]]]) -> Iterable[BlobRef]:
    """The `Stage` of a directory."""
    chunks = column_chunks(blobs)
    first = next(chunks, None)
    if first is None:
        return ()  # an index without arrays
    return stage_blobs(directory / STAGED, itertools.chain([first], chunks)).refs


def column_chunks(blobs: Iterable[tuple[str, Iterable[Any]]]) -> Iterator[tuple[str, Iterator[Any]]]:
    """The same blobs with every array chunk as bytes."""
    for name, chunks in blobs:
        yield name, (part for chunk in chunks for part in _as_bytes(chunk))


def _as_bytes(chunk: Any) -> Iterable[Any]:
    return array_blob(chunk) if isinstance(chunk, np.ndarray) else [chunk]


def write_packed(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A growing segment's dump for a worker. Not synced: it is of use only while this process lives."""
    with path.open("wb") as file:
        for part in pack({"kind": "source"}, arrays):
            file.write(part)


def write_alive(path: Path, alive: Bitmap) -> None:
    path.write_bytes(alive.tobytes())


def open_source(files: SourceFiles) -> Source:
    alive = np.frombuffer(Path(files.alive).read_bytes(), dtype=np.uint64)
    if files.packed is not None:
        with open(files.packed, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return Source(unpack(memoryview(mapped))[1], alive)
    return Source({column.name: _open_column(column) for column in files.columns}, alive)


def write_new_rows(path: Path, new_rows: Int64Array) -> FileColumn:
    """Where the rows of an index went, for a worker."""
    path.write_bytes(new_rows.data)
    return FileColumn(path.name, new_rows.dtype.str, new_rows.shape, str(path))


def open_warm(job: Job) -> dict[str, Warm[BuiltIndex]]:
    """What a worker starts from."""
    opened = {}
    for name, files in job.warm.items():
        arrays = {array: _open_column(column) for array, column in files.arrays.items()}
        field = msgspec.structs.replace(job.schema.vectors[name], index=files.spec)
        rows = held_rows(name, field, {column.name: _open_column(column) for column in files.rows})
        index = built_index(files.spec).from_arrays(field, rows, arrays)
        opened[name] = Warm(index, _open_column(files.new_rows))
    return opened


def _open_column(column: FileColumn) -> np.ndarray:
    dtype = np.dtype(column.dtype)
    if 0 in column.shape:
        return np.empty(column.shape, dtype=dtype)
    return np.memmap(column.path, dtype=dtype, mode="r", shape=column.shape)
