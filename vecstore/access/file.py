"""The file of keys: JSON, `{"version": 1, "keys": [...]}`, replaced whole and atomically, readable by its owner."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from vecstore.access.keys import KeyRecord, bad

VERSION = 1
FILE_BYTES_MAX = 16 << 20  # about 50,000 keys


class KeysFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    keys: tuple[KeyRecord, ...]


Signature = tuple[int, int, int]


def signature(path: Path) -> Signature | None:
    """Differs after each replacement; None when there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_keys(path: Path) -> tuple[KeyRecord, ...]:
    """Raises InvalidArgument (BAD_CONFIG) naming what is wrong; nothing of a wrong file is used."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise bad(f"server.keys_file={path}: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise bad(f"server.keys_file={path} has more than {FILE_BYTES_MAX} bytes")
    try:
        content = msgspec.json.decode(data, type=KeysFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise bad(f"server.keys_file={path} is no file of keys: {error}") from None
    if content.version != VERSION:
        raise bad(f"server.keys_file={path} has version {content.version}, this release reads {VERSION}")
    for what in ("id", "name"):
        seen: set[str] = set()
        for record in content.keys:
            value = getattr(record, what)
            if value in seen:
                raise bad(f"server.keys_file={path}: two keys have the {what} {value!r:.80}")
            seen.add(value)
    for record in content.keys:
        record.check()
    return content.keys


def change_keys(path: Path, change: Callable[[tuple[KeyRecord, ...]], tuple[KeyRecord, ...]]) -> None:
    """Read, change and replace the file; made when absent. Two programs that do so at once take turns.

    Raises InvalidArgument (BAD_CONFIG), and what `change` raises, with the file untouched."""
    with _turn(path.parent):
        keys = change(read_keys(path) if path.exists() else ())
        content = msgspec.json.format(msgspec.json.encode(KeysFile(VERSION, keys)), indent=2)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                there = path.stat()
                os.chmod(temporary, there.st_mode & 0o777)
                if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                    with contextlib.suppress(PermissionError):  # only root may give a file away
                        os.chown(temporary, there.st_uid, there.st_gid)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


@contextlib.contextmanager
def _turn(directory: Path) -> Iterator[None]:
    """The file itself is replaced, so that a lock on it would be lost: the directory is locked."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise bad(f"directory {directory} of server.keys_file: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
