"""The credential of a call, from its headers (HTTP) or metadata (gRPC)."""

from __future__ import annotations

from collections.abc import Iterable

from vecstore.errors import Unauthenticated

BEARER = "bearer "

Headers = Iterable[tuple[str | bytes, str | bytes]]


def given(headers: Headers) -> bytes:
    """The key that a caller gives, once, as `authorization: Bearer KEY` or as `api-key: KEY`.

    Raises Unauthenticated for none and for two, even if one is right or both are: a proxy in between that checks one of
    them must not be bypassed with the other.
    """
    found: bytes | None = None
    for name, value in headers:
        key = (name.decode("latin-1") if isinstance(name, bytes) else name).lower()
        if key == "api-key":
            credential = as_bytes(value)
        elif key == "authorization":
            raw = as_bytes(value)
            credential = raw[len(BEARER) :] if raw[: len(BEARER)].lower() == BEARER.encode() else b""
        else:
            continue
        if found is not None:
            raise refused()
        found = credential
    if not found:
        raise refused()
    return found


def refused() -> Unauthenticated:
    """One wording for no key, a wrong, revoked or expired one, so that nothing is learnt from it."""
    return Unauthenticated("give the API key as `authorization: Bearer KEY` or as `api-key: KEY`, once")


def as_bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
