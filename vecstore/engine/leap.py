"""A database that was restored has its seqs go on far beyond where the snapshot ended.

Clients outlive the database that they wrote to. They remember a seq and have reads wait for it, or make writes on
condition that a point is still of it; in the database that they then talk to, made of an older snapshot, that write
never comes, and its number would be given to another one. How far the first database went is not known, so that all
seqs leap by more than it can have done, and to the microseconds since 1970 where those are more: they go up faster
than seqs do, so that a database made of the same snapshot again is beyond all that the one before it has given.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from vecstore.engine import keys
from vecstore.engine.changes import put_manifest
from vecstore.engine.collection import Collection
from vecstore.engine.ended import Ended
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.open import Storage

LEAP = 1 << 40  # a year of 30,000 writes a second


def leap_where_restored(storage: Storage, collections: Sequence[Collection], ended: Ended) -> None:
    """For before anything is written. One that is damaged beyond serving stays as it is. A crash on the way means
    another leap, which is no matter."""
    if not storage.restored:
        return
    served = [one for one in collections if one.failed is None and not one.record.dropping]
    to = max(max((ended.last, *(one.view.seq for one in served))) + LEAP, _microseconds())
    ops = [Put(Family.META, keys.LEAPT, b"%d" % to)]
    for one in served:
        before = [leap for leap in one.manifest.leaps if leap[1] > one.manifest.sealed_seq]
        one.manifest = msgspec.structs.replace(one.manifest, leaps=_with(before, one.view.seq, to))
        ops.append(put_manifest(one.number, one.manifest))
    storage.kv.durable(storage.kv.write(ops, use_reserve=True))
    ended.leapt = to
    for one in served:
        one.publish(to)
    storage.forget_restored()


def _microseconds() -> int:
    """Since 1970: exact in JavaScript's numbers until 2255."""
    return time.time_ns() // 1_000


def _with(leaps: Sequence[tuple[int, int]], seq: int, to: int) -> tuple[tuple[int, int], ...]:
    """Nothing was written between two leaps that meet: they are one."""
    met = [before for before, after in leaps if after == seq]
    return (*(leap for leap in leaps if leap[1] != seq), (met[0] if met else seq, to))
