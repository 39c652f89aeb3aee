"""Recall tables after deletes: measured again among the rows that live, nothing promised until then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from engine_support import settle
from index_support import load, query, questions, schema
from waiting import wait_until

from vecstore.config import Settings, Storage
from vecstore.engine import scan
from vecstore.engine.database import Database
from vecstore.index.base import SearchParams
from vecstore.index_text import parse_index
from vecstore.types import DeleteRequest

STORAGE = Storage(
    seal_rows=10_000, in_place_rows=100_000, disk_reserve_bytes=0, index_rows_min=300, compact_deleted_ratio=0.9,
    maintenance=False,
)  # fmt: skip
ASKED = SearchParams(recall_target=0.9)


@pytest.mark.parametrize("spec", ["ivf(nlist=16) | int8", "graph"])
def test_tables_are_measured_again_when_rows_have_died(
    reopen: Callable[..., Database], monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    monkeypatch.setattr(scan, "FEW_ROWS", 20)
    db = reopen(Settings(storage=STORAGE))
    db.create_collection("c", schema(parse_index(spec)))
    load(db, 0, 2_000, 1_000)
    settle(db, db.compact("c"))
    vector = questions(1)[0]
    assert query(db, vector, params=ASKED).quality.est_recall > 0.85
    assert tables(db) == {"measured_rows": 2_000, "rows": 2_000, "stale": False}
    db.write(DeleteRequest("c", ids=list(range(150))))  # too few to matter
    assert query(db, vector, params=ASKED).quality.est_recall > 0.85
    db.write(DeleteRequest("c", ids=list(range(300))))
    assert tables(db) == {"measured_rows": 2_000, "rows": 1_700, "stale": True}
    assert query(db, vector, params=ASKED).quality.est_recall is None
    again = reopen(Settings(storage=Storage(**{**vars_of(STORAGE), "maintenance": True})))
    assert query(again, vector, params=ASKED).quality is not None  # opens the index, which is how it is noticed
    again.write(DeleteRequest("c", ids=[300]))
    wait_until(lambda: not tables(again)["stale"])
    assert tables(again)["measured_rows"] in (1_699, 1_700)
    answer = query(again, vector, params=ASKED)
    assert answer.quality.est_recall > 0.85
    assert answer.ids.min() > 300
    last = reopen(Settings(storage=STORAGE))  # what was measured is kept
    found = query(last, vector, params=ASKED)
    assert found.quality.est_recall == answer.quality.est_recall
    assert found.ids.tolist() == answer.ids.tolist()
    truth = query(last, vector, params=SearchParams(exact=True))
    assert np.isin(found.ids, truth.ids).mean() >= 0.7


def tables(db: Database) -> dict[str, object]:
    (segment,) = [one for one in db.stats("c")["segments"] if one["kind"] == "sealed"]
    found: dict[str, object] = segment["recall_tables"]["v"]
    return found


def vars_of(storage: Storage) -> dict[str, object]:
    return {name: getattr(storage, name) for name in storage.__struct_fields__}
