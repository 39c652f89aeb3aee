"""`vecstore serve` as operators run it: keys in a file, TLS, JSON lines, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

import vecstore
from vecstore.access.file import change_keys
from vecstore.access.keys import new_key


def add(path: Path, name: str, role: str) -> str:
    key, record = new_key(name, role)
    change_keys(path, lambda keys: (*keys, record))
    return key


def test_keys_tls_and_json_lines(tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="needs the cli extra")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    made = authority.issue_cert("127.0.0.1")
    made.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    keys = tmp_path / "keys.json"
    first = add(keys, "first", "admin")
    settings = {
        "keys_file": keys,
        "tls_cert": tmp_path / "server.pem",
        "tls_key": tmp_path / "server.pem",
        "log_format": "json",
        "slow_query_s": "1e-9",
        "rest": "false",
    }
    environ = {**os.environ, **{f"VECSTORE_SERVER_{name}".upper(): str(value) for name, value in settings.items()}}
    command = [sys.executable, "-m", "vecstore.cli.main"]
    earlier = ""
    serve = [*command, "serve", str(tmp_path / "db"), "--port", "0"]
    with subprocess.Popen(serve, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"grpc://127\.0\.0\.1:(\d+)", server.stdout.readline())
            assert found is not None
            target = f"grpcs://127.0.0.1:{found[1]}"
            with vecstore.connect(target, api_key=first, ca=tmp_path / "ca.pem") as client:
                client.create_collection("docs", vectors=vecstore.Dense(4))
                assert client.info()["keys"] == ["first"]
                second = add(keys, "second", "read")
                server.send_signal(signal.SIGHUP)
                assert server.stderr is not None
                while "2 keys in" not in (line := server.stderr.readline()):  # without a call, which would look too
                    earlier += line
                    assert line
                assert client.info()["keys"] == ["first", "second"]
            asked = {"VECSTORE_CA": str(tmp_path / "ca.pem"), "VECSTORE_API_KEY": second}
            done = subprocess.run(
                [*command, "info", "-t", target, "--json"], env={**os.environ, **asked}, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            info = json.loads(done.stdout)
            assert info["key"] == {"name": "second", "role": "read"}
            assert info["uptime_s"] > 0
            server.send_signal(signal.SIGTERM)
            logged = earlier + server.communicate(timeout=240)[1]
            assert server.returncode == 0
        finally:
            server.kill()
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    others = [line for line in logged.splitlines() if not line.startswith("{")]
    assert not [line for line in others if "vecstore" in line], others  # gRPC's own library writes as it likes
    assert {"slow", "draining"} <= {line["event"] for line in lines}
    [created] = [line for line in lines if line.get("method") == "Collections/Create"]
    assert (created["key"], created["collection"], created["level"]) == ("first", "docs", "warning")
    assert not any(secret in logged for secret in (first, second, first[20:], second[20:]))
