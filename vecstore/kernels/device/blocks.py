"""Which blocks of codes a chunk of a scan is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Blocks:
    """Some blocks of codes: a run of them, or those listed."""

    first: int
    count: int
    listed: Any | None = None  # (count,) int64

    def of(self, array: Any) -> Any:
        return array[self.first : self.first + self.count] if self.listed is None else array[self.listed]

    def part(self, low: int, high: int) -> Blocks:
        listed = None if self.listed is None else self.listed[low:high]
        return Blocks(self.first + low, min(high, self.count) - low, listed)
