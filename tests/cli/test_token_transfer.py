"""Multi-vectors in files: what is exported comes back, other writers' files are read, bad rows are named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_samples import ID_KINDS

import vecstore
from vecstore import Dense, Multi
from vecstore.schema import VectorKind

h5py = pytest.importorskip("h5py", reason="needs the io extra")
pa = pytest.importorskip("pyarrow", reason="needs the io extra")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the io extra")

RNG = np.random.default_rng(20261128)
DIM = 4
LENGTHS = RNG.integers(1, 6, 50)
TOKENS = [RNG.standard_normal((count, DIM)).astype(np.float32) for count in LENGTHS]
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])


def contents(path: Path) -> list[tuple[Any, Any, dict[str, Any]]]:
    with vecstore.connect(path) as db:
        return [
            (point.id, point.payload, {name: np.asarray(row).tolist() for name, row in (point.vectors or {}).items()})
            for point in db.collection("docs").scroll(with_vectors=True)
        ]


def of_tokens(path: Path, name: str = "tokens") -> list[list[list[float]] | None]:
    return [vectors.get(name) for _, _, vectors in contents(path)]


WANTED = [tokens.tolist() for tokens in TOKENS]


@pytest.mark.parametrize("datatype", ["float32", "float16"])
@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "hdf5"])
def test_everything_comes_back(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, datatype: str
) -> None:
    monkeypatch.setattr("vecstore.cli.transfer.PAGE_POINTS", 7)
    monkeypatch.setattr("vecstore.io.parquet.READ_ROWS", 11)
    monkeypatch.setattr("vecstore.io.hdf5.READ_BYTES", 400)
    given = [None if row % 7 == 3 else tokens for row, tokens in enumerate(TOKENS)]
    with vecstore.connect(tmp_path / "one") as db:
        multi = {"tokens": Multi(DIM, datatype=datatype)}  # type: ignore[arg-type]
        docs = db.create_collection("docs", vectors={"d": Dense(2, metric="l2")}, multi=multi)
        payloads = [{"n": row} if row % 5 else None for row in range(50)]
        docs.upsert(ID_KINDS["numbers"], {"d": np.ones((50, 2)), "tokens": given}, payloads)
    file = tmp_path / f"docs.{suffix}"
    assert run("export", "docs", file, "-t", tmp_path / "one").exit_code == 0
    create = ["--create", "--metric", "l2", "--dtype", "float32", "--batch-bytes", 700]
    done = run("import", file, "docs", "-t", tmp_path / "two", *create)
    assert done.exit_code == 0, done.output
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert sum(tokens is not None for tokens in of_tokens(tmp_path / "two")) == 43
    with vecstore.connect(tmp_path / "two") as db:
        assert db.get_collection("docs").schema().vectors["tokens"].kind is VectorKind.MULTI
    refused = run("export", "docs", tmp_path / "docs.npy", "-t", tmp_path / "one", "--vector", "tokens")
    assert refused.exit_code == 1
    assert "BAD_COLUMN: .npy holds a matrix, and 'tokens' is a multi-vector" in refused.stderr
    assert not (tmp_path / "docs.npy").exists()


LISTS = {
    "of fixed lists": pa.list_(pa.list_(pa.float32(), DIM)),
    "of large lists": pa.large_list(pa.large_list(pa.float64())),
    "of lists": pa.list_(pa.list_(pa.float32())),
}


@pytest.mark.parametrize("kind", LISTS)
def test_parquet_of_others(run: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    file = tmp_path / "docs.parquet"
    pq.write_table(pa.table({"id": range(50), "tokens": pa.array(WANTED, LISTS[kind])}), file, row_group_size=9)
    done = run("import", file, "docs", "-t", tmp_path / "db", "--create")
    if kind != "of fixed lists":  # which may be something else
        assert "BAD_COLUMN" in done.stderr
        done = run("import", file, "docs", "-t", tmp_path / "db", "--create", "--vector", "tokens")
    assert done.exit_code == 0, done.output
    assert of_tokens(tmp_path / "db") == WANTED


def npz(path: Path) -> None:
    np.savez_compressed(path, offsets=OFFSETS, tokens=np.concatenate(TOKENS))


def npy(path: Path) -> None:
    np.save(path, np.stack([tokens[:1].repeat(3, axis=0) for tokens in TOKENS]))


def benchmark(path: Path) -> None:
    """ann-benchmarks' names, and integers to be divided."""
    with h5py.File(path, "w") as file:
        file["train"], file["train_offsets"] = np.rint(np.concatenate(TOKENS) * 16).astype(np.int8), OFFSETS
        file.attrs["scale"] = 16.0


