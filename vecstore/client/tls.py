"""Whom a client trusts, and who it says it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vecstore.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM: certificates to trust (None: the usual ones), and the client's own certificate and key (mTLS)."""

    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = None


def read_tls(ca: str | Path | None, cert: str | Path | None, key: str | Path | None) -> Tls:
    """From files. Raises InvalidArgument (BAD_TARGET) for a missing file, or a certificate without its key."""
    if (cert is None) != (key is None):
        raise InvalidArgument("client_cert and client_key belong together: give both", reason="BAD_TARGET")
    return Tls(_read(ca, "ca"), _read(cert, "client_cert"), _read(key, "client_key"))


def _read(path: str | Path | None, name: str) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{name}={path}: {error.strerror}", reason="BAD_TARGET") from None
