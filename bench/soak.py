"""`python -m bench soak`: a server under mixed load for minutes, and what it holds meanwhile.

Writers replace and delete points so that the collection keeps its size; readers ask by vector, by text, with filters. A
snapshot is taken every minute and the one before it dropped, and the collection compacted every other minute. Every
few seconds the server's memory, open files, threads and the files of its folder are counted. Printed: the slope of its
memory after a warm-up (least squares), and the others at both ends. Source: specs, reliability T27.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import vecstore
from bench import results
from bench.readers import Server, serve
from vecstore import F

DIM, ROWS, BATCH = 128, 20_000, 64
WORDS = [f"word{n}" for n in range(500)]
WARM_UP = 0.25  # of the time
SAMPLE_S = 5.0


@dataclass
class Sample:
    minute: float
    rss_mib: float
    own_mib: float  # of it no other process's and no file's
    files: int
    threads: int
    in_folder: int
    disk_mib: float


@dataclass
class Counts:
    done: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str) -> None:
        with self.lock:
            self.done[what] = self.done.get(what, 0) + 1


def points(rng: np.random.Generator, ids: np.ndarray) -> tuple[list[int], dict[str, Any], list[dict[str, Any]]]:
    vectors = rng.standard_normal((len(ids), DIM), dtype=np.float32)
    texts = [" ".join(rng.choice(WORDS, 12)) for _ in ids]
    return ids.tolist(), {"v": vectors, "t": texts}, [{"n": int(one) % 100} for one in ids]


def soak(minutes: float, out: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = serve(Path(folder) / "data", 0)
        try:
            samples, counts = run(server, Path(folder) / "data", 60 * minutes)
        finally:
            server.process.terminate()
            server.process.wait()
    report(samples, counts, out)


def run(server: Server, folder: Path, seconds: float) -> tuple[list[Sample], Counts]:
    counts, stop = Counts(), time.monotonic() + seconds
    with vecstore.connect(f"grpc://{server.address}") as db:
        docs = db.create_collection(
            "c", {"v": vecstore.Dense(DIM)}, text={"t": vecstore.Text()}, indexes={"n": "integer"}
        )
        rng = np.random.default_rng(0)
        for low in range(0, ROWS, 1_000):
            docs.upsert(*points(rng, np.arange(low, low + 1_000)))
    work: list[Callable[[Any, np.random.Generator, Counts], None]] = [write, write, read, read, look_after]
    threads = [
        threading.Thread(target=worker, args=(server.address, one, n, stop, counts)) for n, one in enumerate(work)
    ]
    for thread in threads:
        thread.start()
    samples = []
    started, process = time.monotonic(), psutil.Process(server.process.pid)
    while time.monotonic() < stop:
        samples.append(sample((time.monotonic() - started) / 60, process, folder))
        time.sleep(SAMPLE_S)
    for thread in threads:
        thread.join()
    samples.append(sample((time.monotonic() - started) / 60, process, folder))
    return samples, counts


def worker(address: str, work: Callable[..., None], seed: int, stop: float, counts: Counts) -> None:
    rng = np.random.default_rng(seed)
    with vecstore.connect(f"grpc://{address}") as db:
        while time.monotonic() < stop:
            try:
                work(db, rng, counts)
            except vecstore.VecstoreError as error:
                counts.errors.append(f"{work.__name__}: {error!r}"[:200])


def write(db: Any, rng: np.random.Generator, counts: Counts) -> None:
    ids = rng.choice(ROWS, BATCH, replace=False)
    docs = db.collection("c")
    if rng.random() < 0.3:
        docs.delete(ids=ids.tolist())
        counts.add("deletes")
    docs.upsert(*points(rng, ids))
    counts.add("upserts")


def read(db: Any, rng: np.random.Generator, counts: Counts) -> None:
    docs, vector = db.collection("c"), rng.standard_normal(DIM, dtype=np.float32)
    where = F("n").lt(int(rng.integers(1, 100))) if rng.random() < 0.5 else None
    if rng.random() < 0.3:
        docs.query(" ".join(rng.choice(WORDS, 3)), using="t", k=10, filter=where)
    else:
        docs.query(vector, using="v", k=10, filter=where, with_payload=bool(rng.random() < 0.2))
    counts.add("queries")


def look_after(db: Any, rng: np.random.Generator, counts: Counts) -> None:
    """A minute of it: a snapshot, and every other time a compaction."""
    turn = counts.done.get("snapshots", 0)
    db.snapshot(f"s{turn}")
    counts.add("snapshots")
    if turn:
        db.delete_snapshot(f"s{turn - 1}")
    if turn % 2:
        db.collection("c").compact()
    for _ in range(60):
        time.sleep(1)


def sample(minute: float, process: psutil.Process, folder: Path) -> Sample:
    sizes = []
    for place, _, names in os.walk(folder):  # folders that are removed meanwhile are no error
        for name in names:
            with suppress(FileNotFoundError):
                sizes.append((Path(place) / name).stat().st_blocks * 512)
    memory = process.memory_full_info()
    return Sample(
        minute,
        memory.rss / 2**20,
        (memory.rss - memory.shared) / 2**20,
        process.num_fds(),
        process.num_threads(),
        len(sizes),
        sum(sizes) / 2**20,
    )


def report(samples: list[Sample], counts: Counts, out: str) -> None:
    warm = [one for one in samples if one.minute >= WARM_UP * samples[-1].minute]
    minutes = [one.minute for one in warm]
    slopes = {
        f"{name}_a_minute": round(float(np.polyfit(minutes, [getattr(one, name) for one in warm], 1)[0]), 2)
        for name in ("rss_mib", "own_mib")
    }
    first, last = warm[0], warm[-1]
    line = {
        "minutes": round(samples[-1].minute, 1),
        **counts.done,
        "errors": len(counts.errors),
        **slopes,
        **{
            name: f"{getattr(first, name):.0f} to {getattr(last, name):.0f}"
            for name in ("rss_mib", "own_mib", "files", "threads", "in_folder", "disk_mib")
        },
    }
    print("  ".join(f"{name} {value}" for name, value in line.items()))
    for error in sorted(set(counts.errors))[:5]:
        print(error)
    results.append(out, [{**results.surroundings(), **line}])
