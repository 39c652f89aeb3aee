"""Arrow IPC streams of others, message by message, within a bound on what each holds: buffers may be compressed, and a
few bytes of them say that they are many.

Of a message's header (flatbuffers: Message.fbs of Arrow's format) no more is read than where its buffers begin."""

from __future__ import annotations

import struct
from typing import Any

from vecstore.errors import InvalidArgument
from vecstore.gateway.http_errors import too_large

RECORD_BATCH, DICTIONARY_BATCH = 3, 2  # of the union MessageHeader
BUFFERS, COMPRESSION = 2, 3  # fields of RecordBatch
DATA = 1  # of DictionaryBatch: the field that is a RecordBatch
HEADER_TYPE, HEADER = 1, 2  # of Message
BUFFER_BYTES = 16  # offset and length


class Messages:
    """A stream as a file that gives the same bytes, of messages that were looked at. Raises InvalidArgument: BAD_FILE,
    LIMIT_EXCEEDED for a record batch of more than `bound` bytes once it is decompressed, or for all of them."""

    closed = False

    def __init__(self, source: Any, bound: int, *, altogether: bool) -> None:
        """`source` is what Arrow opens as a stream; `altogether`: the bound is for all batches."""
        import pyarrow as pa

        self._messages = pa.ipc.MessageReader.open_stream(source)
        self._bound = bound
        self._altogether = altogether
        self._size = 0
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        found = bytearray()
        while len(found) < size and self._fill():
            taken = min(size - len(found), len(self._rest))
            found += self._rest[:taken]
            self._rest = self._rest[taken:]
        return bytes(found)

    def readable(self) -> bool:
        return True

    def _fill(self) -> bool:
        """False at the end."""
        if not len(self._rest):
            try:
                message = self._messages.read_next_message()
            except StopIteration:
                return False
            size = held(memoryview(message.metadata), memoryview(message.body or b""))
            self._size = size + (self._size if self._altogether else 0)
            if self._size > self._bound:
                raise too_large(self._size, self._bound)
            self._rest = memoryview(message.serialize())
        return True


def held(metadata: memoryview, body: memoryview) -> int:
    """Bytes of the message's buffers once decompressed. Raises InvalidArgument (BAD_FILE)."""
    try:
        message = _at(metadata, 0)
        kind = _field(metadata, message, HEADER_TYPE)
        header = _field(metadata, message, HEADER)
        if kind is None or header is None or metadata[kind] not in (RECORD_BATCH, DICTIONARY_BATCH):
            return len(body)
        batch = _at(metadata, header)
        if metadata[kind] == DICTIONARY_BATCH:
            data = _field(metadata, batch, DATA)
            if data is None:
                return len(body)
            batch = _at(metadata, data)
        buffers = _field(metadata, batch, BUFFERS)
        if _field(metadata, batch, COMPRESSION) is None or buffers is None:
            return len(body)
        start = _at(metadata, buffers)
        (count,) = struct.unpack_from("<I", metadata, start)
        total = 0
        for place in range(count):
            offset, length = struct.unpack_from("<qq", metadata, start + 4 + BUFFER_BYTES * place)
            (size,) = struct.unpack_from("<q", body, offset) if length else (0,)
            total += length if size < 0 else size  # -1: stored as it is
        return total
    except (struct.error, IndexError, ValueError):
        raise InvalidArgument("the body is no Arrow stream: a message's header is broken", reason="BAD_FILE") from None


def _at(data: memoryview, place: int) -> int:
    """Where the object lies that is referred to from `place`."""
    return int(place + struct.unpack_from("<I", data, place)[0])


def _field(data: memoryview, table: int, number: int) -> int | None:
    """Where a table's field lies, if it is there."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, vtable)
    at = 4 + 2 * number
    if at + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", data, vtable + at)
    return table + offset if offset else None
