"""Sparse fields on the command line: create, query, show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import Dense, Sparse, parse_index
from vecstore.cli.fields import describe
from vecstore.config import Settings, Storage
from vecstore.packed_sparse import packed
from vecstore.schema import Analysis, Metric, VectorField, VectorKind
from vecstore.sparse import SparseVector, sparse_rows


@pytest.fixture
def target(tmp_path: Path) -> Path:
    with vecstore.connect(tmp_path / "db") as db:
        docs = db.create_collection("docs", vectors={"d": Dense(4)}, sparse={"s": Sparse(datatype="float16")})
        terms = [{17: 1.0}, {17: 2.0, 4_000_000_000: 1.0}, {5: 1.0}]
        docs.upsert(["a", "b", "c"], {"s": terms, "d": np.eye(3, 4)}, [{"n": 0}, {"n": 1}, {"n": 2}])
    return tmp_path / "db"


def test_create(run: Callable[..., Any], tmp_path: Path) -> None:
    common = ["-t", tmp_path / "db", "--sparse"]
    done = run("create", "one", *common)
    assert done.exit_code == 0, done.output
    assert "one: default: sparse dot" in done.stdout
    flags = ["--vector", "s", "--dtype", "float16", "--vector-index", "seismic(postings=100)"]
    done = run("create", "two", *common, *flags)
    assert "two: s: sparse dot float16 seismic(postings=100)" in done.stdout
    with vecstore.connect(tmp_path / "db") as db:
        field = db.get_collection("two").schema().vectors["s"]
        assert (field.kind, field.datatype, field.index) == ("sparse", "float16", parse_index("seismic(postings=100)"))
    listed = run("collections", "-t", tmp_path / "db").stdout
    assert "default: sparse dot auto" in listed


def test_what_does_not_go_together(run: Callable[..., Any], tmp_path: Path) -> None:
    for flags in (
        [],
        ["--binary"],
        ["--sparse", "--dim", 5],
        ["--text", "--dim", 5],
        ["--sparse", "--binary"],
        ["--sparse", "--text"],
        ["--dim", 5, "--language", "german"],
    ):
        done = run("create", "docs", "-t", tmp_path / "db", *flags)
        assert done.exit_code == 2, (flags, done.output)
    for flags, reason in (
        (["--sparse", "--metric", "cosine"], "BAD_SCHEMA"),
        (["--sparse", "--dtype", "bfloat16"], "BAD_SCHEMA"),
        (["--sparse", "--vector-index", "ivf"], "BAD_INDEX_SPEC"),
        (["--dim", 5, "--vector-index", "seismic"], "BAD_INDEX_SPEC"),
    ):
        done = run("create", "docs", "-t", tmp_path / "db", *flags)
        assert done.exit_code == 1, (flags, done.output)
        assert f"error: {reason}: " in done.stderr
    with vecstore.connect(tmp_path / "db") as db:
        assert db.list_collections() == []


def test_query(run: Callable[..., Any], target: Path, tmp_path: Path) -> None:
    common = ["query", "docs", "-t", target, "--using", "s", "--json"]
    vector = '{"17": 0.5, "4000000000": 3}'
    (tmp_path / "q.json").write_text('{"values": [3, 0.5], "indices": [4000000000, 17]}', encoding="utf-8")
    answers = [
        run(*common, "--vector", vector),
        run(*common, "--vector", tmp_path / "q.json"),
        run(*common, "--vector", "-", input=vector),
        run(*common, "--vector", vector, "--exact"),
        run(*common, "--vector", vector, "--block-factor", 1.5, "--nprobe", 5),
    ]
    for answer in answers:
        assert answer.exit_code == 0, answer.output
        assert [(hit["id"], hit["score"]) for hit in json.loads(answer.stdout)] == [("b", 4.0), ("a", 0.5)]
    near = json.loads(run(*common, "--id", "a").stdout)
    assert [(hit["id"], hit["score"]) for hit in near] == [("b", 2.0)]
    filtered = run(*common, "--vector", vector, "--filter", '{"key": "n", "match": {"value": 0}}')
    assert [hit["id"] for hit in json.loads(filtered.stdout)] == ["a"]
    shown = run("query", "docs", "-t", target, "--using", "s", "--vector", vector, "--explain")
    assert "dot similarity" in shown.stdout
    assert "n: 1" in shown.stdout


@pytest.mark.parametrize(
    ("using", "vector", "reason"),
    [
        ("s", '{"17": 0.5', "BAD_VECTOR"),
        ("s", '{"x": 0.5}', "BAD_VECTOR"),
        ("s", '{"-1": 0.5}', "BAD_VECTOR"),
        ("s", '{"17": "x"}', "BAD_VECTOR"),
        ("s", '{"17": 1e39}', "NAN_OR_INF"),
        ("s", "[0.5, 0.5, 0.5, 0.5]", "BAD_VECTOR"),
        ("s", '"a fox"', "BAD_VECTOR"),
        ("s", "a fox", "FILE_NOT_FOUND"),
        ("d", '{"17": 0.5}', "BAD_VECTOR"),
    ],
)
def test_bad_queries(run: Callable[..., Any], target: Path, using: str, vector: str, reason: str) -> None:
    done = run("query", "docs", "-t", target, "--using", using, "--vector", vector)
    assert done.exit_code == 1, done.output
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"error: {reason}: ")


def test_stats_count_the_bytes_of_sparse_rows(run: Callable[..., Any], target: Path) -> None:
    growing = json.loads(run("stats", "docs", "-t", target, "--json").stdout)
    assert growing["bytes"]["vector"] > 0
    with vecstore.connect(target) as db:
        db.collection("docs").compact()
    stats = json.loads(run("stats", "docs", "-t", target, "--json").stdout)
    assert stats["vectors"]["s"]["kind"] == "sparse"
    entries = 4 * (4 + 2)  # uint32 and float16
    assert stats["vectors"]["s"]["bytes"] == {"vectors": entries + 8 * 4}  # and int64 offsets
    assert stats["bytes"]["vector"] == entries + 8 * 4 + 3 * 4 * 4  # and the dense rows


def test_advice_is_for_dense_vectors(run: Callable[..., Any], target: Path) -> None:
    done = run("advise", "docs", "-t", target, "--using", "s")
    assert done.exit_code == 1
    assert "error: VECTOR_KIND_MISMATCH: " in done.stderr
    assert "'s' is sparse; advice is for dense vectors" in done.stderr


def test_tune(run: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = [dict(zip(rng.choice(500, 20, replace=False).tolist(), rng.random(20).tolist(), strict=True))
            for _ in range(2_000)]  # fmt: skip
    settings = Settings(storage=Storage(index_rows_min=300))
    with vecstore.connect(tmp_path / "db", settings=settings) as db:
        docs = db.create_collection("docs", vectors={"d": Dense(4)}, sparse={"s": Sparse(index="seismic")})
        docs.upsert(range(2_000), {"s": rows})
        docs.compact()
    stats = json.loads(run("stats", "docs", "-t", tmp_path / "db", "--json").stdout)["vectors"]["s"]
    assert (stats["index"], stats["rows_indexed"]) == ("seismic", 2_000)
    sorted_rows = [dict(sorted(row.items())) for row in rows]
    vectors = [SparseVector(np.array(list(row), np.uint32), np.array(list(row.values()))) for row in sorted_rows]
    stored = packed(sparse_rows(vectors))
    assert stats["bytes"].pop("vectors") == stored.nbytes < 0.75 * (2_000 * 20 * 8)
    assert sum(stats["bytes"].values()) > 2_000 * 20  # of the index's own parts
    indices = np.array([sorted(row) for row in rows[:60]])
    values = np.array([[row[one] for one in sorted(row)] for row in rows[:60]], np.float32)
    parts = {"indptr": np.arange(0, 1_201, 20), "indices": indices.ravel(), "data": values.ravel()}
    shape = np.array([60, 500])
    np.savez(tmp_path / "one.npz", **parts, shape=shape)
    np.savez(tmp_path / "parts.npz", **{f"test_{name}": part for name, part in parts.items()}, shape=shape)
    for name in ("one", "parts"):
        done = run("tune", "docs", tmp_path / f"{name}.npz", "-t", tmp_path / "db", "--using", "s")
        assert done.exit_code == 0, done.output
        assert "tune" in done.stdout
    np.save(tmp_path / "dense.npy", np.ones((60, 4)))
    for file, reason in (("dense.npy", "BAD_FILE"), ("none.npz", "FILE_NOT_FOUND")):
        refused = run("tune", "docs", tmp_path / file, "-t", tmp_path / "db", "--using", "s")
        assert refused.exit_code == 1
        assert f"error: {reason}: " in refused.stderr


def test_a_field_of_texts_in_a_few_words() -> None:
    field = VectorField(VectorKind.TEXT, 0, Metric.BM25, analysis=Analysis("german"))
    assert describe(field) == "text bm25 german"
