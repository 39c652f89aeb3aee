"""`python -m bench ivf-race`: queries a second at a recall, lists with codes and rerank, beside peers at their best.

Every build setting is swept over probes and oversampling; the settings near the targets are then timed again in
interleaved rounds, and a family's rate at a recall is read off the line between its two nearest Pareto points.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, indexes, races, results
from bench.contest import Point
from bench.frontier import installed
from bench.peers import faiss_ivf, rabitq_library, scann_ah

PEERS = (faiss_ivf, rabitq_library, scann_ah)
COLUMNS = ["family", "target", "qps", "of_best_peer", "single_ms", "single_qps", "recall", "spec", "settings"]


def race(
    data: str, specs: list[str], nlists: list[int], targets: list[float], rounds: int, k: int, queries: int | None,
    rows: int | None, clock: str, out: str, peers: bool, sample: int,
) -> list[dict[str, Any]]:  # fmt: skip
    found = contest.alone(measure, data, specs, nlists, targets, rounds, k, queries, rows, clock, peers, sample)
    around = results.surroundings()
    results.append(out, [record | around for record in found])
    tops = [record for record in found if record["bench"] == "ivf_race"]
    for record in sorted(tops, key=lambda record: (record["target"], -(record["qps"] or 0.0))):
        record["recall"], record["spec"], record["settings"] = (
            record["at"].get(key) for key in ("recall", "spec", "settings")
        )
    print(results.table(sorted(tops, key=lambda one: (one["target"], -(one["qps"] or 0.0))), COLUMNS))
    points = [record for record in found if record["bench"] == "ivf_race_point"]
    dataset = points[0]["dataset"] if points else "none"
    target = Path(out).with_name(f"{Path(out).stem}-{dataset}-recall-qps.png")
    print(f"written to {out} and {races.picture(points, target)}")
    return found


def measure(
    path: str, specs: list[str], nlists: list[int], targets: list[float], rounds: int, k: int, queries: int | None,
    rows: int | None, clock_name: str, peers: bool, sample: int,
) -> list[dict[str, Any]]:  # fmt: skip
    data = contest.load(path, k, queries, rows)
    dim = data.rows.shape[1]
    clock = contest.CLOCKS[clock_name]
    chosen = indexes.parsed(specs) or indexes.race_specs(nlists, dim)
    entrants = [indexes.entrant(spec, family_of(spec)) for spec in chosen]
    if peers:
        entrants += [one for module in installed(PEERS) for one in module.racers(dim, nlists)]
    built = races.build_all(entrants, data.rows)
    contest.one_thread()
    points = [point for entrant, made in built for point in races.sweep(entrant, made, data, k, clock)]
    finals = races.finalists(points, targets)
    contest.say(f"{len(points)} settings swept, {len(finals)} timed in {rounds} interleaved rounds ...")
    calls = [lambda p=point: p.built.search(data.queries, k, **p.settings) for point in finals]
    for point, call, seconds in zip(finals, calls, contest.interleaved(calls, rounds, clock), strict=True):
        point.qps, point.recall = len(data.queries) / seconds, data.truth.recall(call())
    shared = {"dataset": data.name, "rows": len(data.rows), "k": k, "rounds": rounds, "clock": clock_name}
    records = [point.record() | shared | {"bench": "ivf_race_point"} for point in finals]
    return records + [record | shared for record in standings(finals, targets, data, k, rounds, clock, sample)]


def family_of(spec: Any) -> str:
    """Ours run as one family for each quantizer, and are judged by their best."""
    quantizer = getattr(spec, "quantizer", None)
    tag = type(quantizer or spec).__name__
    size = getattr(quantizer, "m", getattr(quantizer, "bits", ""))
    soar = " soar" if getattr(spec, "spill", "none") == "soar" else ""
    return f"vecstore IVF {tag}{f' {size:g}' if size else ''}{soar}"


def standings(
    finals: list[Point], targets: list[float], data: contest.Data, k: int, rounds: int, clock: Any, sample: int
) -> list[dict[str, Any]]:
    """For each target and family: the rate there, its share of the best peer's, and single-query latency."""
    families = races.by_family(finals)
    records = []
    for target in targets:
        rates = {family: contest.qps_at(points, target) for family, points in families.items()}
        peers = [rate for family, rate in rates.items() if rate and not family.startswith("vecstore")]
        chosen: dict[str, Point] = {}
        for family, points in families.items():
            enough = [point for point in contest.front(points) if point.recall >= target]
            if enough:
                chosen[family] = enough[0]
        singles = single_latency(list(chosen.values()), data.queries[:sample], k, min(rounds, 3), clock)
        for family, point in chosen.items():
            seconds = singles[id(point)]
            rate = rates[family]
            records.append({
                "bench": "ivf_race",
                "family": family,
                "system": point.entrant.system,
                "target": target,
                "qps": None if rate is None else round(rate, 1),
                "of_best_peer": round(rate / max(peers), 3) if rate and peers else None,
                "single_ms": round(float(np.median(seconds)) * 1e3, 4),
                "single_qps": round(1 / float(np.mean(seconds)), 1),
                "at": point.record(),
            })  # fmt: skip
    return records


def single_latency(points: list[Point], queries: np.ndarray, k: int, rounds: int, clock: Any) -> dict[int, np.ndarray]:
    """Seconds of each query asked alone, the points taking turns."""
    took: dict[int, list[float]] = {id(point): [] for point in points}
    for _ in range(rounds):
        for point in points:
            for query in range(len(queries)):
                one = queries[query : query + 1]
                began = clock()
                point.built.search(one, k, **point.settings)
                took[id(point)].append(clock() - began)
    return {key: np.array(seconds) for key, seconds in took.items()}