def group(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["vectors/offsets"], file["vectors/tokens"] = OFFSETS, np.concatenate(TOKENS)


FILES: dict[str, tuple[Callable[[Path], None], list[str], list[Any]]] = {
    "a.npz": (npz, [], WANTED),
    "a.npy": (npy, [], [tokens[:1].repeat(3, axis=0).tolist() for tokens in TOKENS]),
    "train.hdf5": (benchmark, [], [(np.rint(tokens * 16) / 16).tolist() for tokens in TOKENS]),
    "group.hdf5": (group, ["--vector", "default=vectors"], WANTED),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_others(run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in ("npy", "hdf5", "token_npz"):
        monkeypatch.setattr(f"vecstore.io.{module}.READ_BYTES", 200)
    write, options, wanted = FILES[name]
    write(tmp_path / name)
    done = run("import", tmp_path / name, "docs", "-t", tmp_path / "db", "--create", *options)
    assert done.exit_code == 0, done.output
    assert of_tokens(tmp_path / "db", "default") == wanted


def parquet(rows: list[Any], inner: Any = None) -> Callable[[Path], None]:
    kind = pa.list_(pa.list_(pa.float32()) if inner is None else inner)
    return lambda path: pq.write_table(pa.table({"tokens": pa.array(rows, kind)}), path)


def arrays(**named: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **named)


def wrong_scale(path: Path) -> None:
    benchmark(path)
    with h5py.File(path, "a") as file:
        file.attrs["scale"] = 0.0


GOOD = [[1.0, 0, 0, 0]]
ALL = np.concatenate(TOKENS)
WRONG: dict[str, tuple[str, Callable[[Path], None], str, str]] = {
    "width": ("parquet", parquet([GOOD, [[1.0, 2]]]), "DIMENSION_MISMATCH", "row 1: 'tokens' has a token of 2 values"),
    "null token": ("parquet", parquet([GOOD, GOOD, [None]]), "BAD_ROW", "row 2: 'tokens' has a null among its tokens"),
    "null number": (
        "parquet",
        parquet([GOOD, [[1, 2, 3, None]]]),
        "BAD_ROW",
        "row 1: 'tokens' has a null among its nu",
    ),
    "field's width": ("parquet", parquet([[[1.0, 2]]]), "DIMENSION_MISMATCH", "dim=2, the field has dim=4"),
    "infinite": ("parquet", parquet([GOOD, [[1e39, 0, 0, 0]]], pa.list_(pa.float64())), "NAN_OR_INF", "[1][0]"),
    "words": ("parquet", parquet([[["a"]]], pa.list_(pa.string())), "BAD_VECTOR", "must be numbers, not object"),
    "offsets": ("npz", arrays(offsets=OFFSETS[:-1], tokens=ALL), "BAD_FILE", "has offsets up to"),
    "none": ("npz", arrays(tokens=ALL), "BAD_COLUMN", "has no array 'offsets'; it has: tokens"),
    "columns": ("npz", arrays(offsets=OFFSETS, tokens=np.asfortranarray(ALL)), "BAD_FILE", "Fortran's order"),
    "one axis": ("npz", arrays(offsets=OFFSETS, tokens=ALL[:, 0]), "BAD_FILE", "'tokens' of shape"),
    "scale": ("hdf5", wrong_scale, "BAD_FILE", "'scale' is 0.0, not a number above 0"),
    "bits": ("npy", lambda path: np.save(path, np.ones((2, 3, 4), bool)), "BAD_FILE", "bool of shape (2, 3, 4)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named_and_nothing_written(run: Callable[..., Any], tmp_path: Path, what: str) -> None:
    suffix, write, reason, message = WRONG[what]
    with vecstore.connect(tmp_path / "db") as db:
        db.create_collection("docs", multi={"tokens": Multi(DIM)})
    file = tmp_path / f"docs.{suffix}"
    write(file)
    options = ["--vector", "tokens"] if suffix == "parquet" else []
    done = run("import", file, "docs", "-t", tmp_path / "db", *options)
    assert done.exit_code == 1, done.output
    assert f"error: {reason}: " in done.stderr
    assert message in done.stderr
    assert contents(tmp_path / "db") == []


def test_a_line_of_json_makes_a_field_of_tokens(run: Callable[..., Any], tmp_path: Path) -> None:
    lines = [json.dumps({"id": row, "vector": tokens}) for row, tokens in enumerate(WANTED)]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    done = run("import", tmp_path / "docs.jsonl", "docs", "-t", tmp_path / "db", "--create")
    assert done.exit_code == 0, done.output
    assert of_tokens(tmp_path / "db", "default") == WANTED
