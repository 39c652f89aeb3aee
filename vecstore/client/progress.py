"""A progress line for long calls: rich when it is installed and a person is watching, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def progress_bar(title: str, total: int | None, enabled: bool | Advance | None, done: int = 0) -> Iterator[Advance]:
    """Yield a function to call with the number of points just finished. `enabled` None: when stderr is a terminal;
    a function: that one is called, and nothing is shown."""
    if callable(enabled):
        yield enabled
        return
    if enabled is None:
        enabled = sys.stderr.isatty()
    if not enabled:
        yield lambda count: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ModuleNotFoundError:
        yield lambda count: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=done, rate="")

        def advance(count: int) -> None:
            bar.advance(task, count)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} points/s" if speed else "")

        yield advance
