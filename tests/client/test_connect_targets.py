"""Targets: what opens what, and what is refused before anything is opened."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

import vecstore
from vecstore import Dense, FailedPrecondition, InvalidArgument
from vecstore.client import connect as connecting


def test_a_directory_keeps_what_was_written(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path / "db") as client:
        client.create_collection("docs", vectors=Dense(4)).upsert([1], np.ones((1, 4)), [{"a": 1}])
    with vecstore.connect(str(tmp_path / "db")) as client:
        assert client.collection("docs").get(1)[0].payload == {"a": 1}


def test_one_process_owns_a_directory(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path), pytest.raises(vecstore.VecstoreError) as locked:
        vecstore.connect(tmp_path)
    assert locked.value.reason == "DIRECTORY_LOCKED"


@pytest.mark.parametrize("target", ["", "ftp://x", "grpc://", "grpc://user@host", "http://host/path"])
def test_bad_targets(target: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        vecstore.connect(target)
    assert refused.value.reason == "BAD_TARGET"
    with pytest.raises(InvalidArgument):
        asyncio.run(vecstore.connect_async(target))


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_bad_timeouts(timeout_s: float) -> None:
    with pytest.raises(InvalidArgument) as refused:
        vecstore.connect(":memory:", timeout_s=timeout_s)
    assert refused.value.reason == "BAD_ARGUMENT"


def test_the_port_may_be_left_out() -> None:
    assert connecting._server_address("grpc://db.example") == ("db.example:7334", False, False)
    assert connecting._server_address("grpcs://db.example:443/") == ("db.example:443", True, False)
    assert connecting._server_address("grpc://[::1]:5") == ("[::1]:5", False, False)
    assert connecting._server_address("http://db.example") == ("db.example:7333", False, True)
    assert connecting._server_address("https://db.example:443") == ("db.example:443", True, True)
    assert connecting._server_address("./dir") is None


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FailedPrecondition, match=r"pip install 'vecstore\[grpc\]'") as refused:
        vecstore.connect("grpc://localhost")
    assert refused.value.reason == "EXTRA_MISSING"
    with pytest.raises(FailedPrecondition, match=r"pip install 'vecstore\[rest\]'"):
        vecstore.connect("http://localhost")
