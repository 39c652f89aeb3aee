"""vecstore keys: made, listed, revoked; what it prints opens a server, what it keeps does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vecstore.access import Access, Action


def test_create_list_revoke(run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.json"
    monkeypatch.setenv("VECSTORE_SERVER_KEYS_FILE", str(file))
    made = run("keys", "create", "loader", "--role", "write", "--collections", "docs, logs-*", "--expires", "90d")
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    who = Access(keys_file=file).authenticate([("api-key", key)])
    assert (who.name, who.role, who.collections) == ("loader", Action.WRITE, ("docs", "logs-*"))
    assert run("keys", "create", "boss", "--role", "admin", "--expires", "2099-01-31").exit_code == 0
    listed = run("keys", "list")
    assert all(text in listed.stdout for text in ("loader", "docs, logs-*", "boss", "2099-01-3"))
    [loader, boss] = json.loads(run("keys", "list", "--json").stdout)
    assert boss["expires_at"] == 4_073_500_800
    assert {"salt", "digest"} & set(loader) == set()
    assert key not in listed.stdout + json.dumps(loader) + file.read_text(encoding="utf-8")
    assert run("keys", "revoke", loader["id"]).exit_code == 0
    assert run("keys", "revoke", "boss", "--file", file).exit_code == 0
    assert json.loads(run("keys", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["create", "a", "--role", "root"], "BAD_CONFIG: key 'a': role 'root'"),
        (["create", "a b"], "BAD_CONFIG: key name 'a b'"),
        (["create", "a", "--collections", "x*y"], "BAD_CONFIG: key 'a': collection 'x*y'"),
        (["create", "a", "--expires", "soon"], "BAD_CONFIG: expires='soon'"),
        (["create", "a", "--expires", "2001-01-01"], "in the past"),
        (["create", "there"], "KEY_EXISTS: a key named 'there'"),
        (["revoke", "a"], "KEY_NOT_FOUND: no key 'a'"),
    ],
)
def test_refusals(run: Callable[..., Any], tmp_path: Path, arguments: list[str], problem: str) -> None:
    file = tmp_path / "keys.json"
    assert run("keys", "create", "there", "-f", file).exit_code == 0
    before = file.read_bytes()
    done = run("keys", *arguments, "--file", file)
    assert done.exit_code == 1
    assert problem in done.stderr
    assert file.read_bytes() == before


def test_the_file_must_be_named(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VECSTORE_SERVER_KEYS_FILE", raising=False)
    done = run("keys", "list")
    assert done.exit_code == 1
    assert "--file" in done.stderr
