"""What building a graph index grows by in each phase: `python -m bench.graph_memory FILE [--rows N]`.

Bytes a vector beyond stored float16 rows and their norms, on one thread: the peak of each phase. With more rows than
the file has, noisy copies follow.
"""

from __future__ import annotations

import argparse

import numpy as np

from bench import contest, memory, results
from bench.graph_build import NEIGHBOURS, digest
from bench.graph_ours import DEFAULT, OurIndex, inverse_norms
from vecstore.index.graph import GraphIndex
from vecstore.index_spec import Graph

NOISE = 0.03
BATCH = 20_000


def stored(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, dim) and their inverse norms."""
    rng = np.random.default_rng(1)
    out, norms = np.empty((count, rows.shape[1]), np.float16), np.empty(count, np.float32)
    for low in range(0, count, BATCH):
        numbers = np.arange(low, min(count, low + BATCH))
        part = rows[numbers % len(rows)]
        part += NOISE * rng.standard_normal(part.shape, np.float32) * (numbers >= len(rows))[:, None]
        out[numbers], norms[numbers] = part, inverse_norms(part.astype(np.float16))
    return out, norms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--rows", type=int)
    args = parser.parse_args()
    found = contest.load(args.file, 10, 1).rows
    count = args.rows or len(found)
    rows, norms = stored(found, count)
    del found
    library = OurIndex(DEFAULT)
    library.prepare(rows)
    library.kernels.set_threads(1)
    before = memory.trimmed_rss()
    peaks: dict[str, float] = {}
    current = [""]

    def progress(phase: str, done: int, total: int) -> None:
        if current[0]:
            peaks[current[0]] = max(peaks.get(current[0], 0), (memory.peak_bytes() - before) / count)
        memory.restart_peak()
        current[0] = phase

    index = GraphIndex.build(library.field, Graph(), rows, norms, library.kernels, progress)
    print(results.table([{"phase": phase, "bytes": round(peak)} for phase, peak in peaks.items()], ["phase", "bytes"]))
    print(f"peak {max(peaks.values()):.0f} bytes a vector, graph {digest({NEIGHBOURS: index.neighbours})}")


if __name__ == "__main__":
    main()
