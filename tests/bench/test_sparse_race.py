"""Every installed sparse library answers alike in a batch, one by one, and after it was saved and opened again."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from bench import sparse_data, sparse_race, sparse_synthetic
from bench.__main__ import main
from bench.contest import Entrant, Point
from bench.payloads import stacked
from bench.peers.kannolo_sparse import Kannolo, KannoloRerank
from bench.peers.scipy_scan import ScipyScan
from bench.peers.seismic_lsr import Seismic
from bench.sparse_data import SparseData, SparseTruth
from bench.sparse_library import SparseLibrary
from bench.sparse_ours import OurCodes, OurCollection, OurIndex
from vecstore.io.sparse_files import SparseFile
from vecstore.sparse import SparseRows

pytest.importorskip("scipy")
ROWS, QUERIES, K = 1_000, 30, 10
THOROUGH = {
    "seismic": {"query_cut": 20, "heap_factor": 0.7, "n_knn": 0, "sorted": True},
    "kannolo": {"ef_search": 200},
    "kannolo Rerank": {"ef_search": 200, "k_candidates": 80, "alpha": None},
    "scipy": {},
    "vecstore": {},
    "vecstore index seismic without rows": {"block_factor": 4.0, "oversampling": 0.0, "rescore": False},
}


def libraries() -> list[SparseLibrary]:
    # Not SeismicDotVByte: its answers were wrong where another test ran beside it.
    one_of_each: list[SparseLibrary] = [
        Seismic(100, 10.0, 0.2, 0.5, True), ScipyScan("rows"), ScipyScan("lists"), Kannolo("Plain", 16),
        Kannolo("DotPacking8", 16), Kannolo("FixedU8", 16), KannoloRerank(70, 16), OurIndex("flat"),
        OurCollection("flat"), OurCodes("seismic"),
    ]  # fmt: skip
    return [one for one in one_of_each if importlib.util.find_spec(one.needs)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return sparse_synthetic.make(ROWS, QUERIES, 1, str(tmp_path_factory.mktemp("made") / "rows.csr"))


@pytest.fixture(scope="module")
def data(files: tuple[Path, Path]) -> SparseData:
    return sparse_data.load(files[0], K, queries_file=str(files[1]))


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
@pytest.mark.parametrize("library", libraries(), ids=lambda one: one.folder_name)
def test_a_library_finds_the_nearest(library: SparseLibrary, data: SparseData, tmp_path: Path) -> None:
    library.prepare(data.rows, data.columns, tmp_path)
    library.build(tmp_path)
    assert 4 * len(data.rows) < library.save(tmp_path) < 30 * data.rows.nbytes
    library.close()
    library.open(tmp_path)
    names = sorted((name for name in THOROUGH if library.family.startswith(name)), key=len)
    settings = THOROUGH[names[-1]]
    assert settings.keys() == library.settings()[0].keys()
    alone = [library.row_of(library.single(library.query(row), K, **settings)) for row in data.queries]
    together = library.rows_of(library.batch(library.queries(data.queries, tmp_path), K, **settings))
    library.close()
    exact = library.system in ("scipy", "vecstore") and "rescore" not in settings
    for answers in (alone, together):
        assert len(answers) == QUERIES
        assert data.truth.recall(stacked(answers, K)) >= (1.0 if exact else 0.85), "chance is 0.01"


def test_the_race_has_its_peers(data: SparseData) -> None:
    graphs = [one for module in sparse_race.PEERS for one in module.libraries(data.rows, data.columns)]
    assert {"seismic", "seismic kNN", "kannolo Plain", "kannolo Rerank", "scipy lists"} <= {
        one.family for one in graphs
    }
    names = [one.folder_name for one in graphs]
    assert len(set(names)) == len(names), "each is kept in a folder of its own"


def test_accuracy_is_judged_by_score() -> None:
    rows = SparseRows(
        np.array([0, 1, 2, 4, 5]), np.array([3, 3, 1, 3, 2], np.uint32), np.array([2, 2, 5, 1, 9], np.float32)
    )
    queries = SparseRows(np.array([0, 2]), np.array([0, 3], np.uint32), np.array([7, 1], np.float32))
    assert sparse_data.nearest(rows, queries, 5, 2).tolist() == [[0, 1]], "ties by row"
    truth = SparseTruth(rows, queries, np.array([[0]]), 1)
    assert truth.products(np.array([[2, 3, 0]])).tolist() == [[1, 0, 2]]
    assert truth.recall(np.array([[1]])) == 1, "as good as the first"
    assert truth.recall(np.array([[2]])) == 0
    assert truth.recall(np.array([[-1]])) == 0


def test_made_rows_are_the_same_again_and_look_like_splade(files: tuple[Path, Path], tmp_path: Path) -> None:
    again = sparse_synthetic.make(ROWS, QUERIES, 1, str(tmp_path / "rows.csr"))
    other = sparse_synthetic.make(ROWS, QUERIES, 2, str(tmp_path / "other.csr"))
    for one, same, different in zip(files, again, other, strict=True):
        assert one.read_bytes() == same.read_bytes() != different.read_bytes()
    rows, queries = (SparseFile(path).read() for path in files)
    assert (len(rows), len(queries)) == (ROWS, QUERIES)
    assert 110 < rows.nnz / ROWS < 130
    assert 40 < queries.nnz / QUERIES < 50
    assert (np.float16(rows.values) == rows.values).all(), "exact in float16"
    lists = np.sort(np.bincount(rows.indices, minlength=sparse_synthetic.COLUMNS))[::-1]
    assert lists[:300].sum() > 0.2 * rows.nnz, "a few terms are everywhere"
    heavy = [np.sort(row.values)[::-1] for row in rows]
    assert np.mean([one[:10].sum() / one.sum() for one in heavy]) > 0.25, "a few entries hold much of the weight"


def test_times_are_read_off_each_family_and_compared_with_the_best_peer() -> None:
    def asked(family: str, accuracy: float, cpu_us: float) -> sparse_race.Asked:
        entrant = Entrant(family.split()[0], family, "spec", lambda rows: sparse_race.NOTHING)
        point = Point(entrant, {"cut": 10}, accuracy, 1e6 / cpu_us, sparse_race.NOTHING)
        return sparse_race.Asked(ScipyScan("rows"), point, cpu_us / 1e6, 2 * cpu_us / 1e6)

    ones = [asked("vecstore", 0.94, 25), asked("vecstore", 0.96, 100), asked("a", 0.95, 100), asked("b", 0.97, 200)]
    found = {record["family"]: record for record in sparse_race.standings(ones, ones, ones[2:], [0.95])}
    assert found["vecstore"]["cpu_us"] == pytest.approx(50)
    assert found["vecstore"]["wall_us"] == pytest.approx(100)
    assert found["vecstore"]["of_best_peer"] == pytest.approx(0.5)
    assert found["b"]["of_best_peer"] == pytest.approx(2)
    assert found["vecstore"]["batch_cpu_us"] is None
    assert {one.point.recall for one in sparse_race.finalists(ones, [0.95])} == {0.94, 0.96, 0.95, 0.97}
    unreached = sparse_race.standings(ones, ones, ones, [0.99])
    assert all(record["cpu_us"] is None for record in unreached)


def test_a_race_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, out, kept = tmp_path / "rows.csr", tmp_path / "race.jsonl", tmp_path / "kept"
    assert main(["make-sparse", "--rows", "500", "--queries", "20", "--out", str(rows)]) == 0
    asked = str(rows.with_suffix(".queries.csr"))
    command = ["sparse-race", str(rows), "--queries-file", asked, "--only", "scipy", "flat", "--rounds", "1"]
    command += ["--keep", str(kept), "--out", str(out)]
    assert main(command) == 0
    assert "scipy lists" in capsys.readouterr().out
    records = [json.loads(line) for line in out.read_text().splitlines()]
    tops = [record for record in records if record["bench"] == "sparse_race"]
    families = {"scipy rows", "scipy lists", "vecstore index flat", "vecstore collection flat"}
    assert {(one["family"], one["best_accuracy"]) for one in tops} == {(family, 1.0) for family in families}
    assert all((one["of_best_peer"] or 0) > 0 for one in tops)
    assert all(one["cpu_us"] > 0 and one["wall_us"] > 0 and one["index_mib"] > 0 for one in tops)
    assert {record["calls"] for record in records if record["bench"] == "sparse_race_point"} == {"single", "batch"}
    assert main([*command, "--rows", "400"]) == 2, "what is kept was built from other rows"
