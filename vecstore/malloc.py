"""How the C library's allocator keeps what was freed, for processes that serve for weeks."""

from __future__ import annotations

import ctypes
import os

# mallopt(3). glibc raises the first by itself up to 32 MiB once such a block was freed, and keeps later ones for ever.
_MMAP_THRESHOLD, _MMAP_BYTES = -3, 1 << 20
_TRIM_THRESHOLD, _TRIM_BYTES = -1, 1 << 20
_ARENA_MAX, _ARENAS = -8, 2  # each thread may have its own otherwise, and each keeps what its threads freed
_OWN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


def return_freed() -> None:
    """Give large blocks back to the system as soon as they are freed. Nothing where the environment sets the allocator,
    or where it is another one."""
    if any(name in os.environ for name in _OWN):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for option, value in ((_MMAP_THRESHOLD, _MMAP_BYTES), (_TRIM_THRESHOLD, _TRIM_BYTES), (_ARENA_MAX, _ARENAS)):
        mallopt(option, value)
