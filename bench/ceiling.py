"""`python -m bench ceiling`: a server in a memory cgroup under its largest legal requests.

Clients send the largest upserts, queries of the most answers with payloads and vectors, and batches of the most queries
until the time is over. The server must not be killed, refuse what it cannot hold (RESOURCE_EXHAUSTED), take deletes and
small queries all the while, and have all that it acknowledged at the end and after a restart. Needs a memory cgroup
that may be written to (root). Source: specs, reliability T22.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import vecstore
from bench import results
from bench.readers import Server
from vecstore.cli.serve import READY
from vecstore.config import Limits

CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))  # version 2, version 1
DIM, CLIENTS = 1_024, 8
IDS = 20_000  # of each client
SAMPLE_S = 0.1


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


def held(server: Server, most: dict[str, int]) -> None:
    """Keep the most memory that the server and a worker of it held (anonymous, MiB)."""
    found = Counter[str]()
    with suppress(psutil.NoSuchProcess):
        for process in server.all_processes():
            memory = process.memory_info()
            what = "server_mib" if process.pid == server.process.pid else "worker_mib"
            found[what] = max(found[what], (memory.rss - memory.shared) >> 20)
    for what, mib in found.items():
        most[what] = max(most.get(what, 0), mib)


def ceiling(limit_mib: int, seconds: float, requests: Sequence[str], out: str) -> None:
    with tempfile.TemporaryDirectory() as folder, group(limit_mib << 20) as path:
        server = start(Path(folder) / "data", path)
        try:
            written = [Written(n) for n in range(CLIENTS)]
            found = run(server, seconds, written, requests)
            alive = server.process.poll() is None
            line = {
                "limit_mib": limit_mib,
                "requests": ",".join(requests),
                "seconds": seconds,
                "alive": alive,
                "peak_mib": peak(path) >> 20,
                **found,
            }
            if alive:
                line |= afterwards(server.address, written)
                server.process.terminate()
                server.process.wait()
                server = start(Path(folder) / "data", path)  # with as little memory
                line["lost after a restart"] = lost(server.address, written)
        finally:
            server.process.kill()
            server.process.wait()
    print("  ".join(f"{name} {value}" for name, value in line.items()))
    results.append(out, [{**results.surroundings(), **line}])


@dataclass
class Written:
    """What one client wrote, to ids of its own: the turn of the last write of each that was acknowledged, and of the
    last that was sent."""

    client: int
    acknowledged: dict[int, int] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)
    turn: int = 0

    def ids(self, rng: np.random.Generator, count: int) -> list[int]:
        return [int(one) for one in self.client * IDS + rng.choice(IDS, count, replace=False)]


def run(server: Server, seconds: float, written: list[Written], chosen: Sequence[str]) -> dict[str, Any]:
    with vecstore.connect(f"grpc://{server.address}") as db:
        db.create_collection("c", {"v": vecstore.Dense(DIM)})
    stop, answers = time.monotonic() + seconds, Counter[str]()
    work = [WORK[one] for one in chosen]
    threads = [
        threading.Thread(target=client, args=(server.address, work[n % len(work)], written[n], stop, answers))
        for n in range(CLIENTS)
    ]
    beside = Written(CLIENTS)  # of another range of ids, whose points are deleted as soon as they are there
    threads.append(threading.Thread(target=client, args=(server.address, small, beside, stop, answers)))
    for thread in threads:
        thread.start()
    most: dict[str, int] = {}
    while any(thread.is_alive() for thread in threads):
        held(server, most)
        time.sleep(SAMPLE_S)
    return {**most, **dict(sorted(answers.items()))}


def client(address: str, work: Callable[..., None], own: Written, stop: float, answers: Counter[str]) -> None:
    rng = np.random.default_rng(own.client)
    with vecstore.connect(f"grpc://{address}") as db:
        while time.monotonic() < stop:
            try:
                work(db.collection("c"), rng, own)
                answers[work.__name__] += 1
            except vecstore.VecstoreError as error:
                answers[f"{work.__name__} {error.reason}"] += 1
                time.sleep(0.05)


def upsert(docs: Any, rng: np.random.Generator, own: Written) -> None:
    """As many points as a message may hold."""
    count = min(Limits().batch_points_max, Limits().message_bytes_max // (4 * DIM + 64) - 64)
    ids = own.ids(rng, count)
    own.turn += 1
    own.sent.update(dict.fromkeys(ids, own.turn))
    payloads = [{"n": one, "turn": own.turn} for one in ids]
    docs.upsert(ids, rng.standard_normal((count, DIM), dtype=np.float32), payloads)
    own.acknowledged.update(dict.fromkeys(ids, own.turn))


def many_answers(docs: Any, rng: np.random.Generator, _: Written) -> None:
    """As many as a message may hold, with all that they have."""
    k = min(Limits().k_max, Limits().message_bytes_max // (4 * DIM + 64))
    docs.query(rng.standard_normal(DIM, dtype=np.float32), k=k, with_payload=True, with_vectors=True)


def batch(docs: Any, rng: np.random.Generator, _: Written) -> None:
    docs.query_batch(rng.standard_normal((Limits().queries_per_request_max, DIM), dtype=np.float32), k=100)


WORK: dict[str, Callable[..., None]] = {"upsert": upsert, "answers": many_answers, "batch": batch}


def small(docs: Any, rng: np.random.Generator, own: Written) -> None:
    """What is to be taken whatever the others do."""
    (one,) = own.ids(rng, 1)
    docs.upsert([one], rng.standard_normal((1, DIM), dtype=np.float32))
    docs.delete(ids=[one])
    docs.query(rng.standard_normal(DIM, dtype=np.float32), k=10)


def afterwards(address: str, written: list[Written]) -> dict[str, Any]:
    gone = list(range(1_000))  # the first client's
    with vecstore.connect(f"grpc://{address}") as db:
        docs = db.collection("c")
        deleted = docs.delete(ids=gone).changed
        hits = docs.query(np.ones(DIM, np.float32), k=10)
    for one in gone:
        written[0].acknowledged.pop(one, None)
    return {"deleted afterwards": deleted, "answers afterwards": len(hits.ids), "lost": lost(address, written)}


def lost(address: str, written: list[Written]) -> int:
    """Acknowledged writes that are not there, nor a later one of the same point."""
    missing = 0
    with vecstore.connect(f"grpc://{address}") as db:
        docs = db.collection("c")
        for own in written:
            ids = list(own.acknowledged)
            for low in range(0, len(ids), 1_000):
                part = ids[low : low + 1_000]
                turns = {point.id: point.payload["turn"] for point in docs.get(part)}
                missing += sum(not own.acknowledged[one] <= turns.get(one, -1) <= own.sent[one] for one in part)
    return missing
