"""vecstore documents: files in, passages out, by words alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("semantic_text_splitter", reason="needs the documents extra")

TIDES = "# Tides\n\n## Causes\n\nThe moon pulls the sea, and high water comes twice a day.\n"
WINDS = "# Winds\n\nThe trade winds blow from the east.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "texts" / "sub").mkdir(parents=True)
    (tmp_path / "texts" / "tides.md").write_text(TIDES, encoding="utf-8")
    (tmp_path / "texts" / "sub" / "winds.md").write_text(WINDS, encoding="utf-8")
    (tmp_path / "texts" / "image.png").write_bytes(b"\x89PNG")
    return tmp_path / "texts"


@pytest.fixture
def documents(run: Callable[..., Any], tmp_path: Path, folder: Path) -> Callable[..., Any]:
    """`vecstore documents ...` on a collection that holds the folder."""

    def call(command: str, *args: object, **kwargs: Any) -> Any:
        return run("documents", command, "manual", *args, "-t", tmp_path / "db", **kwargs)

    done = call("add", folder, "--create", "--metadata", '{"lang": "en"}')
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "2 added"
    return call


def test_add_again_costs_nothing_and_a_change_replaces(documents: Callable[..., Any], folder: Path) -> None:
    assert documents("add", folder, "--metadata", '{"lang": "en"}').stdout == "2 unchanged\n"
    (folder / "tides.md").write_text(TIDES + "\nAnd low water, too.\n", encoding="utf-8")
    assert "1 replaced, 1 unchanged" in documents("add", folder, "--metadata", '{"lang": "en"}').stdout
    assert "low water" in documents("get", "tides.md").stdout


def test_search_prints_passages_with_their_sources(documents: Callable[..., Any]) -> None:
    done = documents("search", "When is high water?", "-k", 1)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("[1] Tides > Causes  tides.md, characters ")
    assert "twice a day" in done.stdout
    assert "1 passages" in done.stderr
    found = json.loads(documents("search", "trade winds", "-k", 1, "--json").stdout)
    assert found["passages"][0]["document"]["id"] == "sub/winds.md"
    assert documents("search", "trade winds", "-k", 1, "--context").stdout.strip() == found["context"].strip()
    none = '{"key": "metadata.lang", "match": {"value": "de"}}'
    assert json.loads(documents("search", "trade winds", "--filter", none, "--json").stdout)["passages"] == []


def test_list_get_and_delete(documents: Callable[..., Any]) -> None:
    listed = json.loads(documents("list", "--json").stdout)
    assert {one["id"]: one["metadata"] for one in listed} == {
        "tides.md": {"lang": "en"},
        "sub/winds.md": {"lang": "en"},
    }
    assert "lang: en" in documents("list").stdout
    assert "more with --limit" in documents("list", "--limit", 1).stderr
    assert documents("delete", "tides.md", input="n\n").exit_code == 1
    assert documents("get", "tides.md").exit_code == 0
    assert documents("delete", "tides.md", "--yes").stdout.startswith("deleted ")
    gone = documents("get", "tides.md")
    assert gone.exit_code == 1
    assert "error: DOCUMENT_NOT_FOUND: " in gone.stderr


def test_a_text_from_standard_input(documents: Callable[..., Any]) -> None:
    assert documents("add", "-", "--id", "note", input="The lighthouse is red.").stdout.startswith("1 added")
    assert "lighthouse" in documents("search", "lighthouse", "-k", 1).stdout


def test_what_cannot_be_read_fails_alone(documents: Callable[..., Any], folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"no PDF")
    done = documents("add", folder, "--metadata", '{"lang": "en"}')
    assert done.exit_code == 1
    assert "2 unchanged, 1 failed" in done.stdout
    assert "failed: broken.pdf: " in done.stderr
    for args, reason in {
        ("add", folder / "none.md"): "FILE_NOT_FOUND",
        ("add", folder, "--metadata", "[1]"): "BAD_ARGUMENT",
        ("search", " "): "BAD_ARGUMENT",
    }.items():
        failed = documents(*args)
        assert failed.exit_code == 1, failed.output
        assert f"error: {reason}: " in failed.stderr
    assert documents("add", folder, "--id", "x").exit_code == 2
    assert documents("add", folder, "--embedder", "x").exit_code == 2


def test_create_asks_for_an_embedder_that_exists(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("documents", "create", "docs", "-t", tmp_path / "db", "--embedder", "none")
    assert done.exit_code == 1
    assert "error: EMBEDDER_UNKNOWN: " in done.stderr
    assert run("documents", "create", "docs", "-t", tmp_path / "db", "--index", "metadata.lang=keyword").exit_code == 0
    assert "metadata.lang: keyword" in run("collections", "-t", tmp_path / "db").stdout
