"""Many points on their way in: as lines of JSON, and as Arrow record batches.

Of a stream, batches of lines, or the record batches as they come, are written one after another, each of them whole and
durable before the next is read; what fails ends the stream, and says how many points are written. Of a body that is
received whole, all points are one batch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from vecstore.config import Limits
from vecstore.errors import FailedPrecondition, InvalidArgument, VecstoreError
from vecstore.gateway.arrow_messages import Messages
from vecstore.gateway.call import Call
from vecstore.gateway.decoding import Decoders
from vecstore.gateway.http_errors import UnsupportedMediaType, too_large, unsupported
from vecstore.gateway.placing import shifted
from vecstore.io.layout import ID, ID_KIND, PAYLOAD
from vecstore.io.mapping import FORMAT_KEY, need_module
from vecstore.schema import Schema
from vecstore.types import PointBatch, VectorBatch
from vecstore.wire.gather import check_count
from vecstore.wire.rest.ids import id_from_json
from vecstore.wire.rest.points import PointSpec, points_from_json

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
MEDIA = (NDJSON, ARROW)
LINES = 512  # points of one write, or fewer where they are large
LINES_BYTES = 4 << 20


async def batches_in(call: Call, schema: Schema) -> AsyncIterator[PointBatch]:
    """The points of the body. Raises InvalidArgument naming the point by its place in the stream."""
    media = _media(call)
    if media == NDJSON:
        async for batch in _lines_in(call, schema):
            yield batch
    elif media == ARROW:
        need_arrow()
        async for batch in _arrow_in(call, schema):
            yield batch
    else:
        raise unsupported("Content-Type", media, MEDIA)


async def whole_batch(call: Call, schema: Schema) -> PointBatch:
    """All points of a body that has been received as one of MEDIA. Raises InvalidArgument as `batches_in` does."""
    if _media(call) == NDJSON:
        lines = [line for line in call.body.split(b"\n") if line.strip()]
        return await call.in_thread(_points_of, lines, 0, call.limits, schema)
    need_arrow()
    return await call.in_thread(_arrow_whole, call.body, call.limits, schema)


def _media(call: Call) -> str:
    return call.headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")


def need_arrow() -> None:
    """Raises InvalidArgument (UNSUPPORTED_MEDIA_TYPE, status 415) where pyarrow is not installed."""
    try:
        need_module("pyarrow")
    except FailedPrecondition as error:
        raise UnsupportedMediaType(f"{ARROW}: {error.message}") from None


async def _lines_in(call: Call, schema: Schema) -> AsyncIterator[PointBatch]:
    done = 0
    lines: list[bytes] = []
    size = 0
    async for line in _lines(call):
        lines.append(line)
        size += len(line)
        if len(lines) >= LINES or size >= LINES_BYTES:
            yield await call.in_thread(_points_of, lines, done, call.limits, schema)
            done += len(lines)
            lines, size = [], 0
    if lines:
        yield await call.in_thread(_points_of, lines, done, call.limits, schema)


def _points_of(lines: list[bytes], start: int, limits: Limits, schema: Schema) -> PointBatch:
    """`start` is the place of the first in what the client sent."""
    decoders, points = Decoders(), []
    for place, line in enumerate(lines):
        try:
            points.append(decoders.decode(line, PointSpec))
        except InvalidArgument as error:
            raise error.at(f"points[{start + place}]") from None
    try:
        return points_from_json(points, limits, schema)
    except InvalidArgument as error:
        raise shifted(error, start) from None


async def _lines(call: Call) -> AsyncIterator[bytes]:
    """Lines that are not empty. Raises InvalidArgument (LIMIT_EXCEEDED) for one that is too long."""
    bound = call.limits.message_bytes_max
    rest: list[bytes] = []  # of a line: put together once, or a long one would be copied with every piece of it
    size = 0
    assert call.chunks is not None
    async for chunk in call.chunks:
        *ends, last = chunk.split(b"\n")
        for end in ends:
            line = b"".join([*rest, end])
            rest, size = [], 0
            if line.strip():
                yield line
        rest.append(last)
        size += len(last)
        if size > bound:
            raise too_large(size, bound)
    line = b"".join(rest)
    if line.strip():
        yield line


class _Feed:
    """The body as a file that Arrow reads in a thread, while the event loop receives."""

    closed = False

    def __init__(self, call: Call) -> None:
        self._chunks = call.chunks
        self._loop = asyncio.get_running_loop()
        self._bound = call.limits.message_bytes_max
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Raises InvalidArgument (LIMIT_EXCEEDED) for a record batch that is too large, before it is received."""
        if size < 0 or size > self._bound:
            raise too_large(size, self._bound)
        while len(self._rest) < size:
            chunk = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if not chunk:
                break
            self._rest += chunk
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    async def _next(self) -> bytes:
        assert self._chunks is not None
        return await anext(self._chunks, b"")

    def readable(self) -> bool:
        return True


