"""How much memory there is for this process, and how much it and its workers hold."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_GROUPS = Path("/proc/self/cgroup")
_LIMITS = (_ROOT / "memory.max", _ROOT / "memory/memory.limit_in_bytes")  # version 2, version 1
_UNKNOWN = 4 << 30  # where the system does not tell
_PAGE = os.sysconf("SC_PAGE_SIZE")
WORKERS: set[int] = set()  # processes that build for this one


def memory_bytes() -> int:
    """The machine's, or what the container or control group of this process may take."""
    found = [limit for limit in map(_limit, (*_LIMITS, *_own_limits())) if limit is not None]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PHYS_PAGES") * _PAGE)
    return min((size for size in found if size > 0), default=_UNKNOWN)


def held_bytes() -> int:
    """Of this process and its workers together, mapped files left out, which the system takes back when it needs room;
    0 where the system does not tell. Takes some 20 us for each process."""
    return sum(_held_by(str(pid)) for pid in ("self", *WORKERS.copy()))


def _held_by(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared, *_ = file.read().split()
    except (OSError, ValueError):
        return 0  # no such system, or it has just ended
    return (int(resident) - int(shared)) * _PAGE


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
