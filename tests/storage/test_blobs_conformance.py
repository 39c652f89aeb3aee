"""What every Blobs does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vecstore.errors import AlreadyExists, Corruption, InvalidArgument
from vecstore.storage.format import CHUNK_BYTES
from vecstore.storage.interfaces import BlobRef
from vecstore.storage.open import Storage
from vecstore.storage.staging import load_staged, stage_blobs

LENGTHS = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 17]


def random_bytes(length: int, seed: int = 7) -> bytes:
    return np.random.default_rng(seed).bytes(length)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_blob_reads_back_whatever_its_pieces(store: Storage, length: int) -> None:
    content = random_bytes(length)
    refs = []
    for piece in (1 + length // 7, CHUNK_BYTES, 3 * CHUNK_BYTES):
        pieces = [content[at : at + piece] for at in range(0, length, piece)]
        refs.append(store.blobs.put_new(f"s/by{piece}", pieces))
    assert {(ref.length, ref.checksum) for ref in refs} == {(length, refs[0].checksum)}
    for ref in refs:
        mapped = store.blobs.map(ref)
        assert bytes(mapped) == content
        assert mapped.readonly
        store.blobs.verify(ref)


def test_read_ranges_are_slices(store: Storage) -> None:
    content = random_bytes(3 * CHUNK_BYTES + 100)
    ref = store.blobs.put_new("a", [content])
    ranges = [(0, 10), (CHUNK_BYTES - 5, 10), (7, 0), (len(content), 0), (len(content) - 1, 1), (100, 2 * CHUNK_BYTES)]
    assert store.blobs.read_ranges(ref, ranges) == [content[at : at + n] for at, n in ranges]
    for bad in [(-1, 2), (0, -1), (len(content), 1), (0, 1 << 62)]:
        with pytest.raises(InvalidArgument):
            store.blobs.read_ranges(ref, [bad])


def test_a_second_create_of_one_name_fails_and_changes_nothing(store: Storage) -> None:
    ref = store.blobs.put_new("s/a", [b"first"])
    with pytest.raises(AlreadyExists):
        store.blobs.put_new("s/a", [b"second"])
    assert bytes(store.blobs.map(ref)) == b"first"
    assert list(store.blobs.list("")) == [ref]


def test_list_is_ordered_and_by_prefix(store: Storage) -> None:
    names = ["b/2", "a", "a/b", "a.b", "a-b", "b/10", "b"]
    refs = {name: store.blobs.put_new(name, [name.encode()]) for name in names}
    assert list(store.blobs.list("")) == [refs[name] for name in sorted(names, key=lambda name: name.encode() + b"\0")]
    assert [ref.name for ref in store.blobs.list("b/")] == ["b/10", "b/2"]
    assert [ref.name for ref in store.blobs.list("nothing")] == []


def test_delete_removes_one_blob_and_its_name_can_be_used_again(store: Storage) -> None:
    old, kept = store.blobs.put_new("s/a", [b"old"]), store.blobs.put_new("s/a.b", [b"kept"])
    view = store.blobs.map(old)
    store.blobs.delete("s/a")
    store.blobs.delete("s/never")
    assert bytes(view) == b"old"
    with pytest.raises(Corruption):
        store.blobs.map(old)
    assert list(store.blobs.list("")) == [kept]
    new = store.blobs.put_new("s/a", [b"new one"])
    assert bytes(store.blobs.map(new)) == b"new one"
    with pytest.raises(Corruption):
        store.blobs.map(old)


def test_a_reference_to_another_content_is_refused(store: Storage) -> None:
    ref = store.blobs.put_new("s/a", [b"content"])
    for wrong in (
        BlobRef("s/a", 7, ref.checksum ^ 1),
        BlobRef("s/a", 8, ref.checksum),
        BlobRef("s/b", 7, ref.checksum),
    ):
        with pytest.raises(Corruption):
            store.blobs.map(wrong)
        with pytest.raises(Corruption):
            store.blobs.read_ranges(wrong, [(0, 1)])


@pytest.mark.parametrize(
    "name",
    ["", "/", "/a", "a/", "a//b", "..", "a/../b", "./a", ".hidden", "a/.b", "A", "a b", "a\0", "a\n", "ä", "a+b", "a~",
     "-a", "a" * 201],
)  # fmt: skip
def test_names_outside_the_pattern_are_refused(store: Storage, tmp_path: Path, name: str) -> None:
    for call in (
        lambda: store.blobs.put_new(name, [b""]),
        lambda: store.blobs.delete(name),
        lambda: stage_blobs(tmp_path / "staged", [(name, [b""])]),
    ):
        with pytest.raises(InvalidArgument) as caught:
            call()
        assert caught.value.reason == "BAD_NAME"
    assert not (tmp_path / "staged").exists()


def test_staged_blobs_appear_together_after_publish(store: Storage, tmp_path: Path) -> None:
    contents = {"s/b": random_bytes(CHUNK_BYTES + 3), "s/a": b"", "s/a.b": b"x", "s/a/b": b"y"}
    directory = tmp_path / "staged" if store.staging_dir is None else store.staging_dir / "one"
    stage_blobs(directory, [(name, [content]) for name, content in contents.items()])
    staged = load_staged(directory)
    assert list(store.blobs.list("")) == []
    store.blobs.publish(staged)
    assert {ref.name: bytes(store.blobs.map(ref)) for ref in store.blobs.list("")} == contents
    assert set(store.blobs.list("")) == set(staged.refs)
    assert not directory.exists()


def test_publish_is_all_or_none_when_a_name_is_taken(store: Storage, tmp_path: Path) -> None:
    taken = store.blobs.put_new("s/b", [b"first"])
    staged = stage_blobs(tmp_path / "staged", [("s/a", [b"1"]), ("s/b", [b"2"])])
    with pytest.raises(AlreadyExists):
        store.blobs.publish(staged)
    assert list(store.blobs.list("")) == [taken]
    assert bytes(store.blobs.map(taken)) == b"first"


def test_staging_checks_what_it_is_given(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no blobs"):
        stage_blobs(tmp_path / "none", [])
    with pytest.raises(AlreadyExists):
        stage_blobs(tmp_path / "twice", [("a", [b"1"]), ("a", [b"2"])])

    def failing() -> object:
        yield b"some"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage_blobs(tmp_path / "failing", [("a", failing())])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Corruption):
        load_staged(tmp_path / "none")


def test_sweep_keeps_only_what_is_named(store: Storage) -> None:
    kept = store.blobs.put_new("s/kept", [b"kept"])
    store.blobs.put_new("s/orphan", [b"orphan"])
    store.blobs.sweep({"s/kept", "s/unknown"})
    assert list(store.blobs.list("")) == [kept]
    assert bytes(store.blobs.map(kept)) == b"kept"
