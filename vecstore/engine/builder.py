"""Runs a build job, here or in a worker process, and publishes what it made. Called from maintenance's thread only."""

from __future__ import annotations

import contextlib
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np

from vecstore.engine.build import Progress, Source
from vecstore.engine.header import Column, SegmentHeader
from vecstore.engine.jobs import (
    STAGED,
    FileColumn,
    Job,
    SourceFiles,
    WarmFiles,
    column_chunks,
    run_job,
    stage_into,
    write_alive,
    write_new_rows,
    write_packed,
)
from vecstore.engine.row_columns import column_names
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.worker import Line
from vecstore.errors import Corruption, InvalidArgument, IoFailed, ResourceExhausted, Unimplemented, VecstoreError
from vecstore.index import checkpoints
from vecstore.index.base import BuiltIndex, Warm
from vecstore.kernels.base import Bitmap, Int64Array
from vecstore.memory.machine import WORKERS
from vecstore.storage.open import Storage
from vecstore.storage.staging import load_staged

LISTEN_S = 0.2


@dataclass(slots=True)
class JobSource:
    """Rows for a job: a dump of a growing segment (`arrays`) or a sealed segment."""

    alive: Bitmap
    arrays: dict[str, np.ndarray] | None = None
    sealed: SealedSegment | None = None

    def in_process(self, job: Job) -> Source:
        if self.arrays is not None:
            return Source(self.arrays, self.alive)
        assert self.sealed is not None
        segment = self.sealed
        names = [column.name for column in segment.header.columns if job.reads(column.name)]
        return Source({name: segment.column(name) for name in names}, self.alive)


@dataclass(frozen=True, slots=True)
class WarmSegment:
    """A segment whose vector index a job starts from; `new_rows` says where its rows are in the job's segment, -1 for
    nowhere."""

    segment: SealedSegment
    new_rows: Int64Array


NOTHING_WARM: Mapping[str, WarmSegment] = MappingProxyType({})


