"""The gateway as a process of its own, in front of a server: the same answers and refusals, by that server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from gateway_support import DOCS, fill, refused, serving

from vecstore.server.running import ServerHandle

KEY = "k" * 32


@pytest.fixture
def alone() -> Iterator[tuple[httpx.Client, ServerHandle]]:
    with serving(api_key=KEY) as (handle, _):
        command = [sys.executable, "-m", "vecstore.cli.main", "gateway", "--rest-port", "0"]
        environ = {**os.environ, "VECSTORE_TARGET": f"grpc://127.0.0.1:{handle.port}", "VECSTORE_API_KEY": KEY}
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("serving grpc://"), line
            with httpx.Client(base_url=line.rsplit(" ", 1)[1].strip(), timeout=60) as client:
                fill(client)
                yield client, handle
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def test_answers_and_refusals_are_the_servers(alone: tuple[httpx.Client, ServerHandle]) -> None:
    client, handle = alone
    query = {"nearest": [0.1, 0.2, 0.3, 0.4], "using": "text", "explain": True, "with_vectors": True}
    answer = client.post(f"{DOCS}/points/query", json=query).json()
    direct = httpx.post(
        f"http://127.0.0.1:{handle.rest_port}{DOCS}/points/query", json=query, headers={"api-key": KEY}, timeout=60
    ).json()
    assert answer["points"] == direct["points"]
    assert answer["explain"].keys() == direct["explain"].keys()
    assert client.post(f"{DOCS}/points/query/batch", json={"queries": [query, query]}).status_code == 200
    refused(client.get("/v1/collections/nope"), 404, "COLLECTION_NOT_FOUND")
    wrong = client.put(f"{DOCS}/points", json={"points": [{"id": 1}, {"id": 2, "vectors": {"text": [1, 2]}}]})
    assert refused(wrong, 400, "DIMENSION_MISMATCH")["errors"][0]["path"] == "points[1].vectors.text"
    done = client.post(f"{DOCS}/verify")
    with client.stream("GET", f"{done.headers['location']}/events") as events:
        lines = [line for line in events.iter_lines() if line.startswith("data: ")]
    assert '"state":"done"' in lines[-1]
    assert client.get("/readyz").json() == {"status": "ok"}
    assert "vecstore_request_duration_seconds" in client.get("/metrics").text
    assert client.get("/openapi.json").json()["openapi"] == "3.1.0"


def test_a_server_that_is_gone(alone: tuple[httpx.Client, ServerHandle]) -> None:
    client, handle = alone
    handle.stop(0)
    gone = client.get("/readyz", headers={"x-timeout-ms": "500"})
    assert gone.status_code in (503, 504)
    assert client.get("/livez").status_code == 200
