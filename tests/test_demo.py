"""The demonstration runs from nothing, answers exactly, and by an index nearly so, and stops its server."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytest.importorskip("grpc", reason="the demonstration needs the server extra")
pytest.importorskip("typer", reason="the demonstration needs the cli extra")


def test_documents_are_put_in_over_rest_and_asked() -> None:
    for needed in ("httpx", "semantic_text_splitter", "uvicorn"):
        pytest.importorskip(needed, reason="the demonstration of documents needs the extras of `all`")
    done = subprocess.run(
        [sys.executable, "-m", "vecstore.cli.demo_documents"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Once more: unchanged." in done.stdout
    assert "The right document is among the sources of 5 of 5 questions." in done.stdout
    assert len(re.findall(r"^\[\d\] .+docs/[A-Z]+\.md, characters \d+-\d+", done.stdout, flags=re.M)) >= 10, done.stdout


def test_demo_is_exact_and_readable() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vecstore.cli.demo"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recalls = re.findall(r"│\s+([01]\.\d{4}) │", done.stdout)
    assert recalls[:9] == ["1.0000"] * 9, done.stdout
    assert len(recalls) == 15, done.stdout
    assert all(float(recall) >= 0.9 for recall in recalls[9:]), done.stdout
    assert "55.5% of 200" in done.stdout  # what exact cosine search scores on these queries
    assert "59.5% of 200" in done.stdout  # and exact inner products of sparse vectors
    assert "42.0% of 200" in done.stdout  # and MaxSim
    assert "68.0% of 200" in done.stdout  # and the fusion of dense and sparse
    assert "the collection counts 4,000" in done.stdout
    assert "the star that is the source of light and heat" in done.stdout
    assert done.stdout.rstrip().endswith("The server drained and stopped.")
