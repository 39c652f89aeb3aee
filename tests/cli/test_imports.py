"""Files of other origin: which columns are taken for what, and what a bad row does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_samples import ROWS, contents

import vecstore
from vecstore import Dense

pa = pytest.importorskip("pyarrow", reason="needs the io extra")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the io extra")


def fixed(rows: np.ndarray) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])


def table(rows: np.ndarray = ROWS) -> Any:
    count = len(rows)
    return pa.table(
        {
            "key": pa.array([f"k{row}" for row in range(count)]),
            "year": pa.array([None if row == 4 else 2000 + row for row in range(count)], type=pa.int64()),
            "name": pa.array([f"name {row}" for row in range(count)]),
            "emb": fixed(rows),
            "tags": pa.array([["x"]] * count),
        }
    )


def test_parquet_columns_by_default(run: Callable[..., Any], tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "t.parquet")
    done = run("import", tmp_path / "t.parquet", "c", "-t", tmp_path / "db", "--create", "--index", "year=integer")
    assert done.exit_code == 0, done.output
    with vecstore.connect(tmp_path / "db") as db:
        docs = db.get_collection("c")
        assert docs.schema().vectors == {"emb": Dense(8, index="auto")}
        assert docs.schema().fields == {"year": "integer"}
        assert docs.get(3)[0].payload == {"key": "k3", "year": 2003, "name": "name 3"}
        assert docs.get(4)[0].payload == {"key": "k4", "name": "name 4"}
        assert docs.query(ROWS[9], k=1).ids.tolist() == [9]


def test_parquet_columns_by_name(run: Callable[..., Any], tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "t.parquet")
    flags = [
        "--id-column",
        "key",
        "--vector",
        "text=emb",
        "--payload",
        "year,tags",
        "--metric",
        "dot",
        "--dtype",
        "float16",
    ]
    done = run("import", tmp_path / "t.parquet", "c", "-t", tmp_path / "db", "--create", *flags)
    assert done.exit_code == 0, done.output
    with vecstore.connect(tmp_path / "db") as db:
        docs = db.get_collection("c")
        assert docs.schema().vectors == {"text": Dense(8, metric="dot", datatype="float16", index="auto")}
        assert docs.get("k7")[0].payload == {"year": 2007, "tags": ["x"]}


@pytest.mark.parametrize("kind", ["list", "large_list", "null rows", "float64", "float16"])
def test_parquet_vectors_in_every_shape(run: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    lists: list[Any] = ROWS.tolist()
    if kind == "null rows":
        lists[5] = None
    array = {
        "list": lambda: pa.array(lists, type=pa.list_(pa.float32())),
        "large_list": lambda: pa.array(lists, type=pa.large_list(pa.float32())),
        "null rows": lambda: pa.array(lists, type=pa.list_(pa.float32(), 8)),
        "float64": lambda: pa.array(lists, type=pa.list_(pa.float64(), 8)),
        "float16": lambda: fixed(ROWS.astype(np.float16)),
    }[kind]()
    pq.write_table(pa.table({"id": list(range(50)), "v": array}), tmp_path / "t.parquet")
    done = run("import", tmp_path / "t.parquet", "c", "-t", tmp_path / "db", "--create", "--vector", "v=v")
    assert done.exit_code == 0, done.output
    expected = ROWS.astype(np.float16).astype(np.float32) if kind == "float16" else ROWS
    for one, _, vectors in contents(tmp_path / "db", "c"):
        if kind == "null rows" and one == 5:
            assert vectors == {}
        else:
            np.testing.assert_allclose(vectors["v"], expected[one], rtol=1e-6)


def test_ann_benchmarks_files(run: Callable[..., Any], tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="needs the io extra")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"] = ROWS, ROWS[:5]
        file["names"] = [f"n{row}" for row in range(50)]
    with h5py.File(tmp_path / "h.hdf5", "w") as file:
        file.attrs["distance"] = "hamming"
        file["train"] = ROWS > 0
    flags = ["--create", "--payload", "names"]
    assert run("import", tmp_path / "a.hdf5", "a", "-t", tmp_path / "db", *flags).exit_code == 0
    assert run("import", tmp_path / "h.hdf5", "h", "-t", tmp_path / "db", "--create").exit_code == 0
    with vecstore.connect(tmp_path / "db") as db:
        assert db.get_collection("a").schema().vectors == {"default": Dense(8, metric="l2", index="auto")}
        assert db.collection("a").query(ROWS[31], k=1)[0].payload == {"names": "n31"}
        assert db.collection("h").query(ROWS[31] > 0, k=1).scores.tolist() == [0.0]


def test_json_lines_flat_and_nested(run: Callable[..., Any], tmp_path: Path) -> None:
    own = [
        {"id": row, "vector": ROWS[row].tolist(), "payload": {"n": row, "deep": {"a": [1, "b"]}}} for row in range(50)
    ]
    flat = [
        {"key": f"k{row}", "emb": ROWS[row].tolist(), "n": row, "mixed": row if row % 2 else "x"} for row in range(50)
    ]
    (tmp_path / "own.jsonl").write_text("\n\n".join(map(json.dumps, own)), encoding="utf-8")
    (tmp_path / "flat.jsonl").write_text("\n".join(map(json.dumps, flat)), encoding="utf-8")
    assert run("import", tmp_path / "own.jsonl", "own", "-t", tmp_path / "db", "--create").exit_code == 0
    flags = ["--create", "--vector", "v=emb", "--id-column", "key"]
    assert run("import", tmp_path / "flat.jsonl", "flat", "-t", tmp_path / "db", *flags).exit_code == 0
    with vecstore.connect(tmp_path / "db") as db:
        assert db.collection("own").get(9)[0].payload == {"n": 9, "deep": {"a": [1, "b"]}}
        assert [point.payload for point in db.collection("flat").get(["k8", "k9"])] == [
            {"n": 8, "mixed": "x"},
            {"n": 9, "mixed": 9},
        ]


def test_json_lines_with_a_vector_and_keys_beside_it(run: Callable[..., Any], tmp_path: Path) -> None:
    lines = [{"sku": f"k{row}", "vector": ROWS[row].tolist(), "n": row, "t": f"word{row}"} for row in range(9)]
    lines[3].pop("t")
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    common = ["import", tmp_path / "a.jsonl", "-t", tmp_path / "db", "--create", "--id-column", "sku"]
    assert run(*common, "all").exit_code == 0
    assert run(*common, "some", "--payload", "n").exit_code == 0
    assert run(*common, "texts", "--text", "words=t").exit_code == 0
    with vecstore.connect(tmp_path / "db") as db:
        assert db.collection("all").get(["k2", "k3"])[0].payload == {"n": 2, "t": "word2"}
        assert db.collection("some").get(["k2"])[0].payload == {"n": 2}
        texts = db.collection("texts")
        assert texts.query("word2", using="words").ids.tolist() == ["k2"]
        assert texts.query(ROWS[3], using="default", k=1).ids.tolist() == ["k3"]
        assert texts.count() == 9


@pytest.mark.parametrize("line", [{"id": 1, "vector": [1, 2], "payload": {}, "n": 1}, {"id": 1, "vectr": [1, 2]}])
def test_json_lines_with_keys_that_mean_nothing(run: Callable[..., Any], tmp_path: Path, line: dict[str, Any]) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(line), encoding="utf-8")
    with vecstore.connect(tmp_path / "db") as db:
        db.create_collection("docs", Dense(2))
    done = run("import", tmp_path / "a.jsonl", "docs", "-t", tmp_path / "db")
    assert done.exit_code == 1
    assert "row 0: points[0] has unknown keys" in done.stderr


def bad_rows() -> dict[str, Any]:
    zero, nan = ROWS.copy(), ROWS.copy()
    zero[33], nan[33, 2] = 0, np.nan
    ragged = ROWS.tolist()
    ragged[33] = [1.0]
    ids: list[Any] = [f"k{row}" for row in range(50)]
    ids[33] = None
    floats = [float(row) for row in range(50)]
    floats[33] = float("nan")
    return {
        "ZERO_VECTOR": pa.table({"v": fixed(zero)}),
        "NAN_OR_INF": pa.table({"v": fixed(nan)}),
        "DIMENSION_MISMATCH": pa.table({"v": pa.array(ragged, type=pa.list_(pa.float32()))}),
        "BAD_ID": pa.table({"id": ids, "v": fixed(ROWS)}),
        "BAD_PAYLOAD": pa.table({"f": floats, "v": fixed(ROWS)}),
        "LIMIT_EXCEEDED": pa.table({"s": ["x" * (70_000 if row == 33 else 1) for row in range(50)], "v": fixed(ROWS)}),
    }


@pytest.mark.parametrize("reason", bad_rows())
def test_a_bad_row_is_named_and_its_batch_not_written(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr("vecstore.io.parquet.READ_ROWS", 10)
    pq.write_table(bad_rows()[reason], tmp_path / "t.parquet")
    done = run("import", tmp_path / "t.parquet", "c", "-t", tmp_path / "db", "--create", "--vector", "v")
    assert done.exit_code == 1, done.output
    assert f"error: {reason}: " in done.stderr
    assert "row 33" in done.stderr, done.stderr
    assert "go on with --resume 30" in done.stderr
    assert len(contents(tmp_path / "db", "c")) == 30


def test_resuming_skips_what_is_stored(run: Callable[..., Any], tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "t.parquet")
    done = run("import", tmp_path / "t.parquet", "c", "-t", tmp_path / "db", "--create", "--resume", 30)
    assert done.exit_code == 0, done.output
    assert "20 points" in done.stderr
    assert [one for one, _, _ in contents(tmp_path / "db", "c")] == list(range(30, 50))


def test_a_bad_line_of_json_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    good = json.dumps({"id": 1, "vector": [1, 2]})
    for line, reason in {
        "{": "BAD_ROW",
        "[1]": "BAD_ROW",
        '{"id": 2, "vector": [1, "x"]}': "BAD_VECTOR",
        '{"id": 2, "vector": [NaN, 1]}': "BAD_ROW",
        '{"id": [2], "vector": [1, 2]}': "BAD_ROW",
        '{"id": 2, "vector": "zz"}': "BAD_ROW",
        '{"id": 2, "vector": [1, 2], "payload": 3}': "BAD_PAYLOAD",
        '{"id": 2, "vector": [1, 2, 3]}': "DIMENSION_MISMATCH",
    }.items():
        (tmp_path / "t.jsonl").write_text(f"{good}\n{good}\n{line}\n", encoding="utf-8")
        done = run("import", tmp_path / "t.jsonl", "c", "-t", tmp_path / "db", "--create")
        assert done.exit_code == 1, (line, done.output)
        assert f"error: {reason}: " in done.stderr, (line, done.stderr)
        assert "row 2" in done.stderr, (line, done.stderr)
    assert contents(tmp_path / "db", "c") == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.parquet", b"PAR1 not really", "BAD_FILE"),
        ("t.hdf5", b"not hdf5", "BAD_FILE"),
        ("t.npy", b"not numpy", "BAD_FILE"),
        ("t.jsonl", b"", "BAD_FILE"),
        ("t.csv", b"a,b", "BAD_FILE"),
    ],
)
def test_files_that_are_something_else(
    run: Callable[..., Any], tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    done = run("import", tmp_path / name, "c", "-t", tmp_path / "db", "--create")
    assert done.exit_code == 1
    assert f"error: {reason}: " in done.stderr
    assert "Traceback" not in done.output


def test_a_pickled_array_is_not_loaded(run: Callable[..., Any], tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.array([{"a": 1}], dtype=object))
    done = run("import", tmp_path / "t.npy", "c", "-t", tmp_path / "db", "--create")
    assert done.exit_code == 1
    assert "error: BAD_FILE: " in done.stderr


def test_columns_that_do_not_exist(run: Callable[..., Any], tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "t.parquet")
    for flags in (["--id-column", "no"], ["--vector", "v=no"], ["--payload", "year,no"]):
        done = run("import", tmp_path / "t.parquet", "c", "-t", tmp_path / "db", "--create", *flags)
        assert done.exit_code == 1
        assert "error: BAD_COLUMN: " in done.stderr
        assert "it has: key, year, name, emb, tags" in done.stderr
    assert not (tmp_path / "db").exists()
