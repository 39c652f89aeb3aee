"""The advice as a picture and as a page; matplotlib is loaded when one is asked for."""

from __future__ import annotations

import html
import io
from pathlib import Path
from typing import Any

from vecstore.advise.advisor import Advice, Scored
from vecstore.errors import FailedPrecondition

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left;font-family:monospace}"
    "tr.front{background:#eef6ff}tr.pick{background:#d6f5d6;font-weight:bold}"
)


def write_png(advice: Advice, path: Path) -> None:
    """Raises FailedPrecondition (EXTRA_MISSING) without matplotlib."""
    _figure(advice).savefig(path, format="png", dpi=120, bbox_inches="tight")


def write_html(advice: Advice, path: Path) -> None:
    """One self-contained page. Raises FailedPrecondition (EXTRA_MISSING) without matplotlib."""
    drawn = io.StringIO()
    _figure(advice).savefig(drawn, format="svg", bbox_inches="tight")
    svg = drawn.getvalue()
    path.write_text(
        f"<!doctype html><meta charset=utf-8><title>vecstore advice</title><style>{_STYLE}</style>"
        f"<h1>Recall for each byte</h1><p>{html.escape(_title(advice))}</p><p><b>{html.escape(advice.reason)}</b></p>"
        f"{svg[svg.index('<svg') :]}{_table(advice)}",
        encoding="utf-8",
    )


def _table(advice: Advice) -> str:
    front, chosen = {one.spec for one in advice.front}, advice.pick
    rows = [
        f"<tr class='{'pick' if one == chosen else 'front' if one.spec in front else ''}'><td>{html.escape(one.spec)}"
        f"<td>{one.bytes_per_vector:g}<td>{one.recall:.4f}<td>{one.low:.4f} to {one.high:.4f}<td>{one.micros:.1f}"
        f"<td>{'yes' if one.reads_stored else ''}</tr>"
        for one in sorted(advice.points, key=lambda one: (one.bytes_per_vector, -one.recall))
    ]
    head = "<tr><th>index<th>bytes a vector<th>recall<th>95 % interval<th>µs a query<th>reads stored vectors</tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _title(advice: Advice) -> str:
    return (
        f"recall@{advice.k} by {advice.metric} on {advice.rows:,} vectors of {advice.dim} dimensions, "
        f"{advice.queries:,} queries"
    )


def _figure(advice: Advice) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        message = "pictures need matplotlib: pip install 'vecstore[plot]'"
        raise FailedPrecondition(message, reason="EXTRA_MISSING") from None
    figure = Figure(figsize=(9, 6))
    axes = figure.add_subplot()
    for stored, marker, label in ((False, "o", "codes in memory"), (True, "^", "reranked by stored vectors")):
        mine = [one for one in advice.points if one.reads_stored is stored]
        _dots(axes, mine, marker, label)
    axes.step([one.bytes_per_vector for one in advice.front], [one.recall for one in advice.front], where="post",
              color="black", linewidth=1, label="Pareto front")  # fmt: skip
    if advice.pick is not None:
        chosen = advice.pick
        axes.plot(chosen.bytes_per_vector, chosen.recall, "*", color="red", markersize=16, label=chosen.spec)
    if advice.budget_bytes is not None:
        axes.axvline(advice.budget_bytes, color="red", linewidth=1, linestyle=":")
    if advice.min_recall is not None:
        axes.axhline(advice.min_recall, color="red", linewidth=1, linestyle=":")
    axes.set(xscale="log", xlabel="bytes a vector (log)", ylabel=f"recall@{advice.k}", title=_title(advice))
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    return figure


def _dots(axes: Any, points: list[Scored], marker: str, label: str) -> None:
    if points:
        sizes, recalls = [one.bytes_per_vector for one in points], [one.recall for one in points]
        errors = [[one.recall - one.low for one in points], [one.high - one.recall for one in points]]
        axes.errorbar(sizes, recalls, yerr=errors, fmt=marker, markersize=4, elinewidth=1, alpha=0.6, label=label)
