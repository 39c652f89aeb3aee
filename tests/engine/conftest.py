"""A database with small segments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_support import SCHEMA, SMALL

from vecstore.config import Settings
from vecstore.engine.database import Database

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package `faults`


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Callable[..., Database]]:
    """Opens the test's directory; what was open before is closed first."""
    opened: list[Database] = []

    def open_again(settings: Settings = SMALL) -> Database:
        for db in opened:
            db.close()
        opened.append(Database.open(tmp_path / "data", settings))
        return opened[-1]

    yield open_again
    for db in opened:
        db.close()


@pytest.fixture
def db(reopen: Callable[..., Database]) -> Database:
    database = reopen()
    database.create_collection("c", SCHEMA)
    return database
