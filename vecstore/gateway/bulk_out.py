"""Many points on their way out, page by page: as lines of JSON, and as an Arrow stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from vecstore.gateway.call import Call
from vecstore.io.parquet import ArrowRows
from vecstore.schema import Schema
from vecstore.types import Point, ScrollRequest, Selection
from vecstore.wire.rest.ids import id_from_json
from vecstore.wire.rest.points import StoredPoint, filter_from_json, stored_to_json
from vecstore.wire.rest.query_requests import selector_to_json

PAGE = 500

_encode = msgspec.json.Encoder().encode


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
    select = Selection(selector_to_json(body.with_payload), selector_to_json(body.with_vectors))
    where = filter_from_json(body.filter, call.limits)
    after = None if body.after is None else id_from_json(body.after)
    return ScrollRequest(call.collection, where, PAGE, after, select)
