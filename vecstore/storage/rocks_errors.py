"""From RocksDB's messages to the tree of errors. The binding raises plain Exception, so the text decides."""

from __future__ import annotations

import errno
import re

from vecstore.errors import Corruption, FailedPrecondition, IoFailed, ResourceExhausted, Unavailable, VecstoreError

_DISK_FULL = ("No space left on device", "File too large", "Disk quota exceeded", "Max allowed space was reached")
_DISK_FULL_ERRNO = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_LOCKED = ("lock hold by current process", "While lock file")
_DIRECTORY = re.compile(r"(?:[^\s:]*/)+(?=[^\s/:]+)")  # error texts name files, not where the server keeps them


def disk_full(detail: str) -> ResourceExhausted:
    return ResourceExhausted(f"the disk is full: {detail}", reason="DISK_FULL")


def locked(directory: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"database directory {directory} is open in another process or database object; for several at a time, "
        "let `vecstore serve` open it and connect to that",
        reason="DIRECTORY_LOCKED",
    )


def closed() -> FailedPrecondition:
    return FailedPrecondition("the database is closed", reason="CLOSED")


def is_stall(error: Exception) -> bool:
    """RocksDB would have slept: the batch was not applied."""
    return "Result incomplete" in str(error)


def from_rocks(error: Exception, doing: str) -> VecstoreError:
    """The typed error for what rocksdict raised while `doing`."""
    if isinstance(error, VecstoreError):
        return error
    text = str(error)
    detail = f"{doing}: {_DIRECTORY.sub('', text)}"
    if any(mark in text for mark in _DISK_FULL):
        return disk_full(detail)
    if text.startswith("Corruption"):
        return Corruption(detail)
    if any(mark in text for mark in _LOCKED):
        return locked("given")
    if is_stall(error):
        return Unavailable(detail, reason="OVERLOADED")
    return IoFailed(detail)


def from_os(error: OSError, doing: str) -> VecstoreError:
    """The typed error for what the operating system refused while `doing`."""
    detail = f"{doing}: {error.strerror or error}"
    if error.errno in _DISK_FULL_ERRNO:
        return disk_full(detail)
    return IoFailed(detail)
