"""Fixtures for tests of all packages."""

from __future__ import annotations

import hypothesis
import pytest

from vecstore.index import costs

# Timings decide no test.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.fixture
def no_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets are reached by what an index is for, although a scan of the few rows of a test would cost less."""
    monkeypatch.setattr(costs, "scan_pays", lambda *given: ())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: one that begins last would leave the other processes without work."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
