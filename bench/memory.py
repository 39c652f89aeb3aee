"""What a process holds in memory: after a trim, by kind of page, and at its peak since a moment."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path


def trim() -> None:
    """Give back what is free (glibc keeps it otherwise)."""
    gc.collect()
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:
            give_back(0)


def trimmed_rss() -> int:
    """Resident bytes of this process after a trim."""
    import psutil

    trim()
    return int(psutil.Process().memory_info().rss)


def memory_kib() -> dict[str, int]:
    """Pages of this process's own, of mapped files, shared (Linux)."""
    fields = {"RssAnon": "anon", "RssFile": "file", "RssShmem": "shmem"}
    values = status()
    return {name: int(values[field].split()[0]) for field, name in fields.items()}


def restart_peak() -> None:
    """From here on `peak_bytes` counts (Linux; elsewhere, and where it is forbidden, from the start of the process)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    return int(status()["VmHWM"].split()[0]) * 1024


def status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return dict(line.split(":", 1) for line in lines)
