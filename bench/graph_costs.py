"""Build time and memory of a graph library, each measured in a process of its own; the built index is kept in a folder.

Build: seconds and CPU seconds, and the growth of the peak beyond the input. Memory: what a process grows by that opens
the saved index and answers the queries, so that neither the input nor what the build left behind counts.
"""

from __future__ import annotations

import importlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, memory, races
from bench.graph_library import GraphLibrary

FACTS = "costs.json"


def known(library: GraphLibrary, place: Path, k: int, threads: list[int]) -> dict[str, Any]:
    """The costs of a library, measured unless `place`, which holds rows.npy and queries.npy, has them already. What
    is kept is the index that was built with the most threads."""
    folder = place / library.folder_name
    facts = folder / FACTS
    costs: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else {}
    for count in sorted(threads):
        if f"build_{count}_s" in costs:
            continue
        contest.say(f"{library.family}: {library.spec}, {count} thread(s) ...")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        costs |= contest.alone(built, library, place, folder, count, threads=count)
        costs |= contest.alone(held, library, place, folder, k)
        facts.write_text(json.dumps(costs), encoding="utf-8")
    return costs


def built(library: GraphLibrary, place: Path, folder: Path, threads: int) -> dict[str, Any]:
    importlib.import_module(library.needs)
    rows = np.load(place / "rows.npy")
    before = memory.trimmed_rss()
    memory.restart_peak()
    began, began_cpu = time.perf_counter(), time.process_time()
    library.build(rows, threads, folder)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    peak = memory.peak_bytes() - before
    library.save(folder)
    return {
        f"build_{threads}_s": round(seconds, 2),
        f"build_{threads}_cpu_s": round(cpu_seconds, 2),
        f"build_{threads}_peak_mib": round(peak / 2**20, 1),
    }


def held(library: GraphLibrary, place: Path, folder: Path, k: int) -> dict[str, Any]:
    """Memory of its own and, apart, of mapped files."""
    importlib.import_module(library.needs)
    rows, queries = np.load(place / "rows.npy", mmap_mode="r"), np.load(place / "queries.npy")
    memory.trim()
    before = memory.memory_kib()
    library.open(folder, rows)
    swept = races.SWEPT[library.knob]
    library.batch(queries, k, **library.settings()[0], **{library.knob: swept[len(swept) // 2]})
    memory.trim()
    grown = {name: kib - before[name] for name, kib in memory.memory_kib().items()}
    own = library.own_bytes()
    library.close()
    return {
        "resident_mib": round((grown["anon"] + grown["shmem"]) / 1024, 1),
        "mapped_mib": round(grown["file"] / 1024, 1),
        "own_mib": None if own is None else round(own / 2**20, 1),
    }
