"""What an answer says of itself: the recall that calibration promises, whether it is whole, and what searched."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from engine_support import settle
from index_support import load, query, questions, schema

from vecstore.config import Settings, Storage
from vecstore.engine import scan
from vecstore.engine.database import Database
from vecstore.index import costs
from vecstore.index.base import SearchParams
from vecstore.index_text import parse_index
from vecstore.quality import Part, Quality, over_rounds, over_segments, over_stages
from vecstore.query.builder import F
from vecstore.query.fusion import Fusion
from vecstore.types import Mmr, Prefetch, QueryRequest

STORAGE = Storage(seal_rows=10_000, in_place_rows=100_000, disk_reserve_bytes=0, index_rows_min=300)


@pytest.fixture
def indexed(reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch) -> Database:
    """2,000 points in one sealed segment."""
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    monkeypatch.setattr(costs, "EXACT_FIXED", 1e12)  # or a scan of so few rows costs least
    db = reopen(Settings(storage=STORAGE))
    db.create_collection("c", schema(parse_index("ivf(nlist=16) | int8")))
    load(db, 0, 2_000, 1_000)
    settle(db, db.compact("c"))
    return db


def asked(db: Database, vector: np.ndarray, **params: object) -> Quality:
    quality = query(db, vector, params=SearchParams(**params)).quality  # type: ignore[arg-type]
    assert isinstance(quality, Quality)
    return quality


def test_parts_are_weighed_by_rows_and_stages_by_the_worst() -> None:
    scanned = Part(100, 1.0, "exact_scan", "exact")
    both = over_segments([Part(300, 0.9, "graph", "rows"), scanned])
    assert both == Quality(0.925, True, "exact_scan+graph", "rows")
    unknown = over_segments([Part(300, None, "graph", ""), scanned])
    assert (unknown.est_recall, unknown.basis) == (None, "")
    assert over_segments([Part(3, 0.5, "graph", "queries")]) == Quality(0.5, True, "graph", "queries")
    assert over_segments([]) == Quality(1.0, True, "none", "exact")
    legs = [Quality(0.9, True, "graph", "unfamiliar", 1, 20), Quality(0.95, False, "seismic", "rows", 3, 10, True)]
    assert over_stages("rrf", legs) == Quality(0.9, False, "rrf(graph, seismic)", "unfamiliar", 3, 20, True)
    assert over_stages("rrf", [*legs, Quality(None, True, "ivf")]).est_recall is None
    assert over_stages("sample", []) == Quality(1.0, True, "sample", "exact")
    assert over_rounds(*legs) == Quality(0.9, False, "graph+seismic", "unfamiliar", 3, 20, True)
    assert over_rounds(legs[0], Quality(None, True, "graph")) == Quality(None, True, "graph", "", 1, 20)


def test_every_answer_says_how_good_it_is(indexed: Database) -> None:
    vector = questions(2)[1]
    assert asked(indexed, vector, exact=True) == Quality(1.0, True, "exact_scan", "exact")
    for target in (0.8, 0.95):
        quality = asked(indexed, vector, recall_target=target)
        assert quality.est_recall is not None
        assert target - 0.001 < quality.est_recall < target + 0.1  # lists of few rows are visited whole
        assert (quality.complete, quality.strategy, quality.basis) == (True, "ivf", "rows")
    few, many = (asked(indexed, vector, nprobe=nprobe).est_recall or 0.0 for nprobe in (1, 12))
    assert few < many < 1
    assert asked(indexed, vector, rescore=False, nprobe=16).est_recall < 1  # type: ignore[operator]
    explained = query(indexed, vector, explain=True, params=SearchParams(recall_target=0.8)).explain
    assert 0.8 - 0.001 < explained["segments"][0]["est_recall"] < 0.9
    filtered = query(indexed, vector, filter=F("n").lt(500), params=SearchParams(recall_target=0.9)).quality
    assert filtered.strategy == "ivf_filtered"
    load(indexed, 2_000, 2_100)  # growing: exact
    mixed = asked(indexed, vector, recall_target=0.8)
    assert mixed.strategy == "exact_scan+ivf"
    assert 0.8 < mixed.est_recall < 0.9  # type: ignore[operator]


def test_stages_say_what_they_are_made_of(indexed: Database) -> None:
    vector = questions(1)[0]
    prefetch = [
        Prefetch(vector, "v", k=20, params=SearchParams(recall_target=0.8)),
        Prefetch(vector, "v", k=20, params=SearchParams(exact=True)),
    ]
    fused = indexed.query(QueryRequest("c", using="v", prefetch=prefetch, fusion=Fusion()))
    assert fused.quality.strategy == "rrf(ivf, exact_scan)"
    assert 0.8 - 0.001 < fused.quality.est_recall < 0.9  # type: ignore[operator]
    rescored = indexed.query(QueryRequest("c", vector, using="v", prefetch=prefetch[1:]))
    assert rescored.quality == Quality(1.0, True, "rescore(exact_scan)", "exact")
    diverse = indexed.query(QueryRequest("c", vector, using="v", mmr=Mmr(), params=SearchParams(exact=True)))
    assert diverse.quality == Quality(1.0, True, "mmr(exact_scan)", "exact")
