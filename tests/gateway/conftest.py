"""A client of a server in this process, shared by a test file."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from gateway_support import client_of, fill, serving


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Of a server with the default limits and the collection of the examples."""
    with serving() as (handle, _), client_of(handle) as client:
        fill(client)
        yield client
