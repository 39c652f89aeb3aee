"""Many points, piece by piece."""

from __future__ import annotations

from vecstore.gateway.route import Route

ROUTES: tuple[Route, ...] = ()
