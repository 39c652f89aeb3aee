"""One budget of memory for a process, `storage.memory_max`, and its parts.

`planned` gives every part that the settings leave at 0 its share of the budget, so that the parts fit together on any
machine; what is set stays. docs/OPERATIONS.md says what each part is and what lies outside of the budget.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import msgspec

from vecstore.config import MIB, Settings
from vecstore.errors import InvalidArgument
from vecstore.memory.machine import memory_bytes

log = logging.getLogger("vecstore.memory")
LEAST = 128 * MIB  # a process without data takes 80 MiB
REQUEST_COPIES = 4  # a request's bytes, its message, its log record and the store's batch are in memory at one time
PEAK_COPIES = 6  # and beside them what stays of it: in the write buffer and in the growing segment
BACKLOG_SEGMENTS = 4  # full growing segments, in size, that may wait to be sealed before writers are held back
BUFFERS = 4  # the store's write buffers, as a multiple of the log that it keeps


class Part(NamedTuple):
    section: str
    name: str
    share: int  # one of so many equal parts of the budget
    most: int | None = None
    times: int = 1  # what it may come to in memory
    anonymous: bool = True  # False: mapped files, which the system takes back when it needs room


PARTS = (
    Part("limits", "request_bytes_held_max", 16, None, REQUEST_COPIES),
    Part("storage", "seal_bytes", 32, 256 * MIB, 1 + BACKLOG_SEGMENTS),
    Part("storage", "wal_bytes_max", 32, 64 * MIB, BUFFERS),
    Part("storage", "segment_bytes_max", 16, 1_024 * MIB, 4),  # a worker that builds a graph of 768 dimensions
    Part("search", "filter_cache_bytes", 64, 64 * MIB),
    Part("search", "number_cache_bytes", 64, 64 * MIB),
    Part("search", "exact_cache_bytes", 32),
    Part("storage", "index_memory_bytes", 4, None, 1, anonymous=False),
)


def planned(settings: Settings) -> Settings:
    """The settings with every part filled in; the same again for settings that are. Raises InvalidArgument
    (BAD_CONFIG) for a budget below LEAST and, where the budget is set too, for a part that it cannot hold. What is set
    beyond what the machine has is warned of."""
    given, total = settings.storage.memory_max, budget(settings)
    if given and given < LEAST:
        raise _bad(f"storage.memory_max={given} must be at least {LEAST}")
    filled: dict[str, dict[str, Any]] = {"limits": {}, "storage": {}, "search": {}}
    warnings = [] if given <= memory_bytes() else [f"storage.memory_max={given} is more than the machine has"]
    for part in PARTS:
        size = _size(part, settings)
        if not size:
            filled[part.section][part.name] = _share(part, total, settings)
        elif size > total and part.anonymous:
            message = f"{part.section}.{part.name}={size} is more than storage.memory_max={total}"
            if given:
                raise _bad(message)
            warnings.append(message)
    if not any(filled.values()):
        return settings  # it has been here
    for warning in warnings:
        log.warning(warning)
    sections = {name: msgspec.structs.replace(getattr(settings, name), **values) for name, values in filled.items()}
    return msgspec.structs.replace(settings, **sections)


def budget(settings: Settings) -> int:
    """In bytes."""
    return settings.storage.memory_max or max(memory_bytes(), LEAST)


def described(settings: Settings) -> dict[str, int]:
    """Of planned settings: the budget and the most that each part of it comes to, in bytes."""
    return {"memory_max": budget(settings)} | {part.name: part.times * _size(part, settings) for part in PARTS}


def _size(part: Part, settings: Settings) -> int:
    size: int = getattr(getattr(settings, part.section), part.name)
    return size


def _share(part: Part, total: int, settings: Settings) -> int:
    size = min(total // part.share, part.most or total)
    if part.name == "request_bytes_held_max":
        return max(size, settings.limits.message_bytes_max)  # or the largest request would never be let in
    return size


def _bad(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="BAD_CONFIG")
