"""One build at a time on a device, of all processes of this user: each wants most of what memory searches leave."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecstore.index.base import Progress

PATIENCE = 600.0  # seconds; then the host builds
_PAUSE = 0.1


@contextmanager
def turn(device: str, progress: Progress) -> Iterator[bool]:
    """Whether the device, such as "cuda:0", is ours until the end. A turn ends with its process, however that ends."""
    path = Path(tempfile.gettempdir()) / f"vecstore-{os.getuid()}-{device.replace(':', '-')}.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield _locked(lock, device, progress)
    finally:
        os.close(lock)


def _locked(lock: int, device: str, progress: Progress) -> bool:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
        progress(f"wait for {device}", 0, 1)  # raises when the build is cancelled
        time.sleep(_PAUSE)
