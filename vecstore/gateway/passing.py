"""What a reader process answers by itself, and passing on the rest to the writer.

Both processes check the caller's key and role; its collections are checked by the one that answers. Bounds on bodies
and times are the writer's. Reads of points, queries and documents are never passed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from vecstore.errors import Unavailable
from vecstore.gateway.call import Services
from vecstore.gateway.decoding import timeout_s
from vecstore.gateway.route import Route
from vecstore.server.admission import Admission

GRACE_S = 5.0  # for the writer to say by itself that the time ran out
# What a reader answers from what it follows, or knows by itself.
LOCAL = frozenset({
    "query_points", "query_batch", "query_groups", "explain_query", "why_not", "distance_matrix",
    "get_point", "get_points", "scroll_points", "count_points", "facet_points", "export_points",
    "search_documents", "list_documents", "get_document",
    "livez", "healthz", "readyz", "openapi", "docs", "console", "console_file",
})  # fmt: skip
# And these it answers itself while the writer is away.
MEANWHILE = frozenset({
    "list_collections", "get_collection", "collection_exists", "collection_stats", "estimate_collection",
    "estimate_schema", "list_aliases", "list_aliases_of_collection", "get_alias", "metrics",
})  # fmt: skip


async def passed_on(
    services: Services, route: Route, request_id: str, scope: Any, headers: Any, receive: Any, send: Any
) -> int | None:
    """The status of the writer's answer, which has been sent; None for what this process answers itself. Raises
    Unavailable, ClientGone, TimeoutError."""
    if services.writer is None or route.name in LOCAL:
        return None
    limits, admission = services.limits, services.admission
    bound = limits.receive_deadline_s + (timeout_s(headers) or limits.deadline_default_s) + GRACE_S
    try:
        connection = await services.writer.connect()
    except Unavailable:
        if route.name in MEANWHILE:
            return None
        raise
    enter, leave = room(admission, route)
    enter()
    draining = asyncio.create_task(admission.draining.wait())
    if route.stream:
        draining.add_done_callback(lambda _: connection.abort())
    try:
        async with asyncio.timeout(None if route.stream else bound):
            return await connection.pass_on(scope, request_id, receive, send)
    finally:
        draining.cancel()
        leave()


def room(admission: Admission, route: Route) -> tuple[Callable[[], None], Callable[[], None]]:
    """To enter and to leave."""
    if route.stream:
        return admission.enter_stream, admission.leave_stream
    return admission.enter_call, admission.leave_call
