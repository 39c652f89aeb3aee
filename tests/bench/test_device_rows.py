"""The command that measures the GPU specification's rows runs all of them, with numpy in the device's place."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.device import codes, lists, scans, selection, spec


def test_every_row_is_measured_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def once(call: Callable[[], object]) -> float:
        call()
        return 1e-3

    for module in (codes, lists, scans, selection):
        monkeypatch.setattr(module, "seconds", once)
    monkeypatch.setattr(spec, "seconds", once)
    few = {
        "ENCODED": 300,
        "DOCUMENTS": 40,
        "MANY": 8,
        "TABLE_BATCHES": [1, 8],
        "HAMMING_BATCHES": [8],
        "LIST_BATCHES": [4],
    }
    for name, value in few.items():
        monkeypatch.setattr(spec, name, value)
    out = tmp_path / "rows.jsonl"
    command = ["spec", "--device", "numpy", "--rows", "9000", "--dim", "64", "--size", "16", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    spec.main()
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert {str(line["row"]) for line in lines} >= {"1", "2", "3", "4", "5", "6", "7", "8", "IVF"}
    assert all(line["met"] for line in lines if line["row"] in (6, 7, 8))
    assert [line["what"] for line in lines if "left out" in line["what"]] == []
    assert len({line["what"] for line in lines if line["row"] == "IVF"}) == len(lists.PRICES)
    assert lists.scans.PRICE < lists.ONE_PASS  # as it was
