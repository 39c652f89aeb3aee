"""What races share: entrants built, one setting swept upwards, the settings worth timing again, the picture."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest
from bench.contest import Built, Entrant, Point
from vecstore.errors import VecstoreError

BAND = (0.90, 0.992)  # recalls worth timing
SWEEP_QUERIES = 300  # the finalists are asked all
HOPELESS = 0.4  # of the best rate seen at that recall: not timed again
NPROBES = (2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64, 90, 128, 180, 256)
EFS = (10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512,
       640, 768, 1024)  # fmt: skip
RECALLS = (0.8, 0.9, 0.93, 0.95, 0.96, 0.965, 0.97, 0.975, 0.98, 0.985, 0.99, 0.992, 0.994, 0.996, 0.998, 0.999)
SWEPT = {"nprobe": NPROBES, "ef": EFS, "recall_target": RECALLS}
PATIENCE = 3  # steps without a gain, then a sweep ends


def build_all(entrants: Sequence[Entrant], rows: np.ndarray) -> list[tuple[Entrant, Built]]:
    built = []
    for entrant in entrants:
        contest.say(f"{entrant.family}: {entrant.spec} ...")
        try:
            built.append((entrant, entrant.build(rows)))
        except (VecstoreError, RuntimeError) as error:
            contest.say(f"  left out: {error}")
    gc.collect()
    return built


def sweep(
    entrant: Entrant, built: Built, data: contest.Data, k: int, clock: Callable[[], float], top: float = BAND[1]
) -> list[Point]:
    """The knob upwards for each other setting, until recall stops rising or is past `top`; on some of the queries."""
    found: list[Point] = []
    asked = data.queries[:SWEEP_QUERIES]
    for base in built.settings:
        last, idle = 0.0, 0
        for value in SWEPT[built.knob]:
            settings = base | {built.knob: value}
            built.search(asked[:32], k, **settings)
            began = clock()
            answers = built.search(asked, k, **settings)
            seconds = clock() - began
            recall = data.truth.recall(built.rows_of(answers))
            found.append(Point(entrant, settings, recall, len(asked) / seconds, built))
            idle = idle + 1 if recall < last + 0.0005 else 0
            if recall > top or idle == PATIENCE:
                break
            last = max(last, recall)
    return found


def finalists(points: list[Point], targets: list[float]) -> list[Point]:
    """Of each family the Pareto points in the band, and those just beside each target."""
    best = contest.front(points)
    kept = []
    for mine in by_family(points).values():
        ordered = contest.front([point for point in mine if BAND[0] <= point.recall])
        near = {id(point) for point in beside(ordered, targets)}
        for point in ordered:
            rivals = [other.qps for other in best if other.recall >= point.recall]
            if id(point) in near or point.qps >= HOPELESS * max(rivals, default=0.0):
                kept.append(point)
    return kept


def beside(ordered: list[Point], targets: list[float]) -> list[Point]:
    """Of points by ascending recall those that the rates at the targets are read from."""
    near = {id(point): point for target in targets for point in bracket(ordered, target)}
    return list(near.values())


def bracket(ordered: list[Point], target: float) -> list[Point]:
    below = [point for point in ordered if point.recall < target]
    above = [point for point in ordered if point.recall >= target]
    return below[-2:] + above[:2]


def by_family(points: Sequence[Point]) -> dict[str, list[Point]]:
    families: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        families[point.entrant.family].append(point)
    return families


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
