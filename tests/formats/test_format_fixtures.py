"""T11: databases that past versions wrote open, answer as they did, take writes and stay readable.

A new format needs its fixture: `python tests/formats/make_fixture.py tests/formats/format-N.tar.xz`.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_content import DIM, FIELDS, LIVE, WORDS, payload, point_id, vector
from make_fixture import SETTINGS

import vecstore
from vecstore import F
from vecstore.errors import FailedPrecondition
from vecstore.storage.format import STORE_FORMAT

FORMATS = range(1, STORE_FORMAT + 1)


def archive(number: int) -> Path:
    return Path(__file__).with_name(f"format-{number}.tar.xz")


def unpack(number: int, directory: Path) -> Path:
    with tarfile.open(archive(number)) as tar:
        tar.extractall(directory, filter="data")
    return directory / "written"


def test_every_format_has_a_fixture_of_itself(tmp_path: Path) -> None:
    for number in FORMATS:
        written = unpack(number, tmp_path / str(number))
        assert (written / "FORMAT.json").read_text().strip() == f'{{"format":{number}}}'


@pytest.mark.parametrize("number", FORMATS)
def test_a_past_format_opens_answers_and_takes_writes(tmp_path: Path, number: int) -> None:
    directory = unpack(number, tmp_path)
    with vecstore.connect(directory, settings=SETTINGS) as db:
        check(db, number, LIVE)
        things = db.collection("things")
        things.delete([point_id(key) for key in LIVE[:5]])
        things.compact()
        check(db, number, LIVE[5:])
        assert db.verify().error is None
    with vecstore.connect(directory, settings=SETTINGS) as db:
        check(db, number, LIVE[5:])


def check(db: Any, number: int, live: list[int]) -> None:
    things = db.collection("things")
    names = set(things.info().schema.vectors)
    assert names == expected_names(number)
    points = {point.id: point for point in things.scroll(with_vectors=True)}
    assert points.keys() == {point_id(key) for key in live}
    for key in live:
        point = points[point_id(key)]
        assert point.payload == payload(key)
        for name in names:
            assert same(point.vectors[name], FIELDS[name](key)), (name, key)
    rows = np.stack([vector(key) for key in live])
    for name in names & {"exact", "lists", "graph"}:
        for query in (vector(live[3]), vector(live[-1]) + 0.25):
            distances = ((rows - query) ** 2).sum(axis=1)
            nearest = live[int(distances.argmin())]
            assert things.query(query, using=name, k=1, recall=0.99)[0].id == point_id(nearest), name
    wanted = {point_id(key) for key in live if key % 7 == 3 and key >= 30}
    where = F("colour").eq(WORDS[3]) & F("n").gte(30)
    assert {hit.id for hit in things.query(vector(60), using="exact", k=100, filter=where)} == wanted
    assert things.count(where) == len(wanted)
    key = live[-2]
    assert things.query(FIELDS["bits"](key), using="bits", k=1)[0].id == point_id(key)
    if number >= 3:
        assert things.query({key: 1.0}, using="terms", k=1)[0].id == point_id(key)
        assert all(WORDS[2] in FIELDS["words"](int(hit.payload["n"])) for hit in things.query(WORDS[2], using="words"))
        assert things.query(FIELDS["many"](key), using="many", k=1)
        assert number < 4 or db.collection("alias").count() == len(live)
    assert db.collection("empty").count() == 0


def expected_names(number: int) -> set[str]:
    since = {"exact": 1, "bits": 1, "lists": 2, "graph": 3, "terms": 3, "words": 3, "many": 3}
    return {name for name, first in since.items() if first <= number}


def same(stored: Any, written: Any) -> bool:
    if isinstance(written, str):  # of a text, how often each term occurs
        return sorted(stored.values.tolist()) == sorted(map(float, Counter(written.split()).values()))
    if isinstance(written, dict):
        return dict(zip(stored.indices.tolist(), stored.values.tolist(), strict=True)) == written
    return bool(np.array_equal(stored, written)) and np.asarray(stored).shape[-1] in (DIM, 4, 2)


def test_a_newer_format_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    directory = unpack(STORE_FORMAT, tmp_path)
    (directory / "FORMAT.json").write_text(f'{{"format":{STORE_FORMAT + 1}}}\n')
    before = hashes(directory)
    with pytest.raises(FailedPrecondition, match="FORMAT_TOO_NEW"):
        vecstore.connect(directory, settings=SETTINGS)
    assert hashes(directory) == before


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in directory.rglob("*")
    }
