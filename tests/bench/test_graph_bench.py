"""Filters, churn and gRPC around an indexed collection, on lists in place of a graph: they are built faster."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import contest, datasets, filter_cases, filter_ways, graph_churn, graph_filters, grpc_graph
from bench.filter_cases import Group
from bench.graph_filters import Tried
from bench.graph_ours import OurCollection, OurIndex
from bench.payloads import payloads, stacked

DIM, SPEC = 32, "ivf(nlist=8) | rabitq(bits=4)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bench") / "made.hdf5"
    datasets.synthesize(path, "angular", rows=2_000, dim=DIM, queries=60)
    return str(path)


@pytest.fixture(scope="module")
def data(file: str) -> contest.Data:
    return contest.load(file, 10)


def test_far_filters_let_the_farthest_rows_through(data: contest.Data) -> None:
    groups = filter_cases.grouped(data.queries)
    payload = filter_cases.fields(data, groups)
    found = list(filter_cases.cases(data, payload, groups, 10))
    assert [(case.name, case.share) for case in found] == [
        (name, share) for name in ("random", "far") for share in (0.5, 0.1, 0.01)
    ], "2 rows of 2,000 cannot fill 10 places"
    for case in found:
        for rows, group in zip(groups, case.groups, strict=True):
            assert group.allowed.mean() == pytest.approx(case.share, rel=0.2)
            near = data.rows @ data.queries[rows[0]]
            if case.name == "far":
                assert near[group.allowed].max() <= near[~group.allowed].min() + 1e-6
    far = found[3].groups
    assert far[0].field != far[1].field


def test_payloads_and_answers_are_laid_out() -> None:
    columns = {"a": np.arange(5), "b": np.arange(5) * 2}
    assert payloads(columns, 1, 3) == [{"a": 1, "b": 2}, {"a": 2, "b": 4}]
    assert payloads({}, 0, 2) == [{}, {}]
    assert stacked([[1, 2], [], [3]]).tolist() == [[1, 2], [-1, -1], [3, -1]]
    assert stacked([], 4).shape == (0, 4)


def test_every_way_answers_with_matching_rows_only(data: contest.Data, tmp_path: Path) -> None:
    groups = filter_cases.grouped(data.queries)
    payload = filter_cases.fields(data, groups)
    case = next(case for case in filter_cases.cases(data, payload, groups, 10) if case.name == "far")
    made: dict[int, object] = {}
    for name, library, ask in filter_ways.ways(SPEC, payload):
        pytest.importorskip(library.needs)
        if id(library) not in made:
            folder = tmp_path / library.folder_name
            folder.mkdir()
            library.build(data.rows, 1, folder)
            library.save(folder)
            library.open(folder, data.rows)
            made[id(library)] = library
        answers = [library.rows_of(ask(library, group, 10, 64)) for group in case.groups]
        for rows, group in zip(answers, case.groups, strict=True):
            assert group.allowed[rows[rows >= 0]].all(), name
        assert case.truth.recall(np.concatenate(answers)) > 0.6, name
    for library in made.values():
        library.close()  # type: ignore[attr-defined]


def test_asking_for_more_goes_on_until_k_match(data: contest.Data, tmp_path: Path) -> None:
    index = OurIndex(SPEC)
    index.build(data.rows, 1, tmp_path)
    allowed = np.zeros(len(data.rows), bool)
    allowed[np.argsort(data.rows @ data.queries[0])[:12]] = True  # the farthest of all
    group = Group(data.queries[:1], "none", 0, allowed)
    rows = filter_ways.asked_for_more(index, group, 10, 8)
    assert (rows >= 0).all()
    assert allowed[rows].all()


def test_the_cheapest_setting_that_reaches_the_target_counts() -> None:
    points = [
        Tried("w", ef, recall, 0, list, took) for ef, recall, took in ((0, 0.9, 1.0), (1, 0.98, 3.0), (2, 0.99, 2.0))
    ]
    assert graph_filters.best(points, 0.97).ef == 2
    assert graph_filters.best(points, 0.999).ef == 2
    assert graph_filters.best(points, 0.5).ef == 0


def test_filters_from_the_command_line(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "filters.jsonl"
    graph_filters.graph_filters(file, SPEC, 0.97, 1, 10, None, "cpu", False, str(tmp_path), str(out))
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {record["way"] for record in records} == {
        "vecstore collection", "vecstore index", "vecstore index, asked for more"
    }  # fmt: skip
    assert all(record["short"] == 0 for record in records if record["way"] == "vecstore collection")
    assert all(record["of_baseline"] == 1 for record in records if record["way"] == graph_filters.BASELINE)
    assert "far" in capsys.readouterr().out


def test_churn_from_the_command_line(file: str, tmp_path: Path) -> None:
    out = tmp_path / "churn.jsonl"
    graph_churn.graph_churn(file, SPEC, 2, 8, 1, 10, None, "cpu", str(tmp_path), str(out))
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["round"] for record in records] == [0, 1, 2]
    assert all(record["deleted_returned"] == 0 for record in records[1:])
    assert all(record["half_recall"] > 0.9 for record in records[1:])
    assert all(record["recall"] > 0.9 and record["fresh_recall"] > 0.9 for record in records)
    assert all(record["lost"] == 0 for record in records)


def test_a_point_that_is_not_found_is_lost(data: contest.Data, tmp_path: Path) -> None:
    library = OurCollection(SPEC)
    library.build(data.rows, 1, tmp_path)
    try:
        assert graph_churn.lost(library, data.rows) == 0
        library.collection.delete([3, 5])
        assert graph_churn.lost(library, data.rows) == 2
    finally:
        library.close()


def test_grpc_from_the_command_line(file: str, tmp_path: Path) -> None:
    out = tmp_path / "grpc.jsonl"
    grpc_graph.grpc_graph(file, SPEC, 0.9, 2, 1, 0.2, 10, None, str(tmp_path), str(out))
    records = {record["case"]: record for record in map(json.loads, out.read_text().splitlines())}
    assert set(records) == {"empty", "query"}
    assert records["query"]["recall"] >= 0.9
    assert records["query"]["settings"]["nprobe"] >= 2
    assert all(record["qps"] > 0 and record["p99_ms"] >= record["p50_ms"] for record in records.values())
    assert records["query"]["of_empty"] > 0
