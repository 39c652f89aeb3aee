"""`python -m bench frontier`: recall against bytes a vector, codes scanned flat and not reranked, beside peers.

For each peer's setting the line that counts is ours of no more bytes: its recall minus theirs is the margin."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import contest, indexes, results
from bench.contest import Entrant, Point
from bench.peers import faiss_codes, rabitq_library, scann_ah, turbovec_flat
from vecstore.errors import VecstoreError

PEERS = (faiss_codes, rabitq_library, turbovec_flat, scann_ah)
COLUMNS = ["system", "spec", "settings", "bytes_per_vector", "recall", "build_s", "ms_per_query"]
MARGIN_COLUMNS = ["bytes_per_vector", "recall", "system", "spec", "ours_bytes", "ours_recall", "margin", "ours"]


def frontier(
    data: str, specs: list[str], k: int, queries: int | None, rows: int | None, out: str, peers: bool
) -> list[dict[str, Any]]:
    records = contest.alone(measure, data, specs, k, queries, rows, peers)
    around = results.surroundings()
    results.append(out, [record | around for record in records])
    print(results.table(sorted(records, key=lambda record: record["bytes_per_vector"]), COLUMNS))
    print("\nEach peer's setting beside ours of no more bytes:")
    print(results.table(margins(records), MARGIN_COLUMNS))
    target = Path(out).with_name(f"{Path(out).stem}-{records[0]['dataset']}-bytes-recall.png")
    print(f"written to {out} and {picture(records, target)}")
    return records


def installed(modules: Iterable[Any]) -> list[Any]:
    found = []
    for module in modules:
        if importlib.util.find_spec(module.NEEDS) is None:
            contest.say(f"{module.NEEDS}: left out, it is not installed")
        else:
            found.append(module)
    return found


def measure(
    path: str, specs: list[str], k: int, queries: int | None, rows: int | None, peers: bool
) -> list[dict[str, Any]]:
    data = contest.load(path, k, queries, rows)
    dim = data.rows.shape[1]
    chosen = indexes.parsed(specs) or indexes.flat_specs(dim)
    entrants = [indexes.entrant(spec) for spec in chosen]
    if peers:
        entrants += [one for module in installed(PEERS) for one in module.entrants(dim)]
    clock = contest.CLOCKS["cpu"]
    found = []
    for entrant in entrants:
        record = best_of(entrant, data, k, clock)
        if record:
            found.append(record | {"bench": "frontier", "dataset": data.name, "rows": len(data.rows), "k": k})
    return found


def best_of(entrant: Entrant, data: contest.Data, k: int, clock: Any) -> dict[str, Any] | None:
    """The setting of highest recall; None (and a line on stderr) when the entrant refuses its parameters."""
    contest.say(f"{entrant.system}: {entrant.spec} ...")
    began = clock()
    try:
        built = entrant.build(data.rows)
    except (VecstoreError, RuntimeError) as error:
        contest.say(f"  left out: {error}")
        return None
    build_s = clock() - began
    points = []
    for settings in built.settings:
        began = clock()
        answers = built.search(data.queries, k, **settings)
        rate = len(data.queries) / max(clock() - began, 1e-9)
        points.append(Point(entrant, settings, data.truth.recall(answers), rate, built))
    best = max(points, key=lambda point: point.recall)
    contest.say(f"  {best.built.bytes_per_vector:.0f} bytes, recall {best.recall:.4f}, {build_s:.0f} s to build")
    return best.record() | {"build_s": round(build_s, 1), "ms_per_query": round(1e3 / best.qps, 3)}


def margins(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each peer's Pareto setting with the best of ours that takes no more bytes."""
    ours = [record for record in records if record["system"] == "vecstore"]
    theirs = [record for record in records if record["system"] != "vecstore"]
    kept = []
    for peer in sorted(theirs, key=lambda record: (record["bytes_per_vector"], -record["recall"])):
        if any(
            other["recall"] > peer["recall"] and other["bytes_per_vector"] <= peer["bytes_per_vector"]
            for other in theirs
        ):
            continue
        fitting = [record for record in ours if record["bytes_per_vector"] <= peer["bytes_per_vector"]]
        row = dict(peer)
        if fitting:
            best = max(fitting, key=lambda record: record["recall"])
            row |= {
                "ours": best["spec"],
                "ours_bytes": best["bytes_per_vector"],
                "ours_recall": best["recall"],
                "margin": round(best["recall"] - peer["recall"], 4),
            }
        kept.append(row)
    return kept


def picture(records: list[dict[str, Any]], target: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6))
    systems = sorted({record["system"] for record in records}, key=lambda name: (name != "vecstore", name))
    for system, marker in zip(systems, "osD^v<>PX*", strict=False):
        mine = sorted(
            (record for record in records if record["system"] == system),
            key=lambda record: (record["bytes_per_vector"], -record["recall"]),
        )
        sizes, recalls = ([record[key] for record in mine] for key in ("bytes_per_vector", "recall"))
        dots = axes.scatter(sizes, recalls, marker=marker, alpha=0.35)
        edge, best = [], -1.0
        for record in mine:
            if record["recall"] > best:
                best = record["recall"]
                edge.append((record["bytes_per_vector"], best))
        colour = dots.get_facecolor()[0][:3]
        axes.plot(*zip(*edge, strict=True), marker=marker, color=colour, label=system)
    first = records[0]
    axes.set(xscale="log", xlabel="bytes a vector, factors counted", ylabel=f"recall@{first['k']} without rerank",
             title=f"{first['dataset']}: {first['rows']:,} rows, codes scanned flat")  # fmt: skip
    axes.set_xticks([48, 96, 192, 384], ["48", "96", "192", "384"])
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(target, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return target
