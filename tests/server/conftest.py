"""A client of a server in this process, shared by a test file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from server_support import Client, serving


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Of a server with the default limits, shared by a module's tests."""
    with serving() as (handle, _):
        client = Client(handle.port)
        client.create()
        client.upsert()
        yield client
        client.channel.close()
