"""The decision: who makes a call, and may they."""

from __future__ import annotations

import hmac
import logging
import threading
import time
from hashlib import sha256
from pathlib import Path

from vecstore.access.credentials import Headers, given, refused
from vecstore.access.file import Signature, read_keys, signature
from vecstore.access.keys import KeyRecord, id_of, new_key
from vecstore.access.principal import ANYONE, Action, Principal
from vecstore.config import Server
from vecstore.errors import InvalidArgument

RELOAD_S = 1.0  # how often a call looks whether the file of keys has changed

log = logging.getLogger("vecstore.access")

Credentials = Headers | Principal


class Access:
    """Safe to use from several threads. Without any key everybody is an admin: `check_exposure` sees to it that only
    this machine reaches such a server."""

    def __init__(self, api_key: str = "", keys_file: str | Path | None = None) -> None:
        """Raises InvalidArgument (BAD_CONFIG) for a file of keys that is missing or wrong."""
        self._admin_digest = sha256(api_key.encode()).digest() if api_key else None
        self._admin = Principal("server.api_key", Action.ADMIN)
        self._path = Path(keys_file) if keys_file else None
        self._known: dict[str, tuple[KeyRecord, Principal]] = {}  # by id; replaced whole
        self._signature: Signature | None = None  # of the file as it was last looked at
        self._looked_at = time.monotonic()
        self._lock = threading.Lock()
        # An unknown id is compared with this one, so that it takes as long as a known one.
        self._nobody = new_key("nobody", "read")[1]
        if self._path is not None:
            self._load(self._path)

    @classmethod
    def from_settings(cls, settings: Server) -> Access:
        return cls(settings.api_key, settings.keys_file or None)

    @property
    def is_open(self) -> bool:
        """Whether callers need no key."""
        return self._admin_digest is None and self._path is None

    def authenticate(self, credentials: Headers) -> Principal:
        """Whose key this is. Raises Unauthenticated when it is nobody's, is given twice, or has expired."""
        if self.is_open:
            return ANYONE
        key = given(credentials)
        self._reload_if_due()
        if self._admin_digest is not None and hmac.compare_digest(sha256(key).digest(), self._admin_digest):
            return self._admin
        found = self._known.get(id_of(key) or "")
        record = self._nobody if found is None else found[0]
        if not record.matches(key) or found is None or record.is_expired():
            raise refused()
        return found[1]

    def renew(self, principal: Principal) -> Principal:
        """The same caller as the keys are now, for calls that last. Raises Unauthenticated when the key has been
        revoked or has expired."""
        if principal.key_id is None:
            return principal
        self._reload_if_due()
        found = self._known.get(principal.key_id)
        if found is None or found[0].is_expired():
            raise refused()
        return found[1]

    def check(self, credentials: Credentials, action: Action, collection: str | None = None) -> Principal:
        """The caller, who may do `action` to `collection`; None is the database as a whole, to which a key that is
        limited to some collections has no right.

        Raises Unauthenticated and PermissionDenied. A principal found before may stand in for the credentials."""
        if isinstance(credentials, Principal):
            who = self.renew(credentials)
        else:
            who = self.authenticate(credentials)
        who.check_role(action)
        if collection is None:
            who.check_database()
        else:
            who.check_collections((collection,))
        return who

    def reload(self) -> None:
        """Read the file of keys again. One that is wrong or missing is logged, and the keys stay as they were: a
        half-edited file must not lock everybody out. To revoke all keys, leave an empty list in it."""
        if self._path is None:
            return
        try:
            self._load(self._path)
        except InvalidArgument as error:
            log.error("%s; keys stay as they were", error.message)

    def key_names(self) -> list[str]:
        """Names of the keys that are valid now, never anything by which one could call."""
        names = sorted(record.name for record, _ in self._known.values() if not record.is_expired())
        return names if self._admin_digest is None else [self._admin.name, *names]

    def _reload_if_due(self) -> None:
        now = time.monotonic()
        if self._path is None or now - self._looked_at < RELOAD_S:
            return
        self._looked_at = now
        if signature(self._path) != self._signature:
            self.reload()

    def _load(self, path: Path) -> None:
        with self._lock:
            self._signature = signature(path)  # before the file is read, so that a change meanwhile is noticed
            records = read_keys(path)
            self._known = {record.id: (record, record.principal()) for record in records}
        log.info("%d keys in %s", len(records), path)
