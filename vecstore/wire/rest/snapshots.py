"""Snapshots."""

from __future__ import annotations

from vecstore.types import SnapshotInfo
from vecstore.wire.rest.base import Answer, Body


class CreateSnapshotBody(Body):
    """`name`: 1 to 64 characters of A-Z a-z 0-9 _ -; without one it is made of the time."""

    name: str = ""


class RestoreSnapshotBody(Body):
    """`into`: the name of a fresh folder below the server's `restore_dir`."""

    into: str


class Snapshot(Answer):
    """`seqs` and `points` by collection: the last write that is in it, and how many points."""

    name: str
    created_at: float
    bytes: int
    seqs: dict[str, int]
    points: dict[str, int]
    error: str | None = None


class Snapshots(Answer):
    snapshots: list[Snapshot]


def snapshot_to_json(info: SnapshotInfo) -> Snapshot:
    return Snapshot(info.name, info.created_at, info.bytes, info.seqs, info.points, info.error)


def snapshot_from_json(given: Snapshot) -> SnapshotInfo:
    return SnapshotInfo(given.name, given.created_at, given.bytes, given.seqs, given.points, given.error)
