"""The interface of everything that is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.configs import Config


@dataclass(frozen=True, slots=True)
class Setup:
    """What a system gets to know before it sees data."""

    metric: str
    dim: int
    config: Config
    threads: int  # threads one query may use
    folder: Path  # an empty folder of its own


class System(ABC):
    """Made once for each measurement, in a process of its own."""

    name: ClassVar[str]

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.opened = ExitStack()  # what `fit` has opened so far

    @abstractmethod
    def fit(self, train: np.ndarray) -> None:
        """Take float32 (n, dim) or packed uint8 (n, dim / 8) rows; their ids are their row numbers. Ready on return."""

    @abstractmethod
    def query(self, vector: np.ndarray, k: int) -> Sequence[int] | np.ndarray:
        """Row numbers of the k nearest, nearest first. May be called from several threads."""

    def variants(self) -> list[dict[str, Any]]:
        """Query-time settings to sweep; each makes one point of the recall-rate curve."""
        return [{}]

    def configure(self, **variant: Any) -> None:
        """Take one of `variants`."""
        if variant:
            raise ValueError(f"{self.name} has no settings to sweep, got {variant}")

    def facts(self) -> dict[str, Any]:
        """Anything else worth a column, such as `disk_bytes`."""
        return {}

    def resident_bytes(self) -> int | None:
        """Memory of the process that holds the data when that is not this one."""
        return None

    def close(self) -> None:
        """Let go of everything, also when `fit` failed half way."""
        self.opened.close()


class Peer(System):
    """A library that vecstore is compared with. Its module is imported inside `fit`, so that a missing one is only
    missing. Peers search all rows, whatever the configuration's filter."""

    needs: ClassVar[str]  # the module to import
    metrics: ClassVar[frozenset[str]]


def folder_bytes(folder: Path) -> int:
    """Bytes on disk (allocated blocks, so sparse and preallocated files count as what they take)."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
