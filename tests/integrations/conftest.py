"""What the tests of the integrations share: where the database is, and coroutines as tests."""

from __future__ import annotations

import asyncio
import inspect
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from vecstore.config import Server, Settings

# Before the frameworks are imported: nothing is to be reported anywhere, and nothing to be asked for.
os.environ |= {"HAYSTACK_TELEMETRY_ENABLED": "False", "LANGSMITH_TRACING": "false", "IS_TESTING": "1"}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine, each on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session")
def addresses() -> Iterator[dict[str, str]]:
    """Of a server, by scheme, for collections of different names."""
    from vecstore.engine.database import Database
    from vecstore.gateway.serving import start_server

    database = Database.open(None, Settings(server=Server(port=0, rest_port=0)))
    running = start_server(database)
    yield {"grpc": f"grpc://127.0.0.1:{running.port}", "http": f"http://127.0.0.1:{running.rest_port}"}
    running.stop(0)
    database.close()


@pytest.fixture
def server(addresses: dict[str, str]) -> str:
    return addresses["grpc"]


@pytest.fixture(params=["memory", "directory", "grpc"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each place that a database may be."""
    if request.param == "grpc":
        return request.getfixturevalue("server")
    return ":memory:" if request.param == "memory" else str(tmp_path / "db")


@pytest.fixture
def collection() -> str:
    """A collection that no other test has."""
    return f"c{uuid.uuid4().hex}"
