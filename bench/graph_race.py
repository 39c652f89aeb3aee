"""`python -m bench graph-race`: queries a second at a recall, graph indexes, all queries in one call and one by one.

Every library is built and opened in processes of its own (`bench/graph_costs.py`); then one process opens all of them,
sweeps each over ef and its other settings, and times the settings near the targets again in interleaved rounds: by the
library's batch call, and by its call for one query in a loop. A family's rate at a recall is read off the line between
its two nearest Pareto points.
"""

from __future__ import annotations

import importlib.util
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, graph_costs, graph_ours, races, results
from bench.contest import Built, Entrant, Point
from bench.graph_library import GraphLibrary
from bench.payloads import stacked
from bench.peers import (  # fmt: skip
    faiss_hnsw,
    glass_hnsw,
    hnsw,
    kannolo_hnsw,
    qdrant,
    svs_vamana,
    symqg,
    usearch_hnsw,
    voyager_hnsw,
    vsag_hgraph,
)

PEERS = (symqg, kannolo_hnsw, svs_vamana, faiss_hnsw, hnsw, vsag_hgraph, glass_hnsw, usearch_hnsw, voyager_hnsw, qdrant)
COLUMNS = ["family", "target", "qps", "of_best_peer", "single_qps", "single_of_best_peer", "best_recall",
           "resident_mib", "mapped_mib", "own_mib", "build_s", "spec", "settings"]  # fmt: skip
PAST = 0.003  # how far past the highest target a sweep goes


def race(
    data: str, specs: list[str], targets: list[float], rounds: int, k: int, queries: int | None, rows: int | None,
    clock: str, out: str, peers: bool, singles: bool, threads: list[int], only: list[str], keep: str | None,
) -> list[dict[str, Any]]:  # fmt: skip
    chosen = [one for one in entered(specs, peers) if not only or any(name in one.family for name in only)]
    with ExitStack() as stack:
        place = Path(keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="vecstore-bench-")))
        prepare(data, k, queries, rows, place)
        costs, ready = {}, []
        for library in chosen:
            try:
                costs[library.family, library.spec] = graph_costs.known(library, place, k, threads)
                ready.append(library)
            except Exception as error:  # whatever a library raises, or the end of its process
                contest.say(f"  left out: {error!r:.300}")
        found = contest.alone(measure, data, ready, targets, rounds, k, queries, rows, clock, singles, place)
    for record in found:
        record |= costs[record["family"], record["spec"]]
        record["build_s"] = record.get(f"build_{max(threads)}_s")
    around = results.surroundings()
    results.append(out, [record | around for record in found])
    tops = [record for record in found if record["bench"] == "graph_race"]
    print(results.table(sorted(tops, key=lambda one: (one["target"], -(one["qps"] or 0.0))), COLUMNS))
    points = [record for record in found if record["bench"] == "graph_race_point" and record["calls"] == "batch"]
    if points:
        target = Path(out).with_name(f"{Path(out).stem}-{points[0]['dataset']}-recall-qps.png")
        print(f"written to {out} and {races.picture(points, target)}")
    return found


def entered(specs: list[str], peers: bool) -> list[GraphLibrary]:
    """Ours and the installed peers'; says on stderr which are not installed."""
    found = graph_ours.ours(specs or [graph_ours.DEFAULT])
    for module in PEERS if peers else ():
        graphs = list(module.graphs())
        if importlib.util.find_spec(graphs[0].needs) is None:
            contest.say(f"{graphs[0].needs}: left out, it is not installed")
        else:
            found += graphs
    return found


def prepare(path: str, k: int, queries: int | None, rows: int | None, place: Path) -> tuple[int, str]:
    """Rows and queries as files that processes map; returns how many rows, and the data's name. Raises ValueError when
    `place` was kept from other rows."""
    data = contest.load(path, k, queries, rows)
    place.mkdir(parents=True, exist_ok=True)
    kept = place / "rows.npy"
    if kept.exists() and not np.array_equal(np.load(kept, mmap_mode="r"), data.rows):
        raise ValueError(f"{place} holds indexes of other rows")
    np.save(kept, data.rows)
    np.save(place / "queries.npy", data.queries)
    return len(data.rows), data.name