class Builder:
    def __init__(self, storage: Storage, in_place_rows: int) -> None:
        self._storage = storage
        self._in_place_rows = in_place_rows

    def build(
        self,
        job: Job,
        sources: Sequence[JobSource],
        progress: Progress,
        warm: Mapping[str, WarmSegment] = NOTHING_WARM,
    ) -> SegmentHeader:
        """Build and publish; the blobs are durable but belong to no manifest yet. `warm` has segments whose vector
        indexes of the same spec the job's start from. Raises Cancelled, Corruption, ResourceExhausted or IoFailed,
        with nothing left behind but checkpoints, from which the same build goes on, and what an index raises."""
        kept = self._storage.checkpoints_dir
        if job.indexes and kept is not None:
            job = msgspec.structs.replace(job, checkpoints=str(kept))
        rows = sum(int(np.bitwise_count(source.alive).sum()) for source in sources)
        place = self._storage.new_staging()
        if place is None:
            blobs = self._storage.blobs
            return run_job(
                job,
                [source.in_process(job) for source in sources],
                lambda made: [blobs.put_new(name, chunks) for name, chunks in column_chunks(made)],
                progress,
                _opened(warm),
            )
        place.mkdir(parents=True)
        try:
            if rows <= self._in_place_rows:
                opened = [source.in_process(job) for source in sources]
                header = run_job(job, opened, partial(stage_into, place), progress, _opened(warm))
            else:
                described = {
                    name: self._describe_warm(name, one, place / f"new-rows-{number}.bin")
                    for number, (name, one) in enumerate(warm.items())
                }
                header = self._in_worker(msgspec.structs.replace(job, warm=described), sources, place, progress)
            progress("publish", 0, 1)
            if header.columns:
                self._storage.blobs.publish(load_staged(place / STAGED))
            return header
        except OSError as error:
            raise IoFailed(f"building segment {job.segment} failed: {error}") from error
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def sweep_checkpoints(self) -> None:
        """Once nothing is left to build."""
        if self._storage.checkpoints_dir is not None:
            checkpoints.sweep(self._storage.checkpoints_dir)

    def _in_worker(self, job: Job, sources: Sequence[JobSource], place: Path, progress: Progress) -> SegmentHeader:
        files = tuple(self._describe(job, source, place, number) for number, source in enumerate(sources))
        (place / "job.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(job, sources=files)))
        command = [sys.executable, "-m", "vecstore.engine.worker", str(place)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        assert process.stdin is not None
        WORKERS.add(process.pid)
        try:
            return self._follow(process, job, progress)
        finally:
            process.kill()
            process.wait()
            WORKERS.discard(process.pid)
            with contextlib.suppress(OSError):
                process.stdin.close()

    def _describe(self, job: Job, source: JobSource, place: Path, number: int) -> SourceFiles:
        alive = place / f"alive-{number}.bin"
        write_alive(alive, source.alive)
        if source.arrays is not None:
            packed = place / f"source-{number}.bin"
            write_packed(packed, source.arrays)
            return SourceFiles(str(alive), packed=str(packed))
        assert source.sealed is not None
        columns = source.sealed.header.columns
        wanted = tuple(self._file(source.sealed, column) for column in columns if job.reads(column.name))
        return SourceFiles(str(alive), columns=wanted)

    def _describe_warm(self, name: str, warm: WarmSegment, new_rows: Path) -> WarmFiles:
        segment = warm.segment
        entry = segment.header.indexes[name]
        columns = {column.name: column for column in segment.header.columns}
        arrays = {array: self._file(segment, columns[column]) for array, column in entry.arrays.items()}
        if f"norms.{name}" in columns:
            arrays["inverse_norms"] = self._file(segment, columns[f"norms.{name}"])
        rows = tuple(
            self._file(segment, columns[part]) for part in column_names(name, segment.field(name)) if part in columns
        )
        return WarmFiles(entry.spec, rows, arrays, write_new_rows(new_rows, warm.new_rows))

    def _file(self, segment: SealedSegment, column: Column) -> FileColumn:
        segment.column(column.name)  # verified by this process before the worker trusts the file
        path = str(self._storage.blobs.local_path(column.ref)) if column.ref.length else ""
        return FileColumn(column.name, column.dtype, column.shape, path)

    def _follow(self, process: subprocess.Popen[bytes], job: Job, progress: Progress) -> SegmentHeader:
        """Pass the worker's progress on. A worker that says nothing for a while is no reason not to hear `cancel`."""
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def read() -> None:
            assert process.stdout is not None
            with process.stdout:
                for raw in process.stdout:
                    lines.put(raw)
            lines.put(b"")

        threading.Thread(target=read, name="vecstore-worker-output", daemon=True).start()
        line = Line(phase="start")
        while True:
            try:
                raw = lines.get(timeout=LISTEN_S)
            except queue.Empty:
                progress(line.phase, line.done, line.total)
                continue
            if not raw:
                raise IoFailed(f"the worker that built segment {job.segment} ended with status {process.wait()}")
            line = msgspec.json.decode(raw, type=Line)
            if line.error is not None:
                raise worker_error(*line.error)
            if line.header is not None:
                return line.header
            progress(line.phase, line.done, line.total)


def _opened(warm: Mapping[str, WarmSegment]) -> dict[str, Warm[BuiltIndex]]:
    opened = {name: (one.segment.index(name), one.new_rows) for name, one in warm.items()}
    return {name: Warm(index, new_rows) for name, (index, new_rows) in opened.items() if index is not None}


def worker_error(reason: str, message: str) -> VecstoreError:
    kinds: dict[str, Callable[..., VecstoreError]] = {
        "CHECKSUM_MISMATCH": Corruption, "BAD_INDEX_SPEC": InvalidArgument, "UNIMPLEMENTED": Unimplemented,
        "RESOURCE_EXHAUSTED": ResourceExhausted, "INTERNAL": VecstoreError,
    }  # fmt: skip
    return kinds.get(reason, IoFailed)(f"worker: {message}", reason=reason)