async def _arrow_in(call: Call, schema: Schema) -> AsyncIterator[PointBatch]:
    batches = _arrow_batches(_Feed(call), call.limits, schema)
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        yield batch


def _arrow_whole(body: bytes, limits: Limits, schema: Schema) -> PointBatch:
    import pyarrow as pa

    with _opened(body, limits, altogether=True) as stream:
        table = stream.read_all()
        check_count(table.num_rows, limits)
        table.validate(full=True)
        blocks = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
        return _arrow_batch(blocks[0], schema, 0)


def _arrow_batches(feed: Any, limits: Limits, schema: Schema) -> Iterator[PointBatch]:
    import pyarrow as pa

    start = 0
    with _opened(pa.PythonFile(feed, mode="r"), limits, altogether=False) as stream:
        for block in stream:
            check_count(block.num_rows, limits)
            block.validate(full=True)
            yield _arrow_batch(block, schema, start)
            start += block.num_rows


@contextlib.contextmanager
def _opened(source: Any, limits: Limits, *, altogether: bool) -> Iterator[Any]:
    import pyarrow as pa

    try:
        checked = Messages(source, limits.message_bytes_max, altogether=altogether)
        with pa.ipc.open_stream(pa.PythonFile(checked, mode="r")) as stream:
            yield stream
    except (pa.ArrowException, OSError) as error:
        raise InvalidArgument(f"the body is no Arrow stream: {str(error)[:300]}", reason="BAD_FILE") from None


def _arrow_batch(block: Any, schema: Schema, start: int) -> PointBatch:
    """Columns `id`, `payload` (JSON text) and one for each vector field, as `ArrowRows` writes them; other columns of
    single values are payload where there is no column of that name."""
    import pyarrow as pa

    from vecstore.io.arrow_columns import carried, ids_of, payloads_of, vectors_of

    names = list(block.schema.names)
    if ID not in names:
        raise InvalidArgument(f"the stream has no column {ID!r}; it has {', '.join(names)[:500]}", reason="BAD_COLUMN")
    own = FORMAT_KEY.encode() in (block.schema.metadata or {})
    kinds = block.column(ID_KIND) if own and ID_KIND in names else None
    given = ids_of(block.column(ID), kinds, "the stream", start)
    batch = PointBatch(given if kinds is not None else [id_from_json(one) for one in given])  # type: ignore[arg-type]
    for name in names:
        field = schema.vectors.get(name)
        if field is not None:
            rows, present = vectors_of(block.column(name), name, "the stream", start)
            batch.vectors[name] = VectorBatch(carried(rows, field, name), present)
    if PAYLOAD in names:
        texts = block.column(PAYLOAD).cast(pa.string()).to_pylist()
        batch.payloads = [None if text is None else text.encode() for text in texts]
    else:
        plain = [name for name in names if name not in (ID, *schema.vectors) and not _is_nested(block, name)]
        batch.payloads = payloads_of(block, plain, "the stream", start)
    return batch


def _is_nested(block: Any, name: str) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(block.schema.field(name).type))


def failed_after(error: VecstoreError, written: int) -> VecstoreError:
    error.metadata["points_written"] = str(written)
    return error
