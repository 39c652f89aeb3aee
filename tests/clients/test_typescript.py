"""The TypeScript client: its types are those of the server's OpenAPI document, and it talks to a real server."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import clients
from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.gateway.serving import start_server

NODE, NPM = shutil.which("node"), shutil.which("npm")
KEY = "k" * 32
LARGEST = str((1 << 64) - 1)
RUN = "import(process.argv[1]).then(m => m.smoke(...process.argv.slice(2))).then(r => console.log(JSON.stringify(r)))"


@pytest.fixture(scope="module")
def tools_installed() -> None:
    """`npm ci`, once; skips where there is no Node or the registry cannot be reached."""
    if NODE is None or NPM is None:
        pytest.skip("Node with npm is not installed")
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    major = int(version[1:].split(".")[0])
    if major < 20:
        pytest.skip(f"Node {major} is older than 20")
    lock = clients.CLIENT / "package-lock.json"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        installed = clients.CLIENT / "node_modules" / ".package-lock.json"
        if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
            return
        command = [NPM, "ci", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=20000"]
        done = subprocess.run(command, cwd=clients.CLIENT, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"npm ci failed: {done.stderr.strip()[-300:]}")


def test_the_types_are_of_this_servers_document() -> None:
    text = json.dumps(clients.described(), indent=1, sort_keys=True)
    assert clients.TARGET.read_text(encoding="utf-8").startswith(clients.heading(text)), "stale: run `make clients`"


def test_the_types_are_what_the_generator_makes(tools_installed: None) -> None:
    text = json.dumps(clients.described(), indent=1, sort_keys=True)
    assert clients.generate(text) == clients.TARGET.read_text(encoding="utf-8")


def test_a_program_once_through(tools_installed: None, tmp_path: Path) -> None:
    compile_ = [str(NODE), "node_modules/typescript/bin/tsc", "--project", "test", "--outDir", str(tmp_path)]
    done = subprocess.run(compile_, cwd=clients.CLIENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (tmp_path / "package.json").write_text('{"type": "module"}')
    settings = Settings(server=Server(port=0, rest_port=0, api_key=KEY))
    database = Database.open(None, settings)
    try:
        handle = start_server(database, settings)
        try:
            told = run(tmp_path / "test" / "smoke.js", f"http://127.0.0.1:{handle.rest_port}/", KEY)
        finally:
            handle.stop(0)
    finally:
        database.close()
    assert told == {
        "created": "typescript",
        "changed": 3,
        "near": [LARGEST, "1"],
        "hybrid": [["1", 2], [LARGEST, 1], ["2", 1]],
        "large": [True],
        "vector": [pytest.approx(0.9), pytest.approx(0.1), 0, 0],
        "aliased": ["typescript", 3, True],
        "deleted": 1,
        "left": 2,
        "metrics": True,
        "dropped": True,
        "refusals": [
            [404, "COLLECTION_NOT_FOUND", True],
            [401, "UNAUTHENTICATED", True],
            [0, "UNREACHABLE", False],
        ],
    }


def run(program: Path, *arguments: str) -> Any:
    command = [str(NODE), "--input-type=commonjs", "--eval", RUN, str(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
