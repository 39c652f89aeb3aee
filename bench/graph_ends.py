"""Walks that end by distance beside walks of a fixed width: `python -m bench.graph_ends FILE [--folder F]`.

One index, calibrated once; each recall target is asked with what the calibration says of ending early, and without. CPU
time of one thread, all settings in turns. Then both families at equal recall, between their Pareto points.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench import contest, races, results
from bench.contest import Built, Entrant, Point
from bench.graph_ours import DEFAULT, OurIndex
from vecstore.index.base import SearchParams
from vecstore.memory.remembered import Remembered

K = 10
TARGETS = (0.9, 0.93, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.993, 0.995, 0.997)
AT = (0.95, 0.97, 0.98, 0.99)
FAMILIES = ("fixed width", "by distance")
ROUNDS = 9


def measured(data: contest.Data, library: OurIndex) -> list[Point]:
    """Rates are of CPU time; the settings of a point say its steps and codes too."""
    ending = library.index
    fixed = copy.copy(ending)
    fixed.table = msgspec.structs.replace(ending.table, reach=(), deep=(), least=())
    fixed._plans = Remembered(64)
    asked = [(family, index, SearchParams(recall_target=target)) for target in TARGETS
             for family, index in zip(FAMILIES, (fixed, ending), strict=True)]  # fmt: skip

    def search(index: Any, params: SearchParams) -> Any:
        return index.search(library.kernels, data.queries, K, None, params)

    calls = [lambda i=index, p=params: search(i, p) for _, index, params in asked]
    seconds = contest.interleaved(calls, ROUNDS, time.thread_time)
    points = []
    for (family, index, params), took in zip(asked, seconds, strict=True):
        found, count = search(index, params), len(data.queries)
        effort = {name: round(found.counters[name] / count, 1) for name in ("hops", "codes_scored")}
        settings = {"target": params.recall_target} | effort
        built = Built(search, 0.0)
        entrant = Entrant("vecstore", family, library.spec, lambda rows, built=built: built)  # type: ignore[misc]
        points.append(Point(entrant, settings, data.truth.recall(found.rows), count / took, built))
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--queries", type=int)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--folder", type=Path, help="where the built index is kept, or was")
    args = parser.parse_args()
    data = contest.load(args.file, K, args.queries, args.rows)
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-") as own:
        folder, library = args.folder or Path(own), OurIndex(DEFAULT)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "stored.npy").exists():
            library.build(data.rows, 2, folder)
            library.save(folder)
        library.open(folder, data.rows)
        contest.one_thread()
        points = measured(data, library)
    print(results.table(
        [{"family": p.entrant.family, "recall": round(p.recall, 4), "us": round(1e6 / p.qps, 1)} | p.settings
         for p in points], ["target", "family", "recall", "hops", "codes_scored", "us"]))  # fmt: skip
    for recall in AT:
        fixed, ending = (contest.qps_at(mine, recall) for mine in races.by_family(points).values())
        if fixed and ending:
            print(f"recall {recall}: {fixed:,.0f}/s fixed, {ending:,.0f}/s by distance, {ending / fixed:.2f} x")


if __name__ == "__main__":
    main()
