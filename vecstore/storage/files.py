"""Files written so that they are whole or absent: temporary name, fsync, rename, fsync of the directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vecstore.storage.rocks_errors import from_os, locked


def fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """With its parents. Their names are durable when it returns, or a power cut could take all that is in `path`; it
    may exist, since who made it may have died before that. Raises OSError."""
    missing = [one for one in path.parents if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for directory in (*(one.parent for one in reversed(missing)), path.parent):
        with suppress(PermissionError):  # where we may make folders and not look at them
            fsync_directory(directory)


def fsync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, chunks: Iterable[bytes | memoryview]) -> int:
    """Create `path` (which must not exist) with `chunks`, fsynced; returns its length. Leaves nothing on failure.

    Raises ResourceExhausted (DISK_FULL) or IoFailed; an error of `chunks` itself passes through."""
    length = 0
    try:
        with open(path, "xb", buffering=0) as file:
            for chunk in chunks:
                view = memoryview(chunk)
                while len(view):
                    written = file.write(view)
                    length += written
                    view = view[written:]
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise from_os(error, f"writing {path.name}") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return length


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` at once or not at all, durable when it returns. Raises as `write_file`."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    write_file(temporary, [content])
    try:
        os.replace(temporary, path)
        fsync_directory(path.parent)
    except OSError as error:
        raise from_os(error, f"replacing {path.name}") from None


def lock_file(path: Path) -> int:
    """Take the exclusive lock on `path`, creating it; returns the descriptor that holds it until closed.

    Raises FailedPrecondition (DIRECTORY_LOCKED) when another process, or another object of this one, has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise from_os(error, f"opening {path.name}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise locked(str(path.parent)) from None
    except OSError as error:
        os.close(descriptor)
        raise from_os(error, f"locking {path.name}") from None
    return descriptor
