"""Every data file as the rows of one field, and every kind of index that can hold it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, datasets, multi_race, sparse_data
from vecstore.index.base import BuiltIndex, Index
from vecstore.index.registry import built_index, flat_class
from vecstore.index_text import parse_index
from vecstore.kernels.base import Float32Array
from vecstore.kernels.select import get_kernels
from vecstore.rows import Rows
from vecstore.schema import DataType, Metric, VectorField, VectorKind

KINDS = {
    VectorKind.DENSE: ("ivf", "ivf | saq(bits=4)", "flat | rabitq(bits=1)", "graph", "funnel(dims=[96, 192])"),
    VectorKind.BINARY: ("hamming_ivf", "mih"),
    VectorKind.SPARSE: ("inverted", "seismic"),
    VectorKind.MULTI: ("plaid", "plaid(tokens=residual2)", "muvera", "muvera(first=ivf)", "muvera(first=graph)"),
}
EXACT = ("mih", "inverted")
FEW_ENCODINGS = 5_000


@dataclass(slots=True)
class IndexData:
    """`rows` as a segment stores them, `queries` as kernels take them."""

    name: str
    field: VectorField
    rows: Any
    inverse_norms: Float32Array | None
    queries: Any

    @property
    def kinds(self) -> tuple[str, ...]:
        """A graph over encodings of thousands of components takes too long to build over many rows."""
        few = len(self.rows) <= FEW_ENCODINGS
        return tuple(kind for kind in KINDS[self.field.kind] if few or kind != "muvera(first=graph)")

    def flat(self) -> Index:
        norms = {} if self.inverse_norms is None else {"inverse_norms": self.inverse_norms}
        return flat_class(self.field).from_arrays(self.field, self.rows, norms)


def files(folder: str | Path) -> list[Path]:
    """Those that `load` takes, in the folder and in its folders."""
    found = sorted(Path(folder).rglob("*"))
    return [path for path in found if path.suffix == ".hdf5" or (path.suffix == ".npz" and "sparse" in path.name)]


def load(path: str | Path, rows: int | None = None, metric: Metric = Metric.COSINE) -> IndexData:
    """At most the first `rows`; dense rows as float32, compared by `metric`."""
    path = Path(path)
    name = f"{path.parent.name}/{path.stem}" if path.parent.name.startswith("labelled") else path.stem
    if path.suffix == ".npz":
        sparse = sparse_data.load(path, 1, rows=rows)
        field = VectorField(VectorKind.SPARSE, 0, Metric.DOT, DataType.FLOAT32)
        return IndexData(name, field, sparse.rows, None, sparse.queries)
    if "multivec" in path.name:
        multi = multi_race.load(path, None)
        field = VectorField(VectorKind.MULTI, multi.rows.dim, Metric.MAXSIM, DataType.FLOAT16)
        return IndexData(name, field, multi.rows[: rows or len(multi.rows)], None, multi.queries)
    found = datasets.load(path)
    train = np.ascontiguousarray(found.train[:rows])
    if found.binary:
        field = VectorField(VectorKind.BINARY, found.dim, Metric.HAMMING, DataType.FLOAT32)
        return IndexData(name, field, train, None, found.test)
    train, test = contest.unit(train), contest.unit(found.test)
    field = VectorField(VectorKind.DENSE, found.dim, metric)
    norms = np.ones(len(train), np.float32) if metric is Metric.COSINE else None
    suffix = "" if metric is Metric.COSINE else f" by {metric.value}"
    return IndexData(name + suffix, field, train, norms, test)


def built(data: IndexData, text: str, keep: str | Path | None = None) -> BuiltIndex:
    """The index; kept in the folder `keep`, or opened from there."""
    spec, kernels = parse_index(text), get_kernels()
    field = VectorField(data.field.kind, data.field.dim, data.field.metric, data.field.datatype, spec)
    kind, norms = built_index(spec), {} if data.inverse_norms is None else {"inverse_norms": data.inverse_norms}
    place = None
    if keep is not None:
        plain = "".join(letter if letter.isalnum() else "-" for letter in f"{data.name} {len(data.rows)} {text}")
        place = Path(keep) / f"{plain}.npz"
        if place.exists():
            with np.load(place) as arrays:
                return kind.from_arrays(field, data.rows, dict(arrays) | norms)
    kernels.set_threads(0)
    contest.say(f"{data.name}: building {text} ...")
    index = kind.build(field, spec, data.rows, data.inverse_norms, kernels, lambda *_: None)
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savez(place, **{name: array for name, array in index.arrays().items() if name != "inverse_norms"})
    return index


def part(queries: Rows, chosen: slice) -> Any:
    return queries[chosen]


def batches(count: int, size: int) -> Iterator[slice]:
    for low in range(0, count, size):
        yield slice(low, low + size)
