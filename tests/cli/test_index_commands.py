"""create, index, import --vector-index, query's parameters and stats, on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from vecstore.config import Settings, Storage
from vecstore.index_text import parse_index

ROWS = np.random.default_rng(20261123).standard_normal((50, 16)).astype(np.float32)


def test_create_index_and_show(run: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "db"
    made = run("create", "docs", "-t", target, "--dim", 16, "--metric", "l2", "--vector-index", "ivf | rabitq(bits=4)")
    assert made.exit_code == 0, made.output
    with vecstore.connect(str(target)) as db:
        field = db.get_collection("docs").schema().vectors["default"]
        assert (field.metric, field.index) == ("l2", parse_index("ivf | rabitq(bits=4)"))
        db.get_collection("docs").upsert(range(50), ROWS)
    assert "ivf | rabitq" in run("collections", "-t", target).stdout
    changed = run("index", "docs", "SQ8", "-t", target)
    assert changed.exit_code == 0, changed.output
    assert "update_index" in changed.stdout
    assert "flat | int8: 50 rows by flat\nSegments that grow, or have fewer rows" in changed.stdout
    stats = json.loads(run("stats", "docs", "-t", target, "--json").stdout)
    assert stats["vectors"]["default"]["index"] == "flat | int8"
    assert "flat | int8" in run("stats", "docs", "-t", target).stdout
    assert run("index", "docs", "auto", "-t", target).exit_code == 0
    assert json.loads(run("stats", "docs", "-t", target, "--json").stdout)["vectors"]["default"]["index"] == "auto"
    assert run("index", "docs", "none", "-t", target).exit_code == 0
    refused = run("index", "docs", "hnsw", "-t", target)
    assert refused.exit_code == 1
    assert "BAD_INDEX_SPEC" in refused.stderr
    assert run("create", "bits", "-t", target, "--dim", 64, "--binary", "--vector-index", "mih").exit_code == 0
    tokens = run("create", "tokens", "-t", target, "--dim", 16, "--multi")
    assert (tokens.exit_code, tokens.stdout) == (0, "tokens: default: multi 16 maxsim\n")


def test_import_with_an_index_and_query_with_parameters(run: Callable[..., Any], tmp_path: Path) -> None:
    target, file = tmp_path / "db", tmp_path / "rows.npy"
    np.save(file, ROWS)
    refused = run("import", file, "docs", "-t", target, "--vector-index", "ivf")
    assert refused.exit_code == 2
    done = run("import", file, "docs", "-t", target, "--create", "--vector-index", "ivf | int8")
    assert done.exit_code == 0, done.output
    vector = json.dumps(ROWS[7].tolist())
    common = ["query", "docs", "-t", target, "--vector", vector, "-k", 3]
    plain = json.loads(run(*common, "--json").stdout)
    tuned = run(
        *common, "--json", "--nprobe", 3, "--ef", 50, "--oversampling", 2, "--recall", 0.9, "--no-rescore", "--exact"
    )
    assert json.loads(tuned.stdout) == plain
    explained = json.loads(run(*common, "--json", "--explain", "--truncate-dim", 8).stdout)
    assert explained["hits"][0]["id"] == plain[0]["id"]
    assert explained["explain"]["segments"][0]["strategy"] == "exact_scan"
    assert "exact_scan" in run(*common, "--explain").stdout
    assert "nprobe" in run(*common, "--nprobe", 0).stderr
    assert "params.ef=10001 must be in 1..10000" in run(*common, "--ef", 10_001).stderr


def test_tune(run: Callable[..., Any], tmp_path: Path) -> None:
    target, file = tmp_path / "db", tmp_path / "queries.npy"
    np.save(file, ROWS)
    assert run("create", "docs", "-t", target, "--dim", 16, "--vector-index", "ivf | int8").exit_code == 0
    refused = run("tune", "docs", file, "-t", target)
    assert refused.exit_code == 1
    assert "NOTHING_TO_TUNE" in refused.stderr
    with vecstore.connect(target, settings=Settings(storage=Storage(index_rows_min=300))) as db:
        db.get_collection("docs").upsert(range(2_000), np.random.default_rng(1).standard_normal((2_000, 16)))
        db.get_collection("docs").compact()
    done = run("tune", "docs", file, "-t", target)
    assert done.exit_code == 0, done.output
    assert "tune" in done.stdout


def test_update_changes_what_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "db"
    run("create", "docs", "-t", target, "--dim", 16)
    common = ["update", "docs", "-t", target]
    done = run(
        *common, "--recall", 0.9, "--ef", 40, "--device", "auto", "--metadata", "team=search", "--metadata", "n=3"
    )
    assert "version 2" in done.stdout, done.output
    with vecstore.connect(str(target)) as db:
        schema = db.get_collection("docs").schema()
        assert schema.metadata == {"team": "search", "n": 3}
        assert schema.vectors["default"].search == vecstore.SearchDefaults(recall=0.9, ef=40)
        assert schema.vectors["default"].device == "auto"
    done = run(
        *common, "--default", "search.recall", "--default", "device", "--metadata", "n=null", "--vector-index", "ivf"
    )
    assert "update_index" in done.stdout, done.output
    with vecstore.connect(str(target)) as db:
        schema = db.get_collection("docs").schema()
        field = schema.vectors["default"]
        assert (field.search, field.device) == (vecstore.SearchDefaults(ef=40), None)
        assert (field.index, schema.metadata) == (parse_index("ivf"), {"team": "search"})
    done = run(*common, "--default", "search", "--default", "metadata", "--default", "index", "--json", "--no-wait")
    assert json.loads(done.stdout)["info"]["version"] == 4
    refused = run(*common, "--ef", 3, "--if-version", 3)
    assert (refused.exit_code, "VERSION_MISMATCH" in refused.stderr) == (1, True)
    assert run(*common, "--default", "dim").exit_code == 2


def test_update_adds_and_drops_payload_indexes(run: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "db"
    run("create", "docs", "-t", target, "--dim", 16, "--index", "year=integer")
    common = ["update", "docs", "-t", target]
    done = run(*common, "--index", "team=keyword", "--index", "at=datetime", "--drop-index", "year")
    assert done.stdout.count("create_field ") == 2, done.output
    with vecstore.connect(str(target)) as db:
        assert db.get_collection("docs").schema().fields == {"team": "keyword", "at": "datetime"}
    refused = run(*common, "--recall", 0.9, "--index", "size=inches")
    assert (refused.exit_code, "inches" in refused.stderr) == (1, True)
    with vecstore.connect(str(target)) as db:
        schema = db.get_collection("docs").schema()
        assert (sorted(schema.fields), schema.vectors["default"].search) == (["at", "team"], None)
    assert run(*common, "--index", "team").exit_code == 2


def test_estimates(run: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "db"
    shown = run("estimate", "--dim", 64, "--points", 100_000, "--index", "year=integer")
    assert "graph" in shown.stdout, shown.output
    assert "payload_indexes" in shown.stdout
    found = run("estimate", "--kind", "sparse", "--points", 1_000, "--entries", "default=30", "--json")
    assert json.loads(found.stdout)["bytes"]["vector"] == 1_000 * (8 + 30 * 8)
    run("create", "docs", "-t", target, "--dim", 16)
    with vecstore.connect(str(target)) as db:
        db.get_collection("docs").upsert(range(50), ROWS)
    assert json.loads(run("estimate", "docs", "-t", target, "--json").stdout)["bytes"]["vector"] == 50 * 64
    assert "now, 50 rows" in run("estimate", "docs", "-t", target, "--points", 500).stdout
    assert run("estimate", "-t", target).exit_code == 2
    assert run("estimate", "--dim", 8).exit_code == 2


def test_a_plan_is_shown_in_place_of_answers(run: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "db"
    with vecstore.connect(str(target)) as db:
        db.create_collection("docs", vecstore.Dense(16)).upsert(range(50), ROWS)
    common = ["query", "docs", "-t", target, "--vector", json.dumps(ROWS[7].tolist()), "--plan"]
    shown = run(*common)
    assert "exact_scan" in shown.stdout, shown.output
    assert "matches" in shown.stdout
    assert json.loads(run(*common, "--json").stdout)["plan"]["segments"][0]["rows"] == 50
    assert run(*common, "--explain").exit_code == 2
