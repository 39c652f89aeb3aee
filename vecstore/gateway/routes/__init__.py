"""The table of routes, each file one part of it."""

from __future__ import annotations

from collections.abc import Sequence

from vecstore.gateway.route import Route
from vecstore.gateway.routes import (
    aliases,
    bulk,
    collections,
    console,
    documents,
    operations,
    points,
    queries,
    service,
    snapshots,
)

ROUTES: Sequence[Route] = (
    *console.ROUTES,
    *service.ROUTES,
    *collections.ROUTES,
    *aliases.ROUTES,
    *points.ROUTES,
    *bulk.ROUTES,
    *queries.ROUTES,
    *documents.ROUTES,
    *operations.ROUTES,
    *snapshots.ROUTES,
)
