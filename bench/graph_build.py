"""`python -m bench graph-build`: build time, memory at the peak and the graph itself for several numbers of threads.

Each build is a process of its own, whose BLAS has as many threads. `graph` is a hash of the neighbours and `index` one
of all that is stored: the same for any number of threads. The peak is what the process grows by beyond the input.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, graph_costs, graph_race, results
from bench.graph_ours import OurIndex

COLUMNS = ["spec", "threads", "seconds", "cpu_s", "peak_mib", "peak_bytes_per_vector", "graph", "index"]
NEIGHBOURS = "neighbours"


def graph_build(
    data: str, specs: list[str], threads: list[int], rows: int | None, folder: str | None, out: str
) -> list[dict[str, Any]]:
    records = []
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=folder) as own:
        place = Path(own)
        count, name = graph_race.prepare(data, 10, 10, rows, place)
        for spec in specs:
            for number in threads:
                contest.say(f"{spec}, {number} thread(s) ...")
                costs = contest.alone(measure, spec, place, number, threads=number)
                records.append({
                    "bench": "graph_build", "dataset": name, "rows": count, "spec": spec, "threads": number,
                    "seconds": costs[f"build_{number}_s"], "cpu_s": costs[f"build_{number}_cpu_s"],
                    "peak_mib": costs[f"build_{number}_peak_mib"],
                    "peak_bytes_per_vector": round(costs[f"build_{number}_peak_mib"] * 2**20 / count, 1),
                    "graph": costs["graph"], "index": costs["index"],
                })  # fmt: skip
    around = results.surroundings()
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    for spec in specs:
        mine = [record for record in records if record["spec"] == spec]
        for what in ("graph", "index"):
            same = len({record[what] for record in mine}) == 1
            print(f"{spec}: {what} {'the same' if same else 'NOT the same'} for {', '.join(map(str, threads))} threads")
    return records


def measure(spec: str, place: Path, threads: int) -> dict[str, Any]:
    library = OurIndex(spec)
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=place) as folder:
        costs = graph_costs.built(library, place, Path(folder), threads)
    arrays = library.index.arrays()
    graph = {NEIGHBOURS: arrays[NEIGHBOURS]} if NEIGHBOURS in arrays else {}
    return costs | {"graph": digest(graph), "index": digest(arrays)}


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Of names, dtypes, shapes and bytes, whatever the order; empty for no arrays."""
    found = hashlib.blake2b(digest_size=8)
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest() if arrays else ""
