"""From a snapshot's folder to a database's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vecstore.storage.snapshots import restore_snapshot
from vecstore.types import SnapshotInfo


def restore(
    snapshot: str | Path, dest: str | Path, *, progress: Callable[[str, int, int], None] | None = None
) -> SnapshotInfo:
    """Make a database in the folder `dest`, which must not exist, of what `Client.snapshot` wrote: a copy whose every
    byte is checked against the snapshot's hashes. It is there whole, or not at all. `progress` is called with what is
    counted, how much is done and how much there is.

    Raises NotFound (SNAPSHOT_NOT_FOUND), FailedPrecondition (PATH_EXISTS, FORMAT_TOO_NEW), Corruption, which names the
    file, ResourceExhausted (DISK_FULL) and IoFailed."""
    source = Path(snapshot).absolute()
    record = restore_snapshot(source, Path(dest).absolute(), progress or (lambda phase, done, total: None))
    seqs = {one.name: one.seq for one in record.collections}
    points = {one.name: one.points for one in record.collections}
    return SnapshotInfo(source.name, record.created_at, record.total_bytes, seqs, points)
