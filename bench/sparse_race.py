"""`python -m bench sparse-race`: time of one query at an accuracy, sparse indexes, one thread.

Every library is built in a process of its own; then one process opens all of them, asks some of the queries with every
setting, and times the settings near the targets again in interleaved rounds with all queries: one call a query in a
loop, and the library's own batch call. A family's time at an accuracy is read off the line between its two nearest
Pareto points. Accuracy is the overlap with the exact k best, ties judged by score.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, labelled, races, results, sparse_data, sparse_ours
from bench.contest import Built, Entrant, Point
from bench.payloads import stacked
from bench.peers import kannolo_sparse, scipy_scan, seismic_lsr
from bench.sparse_data import SparseData
from bench.sparse_library import SparseLibrary

PEERS = (seismic_lsr, kannolo_sparse, scipy_scan)
COLUMNS = ["family", "target", "cpu_us", "of_best_peer", "wall_us", "batch_cpu_us", "best_accuracy", "index_mib",
           "build_cpu_s", "spec", "settings"]  # fmt: skip
FACTS = "facts.json"
FEW = 50  # queries that a setting is tried with; SWEEP_QUERIES where it is fast
SLOW = 5e-3  # seconds a query
LONG = 3.0  # seconds for all queries: timed in one round only


def race(
    data: str, queries_file: str | None, specs: list[str], targets: list[float], rounds: int, k: int,
    queries: int | None, rows: int | None, out: str, peers: bool, only: list[str], keep: str | None,
) -> list[dict[str, Any]]:  # fmt: skip
    loaded = sparse_data.load(data, k, queries, rows, queries_file)
    chosen = [one for one in entered(specs, loaded, peers) if not only or any(name in one.family for name in only)]
    with ExitStack() as stack:
        place = Path(keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="vecstore-bench-")))
        sparse_data.keep(loaded, place)
        facts, ready = {}, []
        for library in chosen:
            try:
                facts[library.family, library.spec] = known(library, place, k)
                ready.append(library)
            except Exception as error:  # whatever a library raises, or the end of its process
                contest.say(f"  left out: {error!r:.300}")
        found = contest.alone(measure, ready, targets, rounds, k, place)
    around = results.surroundings()
    for record in found:
        record |= facts[record["family"], record["spec"]] | around
    results.append(out, found)
    tops = [record for record in found if record["bench"] == "sparse_race"]
    print(results.table(sorted(tops, key=lambda one: (one["target"], one["cpu_us"] or np.inf)), COLUMNS))
    return found


def entered(specs: list[str], data: SparseData, peers: bool) -> list[SparseLibrary]:
    """Ours and the installed peers'; says on stderr which are not installed."""
    found = sparse_ours.ours(specs or list(sparse_ours.DEFAULTS))
    for module in PEERS if peers else ():
        libraries = list(module.libraries(data.rows, data.columns))
        if importlib.util.find_spec(libraries[0].needs) is None:
            contest.say(f"{libraries[0].needs}: left out, it is not installed")
        else:
            found += libraries
    return found


def known(library: SparseLibrary, place: Path, k: int) -> dict[str, Any]:
    """Build time and bytes of a library, measured unless `place` holds it already."""
    folder = place / library.folder_name
    facts = folder / FACTS
    if not facts.exists():
        contest.say(f"{library.family}: {library.spec} ...")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        costs = contest.alone(built, library, place, k)
        facts.write_text(json.dumps(costs), encoding="utf-8")
    found: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
    return found


def built(library: SparseLibrary, place: Path, k: int) -> dict[str, Any]:
    data, folder = sparse_data.kept(place, k), place / library.folder_name
    os.dup2(2, 1)  # libraries that print their progress
    contest.one_thread()
    library.prepare(data.rows, data.columns, folder)
    began, before = time.perf_counter(), os.times()
    library.build(folder)
    seconds, after = time.perf_counter() - began, os.times()
    held = library.save(folder)
    library.close()
    children = os.times()  # which have ended by now
    cpu_seconds = (after.user + after.system - before.user - before.system) + (
        children.children_user + children.children_system - before.children_user - before.children_system
    )
    return {"build_s": round(seconds, 2), "build_cpu_s": round(cpu_seconds, 2), "index_mib": round(held / 2**20, 2)}


@dataclass(slots=True)
class Asked:
    """A setting of a library, and what asking it is measured with."""

    entry: SparseLibrary
    point: Point
    cpu_s: float = 0.0
    wall_s: float = 0.0
    ndcg: float | None = None  # at k, of a collection with judgements


def measure(
    libraries: list[SparseLibrary], targets: list[float], rounds: int, k: int, place: Path
) -> list[dict[str, Any]]:
    data = sparse_data.kept(place, k)
    for library in libraries:
        library.open(place / library.folder_name)
    contest.one_thread()
    swept = [one for library in libraries for one in sweep(library, data, k)]
    near = finalists(swept, targets)
    contest.say(f"{len(swept)} settings tried, {len(near)} timed in {rounds} interleaved rounds ...")
    singles = timed(near, [one_by_one(one, data, k) for one in near], lambda one, answer: [
        one.entry.row_of(row) for row in answer], data, rounds, k)  # fmt: skip
    near = finalists(singles, targets)
    batches = timed(near, [at_once(one, data, k, place) for one in near], lambda one, answer: one.entry.rows_of(
        answer), data, rounds, k)  # fmt: skip
    for library in libraries:
        library.close()
    shared = {"dataset": data.name, "n": len(data.rows), "k": k, "rounds": rounds}
    records = [described(one, calls) for calls, ones in (("single", singles), ("batch", batches)) for one in ones]
    records += standings(swept, singles, batches, targets)
    return [record | shared for record in records]


