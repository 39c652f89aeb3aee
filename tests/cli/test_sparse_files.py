"""Sparse rows from `.npz` and `.csr` files: what is read equals what was written, and what is malformed is named."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore.errors import InvalidArgument
from vecstore.io.sparse_files import SparseFile
from vecstore.sparse import SparseRows

COLUMNS = 1_000


def made(n: int, seed: int, columns: int = COLUMNS) -> SparseRows:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 30, n)  # some rows are empty
    lengths[[0, n // 2, -1]] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = np.concatenate([np.sort(rng.choice(columns, count, replace=False)) for count in lengths])
    return SparseRows(offsets, indices.astype(np.uint32), rng.random(len(indices), np.float32))


def npz(path: Path, rows: SparseRows, part: str = "", **changed: Any) -> Path:
    """As scipy's save_npz, or as a part of a benchmark file."""
    arrays: dict[str, Any] = {"indptr": rows.offsets, "indices": rows.indices, "data": rows.values}
    if part:
        arrays = {f"{part}_{name.replace('data', 'values')}": array for name, array in arrays.items()}
    arrays |= {"shape": np.array([len(rows), 7, COLUMNS] if part else [len(rows), COLUMNS])}
    if not part:
        arrays["format"] = np.array(b"csr")
    arrays |= changed
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def csr(path: Path, rows: SparseRows, header: tuple[int, int, int] | None = None) -> Path:
    head = struct.pack("<3q", *(header or (len(rows), COLUMNS, rows.nnz)))
    arrays = rows.offsets.astype("<i8"), rows.indices.astype("<i4"), rows.values.astype("<f4")
    path.write_bytes(head + b"".join(array.tobytes() for array in arrays))
    return path


def same(found: SparseRows, wanted: SparseRows) -> bool:
    return all(np.array_equal(found.arrays()[name], array) for name, array in wanted.arrays().items())


