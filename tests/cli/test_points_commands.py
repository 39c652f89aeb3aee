"""get, count, delete, drop, compact and cancel: what they do, what they ask first, and how they fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_samples import BITS, ID_KINDS, ROWS, contents, fill

import vecstore

RANGE = '{"key": "n", "range": {"gte": 46}}'


@pytest.fixture
def target(tmp_path: Path) -> Path:
    fill(tmp_path / "db", ID_KINDS["mixed"], missing=False)
    return tmp_path / "db"


def test_get_reads_ids_of_all_kinds(run: Callable[..., Any], target: Path) -> None:
    numbers, uuids, strings = ID_KINDS["mixed"][3], ID_KINDS["mixed"][7], ID_KINDS["mixed"][8]
    done = run("get", "docs", numbers, uuids, strings, "-t", target, "--vectors", "--json")
    assert done.exit_code == 0, done.output
    points = json.loads(done.stdout)
    assert [point["id"] for point in points] == [3, {"uuid": str(uuids)}, "8"]
    assert [point["payload"]["n"] for point in points] == [3, 7, 8]
    for point, row in zip(points, (3, 7, 8), strict=True):
        assert point["vectors"]["text"] == ROWS[row].tolist()
        assert point["vectors"]["bits"] == _hexadecimal(row)
    plain = run("get", "docs", numbers, "-t", target)
    assert "n: 3" in plain.stdout
    assert "bits" not in plain.stdout


def test_get_prints_what_exists_and_names_what_does_not(run: Callable[..., Any], target: Path) -> None:
    done = run("get", "docs", "3", "none", "-t", target, "--json")
    assert done.exit_code == 1
    assert [point["id"] for point in json.loads(done.stdout)] == [3]
    assert "error: POINT_NOT_FOUND: not in docs: none" in done.stderr


def test_count(run: Callable[..., Any], target: Path) -> None:
    assert run("count", "docs", "-t", target).stdout == "50\n"
    assert run("count", "docs", "-t", target, "--filter", RANGE).stdout == "4\n"
    assert "error: BAD_FILTER: " in run("count", "docs", "-t", target, "--filter", "{").stderr


def test_delete_by_ids_and_by_a_filter(run: Callable[..., Any], target: Path) -> None:
    assert run("delete", "docs", "-t", target, "--ids", f"3, {ID_KINDS['mixed'][7]},8,none").stdout == "deleted 3\n"
    refused = run("delete", "docs", "-t", target, "--filter", RANGE, input="n\n")
    assert refused.exit_code == 1
    assert "delete 4 points of docs?" in refused.stderr
    assert run("delete", "docs", "-t", target, "--filter", RANGE).exit_code == 1  # nobody there to answer
    assert run("count", "docs", "-t", target).stdout == "47\n"
    assert run("delete", "docs", "-t", target, "--filter", RANGE, "--yes").stdout == "deleted 4\n"
    left = {str(id) for id, _, _ in contents(target)}
    assert left == {str(id) for row, id in enumerate(ID_KINDS["mixed"]) if row not in (3, 7, 8, *range(46, 50))}
    for options in ([], ["--ids", "1", "--filter", RANGE]):
        assert run("delete", "docs", "-t", target, *options).exit_code == 2


def test_drop_asks_first(run: Callable[..., Any], target: Path) -> None:
    refused = run("drop", "docs", "-t", target, input="n\n")
    assert refused.exit_code == 1
    assert "delete docs with its 50 points?" in refused.stderr
    assert run("drop", "docs", "-t", target, input="y\n").exit_code == 0
    with vecstore.connect(target) as db:
        assert db.list_collections() == []
    assert "error: COLLECTION_NOT_FOUND: " in run("drop", "docs", "-t", target, "-y").stderr


def test_compact_leaves_no_deleted_rows(run: Callable[..., Any], target: Path) -> None:
    run("delete", "docs", "-t", target, "--filter", RANGE, "-y")
    done = run("compact", "docs", "-t", target)
    assert done.exit_code == 0, done.output
    assert "done" in done.stdout
    segments = json.loads(run("stats", "docs", "-t", target, "--json").stdout)["segments"]
    assert [(one["kind"], one["rows"], one["deleted"]) for one in segments] == [("sealed", 46, 0)]


def test_cancel_of_an_unknown_job(run: Callable[..., Any], target: Path) -> None:
    done = run("cancel", "none", "-t", target)
    assert done.exit_code == 1
    assert "error: OPERATION_NOT_FOUND: " in done.stderr


def _hexadecimal(row: int) -> str:
    return np.packbits(BITS[row]).tobytes().hex()
