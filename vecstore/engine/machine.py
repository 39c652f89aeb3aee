"""How much memory there is for this process: the machine's, or what its container or control group may take."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from vecstore.config import MIB

_ROOT = Path("/sys/fs/cgroup")
_GROUPS = Path("/proc/self/cgroup")
_LIMITS = (_ROOT / "memory.max", _ROOT / "memory/memory.limit_in_bytes")  # version 2, version 1
_UNKNOWN = 4 << 30  # where the system does not tell
SEAL_BYTES, SEAL_PART = 256 * MIB, 16  # of the memory


def memory_bytes() -> int:
    found = [limit for limit in map(_limit, (*_LIMITS, *_own_limits())) if limit is not None]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min((size for size in found if size > 0), default=_UNKNOWN)


@cache
def default_seal_bytes() -> int:
    """Of a growing segment, which lies in memory: less where there is little. Some more may wait to be sealed."""
    return min(SEAL_BYTES, memory_bytes() // SEAL_PART)


def _own_limits() -> Iterator[Path]:
    """Of the control groups that this process is in, and of those around them (cgroups(7), /proc/pid/cgroup)."""
    with contextlib.suppress(OSError):
        for line in _GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root, name = (_ROOT / "memory", "memory.limit_in_bytes") if controllers else (_ROOT, "memory.max")
            parts = [part for part in path.split("/") if part and part != ".."]
            yield from (root.joinpath(*parts[:depth], name) for depth in range(1, len(parts) + 1))


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None  # no such file, or "max"
