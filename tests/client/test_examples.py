"""Every example runs and prints what it promises."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXPECTED = {
    "embedded.py": "document 42",
    "filters.py": "recent English documents",
    "async_client.py": "100 of 100 found themselves",
    "hybrid.py": "fused           finds 0.680",
    "import_file.py": "4000 points",
    "rag.py": "[1] Tides (tides.md)",
    "server_client.py": "DIMENSION_MISMATCH",
    "langchain_rag.py": "hybrid finds 144 of 200",
    "llamaindex_index.py": "923 nodes of six words or more",
    "haystack_pipeline.py": "3033 documents of eight words or more",
    "mcp_client.py": "COLLECTION_NOT_FOUND: no collection named 'nots'",
}
NEEDS = {
    "rag.py": "semantic_text_splitter",
    "hybrid.py": "pyarrow", "import_file.py": "pyarrow", "langchain_rag.py": "langchain_core",
    "llamaindex_index.py": "llama_index.core", "haystack_pipeline.py": "haystack", "mcp_client.py": "mcp",
}  # fmt: skip


def run(name: str, *args: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tried() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"server_client.py"}))
def test_example(name: str) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name].partition(".")[0]) is None:
        pytest.skip(f"needs {NEEDS[name]}")
    assert EXPECTED[name] in run(name)


def test_example_against_a_server() -> None:
    pytest.importorskip("grpc", reason="needs the server extra")
    from vecstore.config import Server, Settings
    from vecstore.engine.database import Database
    from vecstore.server.running import start_server

    with (
        Database.open(None, Settings(server=Server(port=0))) as database,
        start_server(database) as server,
    ):
        output = run("server_client.py", f"grpc://127.0.0.1:{server.port}")
    assert "5000 points in" in output
    assert EXPECTED["server_client.py"] in output
