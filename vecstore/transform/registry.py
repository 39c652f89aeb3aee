"""Every transform by the tag of its spec. A new one is one file and one line here."""

from __future__ import annotations

from vecstore.transform.base import Transform

TRANSFORMS: dict[str, type[Transform]] = {}
