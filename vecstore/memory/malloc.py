"""How the C library's allocator keeps what was freed, for processes that serve for weeks."""

from __future__ import annotations

import ctypes
import os
import threading
import time

# mallopt(3). glibc raises the first by itself up to 32 MiB once such a block was freed, and keeps later ones for ever.
_MMAP_THRESHOLD, _MMAP_BYTES = -3, 1 << 20
_TRIM_THRESHOLD, _TRIM_BYTES = -1, 1 << 20
_ARENA_MAX, _ARENAS = -8, 2  # each thread may have its own otherwise, and each keeps what its threads freed
_OWN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


_TRIM_EVERY_S = 1.0  # it takes 50 ms for some hundred MB

_trim: ctypes._NamedFuncPointer | None = None
_trimming = threading.Lock()
_trimmed_at = float("-inf")


def return_freed() -> None:
    """Give large blocks back to the system as soon as they are freed, and let `trim` do so with small ones. Nothing
    where the environment sets the allocator, or where it is another one."""
    global _trim
    if any(name in os.environ for name in _OWN):
        return
    try:
        library = ctypes.CDLL(None)
        mallopt, found = library.mallopt, library.malloc_trim
    except (OSError, AttributeError, TypeError):
        return
    for option, value in ((_MMAP_THRESHOLD, _MMAP_BYTES), (_TRIM_THRESHOLD, _TRIM_BYTES), (_ARENA_MAX, _ARENAS)):
        mallopt(option, value)
    _trim = found


def trim() -> bool:
    """Give back what was freed between blocks that are in use, which no allocator does by itself; False where that was
    not done. What arrives over gRPC, and the store's log, leave many such."""
    global _trimmed_at
    if _trim is None or not _trimming.acquire(blocking=False):
        return False
    try:
        if time.monotonic() - _trimmed_at < _TRIM_EVERY_S:
            return False
        _trim(0)
        _trimmed_at = time.monotonic()
        return True
    finally:
        _trimming.release()
