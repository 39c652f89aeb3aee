"""JSON and parameters to Structs; what does not fit is named by its path, such as `points[3].vectors.text`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from vecstore.errors import InvalidArgument
from vecstore.wire.rest.base import bad_argument

_PATH = re.compile(r" - at `(?:key in )?\$([^`]*)`\Z")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_KEYS_TRIED = 64
TIMEOUT_MS_MAX = 1 << 31
# The reason of what is wrong inside these parts of a body; gRPC has the same.
_REASONS = {
    "id": "BAD_ID", "ids": "BAD_ID", "nearest_id": "BAD_ID", "after": "BAD_ID", "vectors": "BAD_VECTOR",
    "nearest": "BAD_VECTOR", "vector": "BAD_VECTOR", "payload": "BAD_PAYLOAD", "payloads": "BAD_PAYLOAD",
    "filter": "BAD_FILTER", "schema": "BAD_SCHEMA",
}  # fmt: skip


class Decoders:
    """One decoder for each type, made once."""

    def __init__(self) -> None:
        self._known: dict[Any, msgspec.json.Decoder[Any]] = {}

    def decode(self, data: bytes, kind: Any) -> Any:
        """Raises InvalidArgument: BAD_JSON, or the reason of the part that does not fit."""
        decoder = self._known.get(kind)
        if decoder is None:
            decoder = self._known[kind] = msgspec.json.Decoder(kind)
        try:
            return decoder.decode(data)
        except msgspec.ValidationError as error:
            raise _misfit(str(error), data, kind) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_json(error) from None


def not_json(error: Exception) -> InvalidArgument:
    said = "it is nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
    return InvalidArgument(f"the body is not JSON: {said}", reason="BAD_JSON")


def parameters(raw: bytes, kind: type[msgspec.Struct] | None) -> Any:
    """The parameters after `?`, each at most once. Raises InvalidArgument (BAD_ARGUMENT)."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeDecodeError, ValueError):
        raise InvalidArgument("the parameters after ? are not UTF-8, or too many", reason="BAD_ARGUMENT") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise bad_argument(name[:100], "is given twice")
        given[name] = value
    for name in given:
        if kind is None or name not in kind.__struct_fields__:
            raise bad_argument(name[:100], "is no parameter of this route")
    if kind is None:
        return None
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        said, path = _split(str(error))
        raise bad_argument(path or "parameters", said) from None


def timeout_s(headers: Mapping[bytes, bytes]) -> float | None:
    """Raises InvalidArgument (BAD_ARGUMENT)."""
    given = headers.get(b"x-timeout-ms")
    if given is None:
        return None
    if not given.isdigit() or not 0 < int(given[:20]) <= TIMEOUT_MS_MAX:
        raise bad_argument("X-Timeout-Ms", f"is {given[:40]!r}, not a number of milliseconds")
    return int(given) / 1000


def _misfit(said: str, data: bytes, kind: Any) -> InvalidArgument:
    said, path = _split(said)
    if "[...]" in path:
        path = _named(path, said, data, kind)
    parts = re.split(r"[.\[\]]+", path)
    if "unknown field" in said:
        parts.pop()
    top = next((part for part in parts if part in _REASONS), None)
    message = f"{path}: {said}" if path else said
    reason = _REASONS[top] if top is not None else "BAD_ARGUMENT"
    if " <= " in said:
        reason = "LIMIT_EXCEEDED"
    return InvalidArgument(message, reason=reason, field_violations=[(path or "body", said)])


def _split(said: str) -> tuple[str, str]:
    """What is wrong, and where: as a path without the leading dollar and dot."""
    found = _PATH.search(said)
    if found is None:
        unknown = re.search(r"unknown field `([^`]*)`", said)
        return said.replace("`", ""), unknown[1][:100] if unknown else ""
    what = said[: found.start()].replace("`", "")
    path = found[1]
    if unknown := re.search(r"unknown field (\S+)", what):
        path += f".{unknown[1]}"
    return what, path.removeprefix(".")


def _named(path: str, said: str, data: bytes, kind: Any) -> str:
    """The path with the keys of dictionaries, which the decoder does not tell: the one without which it says something
    else."""
    try:
        whole = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return path
    named = ""
    steps = [one or place for one, place in _STEP.findall(f".{path}")]
    here: Any = whole
    for step in steps:
        if step == "..." and isinstance(here, dict):
            step = _guilty(here, said, whole, kind)
            named += f".{step}"
        else:
            named += f"[{step}]" if isinstance(here, list) else f".{step}"
        try:
            here = here[int(step)] if isinstance(here, list) else here[step]
        except (KeyError, IndexError, ValueError, TypeError):
            here = None
    return named.removeprefix(".")


def _guilty(here: dict[str, Any], said: str, whole: Any, kind: Any) -> str:
    everything = dict(here)
    for name in list(everything)[:_KEYS_TRIED]:
        here.clear()
        here[name] = everything[name]
        try:
            msgspec.convert(whole, kind)
        except msgspec.ValidationError as error:
            if _split(str(error))[0] == said:
                break
    else:
        name = "..."
    here.clear()
    here.update(everything)
    return name


def header_map(headers: list[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Of headers given twice, the first. (Credentials are looked for in the list itself.)"""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found.setdefault(name, value)
    return found
