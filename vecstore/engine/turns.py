"""One build at a time on a device, of all processes of this user: each wants most of what memory searches leave. Where
any device will do, a build takes the first that is free.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vecstore.index.base import Progress

PATIENCE = 600.0  # seconds; then the host builds
_PAUSE = 0.1


@contextmanager
def turn(devices: Sequence[str], progress: Progress) -> Iterator[str | None]:
    """Which of the devices, such as "cuda:0", is ours until the end; None: others keep them all. A turn ends with its
    process, however that ends."""
    with ExitStack() as opened:
        locks = {}
        for device in devices:
            locks[device] = _file(device)
            opened.callback(os.close, locks[device])
        yield _locked(locks, progress)


def _file(device: str) -> int:
    path = Path(tempfile.gettempdir()) / f"vecstore-{os.getuid()}-{device.replace(':', '-')}.lock"
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _locked(locks: dict[str, int], progress: Progress) -> str | None:
    until = time.monotonic() + PATIENCE
    while True:
        for device, lock in locks.items():
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return device
        if time.monotonic() >= until:
            return None
        progress(f"wait for {' or '.join(locks)}", 0, 1)  # raises when the build is cancelled
        time.sleep(_PAUSE)