FILES: dict[str, Callable[[Path, SparseRows], SparseFile]] = {
    "scipy": lambda folder, rows: SparseFile(npz(folder / "a.npz", rows)),
    "part": lambda folder, rows: SparseFile(npz(folder / "b.npz", rows, "train"), "train"),
    "csr": lambda folder, rows: SparseFile(csr(folder / "c.csr", rows)),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("size", [1, 100, 1_000, 1 << 20])
def test_rows_come_in_bounded_batches(kind: str, size: int, tmp_path: Path) -> None:
    rows = made(500, seed=size)
    file = FILES[kind](tmp_path, rows)
    assert (len(file), file.nnz, file.columns) == (500, rows.nnz, COLUMNS)
    batches = list(file.batches(size))
    assert same(SparseRows.concat(batches), rows)
    assert all(len(batch) == 1 or (8 * batch.nnz <= size and 8 * len(batch) <= size + 8) for batch in batches)
    assert len(batches) == 1 or size < 1 << 20
    assert same(SparseRows.concat(list(file.batches())), file.read()), "a file can be read again"


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_nothing(kind: str, tmp_path: Path) -> None:
    for n in (0, 3):
        file = FILES[kind](tmp_path, SparseRows.empty(n, np.dtype(np.float32)))
        assert (len(file), file.nnz, len(file.read()), file.read().nnz) == (n, 0, n, 0)


def test_scipy_reads_what_scipy_wrote(tmp_path: Path) -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    rows = made(50, seed=3)
    matrix = scipy_sparse.csr_matrix((rows.values, rows.indices.astype(np.int32), rows.offsets), (50, COLUMNS))
    scipy_sparse.save_npz(tmp_path / "m.npz", matrix)
    assert same(SparseFile(tmp_path / "m.npz").read(), rows)
    scipy_sparse.save_npz(tmp_path / "m.npz", matrix.tocsc())
    with pytest.raises(InvalidArgument, match="format b'csc', not csr"):
        SparseFile(tmp_path / "m.npz")


@pytest.mark.parametrize("kind", FILES)
def test_indices_are_sorted_and_equal_ones_summed(kind: str, tmp_path: Path) -> None:
    rows = SparseRows(
        np.array([0, 3, 3, 7]),
        np.array([5, 2, 9, 4, 4, 1, 4], np.uint32),
        np.array([0.5, 0.25, 1, 2, 4, 8, 16], np.float32),
    )
    wanted = SparseRows(
        np.array([0, 3, 3, 5]), np.array([2, 5, 9, 1, 4], np.uint32), np.array([0.25, 0.5, 1, 8, 22], np.float32)
    )
    assert same(FILES[kind](tmp_path, rows).read(), wanted)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_bad_row_is_named(kind: str, size: int, tmp_path: Path) -> None:
    rows = SparseRows(np.arange(5), np.array([1, 2, 3, 4], np.uint32), np.ones(4, np.float32))
    rows.indices[2] = COLUMNS
    with pytest.raises(InvalidArgument, match="row 2: index 1000 is outside the 1000 columns") as caught:
        list(FILES[kind](tmp_path, rows).batches(size))
    assert caught.value.reason == "BAD_ROW"
    rows.indices[2] = 3
    for value in (np.nan, np.inf, -np.inf):
        rows.values[3] = value
        with pytest.raises(InvalidArgument, match=f"row 3: the value at index 4 is {value}"):
            list(FILES[kind](tmp_path, rows).batches(size))


def test_negative_indices_and_large_values_are_refused(tmp_path: Path) -> None:
    rows = made(20, seed=4)
    below = npz(tmp_path / "a.npz", rows, indices=rows.indices.astype(np.int32) - 50)
    with pytest.raises(InvalidArgument, match="index -"):
        SparseFile(below).read()
    large = npz(tmp_path / "a.npz", rows, data=np.full(rows.nnz, 1e300))
    with pytest.raises(InvalidArgument, match=r"row 1: the value at index \d+ is inf"):
        SparseFile(large).read()


ROWS = made(20, seed=5)
MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "no indices": ({"indices": None}, "no array 'indices'"),
    "no offsets": ({"indptr": None}, "no array 'indptr'"),
    "no values": ({"data": None}, "no array 'data'"),
    "no shape": ({"shape": None}, "no array 'shape'"),
    "another shape": ({"shape": np.array([19, COLUMNS])}, r"shape \[19, 1000\] and 21 offsets"),
    "one number": ({"shape": np.array([COLUMNS])}, "shape"),
    "columns below 0": ({"shape": np.array([20, -1])}, "-1 columns"),
    "columns past uint32": ({"shape": np.array([20, 1 << 33])}, "8589934592 columns"),
    "offsets that fall": ({"indptr": np.array([0, 5, 3, *ROWS.offsets[3:]])}, "fall at row 1, from 5"),
    "offsets from 1": ({"indptr": ROWS.offsets + 1}, "do not start at 0"),
    "offsets too far": ({"indptr": np.r_[ROWS.offsets[:-1], ROWS.nnz + 1]}, "offsets up to"),
    "no offset": ({"indptr": np.empty(0, np.int64), "shape": np.array([-1, 5])}, "do not start at 0"),
    "offsets in two dimensions": ({"indptr": ROWS.offsets[None]}, r"'indptr' of shape \(1, 21\)"),
    "offsets as floats": ({"indptr": ROWS.offsets.astype(np.float64)}, "dtype float64"),
    "fewer values": ({"data": ROWS.values[:-1]}, "indices and .* values"),
    "values as text": ({"data": ROWS.values.astype(str)}, "dtype <U"),
    "objects": ({"data": ROWS.values.astype(object)}, "dtype object"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_npz_is_refused(name: str, tmp_path: Path) -> None:
    changed, message = MALFORMED[name]
    with pytest.raises(InvalidArgument, match=message) as caught:
        SparseFile(npz(tmp_path / "a.npz", ROWS, **changed))
    assert caught.value.reason in ("BAD_FILE", "BAD_COLUMN")


def test_parts_are_named(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", ROWS, "train")
    for part in (None, "test"):
        with pytest.raises(InvalidArgument, match=f"has the parts train, not {part!r}"):
            SparseFile(path, part)
    with pytest.raises(InvalidArgument, match="no part 'train'"):
        SparseFile(csr(tmp_path / "a.csr", ROWS), "train")
    with pytest.raises(InvalidArgument, match=r"unknown format \.bin"):
        SparseFile(tmp_path / "a.bin")


def test_a_malformed_csr_is_refused(tmp_path: Path) -> None:
    path = csr(tmp_path / "a.csr", ROWS)
    whole = path.read_bytes()
    for size in (0, 10, 24, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InvalidArgument, match=f"has {size} bytes"):
            SparseFile(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(InvalidArgument, match="entries take"):
        SparseFile(path)
    for header in [(-1, COLUMNS, ROWS.nnz), (20, COLUMNS, -1), (1 << 62, COLUMNS, 1 << 62), (20, -5, ROWS.nnz)]:
        with pytest.raises(InvalidArgument) as caught:
            SparseFile(csr(path, ROWS, header))
        assert caught.value.reason == "BAD_FILE"


def test_a_damaged_npz_is_refused(tmp_path: Path) -> None:
    """Every cut, and many flips of a byte: an error of ours, or rows that are well formed."""
    path = npz(tmp_path / "a.npz", ROWS)
    whole = path.read_bytes()
    rng = np.random.default_rng(6)
    damaged = [whole[:size] for size in range(0, len(whole), 97)]
    for place, bit in zip(rng.integers(0, len(whole), 300), rng.integers(0, 8, 300), strict=True):
        blob = bytearray(whole)
        blob[place] ^= 1 << bit
        damaged.append(bytes(blob))
    refused = 0
    for blob in damaged:
        path.write_bytes(blob)
        try:
            SparseFile(path).read()
        except InvalidArgument:
            refused += 1
    assert refused > len(damaged) // 2


def test_an_array_cut_short_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", ROWS)
    with zipfile.ZipFile(path) as file:
        arrays = {name: file.read(name) for name in file.namelist()}
    for name in ("indptr.npy", "indices.npy", "data.npy"):
        with zipfile.ZipFile(path, "w") as file:
            for other, blob in arrays.items():
                file.writestr(other, blob[:-4] if other == name else blob)
        with pytest.raises(InvalidArgument, match=f"{name.removesuffix('.npy')}' that ends 4 bytes early"):
            SparseFile(path).read()
