"""What building an index asks of a device, in rows a second beside the host: a step of k-means, codes, nearest rows."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.device.roofline import seconds
from vecstore import index_spec
from vecstore.index.graph_rows import byte_rows
from vecstore.index.kmeans import Members
from vecstore.index.stored_rows import BATCH, StoredRows
from vecstore.kernels.device.neighbours import ASKED, NearestRows
from vecstore.kernels.places import at, in_parts
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric, VectorField, VectorKind
from vecstore.transform.moments import Moments

HOST_ROWS = 16_384  # that the host is timed on, and that codes are compared of
ROUNDS = 3
LISTS = 4096
SAME = 0.9999  # of codes, at least


def building(device: Any, host: Any, vectors: np.ndarray) -> Iterator[dict[str, Any]]:
    """Of float32 rows (n, dim)."""
    yield from _training(device, host, vectors)
    yield from _encoding(device, vectors)
    yield _neighbours(device, vectors)


def _line(what: str, n: int, by_device: float, few: int, by_host: float) -> dict[str, Any]:
    ours, theirs = n / by_device, few / by_host
    return {"what": what, "rows": n, "rows/s": ours, "host rows/s": theirs, "times": ours / theirs}


def _training(device: Any, host: Any, vectors: np.ndarray) -> Iterator[dict[str, Any]]:
    nlist, dim = min(LISTS, len(vectors) // 64), vectors.shape[1]
    few = vectors[: max(HOST_ROWS, nlist)]
    centroids = vectors[np.sort(np.random.default_rng(0).choice(len(vectors), nlist, replace=False))]

    def step(members: Members) -> Callable[[], object]:
        return lambda: members.means(members.homes(centroids), nlist)

    with at(device):
        members = Members(Metric.L2, vectors, host)
        by_device = seconds(step(members), ROUNDS)
        same = (members.homes(centroids)[: len(few)] == Members(Metric.L2, few, host).homes(centroids)).mean()
        covariance = seconds(lambda: Moments(dim).add(vectors), ROUNDS)
    host_members = Members(Metric.L2, few, host)
    _expect("lists of rows", float(same))
    yield _line(f"k-means, {nlist} lists", len(vectors), by_device, len(few), seconds(step(host_members), ROUNDS))
    yield _line("covariance", len(vectors), covariance, len(few), seconds(lambda: Moments(dim).add(few), ROUNDS))


def quantizers(few: np.ndarray) -> Iterator[tuple[Any, Any]]:
    """Every kind, trained on float32 rows (n, dim), with its specification."""
    dim = few.shape[1]
    specs = [
        index_spec.RaBitQ(1), index_spec.RaBitQ(4), index_spec.SAQ(4), index_spec.LloydMax(4), index_spec.Binary(),
        index_spec.Int8(), index_spec.Int4(), index_spec.Float8("e4m3"), index_spec.BFloat16(),
    ]  # fmt: skip
    if importlib.util.find_spec("faiss") is not None:
        specs += [index_spec.PQ(dim // 4, 4), index_spec.PQ(dim // 8, 8)]
    for spec in specs:
        yield spec, QUANTIZERS[str(type(spec).__struct_config__.tag)].train(spec, Metric.DOT, few, None, 0)


def _encoding(device: Any, vectors: np.ndarray) -> Iterator[dict[str, Any]]:
    few = vectors[:HOST_ROWS]
    for spec, quantizer in quantizers(few):

        def encode(rows: np.ndarray, encoder: Any = quantizer.encode) -> list[dict[str, np.ndarray]]:
            return [
                made
                for low in range(0, len(rows), BATCH)
                for _, made in in_parts(rows[low : low + BATCH], None, encoder)
            ]

        with at(device):
            by_device = seconds(lambda encode=encode: encode(vectors), ROUNDS)  # type: ignore[misc]
            found = encode(few)
        wanted = encode(few)
        for name in wanted[0]:
            parts = zip(found, wanted, strict=True)
            _expect(f"{name} of {spec}", float(np.mean([(one[name] == other[name]).mean() for one, other in parts])))
        by_host = seconds(lambda encode=encode: encode(few), ROUNDS)  # type: ignore[misc]
        yield _line(f"encode {spec}", len(vectors), by_device, len(few), by_host)


def _neighbours(device: Any, vectors: np.ndarray) -> dict[str, Any]:
    n, dim = vectors.shape
    source = StoredRows(VectorField(VectorKind.DENSE, dim=dim, metric=Metric.L2), vectors, None)
    rows = byte_rows(source, np.zeros(dim, np.float32), lambda *_: None)
    with device.working():
        nearest = NearestRows(device, rows)
        taken = seconds(lambda: nearest.of(0, min(n, ASKED), 65), ROUNDS)
        found = nearest.of(0, 8, 10)
    wide = rows.bytes * rows.scales[:, None]
    wanted = np.stack([((wide - wide[row]) ** 2).sum(axis=1).argsort()[:10] for row in range(8)])
    _expect("nearest rows", float((found == wanted).mean()), least=0.95)
    asked = min(n, ASKED)
    rate = {"rows/s": asked / taken, "TOP/s": 2.0 * asked * n * dim / taken / 1e12}
    return {"what": "nearest 64 of all rows", "rows": n, **rate}


def _expect(what: str, same: float, least: float = SAME) -> None:
    if same < least:
        sys.exit(f"{what}: {100 * same:.4f} % are the host's, expected at least {100 * least} %")
