"""What a writer and its followers say to each other over a local socket: length-prefixed MessagePack.

    follower: Intro                                   writer: Hello, Batch* (the state so far), Live, then Batch*
    follower: Ack, now and then and after each batch  writer: nothing
    follower: Note, when it has something to tell     writer: nothing

and on a connection of its own

    follower: Repair                                  writer: Repaired

Both ends are of one version: a server starts its readers, and another version is refused by `Intro.version`.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from vecstore.errors import Unavailable
from vecstore.storage.format import FEED_SOCKET
from vecstore.storage.interfaces import BlobRef, Delete, DeleteRange, Family, Op, Put

PROTOCOL = 2
FRAME_BYTES_MAX = 1 << 30
_LENGTH = struct.Struct("<Q")
_ADDRESS_BYTES_MAX = 100  # sun_path has 108, on some systems 104
_PUT, _DELETE, _DELETE_RANGE = 0, 1, 2


class _WireOp(msgspec.Struct, frozen=True, array_like=True):
    kind: int
    family: Family
    key: bytes
    value: bytes = b""


class Intro(msgspec.Struct, frozen=True, array_like=True, tag=0):
    version: int
    pid: int
    name: str


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """`epoch` is of the writer's store."""

    epoch: int


class Batch(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """One durable batch. `freezes` is a collection whose growing segment the writer closed with it."""

    number: int
    wire_ops: tuple[_WireOp, ...] = ()
    freezes: int | None = None

    def ops(self) -> list[Op]:
        return [_from_wire(op) for op in self.wire_ops]


class Live(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The state so far is complete; batches after `number` follow as they are committed."""

    number: int


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Everything up to `number` is shown, and what it took away is no longer looked for. Also a sign of life."""

    number: int


class Repair(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The cache file of `ref` is missing or damaged."""

    ref: BlobRef


class Repaired(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """`error` is empty when the file is whole now."""

    name: str
    error: str


class Note(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """What the engine of a follower has to tell that of the writer, as bytes of its own."""

    content: bytes


Message = Intro | Hello | Batch | Live | Ack | Repair | Repaired | Note
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def batch_of(number: int, ops: Sequence[Op], freezes: int | None = None) -> Batch:
    return Batch(number, tuple(_to_wire(op) for op in ops), freezes)


def frame(message: Message) -> bytes:
    content = _encode(message)
    return _LENGTH.pack(len(content)) + content


def read_message(stream: IO[bytes]) -> Message | None:
    """The next message, None at the end of the stream. Raises OSError, and Unavailable for what is no message."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > FRAME_BYTES_MAX:
        raise Unavailable(f"the feed sent a frame of {length} bytes")
    content = stream.read(length)
    if len(content) < length:
        return None
    try:
        message: Message = _decode(content)
        return message
    except msgspec.DecodeError as error:
        raise Unavailable(f"the feed sent what is no message: {error}") from None


@contextmanager
def feed_address(directory: Path) -> Iterator[str]:
    """A name of the directory's socket that fits an address, however long the path is."""
    path = str(directory / FEED_SOCKET)
    if len(os.fsencode(path)) <= _ADDRESS_BYTES_MAX:
        yield path
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{FEED_SOCKET}"
    finally:
        os.close(descriptor)


def listen(directory: Path) -> socket.socket:
    """Listen on the directory's socket, whose owner only may connect. Raises OSError."""
    (directory / FEED_SOCKET).unlink(missing_ok=True)  # of a writer that was killed: the directory's lock is ours
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with feed_address(directory) as address:
            listener.bind(address)
        os.chmod(directory / FEED_SOCKET, 0o600)
        listener.listen(64)
    except BaseException:
        listener.close()
        raise
    return listener


def dial(directory: Path) -> socket.socket:
    """Connect to the directory's writer. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with feed_address(directory) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _to_wire(op: Op) -> _WireOp:
    if isinstance(op, Put):
        return _WireOp(_PUT, op.family, op.key, op.content)
    if isinstance(op, Delete):
        return _WireOp(_DELETE, op.family, op.key)
    return _WireOp(_DELETE_RANGE, op.family, op.low, op.high)


def _from_wire(op: _WireOp) -> Op:
    if op.kind == _PUT:
        return Put(op.family, op.key, op.value)
    return Delete(op.family, op.key) if op.kind == _DELETE else DeleteRange(op.family, op.key, op.value)
