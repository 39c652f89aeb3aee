"""Points by the stream, in and out: as lines of JSON, and as Arrow record batches.

In: batches of lines, or the record batches as they come, are written one after another, each of them whole and durable
before the next is read; what fails ends the stream, and says how many points are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from vecstore.client.vectors import as_rows
from vecstore.errors import FailedPrecondition, InvalidArgument, VecstoreError
from vecstore.gateway.call import Call
from vecstore.gateway.decoding import Decoders
from vecstore.gateway.http_errors import UnsupportedMediaType, too_large, unsupported
from vecstore.io.layout import ID, ID_KIND, PAYLOAD
from vecstore.io.mapping import FORMAT_KEY, need_module
from vecstore.io.parquet import ArrowRows
from vecstore.schema import Schema
from vecstore.types import Point, PointBatch, ScrollRequest, Selection, VectorBatch
from vecstore.wire.rest.ids import id_from_json
from vecstore.wire.rest.points import PointSpec, StoredPoint, points_from_json, stored_to_json

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
MEDIA = (NDJSON, ARROW)
LINES = 512  # points of one write, or fewer where they are large
LINES_BYTES = 4 << 20
PAGE = 500

_encode = msgspec.json.Encoder().encode


async def batches_in(call: Call, schema: Schema) -> AsyncIterator[PointBatch]:
    """The points of the body. Raises InvalidArgument naming the point by its place in the stream."""
    media = call.headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
    if media == NDJSON:
        async for batch in _lines_in(call, schema):
            yield batch
    elif media == ARROW:
        need_arrow()
        async for batch in _arrow_in(call, schema):
            yield batch
    else:
        raise unsupported("Content-Type", media, MEDIA)


def need_arrow() -> None:
    """Raises InvalidArgument (UNSUPPORTED_MEDIA_TYPE, status 415) where pyarrow is not installed."""
    try:
        need_module("pyarrow")
    except FailedPrecondition as error:
        raise UnsupportedMediaType(f"{ARROW}: {error.message}") from None


async def _lines_in(call: Call, schema: Schema) -> AsyncIterator[PointBatch]:
    decoders, done = Decoders(), 0

    def read(lines: list[bytes], start: int) -> PointBatch:
        points = []
        for place, line in enumerate(lines):
            try:
                points.append(decoders.decode(line, PointSpec))
            except InvalidArgument as error:
                raise error.at(f"points[{start + place}]") from None
        return points_from_json(points, call.limits, schema)

    lines: list[bytes] = []
    size = 0
    async for line in _lines(call):
        lines.append(line)
        size += len(line)
        if len(lines) >= LINES or size >= LINES_BYTES:
            yield await call.in_thread(read, lines, done)
            done += len(lines)
            lines, size = [], 0
    if lines:
        yield await call.in_thread(read, lines, done)


async def _lines(call: Call) -> AsyncIterator[bytes]:
    """Lines that are not empty. Raises InvalidArgument (LIMIT_EXCEEDED) for one that is too long."""
    bound = call.limits.message_bytes_max
    rest = b""
    assert call.chunks is not None
    async for chunk in call.chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > bound:
            raise too_large(len(rest), bound)
    if rest.strip():
        yield rest


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
    batches = _arrow_batches(_Feed(call), schema)
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        yield batch


def _arrow_batches(feed: Any, schema: Schema) -> Iterator[PointBatch]:
    import pyarrow as pa

    start = 0
    try:
        with pa.ipc.open_stream(pa.PythonFile(feed, mode="r")) as stream:
            for block in stream:
                block.validate(full=True)
                yield _arrow_batch(block, schema, start)
                start += block.num_rows
    except pa.ArrowException as error:
        raise InvalidArgument(f"the body is no Arrow stream: {str(error)[:300]}", reason="BAD_FILE") from None


def _arrow_batch(block: Any, schema: Schema, start: int) -> PointBatch:
    """Columns `id`, `payload` (JSON text) and one for each vector field, as `ArrowRows` writes them; other columns of
    single values are payload where there is no column of that name."""
    import pyarrow as pa

    from vecstore.io.arrow_columns import ids_of, payloads_of, vectors_of

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
            if isinstance(rows, np.ndarray) and not field.is_sparse:
                rows = as_rows(rows, field, name)
            batch.vectors[name] = VectorBatch(rows, present)
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


# ---- out


async def pages_out(call: Call, request: ScrollRequest) -> AsyncIterator[list[Point]]:
    """All points that match, page by page, each as the collection is when it is read."""
    while True:
        async with _slot(call):
            page = await call.transport.scroll(request)
        if page.points:
            yield page.points
        if page.next_after is None:
            return
        request.after = page.next_after
        call.principal = call.services.access.renew(call.principal)


async def begun(pages: AsyncIterator[list[Point]]) -> AsyncIterator[list[Point]]:
    """The same pages, of which the first is read now: what is wrong with a request is said before its answer begins."""
    first = await anext(pages, None)

    async def all_of_them() -> AsyncIterator[list[Point]]:
        if first is not None:
            yield first
        async for page in pages:
            yield page

    return all_of_them()


class _slot:  # noqa: N801 (reads as a statement)
    """One page takes part in what may run at a time, the stream as a whole does not."""

    def __init__(self, call: Call) -> None:
        self._admission = call.services.admission

    async def __aenter__(self) -> None:
        await self._admission.wait_slot()

    async def __aexit__(self, *_: object) -> None:
        self._admission.release_slot()


async def lines_out(call: Call, pages: AsyncIterator[list[Point]], packed: bool) -> AsyncIterator[bytes]:
    def write(points: list[Point]) -> bytes:
        return b"".join(_encode(stored_to_json(StoredPoint, one, packed)) + b"\n" for one in points)

    async for points in pages:
        yield await call.in_thread(write, points)


async def arrow_out(
    call: Call, pages: AsyncIterator[list[Point]], chosen: bool | Sequence[str], schema: Schema
) -> AsyncIterator[bytes]:
    import pyarrow as pa

    wanted = set(schema.vectors) if chosen is True else set(chosen or ())
    rows = ArrowRows({name: field for name, field in schema.vectors.items() if name in wanted}, None)
    sink = _Sink()
    writer = pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), rows.schema)
    yield sink.taken()
    async for points in pages:
        await call.in_thread(lambda points=points: writer.write_batch(rows.batch(points)))  # type: ignore[misc]
        yield sink.taken()
    writer.close()
    yield sink.taken()


class _Sink:
    closed = False

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def writable(self) -> bool:
        return True

    def taken(self) -> bytes:
        found, self._written = b"".join(self._written), []
        return found


def selected(call: Call, body: Any) -> ScrollRequest:
    from vecstore.wire.rest.points import filter_from_json
    from vecstore.wire.rest.queries import selector_to_json

    select = Selection(selector_to_json(body.with_payload), selector_to_json(body.with_vectors))
    where = filter_from_json(body.filter, call.limits)
    after = None if body.after is None else id_from_json(body.after)
    return ScrollRequest(call.collection, where, PAGE, after, select)


def failed_after(error: VecstoreError, written: int) -> VecstoreError:
    error.metadata["points_written"] = str(written)
    return error
