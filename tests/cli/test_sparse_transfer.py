"""Sparse vectors and texts in files: what is exported comes back, other writers' files are read, bad rows are named."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_samples import ID_KINDS, ROWS

import vecstore
from vecstore import Dense, Sparse, SparseVector
from vecstore.io.mapping import ColumnMapping
from vecstore.io.sink import open_sink
from vecstore.io.source import open_source
from vecstore.rows import TextRows
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.sparse import SparseRows
from vecstore.types import Point, PointBatch

pa = pytest.importorskip("pyarrow", reason="needs the io extra")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the io extra")

RNG = np.random.default_rng(20261127)
COLUMNS = [0, 3, 17, 70_000, (1 << 32) - 1]
TERMS: list[dict[int, float]] = [
    {int(one): float(np.float32(RNG.random())) for one in RNG.choice(COLUMNS, RNG.integers(0, 6), replace=False)}
    for _ in range(50)
]
TEXT = VectorField(VectorKind.TEXT, 0, Metric.BM25)
SPARSE = VectorField(VectorKind.SPARSE, 0, Metric.DOT)


def fill(path: Path, ids: list[Any]) -> None:
    """A dense field and a sparse one that some points lack."""
    given = [None if row % 7 == 3 else terms for row, terms in enumerate(TERMS[: len(ids)])]
    payloads = [{"n": row} if row % 5 else None for row in range(len(ids))]
    with vecstore.connect(path) as db:
        docs = db.create_collection("docs", vectors={"d": Dense(8, metric="l2")}, sparse={"s": Sparse()})
        docs.upsert(ids, {"d": ROWS[: len(ids)], "s": given}, payloads)


def as_dict(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))


def contents(path: Path, name: str = "docs") -> list[tuple[Any, Any, dict[str, Any]]]:
    with vecstore.connect(path) as db:
        return [
            (point.id, point.payload,
             {key: as_dict(row) if isinstance(row, SparseVector) else row.tolist()
              for key, row in (point.vectors or {}).items()})
            for point in db.collection(name).scroll(with_vectors=True)
        ]  # fmt: skip


@pytest.mark.parametrize("kind", ["numbers", "mixed"])
@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "hdf5"])
def test_everything_comes_back(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, kind: str
) -> None:
    monkeypatch.setattr("vecstore.cli.transfer.PAGE_POINTS", 7)
    monkeypatch.setattr("vecstore.io.parquet.READ_ROWS", 11)
    monkeypatch.setattr("vecstore.io.hdf5.READ_BYTES", 400)
    fill(tmp_path / "one", ID_KINDS[kind])
    file = tmp_path / f"docs.{suffix}"
    done = run("export", "docs", file, "-t", tmp_path / "one")
    assert done.exit_code == 0, done.output
    done = run("import", file, "docs", "-t", tmp_path / "two", "--create", "--metric", "l2", "--batch-bytes", 700)
    assert done.exit_code == 0, done.output
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert sum(1 for _, _, vectors in contents(tmp_path / "two") if "s" in vectors) == 43
    with vecstore.connect(tmp_path / "two") as db:
        assert db.get_collection("docs").schema().vectors["s"].kind is VectorKind.SPARSE


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "hdf5"])
def test_an_empty_collection_and_one_without_entries(run: Callable[..., Any], tmp_path: Path, suffix: str) -> None:
    for name, rows in (("none", []), ("empty", [{}, {}])):
        with vecstore.connect(tmp_path / name) as db:
            docs = db.create_collection("docs", sparse=Sparse(datatype="float16"))
            if rows:
                docs.upsert(range(len(rows)), rows)
        assert run("export", "docs", tmp_path / f"{name}.{suffix}", "-t", tmp_path / name).exit_code == 0
        with vecstore.connect(tmp_path / f"{name}-{suffix}") as db:
            db.create_collection("docs", sparse=Sparse(datatype="float16"))
        done = run("import", tmp_path / f"{name}.{suffix}", "docs", "-t", tmp_path / f"{name}-{suffix}")
        assert done.exit_code == 0, done.output
        assert contents(tmp_path / f"{name}-{suffix}") == contents(tmp_path / name)


def test_a_matrix_file_does_not_take_them(run: Callable[..., Any], tmp_path: Path) -> None:
    fill(tmp_path / "one", ID_KINDS["numbers"])
    done = run("export", "docs", tmp_path / "s.npy", "-t", tmp_path / "one", "--vector", "s")
    assert done.exit_code == 1
    assert "error: BAD_COLUMN: .npy holds a matrix, and 's' is sparse" in done.stderr
    assert not (tmp_path / "s.npy").exists()


def csr_of(rows: list[dict[int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    indices = np.array([one for row in rows for one in sorted(row)], np.int64)
    return offsets, indices, np.array([row[one] for row in rows for one in sorted(row)], np.float32)


SMALL = [{index % 100_000: weight for index, weight in row.items()} for row in TERMS]


def npz(path: Path, part: str = "") -> Path:
    offsets, indices, values = csr_of(SMALL)
    shape = np.array([len(SMALL), 100_000])
    arrays = {f"{part}indptr": offsets, f"{part}indices": indices, f"{part}data": values, "shape": shape}
    np.savez_compressed(path, **arrays)
    return path


def big_ann(path: Path) -> Path:
    offsets, indices, values = csr_of(SMALL)
    head = struct.pack("<3q", len(SMALL), 100_000, len(indices))
    path.write_bytes(head + offsets.astype("<i8").tobytes() + indices.astype("<i4").tobytes() + values.tobytes())
    return path


def scipy_npz(path: Path) -> Path:
    sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    offsets, indices, values = csr_of(SMALL)
    sparse.save_npz(path, sparse.csr_matrix((values, indices, offsets), shape=(len(SMALL), 100_000)))
    return path


def of_structs(path: Path) -> Path:
    rows = [{"indices": list(row), "values": list(row.values())} for row in SMALL]
    kind = pa.struct([("values", pa.large_list(pa.float64())), ("indices", pa.list_(pa.int64()))])
    pq.write_table(pa.table({"s": pa.array(rows, type=kind)}), path)
    return path


def of_maps(path: Path) -> Path:
    rows = [list(row.items()) for row in SMALL]
    pq.write_table(pa.table({"s": pa.array(rows, type=pa.map_(pa.int32(), pa.float64()))}), path)
    return path


def json_objects(path: Path) -> Path:
    lines = [{"s": {str(one): weight for one, weight in row.items()}} for row in SMALL]
    path.write_text("\n".join(json.dumps({"vectors": line}) for line in lines), encoding="utf-8")
    return path


def json_flat(path: Path) -> Path:
    lines = [{"id": n, "terms": {"values": [*row.values()], "indices": [*row]}} for n, row in enumerate(SMALL)]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def scipy_group(path: Path) -> Path:
    h5py = pytest.importorskip("h5py", reason="needs the io extra")
    with h5py.File(path, "w") as file:
        group = file.create_group("x")
        group["indptr"], group["indices"], group["data"] = csr_of(SMALL)
    return path


FILES: dict[str, tuple[str, Callable[[Path], Path], list[str]]] = {
    "npz": ("a.npz", npz, ["--vector", "s"]),
    "scipy": ("a.npz", scipy_npz, ["--vector", "s"]),
    "a part": ("a.npz", lambda path: npz(path, "base_"), ["--vector", "s=base"]),
    "the rows of a benchmark": ("a.npz", lambda path: npz(path, "train_"), ["--vector", "s"]),
    "big-ann": ("a.csr", big_ann, ["--vector", "s"]),
    "structs": ("a.parquet", of_structs, []),
    "maps": ("a.parquet", of_maps, []),
    "JSON objects": ("a.jsonl", json_objects, []),
    "flat JSON": ("a.jsonl", json_flat, ["--vector", "s=terms"]),
    "an HDF5 group": ("a.hdf5", scipy_group, ["--vector", "s=x"]),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_other_writers(run: Callable[..., Any], tmp_path: Path, name: str) -> None:
    file, write, flags = FILES[name]
    write(tmp_path / file)
    done = run("import", tmp_path / file, "docs", "-t", tmp_path / "db", "--create", *flags)
    assert done.exit_code == 0, done.output
    found = contents(tmp_path / "db")
    assert [one for one, _, _ in found] == list(range(50))
    for (_, _, vectors), row in zip(found, SMALL, strict=True):
        assert vectors == {"s": pytest.approx(row)}


def test_ids_beside_a_file(run: Callable[..., Any], tmp_path: Path) -> None:
    npz(tmp_path / "a.npz")
    np.save(tmp_path / "a.ids.npy", np.array([f"k{row:02d}" for row in range(50)]))
    done = run("import", tmp_path / "a.npz", "docs", "-t", tmp_path / "db", "--create", "--dtype", "float16")
    assert done.exit_code == 0, done.output
    assert [one for one, _, _ in contents(tmp_path / "db")][:2] == ["k00", "k01"]
    with vecstore.connect(tmp_path / "db") as db:
        assert db.get_collection("docs").schema().vectors == {"default": Sparse(datatype="float16", index="auto")}
    np.save(tmp_path / "a.ids.npy", np.arange(3))
    done = run("import", tmp_path / "a.npz", "docs", "-t", tmp_path / "db")
    assert "error: BAD_FILE: " in done.stderr


def test_parts_and_columns_that_do_not_exist(run: Callable[..., Any], tmp_path: Path) -> None:
    npz(tmp_path / "a.npz", "base_")
    big_ann(tmp_path / "b.csr")
    scipy_group(tmp_path / "c.hdf5")
    for args, reason in (
        (["a.npz", "--vector", "s=other"], "BAD_COLUMN"),
        (["a.npz", "--vector", "s"], "BAD_COLUMN"),
        (["b.csr", "--vector", "s=part"], "BAD_FILE"),
        (["b.csr", "--vector", "s", "--payload", "n"], "BAD_COLUMN"),
        (["c.hdf5", "--vector", "s=y"], "BAD_COLUMN"),
    ):
        done = run("import", tmp_path / args[0], "docs", "-t", tmp_path / "db", "--create", *args[1:])
        assert done.exit_code == 1, args
        assert f"error: {reason}: " in done.stderr, (args, done.stderr)
    assert not (tmp_path / "db").exists()


def struct_rows(rows: list[Any]) -> Any:
    kind = pa.struct([("indices", pa.list_(pa.int64())), ("values", pa.list_(pa.float64()))])
    return pa.table({"s": pa.array(rows, type=kind)})


def bad_rows() -> dict[str, tuple[str, Any]]:
    good = {"indices": [1, 5], "values": [1.0, 2.0]}
    bad = {
        "twice": ("BAD_VECTOR", {"indices": [5, 5], "values": [1.0, 2.0]}),
        "negative": ("BAD_VECTOR", {"indices": [5, -5], "values": [1.0, 2.0]}),
        "beyond": ("BAD_VECTOR", {"indices": [5, 1 << 32], "values": [1.0, 2.0]}),
        "lengths": ("BAD_ROW", {"indices": [5], "values": [1.0, 2.0]}),
        "a null": ("BAD_ROW", {"indices": [5, None], "values": [1.0, 2.0]}),
        "NaN": ("NAN_OR_INF", {"indices": [5], "values": [float("nan")]}),
        "too large": ("NAN_OR_INF", {"indices": [5], "values": [1e39]}),
    }
    return {name: (reason, [*[good] * 33, row, *[good] * 16]) for name, (reason, row) in bad.items()}


@pytest.mark.parametrize("case", bad_rows())
def test_a_bad_row_is_named_and_its_batch_not_written(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    reason, rows = bad_rows()[case]
    monkeypatch.setattr("vecstore.io.parquet.READ_ROWS", 10)
    pq.write_table(struct_rows(rows), tmp_path / "t.parquet")
    done = run("import", tmp_path / "t.parquet", "c", "-t", tmp_path / "db", "--create")
    assert done.exit_code == 1, done.output
    assert f"error: {reason}: " in done.stderr, done.stderr
    assert "row 33" in done.stderr, done.stderr
    assert "go on with --resume 30" in done.stderr
    assert len(contents(tmp_path / "db", "c")) == 30


def test_a_bad_line_of_json_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    good = json.dumps({"id": 1, "vector": {"7": 0.5}})
    for vector, reason in {
        '{"x": 1}': "BAD_ROW",
        '{"1.5": 1}': "BAD_ROW",
        '{"-1": 1}': "BAD_VECTOR",
        '{"4294967296": 1}': "BAD_VECTOR",
        '{"indices": [1, 2], "values": [1]}': "BAD_VECTOR",
        '{"indices": [1, 1], "values": [1, 1]}': "BAD_VECTOR",
        '{"indices": 1, "values": 1}': "BAD_VECTOR",
        '{"1": "x"}': "BAD_VECTOR",
        "[0.5, 0.5, 0.5]": "BAD_VECTOR",
        '"ff"': "BAD_VECTOR",
        '{"1": 1e39}': "NAN_OR_INF",
    }.items():
        (tmp_path / "t.jsonl").write_text(f'{good}\n{good}\n{{"id": 2, "vector": {vector}}}\n', encoding="utf-8")
        done = run("import", tmp_path / "t.jsonl", "c", "-t", tmp_path / "db", "--create")
        assert done.exit_code == 1, (vector, done.output)
        assert f"error: {reason}: " in done.stderr, (vector, done.stderr)
        assert "row 2" in done.stderr, (vector, done.stderr)
    assert contents(tmp_path / "db", "c") == []


# Texts: the formats by themselves, without a database

TEXTS = ["a red fox", "", "be cafe", "Über füchse"]


def points_of(batches: Any) -> tuple[list[Any], list[Any], list[Any]]:
    listed: list[PointBatch] = list(batches)
    assert len(listed) == 1
    (column,) = listed[0].vectors.values()
    assert isinstance(column.rows, TextRows)
    present = [True] * len(listed[0].ids) if column.present is None else column.present.tolist()
    texts = [text if there else None for text, there in zip(column.rows.texts, present, strict=True)]
    return listed[0].ids, texts, listed[0].payloads or []


def test_text_columns_are_texts_and_stay_payload(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="needs the io extra")
    lines = [{"id": row, "body": text, "n": row} for row, text in enumerate(TEXTS)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    pq.write_table(pa.table({"id": [0, 1, 2, 3], "body": TEXTS, "n": [0, 1, 2, 3]}), tmp_path / "a.parquet")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["body"], file["n"] = TEXTS, [0, 1, 2, 3]
    schema = Schema({"text": TEXT})
    payloads = [json.dumps({"body": text, "n": row}, ensure_ascii=False) for row, text in enumerate(TEXTS)]
    for suffix, payload in (("jsonl", None), ("parquet", None), ("hdf5", ["body", "n"])):
        source = open_source(tmp_path / f"a.{suffix}", ColumnMapping(texts={"text": "body"}, payload=payload))
        assert source.fields() == {"text": TEXT}, suffix
        ids, texts, found = points_of(source.batches(schema))
        assert (ids, texts) == ([0, 1, 2, 3], TEXTS), suffix
        assert [json.loads(one) for one in found] == [json.loads(one) for one in payloads], suffix
    taken = open_source(tmp_path / "a.parquet", ColumnMapping(vectors={"text": "body"}))
    assert taken.fields() == {"text": TEXT}
    assert json.loads(points_of(taken.batches(schema))[2][2]) == {"n": 2}


def test_a_text_in_own_json_lines_is_no_hexadecimal(tmp_path: Path) -> None:
    texts: list[Any] = [*TEXTS, None]
    lines = [{"id": row, "vectors": {"text": text} if text is not None else {}} for row, text in enumerate(texts)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    source = open_source(tmp_path / "a.jsonl")
    assert points_of(source.batches(Schema({"text": TEXT})))[1] == texts
    one = {"id": 0, "vector": "be cafe"}
    (tmp_path / "b.jsonl").write_text(json.dumps(one), encoding="utf-8")
    assert points_of(open_source(tmp_path / "b.jsonl").batches(Schema({"text": TEXT})))[1] == ["be cafe"]
    bits = open_source(tmp_path / "b.jsonl").fields()["default"]
    assert (bits.kind, bits.dim) == (VectorKind.BINARY, 24)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "hdf5"])
def test_texts_are_exported_as_their_terms(tmp_path: Path, suffix: str) -> None:
    terms = SparseVector(np.array([4, 9], np.uint32), np.array([2.0, 1.0], np.float32))
    file = tmp_path / f"t.{suffix}"
    sink = open_sink(file, {"body": TEXT, "s": SPARSE}, ["num"])
    sink.write([Point(1, 1, None, {"body": terms, "s": terms}), Point(2, 2, None, None)])
    sink.close()
    source = open_source(file, ColumnMapping(texts={"body": "body"}) if suffix == "jsonl" else None)
    assert source.fields() == {"body": TEXT, "s": SPARSE}
    (batch,) = source.batches(Schema({"body": TEXT, "s": SPARSE}))
    for column in batch.vectors.values():
        assert isinstance(column.rows, SparseRows)
        assert column.rows.offsets.tolist() == [0, 2, 2]
        assert column.rows.indices.tolist() == [4, 9]
        assert column.rows.values.tolist() == [2.0, 1.0]
        assert column.present is not None
        assert column.present.tolist() == [True, False]


@pytest.mark.parametrize("suffix", ["parquet", "hdf5", "jsonl"])
def test_texts_are_found_again_by_their_terms(run: Callable[..., Any], tmp_path: Path, suffix: str) -> None:
    lines = [{"id": 1, "body": "two red foxes", "n": 1}, {"id": 2, "body": "the dog"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = run("import", tmp_path / "a.jsonl", "docs", "-t", tmp_path / "one", "--create", "--text", "text=body")
    assert done.exit_code == 0, done.output
    assert run("export", "docs", tmp_path / f"b.{suffix}", "-t", tmp_path / "one").exit_code == 0
    flags = ["--text", "text"] if suffix == "jsonl" else []
    done = run("import", tmp_path / f"b.{suffix}", "docs", "-t", tmp_path / "two", "--create", *flags)
    assert done.exit_code == 0, done.output
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    found = []
    for target in ("one", "two"):
        asked = run("query", "docs", "-t", tmp_path / target, "--vector", "a fox", "--json")
        found.append([(hit["id"], hit["score"], hit["payload"]) for hit in json.loads(asked.stdout)])
    assert found[0] == found[1]
    assert [(one, payload) for one, _, payload in found[0]] == [(1, {"body": "two red foxes", "n": 1})]
