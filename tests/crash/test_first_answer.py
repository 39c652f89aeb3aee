"""The first answer after a crash is the right one, with all still in the log. How fast it is: bench/recovery.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faults.children import start_python

import vecstore
from vecstore.config import Settings, Storage

ROWS = 20_000
DIM = 32

WRITE = f"""
import sys, os
import numpy as np
import vecstore
from vecstore.config import Settings, Storage
rows = np.random.default_rng(8).standard_normal(({ROWS}, {DIM}), dtype=np.float32)
client = vecstore.connect(sys.argv[1], settings=Settings(storage=Storage(seal_rows=int(sys.argv[2]))))
docs = client.create_collection("docs", vecstore.Dense({DIM}, index="flat"))
docs.upload(ids=range({ROWS}), vectors=rows, batch_bytes=200_000, progress=False)
docs.delete(range(0, {ROWS}, 10))
os._exit(0)
"""


@pytest.mark.parametrize("seal_rows", [1_000_000, 6_000])
def test_first_answer_after_a_crash(tmp_path: Path, seal_rows: int) -> None:
    child = start_python(WRITE, tmp_path / "db", seal_rows)
    output = child.communicate(timeout=240)
    assert child.returncode == 0, output
    rows = np.random.default_rng(8).standard_normal((ROWS, DIM), dtype=np.float32)
    query = rows[4321]
    similarity = (rows @ query) / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))
    similarity[::10] = -2.0
    expected = np.argsort(-similarity, kind="stable")[:10].tolist()
    with vecstore.connect(tmp_path / "db", settings=Settings(storage=Storage(seal_rows=seal_rows))) as client:
        docs = client.collection("docs")
        hits = docs.query(query, k=10)
        assert [hit.id for hit in hits] == expected
        assert hits[0].id == 4321
        assert docs.count() == ROWS - ROWS // 10
