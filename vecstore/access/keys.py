"""A key and its record.

A key is `vs_<id>_<secret>`: a public id of 64 bits, by which the record is found, and a secret of 256 random bits. What
is kept is the salted SHA-256 of the whole. A slow hash (argon2, bcrypt) protects secrets that can be guessed; nobody
guesses 256 bits, and a slow one would let any caller burn the server's time. The salt keeps two files from being
compared.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from hashlib import sha256

import msgspec

from vecstore.access.principal import Action, Principal
from vecstore.errors import InvalidArgument

ID_BYTES, SECRET_BYTES, SALT_BYTES = 8, 32, 16
KEY = re.compile(rb"vs_([0-9a-f]{16})_[A-Za-z0-9_-]{43}\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}\Z")
PATTERN = re.compile(r"[A-Za-z0-9_-]{1,255}\*?\Z")
ROLES = {action.name.lower(): action for action in Action}


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says of a key. Times are in seconds since 1970; `salt` and `digest` in hexadecimal."""

    id: str
    name: str
    role: str
    salt: str
    digest: str
    created_at: float
    collections: tuple[str, ...] | None = None
    expires_at: float | None = None

    def principal(self) -> Principal:
        return Principal(self.name, ROLES[self.role], self.collections, self.id)

    def is_expired(self) -> bool:
        return self.expires_at is not None and time.time() >= self.expires_at

    def matches(self, key: bytes) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(digest(bytes.fromhex(self.salt), key), bytes.fromhex(self.digest))

    def check(self) -> None:
        """Raises InvalidArgument (BAD_CONFIG) naming what is wrong."""
        if not NAME.match(self.name):
            raise bad(f"key name {self.name!r:.80} must be 1 to 64 of A-Z a-z 0-9 _ . @ -, not starting with a sign")
        if self.role not in ROLES:
            raise bad(f"key {self.name!r}: role {self.role!r:.40} is none of {', '.join(ROLES)}")
        for pattern in self.collections or ():
            if not PATTERN.match(pattern):
                raise bad(f"key {self.name!r}: collection {pattern!r:.80} is no name, and no prefix that ends in *")
        if self.collections is not None and not self.collections:
            raise bad(f"key {self.name!r}: collections is empty; leave it out for all of them")
        shapes = (("id", self.id, ID_BYTES), ("salt", self.salt, SALT_BYTES), ("digest", self.digest, 32))
        for what, text, size in shapes:
            if not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text):
                raise bad(f"key {self.name!r}: {what} must be {2 * size} hexadecimal digits")


def new_key(
    name: str, role: str, collections: tuple[str, ...] | None = None, expires_at: float | None = None
) -> tuple[str, KeyRecord]:
    """A key, to be shown once, and its record. Raises InvalidArgument (BAD_CONFIG)."""
    id, salt = secrets.token_hex(ID_BYTES), secrets.token_bytes(SALT_BYTES)
    key = f"vs_{id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    record = KeyRecord(
        id, name, role, salt.hex(), digest(salt, key.encode()).hex(), time.time(), collections, expires_at
    )
    record.check()
    if record.is_expired():
        raise bad(f"key {name!r}: expires_at={expires_at} is in the past")
    return key, record


def id_of(key: bytes) -> str | None:
    """The public id of a key that has the form of one."""
    match = KEY.match(key)
    return match[1].decode() if match else None


def digest(salt: bytes, key: bytes) -> bytes:
    return sha256(salt + key).digest()


def bad(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="BAD_CONFIG")
