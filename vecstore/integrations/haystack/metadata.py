"""What Haystack asks of a store about the metadata it holds. Each reads the payloads of all documents that match."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from vecstore.integrations.haystack.filters import to_filter
from vecstore.integrations.points import Points, Store

CONTENT, BLOB = "content", "_blob"  # keys of the payload beside those of the metadata
Filters = dict[str, Any]
Metadata = Sequence[Mapping[str, Any]]


class _HasStore(Protocol):
    @property
    def _store(self) -> Store: ...


class MetadataMethods:
    """For a class with a `_store`. Keys may have the prefix "meta."."""

    def get_metadata_fields_info(self: _HasStore) -> dict[str, dict[str, str]]:
        """The type of each key: keyword, int, float or boolean."""
        return _types(self._store.run(lambda points: _read(points)))

    async def get_metadata_fields_info_async(self: _HasStore) -> dict[str, dict[str, str]]:
        return _types(await self._store.arun(lambda points: _read(points)))

    def get_metadata_field_min_max(self: _HasStore, metadata_field: str) -> dict[str, Any]:
        """The smallest and the largest value; None for both where there is none, or values do not compare."""
        return _bounds(self._store.run(lambda points: _read(points)), metadata_field)

    async def get_metadata_field_min_max_async(self: _HasStore, metadata_field: str) -> dict[str, Any]:
        return _bounds(await self._store.arun(lambda points: _read(points)), metadata_field)

    def count_unique_metadata_by_filter(
        self: _HasStore, filters: Filters | None, metadata_fields: list[str]
    ) -> dict[str, int]:
        """How many different values each key has."""
        return _counts(self._store.run(lambda points: _read(points, filters)), metadata_fields)

    async def count_unique_metadata_by_filter_async(
        self: _HasStore, filters: Filters | None, metadata_fields: list[str]
    ) -> dict[str, int]:
        return _counts(await self._store.arun(lambda points: _read(points, filters)), metadata_fields)

    def get_metadata_field_unique_values(
        self: _HasStore, metadata_field: str, search_term: str | None = None, from_: int = 0, size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:  # fmt: skip
        """A page of the different values that contain `search_term`, whatever its case, and how many there are."""
        metadata = self._store.run(lambda points: _read(points, filters))
        return _page(metadata, metadata_field, search_term, from_, size)

    async def get_metadata_field_unique_values_async(
        self: _HasStore, metadata_field: str, search_term: str | None = None, from_: int = 0, size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:  # fmt: skip
        metadata = await self._store.arun(lambda points: _read(points, filters))
        return _page(metadata, metadata_field, search_term, from_, size)


async def _read(points: Points, filters: Filters | None = None) -> Metadata:
    found = await points.scroll(to_filter(filters, CONTENT))
    return [{k: v for k, v in (one.payload or {}).items() if k not in (CONTENT, BLOB)} for one in found]


def _values(metadata: Metadata, key: str) -> Iterator[Any]:
    name = key.removeprefix("meta.")
    return (one[name] for one in metadata if one.get(name) is not None)


def _types(metadata: Metadata) -> dict[str, dict[str, str]]:
    names: dict[type, str] = {bool: "boolean", int: "int", float: "float"}
    pairs = ((key, value) for one in metadata for key, value in one.items() if value is not None)
    return {key: {"type": names.get(type(value), "keyword")} for key, value in pairs}


def _bounds(metadata: Metadata, key: str) -> dict[str, Any]:
    values = [value for value in _values(metadata, key) if isinstance(value, int | float | str)]
    try:
        return {"min": min(values, default=None), "max": max(values, default=None)}
    except TypeError:
        return {"min": None, "max": None}


def _different(values: Iterable[Any]) -> list[Any]:
    """Each value once, in the order of their texts: 1, 1.0, "1" and true are four."""
    by_text = {(str(value), json.dumps(value, sort_keys=True)): value for value in values}
    return [by_text[text] for text in sorted(by_text)]


def _counts(metadata: Metadata, keys: Iterable[str]) -> dict[str, int]:
    return {key.removeprefix("meta."): len(_different(_values(metadata, key))) for key in keys}


def _page(metadata: Metadata, key: str, term: str | None, start: int, size: int) -> tuple[list[Any], int]:
    values = _different(value for value in _values(metadata, key) if not term or term.lower() in str(value).lower())
    return values[start : start + size], len(values)
