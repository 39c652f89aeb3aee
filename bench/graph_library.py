"""The interface of everything that a graph race measures: built in one process, saved, opened in others."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np


class GraphLibrary(ABC):
    """One library with one build setting. Rows and queries are unit float32, compared by cosine; answers are row
    numbers. Its module is imported inside the methods, so that a missing one is only missing."""

    system: ClassVar[str]  # who; "vecstore" is ours
    needs: ClassVar[str]  # the module to import
    knob: ClassVar[str] = "ef"  # the setting that is swept upwards

    def __init__(self, family: str, spec: str) -> None:
        self.family = family  # settings of one family share a Pareto front
        self.spec = spec  # the build, in the library's own words

    @property
    def folder_name(self) -> str:
        return re.sub(r"\W+", "-", f"{self.family} {self.spec}").strip("-")

    @abstractmethod
    def build(self, rows: np.ndarray, threads: int, folder: Path) -> None:
        """Take rows (n, dim). `folder` is empty, for what lives on disk from the start."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Into the folder that `build` was given; the end of what was built."""

    @abstractmethod
    def open(self, folder: Path, rows: np.ndarray) -> None:
        """What `save` wrote; one thread a search from now on. `rows` is what was built from, mapped."""

    @abstractmethod
    def batch(self, queries: np.ndarray, k: int, **settings: Any) -> Any:
        """The k nearest of each query (nq, dim) by the library's own batch call, as it answers."""

    @abstractmethod
    def single(self, query: np.ndarray, k: int, **settings: Any) -> Any:
        """The k nearest of one query (dim,) by the library's own call, as it answers."""

    def rows_of(self, answer: Any) -> np.ndarray:
        """Row numbers of a batch answer, (nq, k), -1 for none; not timed."""
        return np.asarray(answer).astype(np.int64)

    def row_of(self, answer: Any) -> np.ndarray:
        """Row numbers of a single answer, (k,), -1 for none; not timed."""
        return np.asarray(answer).reshape(-1).astype(np.int64)

    def settings(self) -> list[dict[str, Any]]:
        """Search settings besides the knob; each is swept."""
        return [{}]

    def knobs(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """What a race sweeps, and beside which other settings."""
        return [(self.knob, self.settings())]

    def own_bytes(self) -> int | None:
        """What the library says that it holds, where it says."""
        return None

    def close(self) -> None:
        """Let go of what `build` or `open` has opened."""
        return None
