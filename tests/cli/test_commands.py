"""Every command: what it prints, for people and for programs, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_samples import BITS, ID_KINDS, ROWS, fill

import vecstore


@pytest.fixture
def target(tmp_path: Path) -> Path:
    fill(tmp_path / "db", ID_KINDS["strings"], missing=False)
    return tmp_path / "db"


def test_query_by_json_file_stdin_and_id(run: Callable[..., Any], target: Path, tmp_path: Path) -> None:
    vector = json.dumps(ROWS[7].tolist())
    np.save(tmp_path / "q.npy", ROWS[7])
    (tmp_path / "q.json").write_text(vector, encoding="utf-8")
    common = ["query", "docs", "-t", target, "--using", "text", "-k", 3, "--json"]
    answers = [
        run(*common, "--vector", vector),
        run(*common, "--vector", tmp_path / "q.npy"),
        run(*common, "--vector", tmp_path / "q.json"),
        run(*common, "--vector", "-", input=vector),
    ]
    for answer in answers:
        assert answer.exit_code == 0, answer.output
        hits = json.loads(answer.stdout)
        assert hits[0]["id"] == "id-07-é"
        assert hits[0]["payload"]["n"] == 7
        assert hits == json.loads(answers[0].stdout)
    near = json.loads(run(*common, "--id", "id-07-é").stdout)
    assert [hit["id"] for hit in near][:2] == [hit["id"] for hit in json.loads(answers[0].stdout)][1:]


def test_query_as_a_table(run: Callable[..., Any], target: Path) -> None:
    done = run("query", "docs", "-t", target, "--vector", json.dumps(ROWS[7].tolist()), "--using", "text", "-k", 2)
    assert done.exit_code == 0, done.output
    assert "l2 distance" in done.stdout
    assert "id-07-é" in done.stdout
    assert "n: 7" in done.stdout


def test_query_binary_in_hexadecimal_with_a_filter(run: Callable[..., Any], target: Path) -> None:
    packed = np.packbits(BITS[8]).tobytes().hex()
    common = ["query", "docs", "-t", target, "--using", "bits", "--vector", f'"{packed}"', "--json"]
    assert json.loads(run(*common).stdout)[0]["score"] == 0
    done = run(*common, "--filter", '{"key": "n", "range": {"gte": 46}}')
    assert {hit["id"] for hit in json.loads(done.stdout)} == {"id-46-é", "id-47-é", "id-48-é", "id-49-é"}


BAD_QUERIES = {
    "DIMENSION_MISMATCH": ["--vector", "[1, 2]"],
    "ZERO_VECTOR": ["--vector", "[0, 0, 0, 0, 0, 0, 0, 0]", "--using", "cos"],
    "VECTOR_NAME_UNKNOWN": ["--vector", "[1]", "--using", "no"],
    "BAD_VECTOR": ["--vector", "[NaN]"],
    "NAN_OR_INF": ["--vector", "[1e39, 0, 0, 0, 0, 0, 0, 0]"],
    "BAD_FILTER": ["--vector", "[1, 2, 3, 4, 5, 6, 7, 8]", "--filter", '{"must": 3'],
    "LIMIT_EXCEEDED": ["--vector", "[1, 2, 3, 4, 5, 6, 7, 8]", "-k", 1_000_000],
    "POINT_NOT_FOUND": ["--id", "none"],
    "FILE_NOT_FOUND": ["--vector", "none.npy"],
}


@pytest.mark.parametrize("reason", BAD_QUERIES)
def test_bad_queries_are_one_line_and_exit_code_1(run: Callable[..., Any], target: Path, reason: str) -> None:
    with vecstore.connect(target) as db:
        db.create_collection("cos", vectors={"cos": vecstore.Dense(8)})
    flags = BAD_QUERIES[reason]
    name = "cos" if "cos" in flags else "docs"
    using = [] if "--using" in flags else ["--using", "text"]
    done = run("query", name, "-t", target, *flags, *using)
    assert done.exit_code == 1, done.output
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {reason}: ")
    assert done.stdout == ""


def test_stats_collections_operations_and_verify(run: Callable[..., Any], target: Path) -> None:
    for command, words in {
        ("stats", "docs"): ["points", "50", "index_bytes.budget", "segment", "growing", "0 (0.0%)"],
        ("collections",): ["docs", "text: dense 8 l2", "bits: binary 16 hamming"],
        ("verify",): ["verify", "done"],
        ("verify", "docs"): ["docs", "done"],
        ("operations",): ["operation", "state"],
    }.items():
        done = run(*command, "-t", target)
        assert done.exit_code == 0, done.output
        for word in words:
            assert word in done.stdout, done.stdout
        json.loads(run(*command, "-t", target, "--json").stdout)
    assert json.loads(run("stats", "docs", "-t", target, "--json").stdout)["points"] == 50


def test_the_version(run: Callable[..., Any]) -> None:
    assert run("--version").stdout == f"vecstore {vecstore.__version__}\n"


def test_info_here_and_of_a_target(run: Callable[..., Any], target: Path) -> None:
    done = run("info")
    assert done.exit_code == 0, done.output
    for word in (vecstore.__version__, "kernels", "isa", "k_max", "10,000"):
        assert word in done.stdout
    assert json.loads(run("info", "--json").stdout)["limits"]["k_max"] == 10_000
    assert json.loads(run("info", "-t", target, "--json").stdout)["version"] == vecstore.__version__


def test_the_target_may_come_from_the_environment(run: Callable[..., Any], target: Path) -> None:
    assert run("stats", "docs", env={"VECSTORE_TARGET": str(target)}).exit_code == 0


def test_usage_errors_are_exit_code_2(run: Callable[..., Any], target: Path) -> None:
    for args in (
        ["stats"],
        ["stats", "docs"],
        ["nothing"],
        ["query", "docs", "-t", target],
        ["query", "docs", "-t", target, "--vector", "[1]", "--id", "1"],
        ["query", "docs", "-t", target, "--vector", "[1]", "-k", "ten"],
        ["import", "x.parquet", "docs", "-t", target, "--resume", -1],
        ["import", "x.parquet", "docs", "-t", target, "--metric", "l2"],
        ["import", "x.parquet", "docs", "-t", target, "--create", "--index", "year"],
        ["serve", target, "--port", 70_000],
    ):
        done = run(*args)
        assert done.exit_code == 2, (args, done.output)


def test_reading_does_not_make_a_directory(run: Callable[..., Any], tmp_path: Path) -> None:
    for command in (["stats", "docs"], ["collections"], ["verify"], ["export", "docs", tmp_path / "x.parquet"]):
        done = run(*command, "-t", tmp_path / "absent")
        assert done.exit_code == 1
        assert "error: TARGET_NOT_FOUND: " in done.stderr
    assert not (tmp_path / "absent").exists()


def test_missing_collections_and_files(run: Callable[..., Any], target: Path, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"id": 1, "vector": [1]}', encoding="utf-8")
    for args, reason in {
        ("stats", "none"): "COLLECTION_NOT_FOUND",
        ("import", tmp_path / "none.parquet", "docs"): "FILE_NOT_FOUND",
        ("import", tmp_path / "x.jsonl", "none"): "COLLECTION_NOT_FOUND",
        ("export", "none", tmp_path / "x.parquet"): "COLLECTION_NOT_FOUND",
        ("export", "docs", tmp_path / "x.txt"): "BAD_FILE",
        ("export", "docs", tmp_path / "x.npy"): "BAD_COLUMN",
        ("export", "docs", tmp_path / "y.npy", "--vector", "no"): "VECTOR_NAME_UNKNOWN",
        ("export", "docs", tmp_path / "x.jsonl"): "FILE_EXISTS",
    }.items():
        done = run(*args, "-t", target)
        assert done.exit_code == 1, (args, done.output)
        assert f"error: {reason}: " in done.stderr, (args, done.stderr)
    assert not list(tmp_path.glob("*.npy"))


def vecstore_process(*args: object, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vecstore.cli.main", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


def test_serve_until_sigterm_with_a_key(run: Callable[..., Any], target: Path) -> None:
    pytest.importorskip("grpc", reason="needs the server extra")
    with vecstore_process("serve", target, "--port", 0, VECSTORE_SERVER_API_KEY="sesame") as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith(f"serving {target} on grpc://127.0.0.1:")
            address = line.split()[-1]
            refused = run("collections", "-t", address)
            assert refused.exit_code == 1
            assert "error: UNAUTHENTICATED: " in refused.stderr
            done = run("stats", "docs", "-t", address, "--json", env={"VECSTORE_API_KEY": "sesame"})
            assert json.loads(done.stdout)["points"] == 50
            locked = run("stats", "docs", "-t", target)
            assert "error: DIRECTORY_LOCKED: " in locked.stderr
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
        finally:
            server.kill()
    with vecstore.connect(target) as db:
        assert db.collection("docs").count() == 50


def test_serve_refuses_to_be_open_to_all(tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="needs the server extra")
    with vecstore_process("serve", tmp_path / "db", "--host", "0.0.0.0") as server:
        out, err = server.communicate(timeout=240)
    assert server.returncode == 1
    assert err.startswith("error: BAD_CONFIG: ")
    assert out == ""


def test_a_bad_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[limits]\nk_maximum = 3\n", encoding="utf-8")
    with vecstore_process("serve", tmp_path / "db", "--config", tmp_path / "c.toml") as server:
        _, err = server.communicate(timeout=240)
    assert server.returncode == 1
    assert "error: BAD_CONFIG: " in err
    assert "k_maximum" in err


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['typer'] = None; from vecstore.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: EXTRA_MISSING: the vecstore command needs typer: pip install 'vecstore[cli]'\n"


def test_aliases(run: Callable[..., Any], tmp_path: Path) -> None:
    target, file = tmp_path / "db", tmp_path / "out.jsonl"
    with vecstore.connect(str(target)) as db:
        for name, count in (("blue", 3), ("green", 2)):
            db.create_collection(name, vecstore.Dense(4)).upsert(range(count), np.eye(4, dtype=np.float32)[:count])

    def aliases(*args: object) -> dict[str, str]:
        done = run("alias", *args, "-t", target, "--json")
        assert done.exit_code == 0, done.output
        return {one["alias"]: one["collection"] for one in json.loads(done.stdout)}

    assert aliases("set", "docs", "blue") == {"docs": "blue"}
    assert json.loads(run("stats", "docs", "-t", target, "--json").stdout)["name"] == "blue"
    assert run("export", "docs", file, "-t", target).exit_code == 0
    assert len(file.read_text().splitlines()) == 3
    assert aliases("set", "next", "green") == {"docs": "blue", "next": "green"}
    assert aliases("swap", "docs", "next") == {"docs": "green", "next": "blue"}
    assert aliases("rename", "next", "before") == {"docs": "green", "before": "blue"}
    assert aliases("list", "blue") == {"before": "blue"}
    assert "green" in run("alias", "delete", "before", "-t", target).stdout
    refused = run("alias", "set", "blue", "green", "-t", target)
    assert (refused.exit_code, "COLLECTION_EXISTS" in refused.stderr) == (1, True)
    assert "switched" in run("alias", "--help").stdout
