"""`python -m bench plot`: recall against rate, and latency percentiles, as PNG beside the results."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from bench import results

Records = list[dict[str, Any]]


def plot(path: str | Path) -> list[Path]:
    """Write `<name>-<dataset>-recall-qps.png` and `...-latency.png` for each data set in the file."""
    path = Path(path)
    datasets: dict[str, Records] = defaultdict(list)
    for record in latest(results.read(path)):
        datasets[record["dataset"]].append(record)
    if not datasets:
        raise ValueError(f"{path} has no results of `bench run`")
    written = []
    for name, records in datasets.items():
        stem = path.with_name(f"{path.stem}-{name}")
        written += [
            recall_qps(records, stem.with_name(f"{stem.name}-recall-qps.png")),
            latency(records, stem.with_name(f"{stem.name}-latency.png")),
        ]
    return written


def show(path: str | Path) -> None:
    print(*plot(path), sep="\n")


def latest(records: Records) -> Records:
    """Of repeated measurements the last one."""
    keys = ("dataset", "system", "config", "params", "clients", "k", "threads")
    return list({str([record[key] for key in keys]): record for record in records if "recall" in record}.values())


def title(records: Records) -> str:
    first = records[0]
    cpu = first["machine"]["cpu"]
    return (
        f"{first['dataset']}: {first['rows']:,} rows, recall@{first['k']}\n{cpu}, {first['threads'] or 'all'} "
        f"thread(s) a query, {first['date'][:10]}"
    )


def label(record: dict[str, Any]) -> str:
    name = f"{record['system']} {record['config']}" if record["via"] != "library" else record["system"]
    return name if record["clients"] == 1 else f"{name}, {record['clients']} clients"


def recall_qps(records: Records, target: Path) -> Path:
    figure, axes = plt.subplots(figsize=(9, 6))
    lines: dict[str, Records] = defaultdict(list)
    for record in records:
        lines[label(record)].append(record)
    markers = "osD^v<>PX*hp"
    for place, (name, points) in enumerate(sorted(lines.items())):
        points.sort(key=lambda record: record["recall"])
        recalls = [point["recall"] for point in points]
        rates = [point["qps"] for point in points]
        axes.plot(recalls, rates, marker=markers[place % len(markers)], label=name)
    axes.set(xlabel=f"recall@{records[0]['k']}", ylabel="queries per second (log)", yscale="log", title=title(records))
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return save(figure, target)


def latency(records: Records, target: Path) -> Path:
    """Bars of the median with marks at the 95th and 99th percentile. Of a sweep, the point of highest recall."""
    best: dict[str, dict[str, Any]] = {}
    for record in records:
        name = label(record)
        if name not in best or record["recall"] > best[name]["recall"]:
            best[name] = record
    chosen = sorted(best.items(), key=lambda item: item[1]["p50_ms"], reverse=True)
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.4 * len(chosen)))
    names = [f"{name} (recall {record['recall']:.3f})" for name, record in chosen]
    axes.barh(names, [record["p50_ms"] for _, record in chosen], color="lightsteelblue", label="p50")
    for percentile, marker in (("p95_ms", "|"), ("p99_ms", "x")):
        axes.plot([record[percentile] for _, record in chosen], names, marker, color="black", label=percentile[:3])
    axes.set(xlabel="milliseconds (log)", xscale="log", title=title(records))
    axes.grid(True, axis="x", alpha=0.3)
    axes.legend(fontsize="small")
    return save(figure, target)


def save(figure: Any, target: Path) -> Path:
    figure.savefig(target, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return target
