"""A client of a server in this process, shared by a test file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_support import Client, serving

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the package `faults`


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Of a server with the default limits, shared by a module's tests."""
    with serving() as (handle, _):
        client = Client(handle.port)
        client.create()
        client.upsert()
        yield client
        client.channel.close()
