"""The command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("typer", reason="needs the cli extra")
pytest.importorskip("pyarrow", reason="needs the io extra")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run one command; the answer has exit_code, stdout and stderr."""
    from typer.testing import CliRunner

    from vecstore.cli.app import app

    monkeypatch.delenv("VECSTORE_TARGET", raising=False)
    runner = CliRunner()

    def call(*args: object, **kwargs: Any) -> Any:
        return runner.invoke(app, [str(arg) for arg in args], **kwargs)

    return call
