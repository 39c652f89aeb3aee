"""`python -m bench soak`: a server under mixed load for minutes, and what it holds meanwhile.

Writers replace and delete points so that the collection keeps its size; readers ask by vector, by text, with filters. A
snapshot is taken every minute and the one before it dropped, and the collection compacted every other minute. Every
few seconds the server's memory, open files, threads and the files of its folder are counted. Printed: the slope of its
memory after a warm-up, and the others at both ends. Source: specs, reliability T27.

Rows that wait to be sealed are memory that comes and goes. By default they fill 256 MiB before they are sealed, a saw
whose few teeth hide a leak, or look like one, in 20 minutes. So segments are sealed at `--seal-mib`, and what waits is
measured beside: `slope` is by least squares over time alone, `adjusted` over time and the rows that wait.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
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
    rows_waiting: int  # to be sealed


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


def soak(minutes: float, seal_mib: int, out: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = {"VECSTORE_STORAGE_SEAL_BYTES": str(seal_mib << 20)} if seal_mib else {}
        server = serve(Path(folder) / "data", 0, settings)
        try:
            samples, counts = run(server, Path(folder) / "data", 60 * minutes)
        finally:
            server.process.terminate()
            server.process.wait()
    report(samples, counts, seal_mib, out)


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
    with vecstore.connect(f"grpc://{server.address}") as db:
        docs = db.collection("c")
        while time.monotonic() < stop:
            waiting = sum(one["rows"] for one in docs.stats()["segments"] if one["kind"] == "growing")
            samples.append(sample((time.monotonic() - started) / 60, process, folder, int(waiting)))
            time.sleep(SAMPLE_S)
    for thread in threads:
        thread.join()
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


def sample(minute: float, process: psutil.Process, folder: Path, waiting: int) -> Sample:
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
        waiting,
    )


def slopes(samples: list[Sample], name: str) -> tuple[float, float]:
    """Of a value, a minute: over time alone, and with what rows that wait add to it told apart. Least squares."""
    minutes, waiting = (np.array([getattr(one, of) for one in samples], float) for of in ("minute", "rows_waiting"))
    values = np.array([getattr(one, name) for one in samples])
    over = np.stack([minutes, np.ones_like(minutes), waiting], axis=1)
    plain, adjusted = (np.linalg.lstsq(over[:, :columns], values, rcond=None)[0] for columns in (2, 3))
    return float(plain[0]), float(adjusted[0])


def report(samples: list[Sample], counts: Counts, seal_mib: int, out: str) -> None:
    warm = [one for one in samples if one.minute >= WARM_UP * samples[-1].minute]
    found = {}
    for name in ("rss_mib", "own_mib"):
        found[f"{name}_slope"], found[f"{name}_adjusted"] = (round(one, 2) for one in slopes(warm, name))
    first, last = warm[0], warm[-1]
    line = {
        "minutes": round(samples[-1].minute, 1),
        "seal_mib": seal_mib,
        **counts.done,
        "errors": len(counts.errors),
        **found,
        **{
            name: f"{getattr(first, name):.0f} to {getattr(last, name):.0f}"
            for name in ("rss_mib", "own_mib", "files", "threads", "in_folder", "disk_mib")
        },
    }
    print("  ".join(f"{name} {value}" for name, value in line.items()))
    for error in sorted(set(counts.errors))[:5]:
        print(error)
    results.append(out, [{**results.surroundings(), **line, "samples": [asdict(one) for one in samples]}])
