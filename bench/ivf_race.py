"""`python -m bench ivf-race`: queries a second at a recall, lists with codes and rerank, beside peers at their best.

Every build setting is swept over probes and oversampling; the settings near the targets are then timed again in
interleaved rounds, and a family's rate at a recall is read off the line between its two nearest Pareto points.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, indexes, results
from bench.contest import Built, Entrant, Point
from bench.frontier import installed
from bench.peers import faiss_ivf, rabitq_library, scann_ah
from vecstore.errors import VecstoreError

PEERS = (faiss_ivf, rabitq_library, scann_ah)
NPROBES = (2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64, 90, 128, 180, 256)
SWEEP_QUERIES = 300  # the finalists are asked all
BAND = (0.90, 0.992)  # recalls worth timing
HOPELESS = 0.4  # of the best rate seen at that recall: not timed again
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
    print(f"written to {out} and {picture(points, target)}")
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
    built = build_all(entrants, data.rows)
    contest.one_thread()
    points = [point for entrant, made in built for point in sweep(entrant, made, data, k, clock)]
    finals = finalists(points, targets)
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


def build_all(entrants: list[Entrant], rows: np.ndarray) -> list[tuple[Entrant, Built]]:
    built = []
    for entrant in entrants:
        contest.say(f"{entrant.family}: {entrant.spec} ...")
        try:
            built.append((entrant, entrant.build(rows)))
        except (VecstoreError, RuntimeError) as error:
            contest.say(f"  left out: {error}")
    gc.collect()
    return built


def sweep(entrant: Entrant, built: Built, data: contest.Data, k: int, clock: Any) -> list[Point]:
    """Probes upwards for each other setting, until recall stops rising or is past the band; on some of the queries."""
    found: list[Point] = []
    asked = data.queries[:SWEEP_QUERIES]
    for base in built.settings:
        last = 0.0
        for nprobe in NPROBES:
            settings = base | {"nprobe": nprobe}
            built.search(asked[:32], k, **settings)
            began = clock()
            answers = built.search(asked, k, **settings)
            seconds = clock() - began
            recall = data.truth.recall(answers)
            found.append(Point(entrant, settings, recall, len(asked) / seconds, built))
            if recall > BAND[1] or (nprobe > 8 and recall < last + 0.0005):
                break
            last = recall
    return found


def finalists(points: list[Point], targets: list[float]) -> list[Point]:
    """Of each family the Pareto points in the band, and those just beside each target."""
    families: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        families[point.entrant.family].append(point)
    best = contest.front(points)
    kept = []
    for mine in families.values():
        ordered = contest.front([point for point in mine if BAND[0] <= point.recall])
        near = {id(point) for target in targets for point in bracket(ordered, target)}
        for point in ordered:
            rivals = [other.qps for other in best if other.recall >= point.recall]
            if id(point) in near or point.qps >= HOPELESS * max(rivals, default=0.0):
                kept.append(point)
    return kept


def bracket(ordered: list[Point], target: float) -> list[Point]:
    below = [point for point in ordered if point.recall < target]
    above = [point for point in ordered if point.recall >= target]
    return below[-2:] + above[:2]


def standings(
    finals: list[Point], targets: list[float], data: contest.Data, k: int, rounds: int, clock: Any, sample: int
) -> list[dict[str, Any]]:
    """For each target and family: the rate there, its share of the best peer's, and single-query latency."""
    families: dict[str, list[Point]] = defaultdict(list)
    for point in finals:
        families[point.entrant.family].append(point)
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


def picture(points: list[dict[str, Any]], target: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 6))
    families: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for point in points:
        families[point["family"]].append(point)
    for (family, mine), marker in zip(sorted(families.items()), "osD^v<>PX*hp" * 3, strict=False):
        mine.sort(key=lambda point: point["recall"])
        ours = family.startswith("vecstore")
        axes.plot([point["recall"] for point in mine], [point["qps"] for point in mine], marker=marker, label=family,
                  linestyle="-" if ours else "--", linewidth=2 if ours else 1)  # fmt: skip
    if points:
        first = points[0]
        axes.set(title=f"{first['dataset']}: {first['rows']:,} rows, one thread, all queries in one call")
    axes.set(xlabel="recall@10", ylabel="queries per second (log)", yscale="log", xlim=(BAND[0], 1.0))
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(target, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return target
