"""Requests made up from the OpenAPI document: no error of the server, and no answer but those that it describes.

A few of each operation here; many by hand: `VECSTORE_FUZZ_EXAMPLES=15 pytest tests/gateway/test_schemathesis.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_support import client_of, fill, serving

from vecstore.config import Limits

EXAMPLES = int(os.environ.get("VECSTORE_FUZZ_EXAMPLES", "2"))
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection"
)
SOON = Limits(deadline_default_s=2)  # for reads that wait for a write that never comes
HOOKS = """
import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/vnd.apache.arrow.stream")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
"""


@pytest.mark.timeout(1_800)
def test_what_is_made_up_is_answered_as_the_document_says(tmp_path: Path) -> None:
    with serving(SOON) as (handle, _):
        with client_of(handle) as client:
            fill(client)
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run",
            f"http://127.0.0.1:{handle.rest_port}/openapi.json",
            "--phases=fuzzing", f"--max-examples={EXAMPLES}", f"--checks={CHECKS}", "--seed=20261127",
            "--generation-database=none", "--no-color", "--suppress-health-check=all", "--request-timeout=120",
        ]  # fmt: skip
        # 504 is what a request asks for that gives itself a millisecond.
        expected = '["2xx", "4xx", "504"]'
        (tmp_path / "schemathesis.toml").write_text(f"[checks]\nnot_a_server_error.expected-statuses = {expected}\n")
        (tmp_path / "hooks.py").write_text(HOOKS)
        environ = {**os.environ, "PYTHONPATH": str(tmp_path), "SCHEMATHESIS_HOOKS": "hooks"}
        run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-8_000:]
    cases = re.search(r"(\d+) generated, (\d+) passed", run.stdout)
    assert cases is not None, run.stdout[-2_000:]
    assert int(cases[1]) >= 50 * EXAMPLES // 2
    assert cases[1] == cases[2]
