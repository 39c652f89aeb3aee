"""The ingest, recovery and seal measurements run to their end on small sizes. Their figures decide nothing here."""

from __future__ import annotations

import json
from pathlib import Path

from bench import grpc_overhead
from bench.__main__ import main
from vecstore.types import QueryRequest


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_ingest(tmp_path: Path) -> None:
    out = tmp_path / "ingest.jsonl"
    small = ["--points", "600", "--dim", "16", "--batch", "100", "--writers", "1", "3", "--seconds", "0.3"]
    assert main(["ingest", *small, "--out", str(out)]) == 0
    found = lines(out)
    assert [(record["what"], record["writers"]) for record in found] == [("batches", 1), ("batches", 3), ("single", 3)]
    assert all(record["points_s"] > 0 and record["p50_ms"] > 0 and record["fsync_p50_ms"] > 0 for record in found)


def test_recovery(tmp_path: Path) -> None:
    out = tmp_path / "recovery.jsonl"
    small = ["--growing", "500", "--sealed", "700", "--dim", "16", "--rounds", "1"]
    assert main(["recovery", *small, "--out", str(out)]) == 0
    growing, sealed = lines(out)
    assert (growing["what"], growing["rows"], sealed["what"], sealed["rows"]) == ("growing", 500, "sealed", 700)
    assert growing["first_answer_s"] > 0
    assert growing["replay_mib_s"] > 0


def test_seal(tmp_path: Path) -> None:
    out = tmp_path / "seal.jsonl"
    assert main(["seal", "--mib", "4", "--dim", "64", "--rounds", "1", "--out", str(out)]) == 0
    (record,) = lines(out)
    assert record["p99_ratio"] > 0
    assert record["searches_during"] > 0


def test_indexed_rows_of_the_overhead_of_grpc(tmp_path: Path) -> None:
    database, queries = grpc_overhead.load_indexed(400, tmp_path)
    with database:
        assert len(database.query(QueryRequest("bench", queries[0])).ids) == 10
    assert (tmp_path / "served").is_dir()
