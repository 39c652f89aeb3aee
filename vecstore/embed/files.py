"""Files of models: that they are there, and the hash that tells one model from another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import xxhash

from vecstore.embed.base import bad_settings

CHUNK_BYTES = 1 << 20


def existing(name: str, setting: str, path: str | Path) -> Path:
    """Raises InvalidArgument (BAD_CONFIG)."""
    found = Path(path).expanduser()
    if not found.exists():
        raise bad_settings(name, f"{setting}={str(path)!r} does not exist")
    return found


def fingerprint(kind: str, files: Iterable[Path], *settings: object) -> str:
    """The kind, and XXH3-128 of the files' bytes and of the settings that change vectors."""
    digest = xxhash.xxh3_128(repr(settings).encode())
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return f"{kind}:{digest.hexdigest()}"
