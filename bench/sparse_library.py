"""The interface of everything that a sparse race measures: built in one process, saved, opened in another."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vecstore.sparse import SparseRows


class SparseLibrary(ABC):
    """One library with one build setting. Nearest is the largest inner product; answers are row numbers. Its module is
    imported inside the methods, so that a missing one is only missing."""

    system: ClassVar[str]  # who; "vecstore" is ours
    needs: ClassVar[str]  # the module to import

    def __init__(self, family: str, spec: str) -> None:
        self.family = family  # settings of one family share a Pareto front
        self.spec = spec  # the build, in the library's own words

    @property
    def folder_name(self) -> str:
        return re.sub(r"\W+", "-", f"{self.family} {self.spec}").strip("-")

    @abstractmethod
    def prepare(self, rows: SparseRows, columns: int, folder: Path) -> None:
        """Bring rows into the form that the library builds from; not timed. `folder` is empty."""

    @abstractmethod
    def build(self, folder: Path) -> None:
        """From what was prepared, with one thread."""

    @abstractmethod
    def save(self, folder: Path) -> int:
        """Into the folder; returns how many bytes the index takes with all that it needs to answer."""

    @abstractmethod
    def open(self, folder: Path) -> None:
        """What `save` wrote; one thread a search from now on."""

    @abstractmethod
    def query(self, row: SparseRows) -> Any:
        """One query as the library takes it; not timed."""

    @abstractmethod
    def single(self, query: Any, k: int, **settings: Any) -> Any:
        """The k nearest of one query by the library's own call, as it answers."""

    @abstractmethod
    def row_of(self, answer: Any) -> np.ndarray:
        """Row numbers of a single answer, at most k; not timed."""

    @abstractmethod
    def queries(self, rows: SparseRows, folder: Path) -> Any:
        """Many queries as the library takes them; not timed."""

    @abstractmethod
    def batch(self, queries: Any, k: int, **settings: Any) -> Any:
        """The k nearest of each query by the library's own call, as it answers."""

    def rows_of(self, answer: Any) -> list[np.ndarray]:
        """Row numbers for each query of a batch answer; not timed."""
        return [self.row_of(one) for one in answer]

    def settings(self) -> list[dict[str, Any]]:
        """Search settings that are tried."""
        return [{}]

    def close(self) -> None:
        """Let go of what `build` or `open` has opened."""
        return None
