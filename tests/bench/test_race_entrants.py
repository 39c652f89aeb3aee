"""Every installed peer and our own indexes answer well through the interface they are raced by."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import contest, datasets, frontier, indexes, ivf_race
from bench.contest import Entrant
from bench.peers import faiss_codes, faiss_ivf, rabitq_library, scann_ah, turbovec_flat
from vecstore.index_spec import IVF, Flat, Int8, LloydMax

DIM, NLIST = 64, 8
SOME_FAISS = ("PQ16x4fs", "RR64,RaBitQ4", "SQ8", "PCA32,SQ8")


def all_entrants() -> Iterator[Entrant]:
    for module in (faiss_codes, rabitq_library, turbovec_flat, scann_ah):
        if importlib.util.find_spec(module.NEEDS):
            yield from (one for one in module.entrants(DIM) if module is not faiss_codes or one.spec in SOME_FAISS)
    for module in (faiss_ivf, rabitq_library, scann_ah):
        if importlib.util.find_spec(module.NEEDS):
            yield from module.racers(DIM, [NLIST])
    for spec in (Flat(Int8(), rerank="none"), IVF(nlist=NLIST, quantizer=LloydMax(bits=4))):
        yield indexes.entrant(spec)


@pytest.fixture(scope="module")
def data() -> contest.Data:
    """Gaussian vectors whose later dimensions say less, so that coarse codes have something to find."""
    rng = np.random.default_rng(2)
    rows, queries = (contest.unit(rng.normal(size=(n, DIM)) / (1 + np.arange(DIM))) for n in (2_000, 50))
    neighbors = datasets.nearest("dot", rows, queries, 10)
    return contest.Data("made", rows, queries, contest.Truth(rows, queries, neighbors, 10))


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
@pytest.mark.parametrize("entrant", list(all_entrants()), ids=lambda one: f"{one.system} {one.spec}")
def test_an_entrant_finds_the_nearest(entrant: Entrant, data: contest.Data) -> None:
    built = entrant.build(data.rows)
    assert 0 < built.bytes_per_vector <= 5 * DIM
    settings = dict(built.settings[-1])
    if "nprobe" in settings:
        settings["nprobe"] = NLIST
    answers = built.search(data.queries, 10, **settings)
    assert answers.shape == (50, 10)
    assert np.issubdtype(answers.dtype, np.integer)
    assert data.truth.recall(answers) > 0.1, "chance is 0.005"


def test_the_grids_have_every_size() -> None:
    sizes = {entrant.spec for entrant in faiss_codes.entrants(384)}
    assert {"PQ48", "PQ96x4fs", "OPQ96,PQ96", "RR384,RaBitQ4", "SQ8", "PCAR320,RaBitQ"} <= sizes
    assert all(spec.rerank == "none" for spec in indexes.flat_specs(384))


def test_a_race_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs the plot extra")
    datasets.synthesize(tmp_path / "made.hdf5", "angular", rows=2_000, dim=DIM, queries=50)
    out = tmp_path / "race.jsonl"
    ivf_race.race(
        str(tmp_path / "made.hdf5"), ["ivf(nlist=8) | lloyd_max"], [NLIST], [0.95], 2, 10, None, None, "cpu", str(out),
        False, 5,
    )  # fmt: skip
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert {record["bench"] for record in records} == {"ivf_race", "ivf_race_point"}
    top = next(record for record in records if record["bench"] == "ivf_race")
    assert top["qps"] > 0
    assert top["at"]["recall"] >= 0.95
    assert {"command", "machine", "versions"} <= set(top)
    assert "lloyd_max" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_a_frontier_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs the plot extra")
    datasets.synthesize(tmp_path / "made.hdf5", "angular", rows=1_000, dim=DIM, queries=20)
    out = tmp_path / "frontier.jsonl"
    specs = ["int8 | rerank(none)", "lloyd_max | rerank(none)", "pq(9999) | rerank(none)"]
    frontier.frontier(str(tmp_path / "made.hdf5"), specs, 10, None, None, str(out), False)
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(records) == 2, "what does not suit is left out"
    assert all(record["recall"] > 0.8 for record in records)
    assert len(list(tmp_path.glob("*.png"))) == 1
