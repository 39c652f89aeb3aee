"""What to measure, as plain data: how the vectors are stored, and the filter that each query carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BUCKETS = 1_000  # each point's payload has a "bucket" from 0 to BUCKETS - 1


@dataclass(frozen=True, slots=True)
class Config:
    """`filter_share` is the share of points that the query's filter lets through; None sends no filter."""

    name: str
    about: str
    datatype: str = "float32"  # float32, float16, bfloat16; "bits" for packed binary vectors
    filter_share: float | None = None
    field_index: bool = True  # whether the filtered field has an index
    sealed: bool = True  # seal before measuring, or search the growing segment

    def suits(self, metric: str) -> bool:
        return (metric == "hamming") == (self.datatype == "bits")

    def allowed(self, rows: int) -> np.ndarray | None:
        """(rows,) bool: which rows the filter lets through."""
        return None if self.filter_share is None else buckets(rows) < self.filter_share * BUCKETS


def buckets(rows: int) -> np.ndarray:
    """A bucket for each row, spread evenly and not in row order."""
    return (
        np.arange(rows, dtype=np.uint64) * np.uint64(2_654_435_761) % np.uint64(1 << 32) % np.uint64(BUCKETS)
    ).astype(np.int64)


CONFIGS = {
    config.name: config
    for config in (
        Config("float32", "exact scan of float32 rows"),
        Config("float16", "exact scan of float16 rows, half the memory", datatype="float16"),
        Config("bfloat16", "exact scan of bfloat16 rows, half the memory", datatype="bfloat16"),
        Config("float32-growing", "exact scan of rows that are not sealed yet", sealed=False),
        Config("float32-filter-50", "half of the points match", filter_share=0.5),
        Config("float32-filter-10", "one point in ten matches", filter_share=0.1),
        Config("float32-filter-1", "one point in a hundred matches", filter_share=0.01),
        Config("float32-filter-10-scan", "one in ten, no index on the field", filter_share=0.1, field_index=False),
        Config("hamming", "exact scan of packed bits", datatype="bits"),
        Config("hamming-filter-10", "packed bits, one point in ten matches", datatype="bits", filter_share=0.1),
    )
}


def default_for(metric: str) -> Config:
    return CONFIGS["hamming" if metric == "hamming" else "float32"]


def show() -> None:
    """Print them."""
    for config in CONFIGS.values():
        suited = "hamming" if config.suits("hamming") else "angular, euclidean, ip"
        print(f"{config.name:24} {suited:24} {config.about}")
