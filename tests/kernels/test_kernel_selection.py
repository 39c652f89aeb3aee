"""Which backend runs and how the environment forces one, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from vecstore.kernels.select import available_backends

SHOW = "import json; from vecstore.kernels.select import describe; print(json.dumps(describe()))"
SCAN = """
import numpy as np
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric
rows, out = np.eye(9, dtype=np.float32), (np.empty((1, 2), np.int64), np.empty((1, 2), np.float32))
get_kernels().scan(Metric.L2, rows[4:5], rows, None, None, *out)
print(get_kernels().name, get_kernels().isa, out[0][0].tolist())
"""


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ("VECSTORE_KERNELS", "VECSTORE_ISA")}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=False)


def test_the_best_is_the_default() -> None:
    shown = json.loads(_run(SHOW).stdout)
    assert shown["backend"] == available_backends()[0]
    assert shown["available_backends"] == available_backends()
    assert shown["threads"] >= 1


@pytest.mark.parametrize("backend", ["native", "numba", "numpy"])
def test_forced_backend(backend: str) -> None:
    done = _run(SCAN, VECSTORE_KERNELS=backend)
    if backend not in available_backends():
        assert "BAD_CONFIG" in done.stderr
        assert "not installed" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(backend)
        assert done.stdout.rstrip().endswith("[4, 0]")
        assert done.stderr == ""


def test_unknown_backend_names_the_choices() -> None:
    done = _run(SHOW, VECSTORE_KERNELS="cupy")
    assert done.returncode != 0
    assert "BAD_CONFIG" in done.stderr
    assert "numpy" in done.stderr


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "amx", "neon", "mmx"])
def test_forced_isa(isa: str) -> None:
    if "native" not in available_backends():
        pytest.skip("the native extension is not built")
    from vecstore.kernels.native_backend import supported_isas

    done = _run(SCAN, VECSTORE_KERNELS="native", VECSTORE_ISA=isa)
    if isa in supported_isas():
        assert done.stdout.split()[:2] == ["native", isa], done.stderr
    else:
        assert "BAD_CONFIG" in done.stderr
        assert "scalar" in done.stderr
