"""How much memory there is for this process: the machine's, or what its container may take."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNKNOWN = 4 << 30  # where the system does not tell


def memory_bytes() -> int:
    found = [limit for limit in map(_limit, _LIMITS) if limit is not None]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min((size for size in found if size > 0), default=_UNKNOWN)


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None  # no such file, or "max"
