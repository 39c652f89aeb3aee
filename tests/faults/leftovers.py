"""What a database directory holds that no manifest refers to."""

from __future__ import annotations

from pathlib import Path

from vecstore.config import Storage as StorageSettings
from vecstore.engine.header import Manifest, decode_meta
from vecstore.storage.format import cache_file_name
from vecstore.storage.interfaces import Family
from vecstore.storage.open import open_storage


def orphans(directory: Path) -> list[str]:
    """Blobs, cache files and staging leftovers of no segment, and blobs that a segment misses. Nobody else may have
    the directory open. Nothing is swept: what is seen is what the last process left behind."""
    storage = open_storage(directory, StorageSettings())
    try:
        manifests = [
            decode_meta(value, Manifest) for _, value in storage.kv.scan(Family.META, b"manifest/", b"manifest0")
        ]
        live = {column.ref.name for manifest in manifests for header in manifest.segments for column in header.columns}
        stored = {ref.name for ref in storage.blobs.list("")}
    finally:
        storage.close()
    cached = {path.name for path in (directory / "cache").iterdir()}
    found = [f"blob {name}" for name in stored - live]
    found += [f"missing blob {name}" for name in live - stored]
    found += [f"cache file {name}" for name in cached - {cache_file_name(name) for name in live}]
    found += [f"staging {path.name}" for path in (directory / "staging").iterdir()]
    return sorted(found)
