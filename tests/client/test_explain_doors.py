"""Plans of queries through every client."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore import RRF, Dense, F, InvalidArgument, NotFound, Prefetch, Text

ROWS = np.random.default_rng(20261201).standard_normal((60, 8)).astype(np.float32)


def test_a_plan_and_what_was_measured(db: Any) -> None:
    docs = db.create_collection("docs", {"v": Dense(8)}, text={"t": Text()}, indexes={"n": "integer"})
    docs.upsert(range(60), {"v": ROWS, "t": ["some words"] * 60}, [{"n": i, "m": i % 2} for i in range(60)])
    planned = docs.explain(ROWS[3], k=5, using="v", filter=F("n").lt(20) & F("m").eq(1))
    assert planned.keys() == {"seq", "points", "plan"}
    assert (planned["seq"], planned["points"]) == (docs.last_seq, 60)
    (segment,) = planned["plan"]["segments"]
    assert segment["matches"] == {"least": 0, "most": 20, "expected": 10}
    assert (segment["strategy"], segment["payloads_to_read"], segment["rows"]) == ("exact_scan", 20, 60)
    assert (planned["plan"]["using"], planned["plan"]["limit"], planned["plan"]["stage"]) == ("v", 5, "v")
    both = docs.explain(ROWS[3], k=5, using="v", filter=F("n").lt(20), analyze=True, with_payload=False)
    assert both["plan"]["segments"][0]["matches"]["expected"] == both["measured"]["segments"][0]["allowed"] == 20
    assert both["found"] == 5
    assert both["quality"]["est_recall"] == 1.0
    assert both["measured"]["total_ms"] >= 0
    legs = [Prefetch(vector=ROWS[3], using="v", k=7), Prefetch(vector="words", using="t", k=9)]
    fused = docs.explain(k=5, prefetch=legs, fusion=RRF())["plan"]
    assert (fused["stage"], fused["candidates"]) == ("rrf", 16)
    assert [one["stage"] for one in fused["prefetch"]] == ["v", "t"]
    docs.update(vectors={"v": {"search": {"ef": 77}}})
    assert docs.explain(ROWS[3], using="v")["plan"]["params"] == {"ef": 77}
    assert docs.explain(ROWS[3], using="v", recall=0.5)["plan"]["params"] == {"recall_target": 0.5}
    with pytest.raises(InvalidArgument, match="DIMENSION_MISMATCH"):
        docs.explain(ROWS[3][:5], using="v")
    with pytest.raises(InvalidArgument, match="BAD_FILTER"):
        docs.explain(ROWS[3], using="v", filter={"must": [{"nothing": 1}]})
    with pytest.raises(NotFound):
        db.collection("nowhere").explain(ROWS[3])
