"""The README's Python runs as written, one block after another in one folder, against a directory and a server."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.systems.server import Server, free_port

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.M | re.S)


def test_the_embedded_tour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    run(BLOCKS[0], tmp_path)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("7 1.0 "), "the first hit is the point itself"
    assert "'reviewed': True" in printed[-1]


def test_the_same_tour_runs_against_a_server(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert '"grpc://127.0.0.1:7334"' in BLOCKS[1]
    with Server(tmp_path / "data") as server:
        run(BLOCKS[0].replace('"./data"', f'"{server.url}"'), tmp_path)
        run("import vecstore\n" + BLOCKS[1].replace("grpc://127.0.0.1:7334", server.url) + "db.close()", tmp_path)
    assert capsys.readouterr().out.startswith("7 1.0 ")


def test_the_tour_goes_on_over_http(tmp_path: Path) -> None:
    """In the database where the tour before it left off."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (commands,) = re.findall(r"^## Five minutes, over HTTP\n```\n(.*?)^```", README, flags=re.M | re.S)
    port = free_port()
    with Server(tmp_path / "data", SERVER_REST_PORT=port) as server:
        run(BLOCKS[0].replace('"./data"', f'"{server.url}"'), tmp_path)
        commands = commands.replace("127.0.0.1:7333", f"127.0.0.1:{port}")
        commands = commands.replace("curl ", r"curl -sS --fail-with-body -w '\n' ")
        done = subprocess.run(["bash", "-ec", commands], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [hit["id"] for hit in json.loads(done.stdout.splitlines()[-1])["points"]] == [1]


def test_the_filters_are_filters(tmp_path: Path) -> None:
    imports, *expressions = BLOCKS[2].strip().splitlines()
    named = [f"f{number} = {expression}" for number, expression in enumerate(filter(None, expressions))]
    made = run("\n".join([imports, *named]), tmp_path)
    assert len(named) == 3
    assert all(type(made[f"f{number}"]).__module__ == "vecstore.query.filter" for number in range(3))


def test_the_tour_of_other_fields_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("Stemmer", reason="needs the text extra")
    start = "import numpy as np, vecstore\nfrom vecstore import Dense\ndb = vecstore.connect(':memory:')\n"
    run(start + BLOCKS[3], tmp_path)
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["[2 1]", "[1 2]", "[1 2]", "[1 2] [1. 0.]"]


def test_documents_are_put_in_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip("semantic_text_splitter", reason="needs the documents extra")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "tides.md").write_text("# Tides\n\n## Causes\n\nHigh water comes twice a day.\n")
    without = re.sub(r", embedders=.*\)$", ")", BLOCKS[4], flags=re.M).replace(', embedder="minilm"', "")
    assert without != BLOCKS[4]
    run(without + "db.close()", tmp_path)
    assert capsys.readouterr().out.startswith("[1] Tides")


def test_an_alias_is_switched(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (block,) = (one for one in BLOCKS if "update_aliases" in one)
    run(block, tmp_path)
    assert capsys.readouterr().out == "0 [Alias(alias='docs', collection='docs_v2')]\n"


def run(code: str, folder: Path) -> dict[str, Any]:
    script = folder / "readme.py"
    script.write_text(code, encoding="utf-8")
    return runpy.run_path(str(script))