def sweep(library: SparseLibrary, data: SparseData, k: int) -> list[Asked]:
    """Every setting on some of the queries."""
    contest.say(f"{library.family}: {library.spec}: {len(library.settings())} settings ...")
    found = []
    for settings in library.settings():
        for count in (FEW, races.SWEEP_QUERIES):
            asked = [library.query(row) for row in data.queries[:count]]
            began = time.process_time()
            answers = [library.single(query, k, **settings) for query in asked]
            seconds = (time.process_time() - began) / len(asked)
            if seconds > SLOW:
                break
        recall = data.truth.recall(stacked([library.row_of(answer) for answer in answers], k))
        found.append(Asked(library, Point(entrant(library), settings, recall, 1 / seconds, NOTHING)))
    return found


def entrant(library: SparseLibrary) -> Entrant:
    return Entrant(library.system, library.family, library.spec, lambda rows: NOTHING)


NOTHING = Built(lambda queries, k: np.empty((0, k), np.int64), 0.0)  # points of a race of graphs know what was built


def finalists(asked: list[Asked], targets: list[float]) -> list[Asked]:
    """Of each family the settings beside each target."""
    mine = {id(one.point): one for one in asked}
    families = races.by_family([one.point for one in asked])
    return [mine[id(point)] for points in families.values() for point in races.beside(contest.front(points), targets)]


def one_by_one(one: Asked, data: SparseData, k: int) -> Callable[[], list[Any]]:
    ask, settings = one.entry.single, one.point.settings
    asked = [one.entry.query(row) for row in data.queries]
    return lambda: [ask(query, k, **settings) for query in asked]


def at_once(one: Asked, data: SparseData, k: int, place: Path) -> Callable[[], Any]:
    asked = one.entry.queries(data.queries, place / one.entry.folder_name)
    return lambda: one.entry.batch(asked, k, **one.point.settings)


def timed(
    asked: list[Asked], calls: list[Callable[[], Any]], rows_of: Callable[[Asked, Any], Iterable[np.ndarray]],
    data: SparseData, rounds: int, k: int,
) -> list[Asked]:  # fmt: skip
    """The settings with the accuracy and the median times of these calls, by both clocks, called in turn."""
    took = np.full((rounds, len(calls), 2), np.nan)
    for number, turn in enumerate(took):
        for place, call in enumerate(calls):
            if number and took[0, place, 1] > LONG:
                continue
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            turn[place] = time.process_time() - cpu, time.perf_counter() - wall
    medians = np.nanmedian(took, axis=0) / len(data.queries)
    labels = labelled.load(data.labels, len(data.queries)) if data.labels else None
    found = []
    for one, call, (cpu, wall) in zip(asked, calls, medians.tolist(), strict=True):
        rows = stacked(list(rows_of(one, call())), k)
        point = replace(one.point, recall=data.truth.recall(rows), qps=1 / cpu)
        found.append(Asked(one.entry, point, cpu, wall, labels.ndcg(rows, k) if labels else None))
    return found


def described(one: Asked, calls: str) -> dict[str, Any]:
    return {
        "bench": "sparse_race_point",
        "calls": calls,
        "system": one.point.entrant.system,
        "family": one.point.entrant.family,
        "spec": one.point.entrant.spec,
        "settings": one.point.settings,
        "accuracy": round(one.point.recall, 5),
        "cpu_us": microseconds(one.cpu_s),
        "wall_us": microseconds(one.wall_s),
        "ndcg": None if one.ndcg is None else round(one.ndcg, 5),
    }


def standings(
    swept: list[Asked], singles: list[Asked], batches: list[Asked], targets: list[float]
) -> list[dict[str, Any]]:
    """For each target and family: its times there, the first as a multiple of the best peer's; the setting past it."""
    records = []
    families = races.by_family([one.point for one in swept])
    walls = [replace(one.point, qps=1 / one.wall_s) for one in singles]
    for target in targets:
        cpu, wall, batch = (
            {family: contest.qps_at(points, target) for family, points in races.by_family(ones).items()}
            for ones in ([one.point for one in singles], walls, [one.point for one in batches])
        )
        best = max((rate for family, rate in cpu.items() if rate and not family.startswith("vecstore")), default=None)
        for family, points in families.items():
            final = [one.point for one in singles if one.point.entrant.family == family] or points
            first = next((point for point in contest.front(final) if point.recall >= target), None)
            shown = first or max(points, key=lambda point: point.recall)
            rate = cpu.get(family)
            records.append({
                "bench": "sparse_race",
                "family": family,
                "system": shown.entrant.system,
                "target": target,
                "cpu_us": inverse(rate),
                "of_best_peer": round(best / rate, 3) if best and rate else None,
                "wall_us": inverse(wall.get(family)),
                "batch_cpu_us": inverse(batch.get(family)),
                "best_accuracy": round(max(point.recall for point in points), 5),
                "spec": shown.entrant.spec,
                "settings": shown.settings,
            })  # fmt: skip
    return records


def inverse(rate: float | None) -> float | None:
    return None if rate is None else microseconds(1 / rate)


def microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 2)
