"""Stores to test: every conformance test runs over memory and over RocksDB."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package `faults`

from vecstore.config import Storage as StorageSettings
from vecstore.storage.open import Storage, open_storage


@pytest.fixture
def settings() -> StorageSettings:
    return StorageSettings()


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path, settings: StorageSettings) -> Iterator[Storage]:
    storage = open_storage(None if request.param == "memory" else tmp_path / "db", settings)
    yield storage
    storage.close()


@pytest.fixture
def rocks(tmp_path: Path, settings: StorageSettings) -> Iterator[Storage]:
    storage = open_storage(tmp_path / "db", settings)
    yield storage
    storage.close()