def measure(
    path: str, libraries: list[GraphLibrary], targets: list[float], rounds: int, k: int, queries: int | None,
    rows: int | None, clock_name: str, singles: bool, place: Path,
) -> list[dict[str, Any]]:  # fmt: skip
    data = contest.load(path, k, queries, rows)
    clock = contest.CLOCKS[clock_name]
    mapped = np.load(place / "rows.npy", mmap_mode="r")
    for library in libraries:
        library.open(place / library.folder_name, mapped)
    contest.one_thread()
    top = max(targets) + PAST
    asked = [entrant(library, *knob) for library in libraries for knob in library.knobs()]
    points = [point for one in asked for point in races.sweep(*one, data, k, clock, top)]
    finals = races.finalists(points, targets)
    contest.say(f"{len(points)} settings swept, {len(finals)} timed in {rounds} interleaved rounds ...")
    batch = timed(finals, [lambda p=point: p.built.search(data.queries, k, **p.settings) for point in finals],
                  [point.built.rows_of for point in finals], data, rounds, clock)  # fmt: skip
    alone = []
    if singles:
        near = [one for mine in races.by_family(batch).values() for one in races.beside(contest.front(mine), targets)]
        contest.say(f"{len(near)} timed one query at a time ...")
        named = {(library.family, library.spec): library for library in libraries}
        graphs = [named[point.entrant.family, point.entrant.spec] for point in near]
        calls = [lambda p=p, g=g: one_by_one(g, data, k, p.settings) for p, g in zip(near, graphs, strict=True)]
        rows_of = [lambda answers, g=g: stacked([g.row_of(one) for one in answers], k) for g in graphs]
        alone = timed(near, calls, rows_of, data, rounds, clock)
    for library in libraries:
        library.close()
    shared = {"dataset": data.name, "rows": len(data.rows), "k": k, "rounds": rounds, "clock": clock_name}
    kinds = [(point, "batch") for point in batch] + [(point, "single") for point in alone]
    records = [point.record() | shared | {"bench": "graph_race_point", "calls": kind} for point, kind in kinds]
    return records + [record | shared for record in standings(points, batch, alone, targets)]


def entrant(library: GraphLibrary, knob: str, settings: list[dict[str, Any]]) -> tuple[Entrant, Built]:
    built = Built(library.batch, 0.0, settings, knob, library.rows_of)
    return Entrant(library.system, library.family, library.spec, lambda rows: built), built


def one_by_one(library: GraphLibrary, data: contest.Data, k: int, settings: dict[str, Any]) -> list[Any]:
    ask = library.single
    return [ask(query, k, **settings) for query in data.queries]


def timed(
    points: list[Point], calls: list[Any], rows_of: list[Any], data: contest.Data, rounds: int, clock: Any
) -> list[Point]:
    """The points with the rate and recall of these calls."""
    seconds = contest.interleaved(calls, rounds, clock)
    recalls = [data.truth.recall(rows(call())) for call, rows in zip(calls, rows_of, strict=True)]
    return [
        replace(point, qps=len(data.queries) / took, recall=recall)
        for point, took, recall in zip(points, seconds, recalls, strict=True)
    ]


def standings(swept: list[Point], batch: list[Point], alone: list[Point], targets: list[float]) -> list[dict[str, Any]]:
    """For each target and family: its rates there and their shares of the best peer's; the setting just past it."""
    records = []
    for target in targets:
        rates, single_rates = ({name: contest.qps_at(points, target) for name, points in races.by_family(one).items()}
                               for one in (batch, alone))  # fmt: skip
        for family, points in races.by_family(swept).items():
            first = next((point for point in contest.front(points) if point.recall >= target), None)
            shown = first or max(points, key=lambda point: point.recall)
            records.append({
                "bench": "graph_race",
                "family": family,
                "system": shown.entrant.system,
                "target": target,
                "qps": rounded(rates.get(family)),
                "of_best_peer": share(rates, family),
                "single_qps": rounded(single_rates.get(family)),
                "single_of_best_peer": share(single_rates, family),
                "best_recall": round(max(point.recall for point in points), 5),
                "spec": shown.entrant.spec,
                "settings": shown.settings,
            })  # fmt: skip
    return records


def rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)


def share(rates: dict[str, float | None], family: str) -> float | None:
    peers = [rate for name, rate in rates.items() if rate and not name.startswith("vecstore")]
    mine = rates.get(family)
    return round(mine / max(peers), 3) if mine and peers else None
