"""The server's certificate for TLS, and whose certificates clients must have (mTLS). Files are looked at for each new
connection, so that a renewed certificate is taken up without a restart; connections that are open keep theirs."""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from vecstore.access.file import Signature, signature
from vecstore.access.keys import bad
from vecstore.config import Server
from vecstore.errors import InvalidArgument

log = logging.getLogger("vecstore.access")


@dataclass(frozen=True, slots=True)
class Pem:
    """Contents of the files; `client_ca` is None when clients need no certificate."""

    cert: bytes
    key: bytes
    client_ca: bytes | None


class Certificates:
    """Safe to use from several threads."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        """Raises InvalidArgument (BAD_CONFIG) for files that are missing or do not belong together."""
        self._paths = (cert, key, client_ca)
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._signatures = self._look()
        self._pem = self._read()

    @classmethod
    def from_settings(cls, settings: Server) -> Certificates | None:
        """None where the settings name no certificate. Raises InvalidArgument (BAD_CONFIG) for half of them."""
        if not (settings.tls_cert or settings.tls_key or settings.tls_client_ca):
            return None
        if not (settings.tls_cert and settings.tls_key):
            raise bad("TLS needs both server.tls_cert and server.tls_key")
        client_ca = Path(settings.tls_client_ca) if settings.tls_client_ca else None
        return cls(Path(settings.tls_cert), Path(settings.tls_key), client_ca)

    @property
    def pem(self) -> Pem:
        return self._pem

    def renew(self) -> Pem | None:
        """The files' contents when they have changed since the last look. Files that do not belong together, as while
        one of them is being replaced, are logged, and what was there stays."""
        with self._lock:
            signatures = self._look()
            if signatures == self._signatures:
                return None
            self._signatures = signatures
            try:
                self._pem = self._read()
            except InvalidArgument as error:
                log.error("%s; the certificate stays as it was", error.message)
                return None
        log.info("took up the certificate in %s", self._paths[0])
        return self._pem

    def context(self) -> ssl.SSLContext:
        """For servers that take Python's own contexts. The same object each time: `renew` renews its certificate, but
        not whom it trusts."""
        if self._context is None:
            self._context = self._new_context()
        return self._context

    def _look(self) -> tuple[Signature | None, ...]:
        return tuple(None if path is None else signature(path) for path in self._paths)

    def _read(self) -> Pem:
        cert, key, client_ca = self._paths
        trusted = None if client_ca is None else _bytes(client_ca, "tls_client_ca")
        pem = Pem(_bytes(cert, "tls_cert"), _bytes(key, "tls_key"), trusted)
        self._new_context()
        if self._context is not None:
            self._context.load_cert_chain(cert, key)
        return pem

    def _new_context(self) -> ssl.SSLContext:
        cert, key, client_ca = self._paths
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(cert, key, password=_no_password)
        except (ssl.SSLError, OSError) as error:
            raise bad(f"server.tls_cert={cert} and server.tls_key={key} are no pair: {_said(error)}") from None
        if client_ca is not None:
            try:
                context.load_verify_locations(client_ca)
            except (ssl.SSLError, OSError) as error:
                raise bad(f"server.tls_client_ca={client_ca} holds no certificate: {_said(error)}") from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _no_password() -> str:
    return ""  # otherwise a key with a password would be asked for on the terminal


def _said(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)


def _bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise bad(f"server.{name}={path}: {error.strerror}") from None
