"""`python -m bench ceiling`: a server in a memory cgroup under its largest legal requests.

Clients send the largest upserts, queries of the most answers with payloads and vectors, and batches of the most queries
until the time is over. The server must not be killed, refuse what it cannot hold (RESOURCE_EXHAUSTED), and still take
deletes and small queries at the end. Needs a memory cgroup that may be written to (root). Source: specs, reliability
T22.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from bench import results
from bench.readers import Server
from vecstore.cli.serve import READY
from vecstore.config import Limits

CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))  # version 2, version 1
DIM, CLIENTS = 1_024, 8


@contextmanager
def group(limit: int) -> Iterator[Path]:
    """A cgroup of so many bytes, without swap where that is counted. Raises SystemExit where there is none to make."""
    two = (CGROUPS[0] / "cgroup.controllers").exists()
    path = CGROUPS[0 if two else 1] / f"vecstore-{os.getpid()}"
    try:
        path.mkdir()
        (path / ("memory.max" if two else "memory.limit_in_bytes")).write_text(str(limit))
    except OSError as error:
        raise SystemExit(f"no memory cgroup can be made here ({error}); run as root, outside a container") from error
    try:
        yield path
    finally:
        for _ in range(50):
            with suppress(OSError):  # its last process is ending
                path.rmdir()
                break
            time.sleep(0.1)


def start(folder: Path, path: Path) -> Server:
    """A server that is in the cgroup from its first instruction, so that it sees how much memory it has."""
    enter = f'echo $$ > {shlex.quote(str(path / "cgroup.procs"))} && exec "$@"'
    command = [sys.executable, "-m", "vecstore.cli.main", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(["sh", "-c", enter, "sh", *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(READY), line
    return Server(process, line.rsplit("grpc://")[-1].strip())


def peak(path: Path) -> int:
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        if (path / name).exists():
            return int((path / name).read_text())
    return -1


def ceiling(limit_mib: int, seconds: float, out: str) -> None:
    with tempfile.TemporaryDirectory() as folder, group(limit_mib << 20) as path:
        server = start(Path(folder) / "data", path)
        try:
            found = run(server.address, seconds)
            alive = server.process.poll() is None
            line = {"limit_mib": limit_mib, "seconds": seconds, "alive": alive, "peak_mib": peak(path) >> 20, **found}
            if alive:
                line |= afterwards(server.address)
        finally:
            server.process.kill()
            server.process.wait()
    print("  ".join(f"{name} {value}" for name, value in line.items()))
    results.append(out, [{**results.surroundings(), **line}])


def run(address: str, seconds: float) -> dict[str, Any]:
    with vecstore.connect(f"grpc://{address}") as db:
        db.create_collection("c", {"v": vecstore.Dense(DIM)})
    stop, answers = time.monotonic() + seconds, Counter[str]()
    work: list[Callable[..., None]] = [upsert, many_answers, batch]
    threads = [
        threading.Thread(target=client, args=(address, work[n % len(work)], n, stop, answers)) for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(sorted(answers.items()))


def client(address: str, work: Callable[..., None], seed: int, stop: float, answers: Counter[str]) -> None:
    rng = np.random.default_rng(seed)
    with vecstore.connect(f"grpc://{address}") as db:
        while time.monotonic() < stop:
            try:
                work(db.collection("c"), rng)
                answers[work.__name__] += 1
            except vecstore.VecstoreError as error:
                answers[f"{work.__name__} {type(error).__name__}"] += 1
                time.sleep(0.05)


def upsert(docs: Any, rng: np.random.Generator) -> None:
    """As many points as a batch may have, or a message may hold."""
    count = min(Limits().batch_points_max, Limits().message_bytes_max // (4 * DIM + 64) - 64)
    ids = rng.choice(100_000, count, replace=False)
    docs.upsert(ids.tolist(), rng.standard_normal((count, DIM), dtype=np.float32), [{"n": int(one)} for one in ids])


def many_answers(docs: Any, rng: np.random.Generator) -> None:
    vector = rng.standard_normal(DIM, dtype=np.float32)
    docs.query(vector, k=Limits().k_max, with_payload=True, with_vectors=True)


def batch(docs: Any, rng: np.random.Generator) -> None:
    docs.query_batch(rng.standard_normal((Limits().queries_per_request_max, DIM), dtype=np.float32), k=100)


def afterwards(address: str) -> dict[str, Any]:
    with vecstore.connect(f"grpc://{address}") as db:
        docs = db.collection("c")
        deleted = docs.delete(ids=list(range(1_000)))
        hits = docs.query(np.ones(DIM, np.float32), k=10)
    return {"deleted afterwards": str(deleted)[:60], "answers afterwards": len(hits.ids)}
