"""A server leaves what it starts with out of Python's searches for cycles."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc, os, signal
import msgspec
from vecstore.config import Settings
from vecstore.server.running import serve

def ready(*_ports):
    gc.collect()
    print(gc.get_freeze_count(), len(gc.get_objects()))
    os.kill(os.getpid(), signal.SIGTERM)

settings = Settings()
serve(None, msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, port=0)), ready)
"""


def test_what_is_there_at_the_start_is_not_searched() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240, check=True)
    left_out, searched = map(int, done.stdout.split())
    assert left_out > 10_000
    assert searched < left_out / 10
