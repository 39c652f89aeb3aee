"""`python -m bench big-collection`: an indexed collection in a program that embeds vecstore: memory, recall, restart.

Each stage is a process of its own, as after a restart: build (load, seal, index), reopen (time to the first answer,
memory after the queries), reopen again after a tenth of the points was deleted and the segments were merged. The pages
of the operating system's cache are warm: what is timed is the work, not the disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

COLLECTION = "bench"
DELETED_SHARE = 10  # one point in so many
BATCH = 5_000
COLUMNS = ["stage", "recall", "memory_share", "anon_mib", "file_mib", "shmem_mib", "first_answer_s",
           "first_answer_cpu_s", "p50_ms",
           "seconds", "disk_mib"]  # fmt: skip


def big_collection(
    data: str, index: str, rows: int | None, queries: int, target: float, k: int, folder: str | None, out: str
) -> list[dict[str, Any]]:
    from bench import contest, results
    from bench.systems.base import folder_bytes

    loaded = contest.load(data, k, queries, rows)
    raw_bytes = loaded.rows.nbytes
    count, dim = loaded.rows.shape
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=folder) as own:
        place = Path(own)
        np.save(place / "rows.npy", loaded.rows)
        np.save(place / "queries.npy", loaded.queries)
        deleted = np.arange(0, count, DELETED_SHARE)
        kept = np.setdiff1d(np.arange(count), deleted)
        stages = []
        truths = {"build": loaded.truth, "reopen": loaded.truth}
        truths["merged"] = truths["reopen after merge"] = later_truth(loaded, kept, k)
        for stage in ("build", "reopen", "merged", "reopen after merge"):
            contest.say(f"{stage} ...")
            record = child(place, stage, index, target, k)
            answers = np.load(place / "answers.npy")
            record["recall"] = round(truths[stage].recall(answers), 5)
            for name in ("anon", "file", "shmem"):
                record[f"{name}_mib"] = round(record.pop(name) / 1024, 1)
            held = sum(record[f"{name}_mib"] for name in ("anon", "file", "shmem"))
            record["memory_share"] = round(held * 2**20 / raw_bytes, 4)
            record["disk_mib"] = round(folder_bytes(place / "db") / 2**20, 1)
            shared = {"bench": "big_collection", "dataset": loaded.name, "rows": count, "dim": dim, "k": k,
                      "index": index, "recall_target": target, "queries": len(loaded.queries)}  # fmt: skip
            stages.append({"stage": stage, **record, **shared})
    around = results.surroundings()
    results.append(out, [record | around for record in stages])
    print(results.table(stages, COLUMNS))
    print(f"memory_share: anonymous, file and shared pages over the {raw_bytes / 2**20:,.0f} MiB of float32 vectors")
    return stages


def later_truth(loaded: Any, kept: np.ndarray, k: int) -> Any:
    """Recall among the points that were not deleted: the file's truth, less what is gone, is long enough only for
    short lists, so it is searched again."""
    import faiss

    from bench.contest import Truth

    index = faiss.IndexFlatIP(loaded.rows.shape[1])
    index.add(loaded.rows[kept])
    return Truth(loaded.rows, loaded.queries, kept[index.search(loaded.queries, k)[1]], k)


def child(place: Path, stage: str, index: str, target: float, k: int) -> dict[str, Any]:
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "bench.big_collection", str(place), stage, index, str(target), str(k), str(began)],
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def stage(place: Path, name: str, index: str, target: float, k: int, began: float) -> dict[str, Any]:
    """One stage, in a process that holds nothing but the database; times run from the start of the process."""
    import vecstore
    from bench.memory import memory_kib

    queries = np.load(place / "queries.npy")
    with vecstore.connect(place / "db") as db:
        if name == "build":
            build(db, place, index)
        collection = db.get_collection(COLLECTION)
        first = collection.query(queries[0], k)
        first_answer_s, first_answer_cpu_s = time.time() - began, time.process_time()
        if len(first) != k:
            raise RuntimeError(f"{len(first)} points came back, not {k}")
        if name == "merged":
            for low in range(0, len(np.load(place / "rows.npy", mmap_mode="r")), BATCH * DELETED_SHARE):
                collection.delete(list(range(low, low + BATCH * DELETED_SHARE, DELETED_SHARE)))
            collection.compact(timeout_s=7_200)
        seconds = time.time() - began
        answers, took = np.full((len(queries), k), -1, np.int64), np.empty(len(queries))
        for place_, query in enumerate(queries):
            sent = time.perf_counter()
            hits = collection.query(query, k, with_payload=False, recall=target)
            took[place_] = time.perf_counter() - sent
            answers[place_, : len(hits)] = [hit.id for hit in hits]
        np.save(place / "answers.npy", answers)
        return {
            "first_answer_s": round(first_answer_s, 3),
            "first_answer_cpu_s": round(first_answer_cpu_s, 3),  # of all threads: what a busy machine does not change
            "seconds": round(seconds, 2),
            "p50_ms": round(float(np.median(took)) * 1e3, 3),
            **memory_kib(),
        }


def build(db: Any, place: Path, index: str) -> None:
    import vecstore

    rows = np.load(place / "rows.npy", mmap_mode="r")
    collection = db.create_collection(COLLECTION, vecstore.Dense(rows.shape[1], metric="cosine", index=index))
    for low in range(0, len(rows), BATCH):
        part = np.array(rows[low : low + BATCH])
        collection.upsert(np.arange(low, low + len(part)), part)
    collection.compact(timeout_s=7_200)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for argument, kind in (("place", Path), ("name", str), ("index", str), ("target", float), ("k", int),
                           ("began", float)):  # fmt: skip
        parser.add_argument(argument, type=kind)
    print(json.dumps(stage(**vars(parser.parse_args()))))
