"""Snapshots."""

from __future__ import annotations

from vecstore.pb.v1 import snapshots_pb2 as pb
from vecstore.types import SnapshotInfo


def snapshot_to_pb(info: SnapshotInfo) -> pb.Snapshot:
    collections = {
        name: pb.SnapshotCollection(seq=seq, points=info.points.get(name, 0)) for name, seq in info.seqs.items()
    }
    return pb.Snapshot(
        name=info.name, created_at=info.created_at, bytes=info.bytes, collections=collections, error=info.error
    )


def snapshot_from_pb(message: pb.Snapshot) -> SnapshotInfo:
    return SnapshotInfo(
        message.name,
        message.created_at,
        message.bytes,
        {name: one.seq for name, one in message.collections.items()},
        {name: one.points for name, one in message.collections.items()},
        message.error if message.HasField("error") else None,
    )
