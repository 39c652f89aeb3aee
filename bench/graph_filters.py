"""`python -m bench graph-filters`: recall and rate of filtered queries, random filters and negatively correlated ones.

For every filter (`bench/filter_cases.py`) each way to answer (`bench/filter_ways.py`) is tried with rising ef, its own
choice first, until recall is `--target` or more; that setting is timed in interleaved rounds. `of_baseline` is the rate
over that of our own index asked without the filter for more answers until k match.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, filter_cases, filter_ways, graph_costs, graph_race, races, results
from bench.filter_cases import Case
from bench.graph_library import GraphLibrary

BASELINE = "vecstore index, asked for more"
EFS = (0, 32, 64, 128, 256, 512)  # 0: the library's own choice
SLOW_S = 5.0  # what takes longer is swept no further, and timed once
COLUMNS = ["filter", "share", "way", "ef", "recall", "qps", "of_baseline", "short"]


@dataclass(slots=True)
class Tried:
    way: str
    ef: int
    recall: float
    short: int  # queries that fewer than k rows came back for
    call: Callable[[], list[Any]]
    seconds: float


def graph_filters(
    data: str, spec: str, target: float, rounds: int, k: int, rows: int | None, clock: str, peers: bool,
    folder: str | None, out: str,
) -> list[dict[str, Any]]:  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=folder) as own:
        place = Path(own)
        graph_race.prepare(data, k, None, rows, place)
        loaded = contest.load(data, k, None, rows)
        payload = filter_cases.fields(loaded, filter_cases.grouped(loaded.queries))
        chosen = [way for way in filter_ways.ways(spec, payload) if peers or way[1].system == "vecstore"]
        chosen = [way for way in chosen if importlib.util.find_spec(way[1].needs)]
        for library in {way[1].folder_name: way[1] for way in chosen}.values():
            contest.say(f"{library.family} ...")
            made = place / library.folder_name
            made.mkdir()
            contest.alone(graph_costs.built, library, place, made, 2, threads=2)
        records = contest.alone(measure, data, chosen, payload, target, rounds, k, rows, clock, place)
    around = results.surroundings()
    results.append(out, [record | {"spec": spec} | around for record in records])
    print(results.table(records, COLUMNS))
    return records


def measure(
    path: str, ways: list[tuple[str, GraphLibrary, Any]], payload: dict[str, np.ndarray], target: float, rounds: int,
    k: int, rows: int | None, clock_name: str, place: Path,
) -> list[dict[str, Any]]:  # fmt: skip
    data = contest.load(path, k, None, rows)
    clock = contest.CLOCKS[clock_name]
    mapped = np.load(place / "rows.npy", mmap_mode="r")
    libraries = list({id(way[1]): way[1] for way in ways}.values())
    for library in libraries:
        library.open(place / library.folder_name, mapped)
    contest.one_thread()
    groups = filter_cases.grouped(data.queries)
    records = []
    for case in filter_cases.cases(data, payload, groups, k):
        contest.say(f"{case.name} {case.share:.1%} ...")
        picked = [best(sweep(way, case, k, target, clock), target) for way in ways]
        quick = [one for one in picked if one.seconds < SLOW_S]
        for one, took in zip(quick, contest.interleaved([one.call for one in quick], rounds, clock), strict=True):
            one.seconds = took
        base = next((one.seconds for one in picked if one.way == BASELINE), None)
        records += [
            {
                "bench": "graph_filters", "dataset": data.name, "rows": len(data.rows), "k": k, "filter": case.name,
                "share": case.share, "way": one.way, "ef": one.ef, "recall": round(one.recall, 5), "short": one.short,
                "qps": round(len(case.truth.queries) / one.seconds, 1), "clock": clock_name, "rounds": rounds,
                "of_baseline": None if base is None else round(base / one.seconds, 2),
            }
            for one in picked
        ]  # fmt: skip
    for library in libraries:
        library.close()
    return records


def sweep(way: tuple[str, GraphLibrary, Any], case: Case, k: int, target: float, clock: Any) -> list[Tried]:
    """Settings upwards, until the target is reached, two in a row bring nothing, or it takes too long."""
    found: list[Tried] = []
    for ef in EFS if way[1].knob == "ef" else (0, *races.SWEPT[way[1].knob]):
        found.append(tried(way, case, ef, k, clock))
        idle = len(found) > 4 and found[-1].recall <= found[-3].recall  # the own choice may be past the next ones
        if found[-1].recall >= target or idle or found[-1].seconds > SLOW_S:
            break
    return found


def tried(way: tuple[str, GraphLibrary, Any], case: Case, ef: int, k: int, clock: Callable[[], float]) -> Tried:
    name, library, ask = way

    def call() -> list[Any]:
        return [ask(library, group, k, ef) for group in case.groups]

    began = clock()
    answers = call()
    seconds = clock() - began
    rows = np.concatenate([filled(library.rows_of(answer), k) for answer in answers])
    return Tried(name, ef, case.truth.recall(rows), int((rows < 0).any(axis=1).sum()), call, seconds)


def filled(rows: np.ndarray, k: int) -> np.ndarray:
    return np.pad(rows, ((0, 0), (0, k - rows.shape[1])), constant_values=-1)


def best(points: list[Tried], target: float) -> Tried:
    """The cheapest that reaches the target; where none does, the highest recall, and the cheapest of these."""
    enough = [point for point in points if point.recall >= target]
    if enough:
        return min(enough, key=lambda point: point.seconds)
    return max(points, key=lambda point: (point.recall, -point.seconds))
