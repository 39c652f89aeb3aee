"""Named steps of the engine and of storage at which a process can die: before the call or after it.

Nothing in the engine knows of them: the process that is to die (`crash_child.py`) wraps the function. `reach` is the
highest call that a run is sure to come to; `opening` steps die while a database with work in it is opened.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EXIT = 86


@dataclass(frozen=True)
class CrashPoint:
    target: str  # module:name or module:Class.name
    reach: int = 1
    opening: bool = False
    worker: bool = False  # needs segments built in a worker process


POINTS = {
    "log write": CrashPoint("vecstore.storage.rocks_kv:RocksKV.write", 60),
    "log fsync": CrashPoint("vecstore.storage.rocks_kv:RocksKV.durable", 60),
    "apply in memory": CrashPoint("vecstore.engine.collection:Collection.apply", 40),
    "show to readers": CrashPoint("vecstore.engine.collection:Collection.publish", 40),
    "freeze": CrashPoint("vecstore.engine.changes:freeze", 2),
    "take a segment number": CrashPoint("vecstore.engine.changes:take_segment_number", 4),
    "build": CrashPoint("vecstore.engine.builder:run_job", 3),
    "stage": CrashPoint("vecstore.engine.jobs:stage_blobs", 3),
    "stage a file": CrashPoint("vecstore.storage.staging:write_cache_file", 20),
    "stage the table": CrashPoint("vecstore.storage.staging:_write_sst", 3),
    "name what is staged": CrashPoint("vecstore.storage.staging:replace_file", 3),
    "follow a worker": CrashPoint("vecstore.engine.builder:Builder._follow", 2, worker=True),
    "publish blobs": CrashPoint("vecstore.storage.rocks_blobs:RocksBlobs.publish", 4),
    "adopt a cache file": CrashPoint("vecstore.storage.cache_files:CacheFiles.adopt", 20),
    "map a column": CrashPoint("vecstore.storage.rocks_blobs:RocksBlobs.map", 20),
    "swap segments": CrashPoint("vecstore.engine.changes:swap", 4),
    "commit a change": CrashPoint("vecstore.engine.committer:Committer._commit_exclusive", 10),
    "add an index": CrashPoint("vecstore.engine.changes:add_derived_columns", 1),
    "change the schema": CrashPoint("vecstore.engine.changes:set_schema", 1),
    "delete a blob": CrashPoint("vecstore.storage.rocks_blobs:RocksBlobs.delete", 12),
    "remove a cache file": CrashPoint("vecstore.storage.cache_files:CacheFiles.remove", 12),
    "give back space": CrashPoint("vecstore.storage.reclaim:Reclaimer._compact", 1),
    "forget what was given back": CrashPoint("vecstore.storage.reclaim:Reclaimer._forget", 1),
    "forget a collection": CrashPoint("vecstore.engine.changes:forget", 1),
    "open RocksDB": CrashPoint("vecstore.storage.rocks_database:RocksDatabase._open", 1, opening=True),
    "begin an epoch": CrashPoint("vecstore.storage.rocks_database:RocksDatabase._begin_epoch", 1, opening=True),
    "bury the dead": CrashPoint("vecstore.engine.recovery:_bury", 2, opening=True),
    "replay": CrashPoint("vecstore.engine.recovery:_replay", 2, opening=True),
    "replay a record": CrashPoint("vecstore.engine.recovery:decode_record", 2, opening=True),
    "sweep": CrashPoint("vecstore.storage.rocks_blobs:RocksBlobs.sweep", 1, opening=True),
}


def arm(point: CrashPoint, when: str, nth: int) -> None:
    """From now on this process dies before or after the `nth` call of the step."""
    module_name, _, path = point.target.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        dies = calls == nth
        if dies and when == "before":
            os._exit(EXIT)
        result = real(*args, **kwargs)
        if dies:
            os._exit(EXIT)
        return result

    setattr(owner, name, wrapped)
