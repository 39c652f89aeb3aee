"""pyseismic-lsr: Seismic by its authors, with numbers for terms, float16 values, with and without a kNN graph."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.sparse_library import SparseLibrary
from vecstore.sparse import SparseRows

SUFFIX = ".index.seismic"  # the library's own, of indexes with strings
CUTS = (2, 3, 4, 5, 6, 8, 10, 14, 20)
HEAP_FACTORS = (0.7, 0.8, 0.9, 1.0, 1.1)
NEIGHBOURS = (5, 10, 20)  # of a graph that has as many
BUILDS = (  # lists kept on average as a share of theirs, how many times as many of one list, blocks, energy, graphs
    (0.5, 10.0, 0.2, 0.5, (False, True)),
    (0.5, 10.0, 0.3, 0.6, (True,)),
    (1.2, 6.0, 0.2, 0.5, (False, True)),
    (1.2, 6.0, 0.3, 0.6, (False,)),
)
SMALL = 52_000  # rows
DEGREE = max(NEIGHBOURS)


def binary(rows: SparseRows, path: Path) -> Path:
    """The library's own format: uint32 rows; of each row uint32 entries, uint32 terms, float32 values."""
    with path.open("wb") as file:
        file.write(np.uint32(len(rows)).tobytes())
        for row in rows:
            file.write(np.uint32(row.nnz).tobytes() + row.indices.tobytes() + row.values.tobytes())
    return path


class Seismic(SparseLibrary):
    """`postings` is the average length that lists are cut to, at most `factor` times as many for one."""

    system, needs = "pyseismic-lsr", "seismic"

    def __init__(self, postings: int, factor: float, centroids: float, energy: float, graph: bool) -> None:
        spec = f"n_postings={postings} max_fraction={factor} centroid_fraction={centroids} summary_energy={energy}"
        super().__init__(f"seismic{' kNN' * graph}", spec + f" nknn={DEGREE}" * graph)
        self.build_settings = {"n_postings": postings, "max_fraction": factor, "centroid_fraction": centroids,
                               "summary_energy": energy}  # fmt: skip
        self.graph = graph

    def prepare(self, rows: SparseRows, columns: int, folder: Path) -> None:
        binary(rows, folder / "rows.bin")

    def build(self, folder: Path) -> None:
        """Its threads are rayon's, set by RAYON_NUM_THREADS before the process starts."""
        import seismic

        degree = DEGREE * self.graph
        self.index: Any = seismic.SeismicIndexRaw.build(str(folder / "rows.bin"), nknn=degree, **self.build_settings)

    def save(self, folder: Path) -> int:
        self.index.save(str(folder / "index"))
        (folder / "rows.bin").unlink()
        return (folder / "index").stat().st_size

    def open(self, folder: Path) -> None:
        import seismic

        self.index = seismic.SeismicIndexRaw.load(str(folder / "index"))

    def query(self, row: SparseRows) -> Any:
        return row.indices.astype(np.int32), row.values.astype(np.float32)

    def single(self, query: Any, k: int, **settings: Any) -> Any:
        return self.index.search(query[0], query[1], k, **settings)

    def queries(self, rows: SparseRows, folder: Path) -> Any:
        return str(binary(rows, folder / "queries.bin"))

    def batch(self, queries: Any, k: int, **settings: Any) -> Any:
        """It takes queries from a file only."""
        return self.index.batch_search(queries, k, num_threads=1, **settings)

    def row_of(self, answer: Any) -> np.ndarray:
        return np.array([row for _, row in answer], np.int64)

    def settings(self) -> list[dict[str, Any]]:
        return [
            {"query_cut": cut, "heap_factor": factor, "n_knn": near, "sorted": by_score}
            for cut, factor, near, by_score in itertools.product(
                CUTS, HEAP_FACTORS, NEIGHBOURS if self.graph else (0,), (False, True)
            )
        ]


class SeismicDotVByte(Seismic):
    """Forward index of delta-coded terms and 8-bit values. It takes terms as strings only."""

    def __init__(self, postings: int, factor: float, centroids: float, energy: float, graph: bool) -> None:
        super().__init__(postings, factor, centroids, energy, graph)
        self.family = self.family.replace("seismic", "seismic DotVByte")

    def prepare(self, rows: SparseRows, columns: int, folder: Path) -> None:
        import seismic

        self.dataset: Any = seismic.SeismicDataset(dim=columns)
        names = [str(row) for row in range(len(rows))]
        self.dataset.add_documents_by_id(names, rows.indices.astype(np.int64), rows.values, rows.offsets)

    def build(self, folder: Path) -> None:
        import seismic

        degree = DEGREE * self.graph
        build = seismic.SeismicIndexDotVByte.build_from_dataset
        self.index = build(self.dataset, nknn=degree, num_threads=1, **self.build_settings)

    def save(self, folder: Path) -> int:
        self.index.save(str(folder / "index"))
        return (folder / f"index{SUFFIX}").stat().st_size

    def open(self, folder: Path) -> None:
        import seismic

        self.index = seismic.SeismicIndexDotVByte.load(str(folder / f"index{SUFFIX}"))

    def query(self, row: SparseRows) -> Any:
        import seismic

        return row.indices.astype(seismic.get_seismic_string()), row.values.astype(np.float32)

    def single(self, query: Any, k: int, **settings: Any) -> Any:
        return self.index.search("", query[0], query[1], k, **settings)

    def queries(self, rows: SparseRows, folder: Path) -> Any:
        import seismic

        names = np.arange(len(rows)).astype(seismic.get_seismic_string())
        return names, *map(list, zip(*(self.query(row) for row in rows), strict=True))

    def batch(self, queries: Any, k: int, **settings: Any) -> Any:
        return self.index.batch_search(*queries, k, num_threads=1, **settings)

    def row_of(self, answer: Any) -> np.ndarray:
        return np.array([int(row) for _, _, row in answer], np.int64)


def postings(share: float, rows: SparseRows, columns: int) -> int:
    """A share of the average list; of many rows less, down to what the authors keep of 8.8 million (4,000)."""
    return max(1, round(share * rows.nnz / columns * min(1.0, (SMALL / len(rows)) ** 0.25)))


def libraries(rows: SparseRows, columns: int) -> Iterable[SparseLibrary]:
    """The settings that were best on real data of 10,000 to 50,000 rows: lists whole or half, many small blocks."""
    for share, factor, centroids, energy, graphs in BUILDS:
        for graph in graphs:
            yield Seismic(postings(share, rows, columns), factor, centroids, energy, graph)
    share, factor, centroids, energy, _ = BUILDS[0]
    yield SeismicDotVByte(postings(share, rows, columns), factor, centroids, energy, True)
