"""The kernels protocol with a device beside the host: whole scans go to whichever answers the batch sooner (choice.py).

Walks, postings, single candidates and everything over arrays that can change stay with the host, whose kernels this
object otherwise is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import (
    Bitmap,
    ByteCodes,
    DenseRows,
    Float32Array,
    Int64Array,
    Kernels,
    RowCodes,
    TableCodes,
    UInt8Array,
)
from vecstore.kernels.codes_checks import check_byte_scan, check_row_scan, check_table_scan
from vecstore.kernels.dense_lists import list_scan
from vecstore.kernels.device import codes as scans
from vecstore.kernels.device import dense, hamming, maxsim
from vecstore.kernels.device.choice import Choice, Trial, Work, work_of
from vecstore.kernels.device.layouts import AskedBytes, AskedRows, AskedTable
from vecstore.kernels.device.nearest import MOST
from vecstore.kernels.device.resident import Resident
from vecstore.kernels.device.uploads import upload_bytes, upload_rows, upload_table
from vecstore.kernels.maxsim_checks import check_maxsim_scan
from vecstore.kernels.row_bytes import RowBytes
from vecstore.kernels.rows_checks import check_dense_list_scan, check_hamming_scan, check_rerank, check_scan
from vecstore.kernels.token_row_bytes import TokenRowBytes
from vecstore.schema import Metric
from vecstore.tokens import TokenRows

Held = Mapping[str, Any]
NONE = np.empty(0, np.int64)
Part = slice | Int64Array  # of the queries; where they are listed, answers go nowhere
Batch = Callable[[Part], None]  # answers them
OnDevice = Callable[[Part, Held], Int64Array]  # the same on the device; those of them, from 0, that are the host's


class DeviceKernels:
    reads_whole = True  # uploads whole columns: who verifies rows as they are read has to verify all of them

    def __init__(self, host: Kernels, resident: Resident, choice: type[Choice] = Choice) -> None:
        self._host = host
        self._resident = resident
        self._device = resident.device
        self.choice = choice()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    @property
    def name(self) -> str:
        return f"{self._host.name}+{self._device.name}"

    def scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        row_bytes: RowBytes | None = None,
    ) -> None:
        check_scan(metric, queries, rows, inverse_norms, allowed, out_rows, out_distances)
        norms = inverse_norms if metric is Metric.COSINE else None

        def host(part: Part) -> None:
            own = (allowed, out_rows[part], out_distances[part], row_bytes)
            self._host.scan(metric, queries[part], rows, norms, *own)

        def device(part: Part, held: Held) -> Int64Array:
            own = (queries[part], self._on_device(norms), allowed, out_rows[part], out_distances[part])
            return dense.scan(self._device, held, metric, *own)

        def make() -> Held:
            return dense.upload(self._device, rows)

        work = work_of("scan", rows, len(rows), allowed)
        self._answer(work, rows, "dense", make, out_rows.shape, host, device)

    def hamming_scan(
        self,
        queries: UInt8Array,
        rows: UInt8Array,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        check_hamming_scan(queries, rows, allowed, out_rows, out_distances)

        def host(part: Part) -> None:
            self._host.hamming_scan(queries[part], rows, allowed, out_rows[part], out_distances[part])

        def device(part: Part, held: Held) -> Int64Array:
            return hamming.scan(self._device, held, queries[part], allowed, out_rows[part], out_distances[part])

        def make() -> Held:
            return hamming.upload(self._device, rows)

        work = work_of("hamming", rows, len(rows), allowed)
        self._answer(work, rows, "hamming", make, out_rows.shape, host, device)

    def rerank(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        candidates: Int64Array,
        out_distances: Float32Array,
    ) -> None:
        """Where the rows are: nothing is uploaded for a few candidates."""
        check_rerank(metric, queries, rows, inverse_norms, candidates, out_distances)
        norms = inverse_norms if metric is Metric.COSINE else None

        def host(part: Part) -> None:
            self._host.rerank(metric, queries[part], rows, norms, candidates[part], out_distances[part])

        def device(part: Part, held: Held) -> Int64Array:
            asked = (queries[part], self._on_device(norms), candidates[part])
            dense.rerank(self._device, held, metric, *asked, out_distances[part])
            return NONE

        if not self._resident.holds(rows, "dense") or not candidates.size:
            return host(slice(None))

        def make() -> Held:
            return dense.upload(self._device, rows)

        work = work_of("rerank", rows, candidates.shape[1], None)
        self._answer(work, rows, "dense", make, (len(queries), 1), host, device)

    def dense_list_scan(
        self,
        metric: Metric,
        queries: Float32Array,
        rows: DenseRows,
        inverse_norms: Float32Array | None,
        list_rows: NDArray[np.uint32],
        offsets: Int64Array,
        probes: NDArray[np.int32],
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_scanned: Int64Array,
    ) -> None:
        """By candidates where the rows are on the device, as `rerank`."""
        lists, outputs = (list_rows, offsets, probes), (out_rows, out_distances, out_scanned)
        arguments = (metric, queries, rows, inverse_norms, *lists, allowed, *outputs)
        if not self._resident.holds(rows, "dense"):
            return self._host.dense_list_scan(*arguments)
        check_dense_list_scan(*arguments)
        list_scan(self.rerank, *arguments)

    def table_scan(
        self,
        codes: TableCodes,
        queries: Float32Array,
        probes: NDArray[np.int32],
        list_add: Float32Array,
        list_radius: Float32Array,
        k: int,
        eps: float,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        outputs = scans.Outputs(out_rows, out_distances, out_counters)
        check_table_scan(
            codes, queries, probes, list_add, list_radius, k, eps, allowed, out_rows, out_distances, out_counters
        )

        def host(part: Part) -> None:
            lists, own = scans.lists_of(probes, part, len(codes.counts)), outputs.of(part)
            asked = (queries[part], lists, list_add[part], list_radius[part])
            self._host.table_scan(codes, *asked, k, eps, allowed, own.rows, own.distances, own.counters)

        def ask(held: Held, asked: Any) -> scans.Asked:
            return AskedTable(self._device, codes, held, asked)

        def make() -> Held:
            return upload_table(self._device, codes)

        visits = scans.Visits(probes, list_add, list_radius if eps > 0 else None, k, eps, allowed)
        self._scan_codes(codes, codes.blocks, "table", make, queries, ask, visits, outputs, host)

    def row_scan(
        self,
        codes: RowCodes,
        queries: Float32Array,
        probes: NDArray[np.int32],
        list_add: Float32Array,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        outputs = scans.Outputs(out_rows, out_distances, out_counters)
        check_row_scan(codes, queries, probes, list_add, allowed, out_rows, out_distances, out_counters)

        def host(part: Part) -> None:
            lists, own = scans.lists_of(probes, part, len(codes.counts)), outputs.of(part)
            asked = (queries[part], lists, list_add[part])
            self._host.row_scan(codes, *asked, allowed, own.rows, own.distances, own.counters)

        def ask(held: Held, asked: Any) -> scans.Asked:
            return AskedRows(self._device, codes, held, asked)

        def make() -> Held:
            return upload_rows(self._device, codes)

        visits = scans.Visits(probes, list_add, None, 1, 0.0, allowed, codes.query_bytes)
        self._scan_codes(codes, codes.blocks, "rows", make, queries, ask, visits, outputs, host)

    def byte_scan(
        self,
        codes: ByteCodes,
        queries: Float32Array,
        probes: NDArray[np.int32],
        list_add: Float32Array,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        out_counters: Int64Array,
    ) -> None:
        outputs = scans.Outputs(out_rows, out_distances, out_counters)
        check_byte_scan(codes, queries, probes, list_add, allowed, out_rows, out_distances, out_counters)

        def host(part: Part) -> None:
            lists, own = scans.lists_of(probes, part, len(codes.counts)), outputs.of(part)
            asked = (queries[part], lists, list_add[part])
            self._host.byte_scan(codes, *asked, allowed, own.rows, own.distances, own.counters)

        def ask(held: Held, asked: Any) -> scans.Asked:
            return AskedBytes(self._device, held, asked)

        def make() -> Held:
            return upload_bytes(self._device, codes)

        visits = scans.Visits(probes, list_add, None, 1, 0.0, allowed)
        self._scan_codes(codes, codes.codes, "bytes", make, queries, ask, visits, outputs, host)

    def maxsim_scan(
        self,
        queries: TokenRows,
        rows: TokenRows,
        allowed: Bitmap | None,
        out_rows: Int64Array,
        out_distances: Float32Array,
        row_bytes: TokenRowBytes | None = None,
    ) -> None:
        check_maxsim_scan(queries, rows, allowed, out_rows, out_distances)

        def host(part: Part) -> None:
            self._host.maxsim_scan(queries[part], rows, allowed, out_rows[part], out_distances[part], row_bytes)

        def device(part: Part, held: Held) -> Int64Array:
            return maxsim.scan(self._device, held, queries[part], allowed, out_rows[part], out_distances[part])

        def make() -> Held:
            return maxsim.upload(self._device, rows)

        work = work_of("maxsim", rows.tokens, len(rows.tokens), allowed)
        self._answer(work, rows.tokens, "tokens", make, out_rows.shape, host, device)

    def _scan_codes(
        self,
        codes: TableCodes | RowCodes | ByteCodes,
        array: np.ndarray,
        kind: str,
        make: Callable[[], Held],
        queries: Float32Array,
        ask: Callable[[Held, Any], scans.Asked],
        visits: scans.Visits,
        outputs: scans.Outputs,
        host: Batch,
    ) -> None:
        def device(part: Part, held: Held) -> Int64Array:
            own = outputs.of(part)
            lost = scans.scan(
                self._device,
                held,
                codes.offsets,
                codes.counts,
                queries[part],
                partial(ask, held),
                visits.of(part, len(codes.counts)),
                own,
            )
            if "extra" in held:
                own.counters[:, 1] = own.counters[:, 0]
            if kind != "table":
                own.counters[:, 2] = np.minimum(own.counters[:, 0], own.rows.shape[1])
            return lost

        met = len(array) * visits.probes.shape[1] // max(1, len(codes.counts))
        work = work_of(kind, array, met, visits.allowed)
        self._answer(work, array, kind, make, outputs.rows.shape, host, device)

    def _on_device(self, norms: Float32Array | None) -> Any | None:
        if norms is None:
            return None
        if not self._resident.keeps(norms):
            return self._device.put(norms)
        return self._resident.of(norms, "norms", lambda: {"norms": self._device.put(norms)})["norms"]

    def close(self) -> None:
        self.choice.close()

    def _answer(
        self,
        work: Work,
        array: np.ndarray,
        kind: str,
        make: Callable[[], Held],
        shape: tuple[int, ...],
        host: Batch,
        device: OnDevice,
    ) -> None:
        """Answers of (queries, places)."""
        everything, places = slice(0, shape[0]), shape[1]
        worth = array.size > 0 and array.size >= self.choice.least
        if not (shape[0] and 0 < places <= MOST and worth and self._resident.keeps(array)):
            return host(everything)
        by_device = self.choice.by_device(work, shape[0])
        if by_device:
            with self._device.working():
                try:
                    held = self._resident.of(array, kind, make)
                except MemoryError:
                    return host(everything)
                return _in_parts(everything, held, host, device)
        try:
            host(everything)
        finally:  # also where the host alone is too slow for the query's deadline
            if by_device is None:
                self.choice.measure(work, Trial(shape[0], self._tried(array, kind, make, host, device), host))

    def _tried(
        self, array: np.ndarray, kind: str, make: Callable[[], Held], host: Batch, device: OnDevice
    ) -> Callable[[Int64Array], None]:
        def answer(some: Int64Array) -> None:
            with self._device.working():
                lost = device(some, self._resident.of(array, kind, make))
                if len(lost):
                    host(some[lost])

        return answer


def _in_parts(part: slice, held: Held, host: Batch, device: OnDevice) -> None:
    """All at once, or what fits into the device's memory at a time."""
    try:
        lost = device(part, held)
    except MemoryError:
        middle = (part.start + part.stop) // 2
        if middle == part.start:
            return host(part)
        _in_parts(slice(part.start, middle), held, host, device)
        _in_parts(slice(middle, part.stop), held, host, device)
        return
    for query in lost.tolist():
        host(slice(part.start + query, part.start + query + 1))
