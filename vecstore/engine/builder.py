"""Runs a build job, here or in a worker process, and publishes what it made. Called from maintenance's thread only."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from vecstore.engine.build import Progress, Source
from vecstore.engine.header import SegmentHeader
from vecstore.engine.jobs import (
    STAGED,
    FileColumn,
    Job,
    SourceFiles,
    column_chunks,
    run_job,
    stage_into,
    write_alive,
    write_packed,
)
from vecstore.engine.sealed import SealedSegment
from vecstore.engine.worker import Line
from vecstore.errors import Corruption, IoFailed, VecstoreError
from vecstore.kernels.base import Bitmap
from vecstore.storage.open import Storage
from vecstore.storage.staging import load_staged


@dataclass(slots=True)
class JobSource:
    """Rows for a job: a dump of a growing segment (`arrays`) or a sealed segment."""

    alive: Bitmap
    arrays: dict[str, np.ndarray] | None = None
    sealed: SealedSegment | None = None

    def in_process(self) -> Source:
        if self.arrays is not None:
            return Source(self.arrays, self.alive)
        assert self.sealed is not None
        segment = self.sealed
        names = [column.name for column in segment.header.columns if not column.name.startswith("field.")]
        return Source({name: segment.column(name) for name in names}, self.alive)


class Builder:
    def __init__(self, storage: Storage, in_place_rows: int) -> None:
        self._storage = storage
        self._in_place_rows = in_place_rows

    def build(self, job: Job, sources: Sequence[JobSource], progress: Progress) -> SegmentHeader:
        """Build and publish; the blobs are durable but belong to no manifest yet. Raises Cancelled, Corruption,
        ResourceExhausted or IoFailed, with nothing left behind."""
        rows = sum(int(np.bitwise_count(source.alive).sum()) for source in sources)
        place = self._storage.new_staging()
        if place is None:
            blobs = self._storage.blobs
            return run_job(
                job,
                [source.in_process() for source in sources],
                lambda made: [blobs.put_new(name, chunks) for name, chunks in column_chunks(made)],
                progress,
            )
        place.mkdir(parents=True)
        try:
            if rows <= self._in_place_rows:
                opened = [source.in_process() for source in sources]
                header = run_job(job, opened, partial(stage_into, place), progress)
            else:
                header = self._in_worker(job, sources, place, progress)
            progress("publish", 0, 1)
            self._storage.blobs.publish(load_staged(place / STAGED))
            return header
        except OSError as error:
            raise IoFailed(f"building segment {job.segment} failed: {error}") from error
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _in_worker(self, job: Job, sources: Sequence[JobSource], place: Path, progress: Progress) -> SegmentHeader:
        files = tuple(self._describe(source, place, number) for number, source in enumerate(sources))
        (place / "job.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(job, sources=files)))
        command = [sys.executable, "-m", "vecstore.engine.worker", str(place)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        try:
            return self._follow(process, job, progress)
        finally:
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate()

    def _describe(self, source: JobSource, place: Path, number: int) -> SourceFiles:
        alive = place / f"alive-{number}.bin"
        write_alive(alive, source.alive)
        if source.arrays is not None:
            packed = place / f"source-{number}.bin"
            write_packed(packed, source.arrays)
            return SourceFiles(str(alive), packed=str(packed))
        assert source.sealed is not None
        columns = []
        for column in source.sealed.header.columns:
            if not column.name.startswith("field."):
                source.sealed.column(column.name)  # verified by this process before the worker trusts the file
                path = str(self._storage.blobs.local_path(column.ref)) if column.ref.length else ""
                columns.append(FileColumn(column.name, column.dtype, column.shape, path))
        return SourceFiles(str(alive), columns=tuple(columns))

    def _follow(self, process: subprocess.Popen[bytes], job: Job, progress: Progress) -> SegmentHeader:
        assert process.stdout is not None
        for raw in process.stdout:
            line = msgspec.json.decode(raw, type=Line)
            if line.error is not None:
                raise worker_error(*line.error)
            if line.header is not None:
                return line.header
            progress(line.phase, line.done, line.total)
        raise IoFailed(f"the worker that built segment {job.segment} ended with status {process.wait()}")


def worker_error(reason: str, message: str) -> VecstoreError:
    kinds: dict[str, Callable[..., VecstoreError]] = {"CHECKSUM_MISMATCH": Corruption}
    return kinds.get(reason, IoFailed)(f"worker: {message}", reason=reason)
