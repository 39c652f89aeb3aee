"""Every installed graph library answers alike in a batch, one by one, and after it was saved and opened again."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from bench import contest, datasets, graph_build, graph_race
from bench.contest import Built, Entrant, Point
from bench.graph_library import GraphLibrary
from bench.graph_ours import OurCollection, OurIndex
from bench.payloads import stacked

DIM = 64
SPEC = "ivf(nlist=8) | rabitq(bits=4)"  # lists answer by the same interface, and are built faster


def libraries() -> list[GraphLibrary]:
    theirs = [graph for module in graph_race.PEERS for graph in module.graphs()]
    return [OurIndex(SPEC), OurCollection(SPEC), *(one for one in theirs if importlib.util.find_spec(one.needs))]


@pytest.fixture(scope="module")
def data() -> contest.Data:
    """Gaussian vectors whose later dimensions say less, so that coarse codes have something to find."""
    rng = np.random.default_rng(2)
    rows, queries = (contest.unit(rng.normal(size=(n, DIM)) / (1 + np.arange(DIM))) for n in (1_000, 30))
    neighbors = datasets.nearest("dot", rows, queries, 10)
    return contest.Data("made", rows, queries, contest.Truth(rows, queries, neighbors, 10))


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
@pytest.mark.parametrize("library", libraries(), ids=lambda one: one.folder_name)
def test_a_library_finds_the_nearest(library: GraphLibrary, data: contest.Data, tmp_path: Path) -> None:
    library.build(data.rows, 1, tmp_path)
    library.save(tmp_path)
    library.open(tmp_path, data.rows)
    try:
        settings = library.settings()[-1] | {library.knob: 8 if library.knob == "nprobe" else 128}
        found = library.rows_of(library.batch(data.queries, 10, **settings))
        one_by_one = stacked([library.row_of(one) for one in graph_race.one_by_one(library, data, 10, settings)])
        assert found.shape == (30, 10)
        assert data.truth.recall(found) > 0.7, "chance is 0.01"
        assert data.truth.recall(one_by_one) == pytest.approx(data.truth.recall(found), abs=0.02)
    finally:
        library.close()


def test_the_race_has_its_peers() -> None:
    families = {graph.family for module in graph_race.PEERS for graph in module.graphs()}
    assert {"SymphonyQG f32", "kannolo RaBitQ+f16", "SVS Vamana f32", "faiss HNSW SQ8", "hnswlib"} <= families
    names = [graph.folder_name for module in graph_race.PEERS for graph in module.graphs()]
    assert len(set(names)) == len(names), "each is kept in a folder of its own"


def test_rates_are_read_off_each_family_and_compared_with_the_best_peer() -> None:
    def made(family: str, recall: float, qps: float) -> Point:
        built = Built(lambda queries, k: np.zeros((len(queries), k), np.int64), 1.0)
        return Point(Entrant(family.split()[0], family, "spec", lambda rows: built), {"ef": 10}, recall, qps, built)

    points = [made("vecstore", 0.94, 400), made("vecstore", 0.96, 100), made("a", 0.95, 100), made("b", 0.97, 50)]
    alone = [made("vecstore", 0.95, 30), made("a", 0.95, 60)]
    found = {record["family"]: record for record in graph_race.standings(points, points, alone, [0.95])}
    assert found["vecstore"]["qps"] == pytest.approx(200)
    assert found["vecstore"]["of_best_peer"] == pytest.approx(2.0)
    assert found["vecstore"]["single_of_best_peer"] == pytest.approx(0.5)
    assert found["b"]["single_qps"] is None
    unreached = graph_race.standings(points, points, alone, [0.99])
    assert all(record["qps"] is None for record in unreached)
    assert {record["best_recall"] for record in unreached} == {0.96, 0.95, 0.97}


def test_a_race_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs the plot extra")
    datasets.synthesize(tmp_path / "made.hdf5", "angular", rows=2_000, dim=DIM, queries=50)
    out = tmp_path / "race.jsonl"
    arguments = (str(tmp_path / "made.hdf5"), [SPEC], [0.95], 2, 10, None, None, "cpu", str(out), False, True, [1],
                 ["index"], str(tmp_path / "kept"))  # fmt: skip
    graph_race.race(*arguments)
    graph_race.race(*arguments)  # of what was kept
    records = [json.loads(line) for line in out.read_text().splitlines()]
    tops = [record for record in records if record["bench"] == "graph_race"]
    assert len(tops) == 2
    assert all(top["qps"] > 0 and top["single_qps"] > 0 for top in tops)
    assert tops[0]["build_1_s"] == tops[1]["build_1_s"], "built once"
    assert tops[0]["resident_mib"] > -5  # of a process that may give some back
    assert {"command", "machine", "versions"} <= set(tops[0])
    assert SPEC in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_what_was_kept_of_other_rows_is_refused(tmp_path: Path) -> None:
    datasets.synthesize(tmp_path / "made.hdf5", "angular", rows=300, dim=16, queries=5)
    graph_race.prepare(str(tmp_path / "made.hdf5"), 10, None, None, tmp_path / "kept")
    with pytest.raises(ValueError, match="other rows"):
        graph_race.prepare(str(tmp_path / "made.hdf5"), 10, None, 200, tmp_path / "kept")


def test_builds_are_hashed_by_threads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    datasets.synthesize(tmp_path / "made.hdf5", "angular", rows=1_000, dim=DIM, queries=5)
    file, out = str(tmp_path / "made.hdf5"), str(tmp_path / "out.jsonl")
    records = graph_build.graph_build(file, ["ivf(nlist=4) | lloyd_max"], [1, 2], None, str(tmp_path), out)
    assert [record["threads"] for record in records] == [1, 2]
    assert all(record["seconds"] > 0 for record in records)
    assert records[0]["index"] == records[1]["index"]
    assert "index the same for 1, 2 threads" in capsys.readouterr().out


def test_a_digest_tells_arrays_apart() -> None:
    one, other = np.arange(6, dtype=np.int32), np.arange(6, dtype=np.int32)
    other[3] = 9
    assert graph_build.digest({"a": one, "b": one}) == graph_build.digest({"b": one, "a": one.copy()})
    assert (
        len({graph_build.digest({"a": array}) for array in (one, other, one.reshape(2, 3), one.view(np.uint32))}) == 4
    )
    assert graph_build.digest({}) == ""
