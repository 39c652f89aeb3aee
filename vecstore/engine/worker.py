"""`python -m vecstore.engine.worker DIRECTORY`: builds one segment away from the process that serves.

Reads `job.json` in the directory, stages the blobs there, prints one JSON line for each step of progress and last one
with the header. Ends when its standard input closes, so that it never outlives its parent.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from vecstore.engine.header import SegmentHeader
from vecstore.engine.jobs import Job, open_source, open_warm, run_job, stage_into
from vecstore.errors import VecstoreError
from vecstore.memory.malloc import return_freed


class Line(msgspec.Struct, omit_defaults=True):
    """What a worker says: progress, the header at the end, or an error (reason, message)."""

    phase: str = ""
    done: int = 0
    total: int = 0
    header: SegmentHeader | None = None
    error: tuple[str, str] | None = None


def main(directory: Path) -> int:
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _offer_to_be_killed()
    return_freed()
    try:
        job = msgspec.json.decode((directory / "job.json").read_bytes(), type=Job)
        sources = [open_source(files) for files in job.sources]
        if job.indexes:
            os.nice(5)  # long work on every core, which nobody waits for
        header = run_job(job, sources, partial(stage_into, directory), _Progress(), open_warm(job))
    except (VecstoreError, OSError) as error:
        reason = error.reason if isinstance(error, VecstoreError) else "IO_FAILED"
        message = error.message if isinstance(error, VecstoreError) else str(error)
        _say(Line(error=(reason, message)))
        return 1
    except MemoryError:
        _say(Line(error=("RESOURCE_EXHAUSTED", "the memory does not suffice")))
        return 1
    except Exception as error:  # a mistake: it would be the same next time
        traceback.print_exc()
        _say(Line(error=("INTERNAL", f"{type(error).__name__}: {error}")))
        return 1
    _say(Line(header=header))
    return 0


class _Progress:
    """At most ten lines a second."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 0.1
            _say(Line(phase=phase, done=done, total=total))


def _say(line: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _offer_to_be_killed() -> None:
    """Where the system runs out of memory: a build is tried again, and the process that serves goes on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _exit_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(2)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
