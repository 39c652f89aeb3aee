"""The rows of the GPU specification ("Must show"), each measured, compared with the host, and said to be met or not.

    python -m bench.device.spec [--device cuda:0] [--rows 10000000] [--dim 768] [--limit 360] [--out FILE]

Rows whose turn comes after `--limit` seconds are said to be left out. What bounds a scan is measured on the device in
the same run, as in `bench.device`. `--device numpy --rows 20000 --dim 64 --size 256` tries the command.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.device import codes, scans
from bench.device.building import quantizers
from bench.device.command import opened, tell
from bench.device.lists import lists
from bench.device.roofline import Roofline, roofline, seconds
from bench.device.selection import selection
from vecstore.kernels.device import hamming
from vecstore.kernels.device.arrays import to_bfloat16
from vecstore.kernels.device.backend import DeviceKernels
from vecstore.kernels.device.choice import Always
from vecstore.kernels.device.resident import Resident
from vecstore.kernels.places import at, in_parts
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric

Line = dict[str, Any]
K = 100
MADE = 1 << 17  # rows of random numbers at a time
ENCODED = 4096  # rows whose codes are compared
DOCUMENTS = 3000
MANY = 1024  # queries
TABLE_BATCHES = [1, 4, 16, 32, 64, 256, MANY]
HAMMING_BATCHES = [128, 256, 384, 512, MANY]
LIST_BATCHES = [16, 256, MANY]


class Rows:
    """One method a row; `n` rows and a tenth of them."""

    def __init__(self, device: Any, n: int, dim: int, limits: Roofline) -> None:
        self.device, self.n, self.dim, self.limits = device, n, dim, limits
        self.resident = Resident(device, int(0.8 * device.total_bytes))
        self.kernels: Any = DeviceKernels(get_kernels(), self.resident, Always)
        self.host: Any = get_kernels()
        self.rng = np.random.default_rng(0)
        self.queries = self.rng.standard_normal((MANY, dim), dtype=np.float32)

    def rows_1_and_2(self) -> Iterator[Line]:
        rows = self._bfloat16(self.n)
        line = scans.products_alone(self.device, self.limits, rows, self.queries)
        share = 1e12 * line["TFLOP/s"] / self.limits.flops_s["bfloat16"]
        yield {"row": 1, **line, "asked": "products at 60 % of the limit", "met": share >= 0.6}
        for some in (rows, scans.kept(rows[: self.n // 10].copy())):
            for nq in (MANY, 1):
                line = self._dense(some, nq)
                one = nq == 1
                share = 1e9 * line["GB/s"] / self.limits.bytes_s
                share = share if one else 1e12 * line["TFLOP/s"] / self.limits.flops_s["bfloat16"]
                asked = "70 % of the bandwidth" if one else "35 % of the limit, end to end"
                met = share >= (0.7 if one else 0.35)
                yield {"row": 1 + one, "rows": len(some), **line, "share": share, "asked": asked, "met": met}

    def row_3(self) -> Iterator[Line]:
        line = selection(self.device, self.n, 16, K)
        yield {
            "row": 3,
            **line,
            "asked": "2 x torch.topk",
            "met": line.get("ratio", 0) >= 2 and line.get("same", False),
        }

    def row_4(self) -> Iterator[Line]:
        rows = self.rng.integers(0, 1 << 64, (self.n, -(-self.dim // 64)), np.uint64).view(np.uint8)
        asked = self.rng.integers(0, 256, (64, rows.shape[1]), np.uint8)
        (line,) = scans.bits(self.kernels, self.host, self.limits, rows, asked, K, [1])  # ends unless counts are equal
        share = 1e9 * line["GB/s"] / self.limits.bytes_s
        yield {"row": 4, **line, "asked": "60 % of the bandwidth, equal counts", "met": share >= 0.6}

    def row_5(self) -> Iterator[Line]:
        limits, n, few = self.limits, self.n // 10, self.device.few_tables
        for line in codes.tables(
            self.device, self.resident, self.kernels, self.host, limits, n, self.queries, K, TABLE_BATCHES
        ):
            yield {"row": 5, **line, "chosen": f"tables up to {few}"}
        rows = self.rng.integers(0, 1 << 64, (n, -(-self.dim // 64)), np.uint64).view(np.uint8)
        asked, standard = self.rng.integers(0, 256, (max(64, *HAMMING_BATCHES), rows.shape[1]), np.uint8), hamming.MANY
        try:
            for name, many in (("counted", 1 << 30), ("products", 0)):
                hamming.MANY = many
                self.resident.drop_all()
                for line in scans.bits(self.kernels, self.host, limits, rows, asked, K, HAMMING_BATCHES):
                    yield {"row": 5, **line, "by": name, "chosen": f"products from {standard}"}
        finally:
            hamming.MANY = standard

    def row_6(self) -> Iterator[Line]:
        few, asked = min(self.n, 20_000), self.queries[:40]
        made: dict[str, Any] = {"1 bit": codes.one_bit(self.rng, few, self.dim)}
        made |= {kind: codes.rows_of(self.rng, kind, few, self.dim) for kind in ("nibble", "int8")}
        for name, stored in made.items():
            scan = codes.table_scan if name == "1 bit" else codes.row_scan
            found, wanted = scan(self.kernels, stored, asked, K), scan(self.host, stored, asked, K)
            off = float(np.abs(found[1] - wanted[1]).max() / np.abs(wanted[1]).max())
            yield {"row": 6, "what": f"estimates of {name}", "relative": off, "asked": "1e-5", "met": off <= 1e-5}

    def row_7(self) -> Iterator[Line]:
        """Codes of rows about a few centres, as embeddings are."""
        centres = self.rng.standard_normal((64, self.dim))[self.rng.integers(0, 64, ENCODED)]
        rows = (centres + self.rng.standard_normal((ENCODED, self.dim))).astype(np.float32)
        for spec, quantizer in quantizers(rows):
            wanted = quantizer.encode(rows, None)
            with at(self.device):
                parts = [found for _, found in in_parts(rows, None, quantizer.encode)]
            same = factors = 1.0
            for name, array in wanted.items():
                found = np.concatenate([part[name] for part in parts])
                if array.dtype.kind == "f" and array.dtype.itemsize == 4:
                    factors = min(factors, float(np.isclose(found, array, rtol=1e-5, atol=0).mean()))
                else:
                    same = min(same, float((found == array).mean()))
            line = {"row": 7, "what": f"codes of {spec}", "identical": same, "factors within 1e-5": factors}
            yield line | {"asked": "99.99 %, factors 1e-5", "met": same >= 0.9999 and factors >= 0.9999}

    def row_8(self) -> Iterator[Line]:
        docs, queries = codes.documents(self.rng, DOCUMENTS, 16, 49), codes.documents(self.rng, 64, 32, 33, np.float32)
        found, wanted = (codes.maxsim_scan(by, docs, queries, 10) for by in (self.kernels, self.host))
        off, same = float(np.abs(found[1] - wanted[1]).max()), float((found[0] == wanted[0]).all(axis=1).mean())
        met = off <= 1e-2 and same >= 0.99
        yield {"row": 8, "what": "maxsim", "off": off, "same ten": same, "asked": "1e-2, 99 %", "met": met}

    def lists(self) -> Iterator[Line]:
        n = max(1 << 12, 4 * self.n // 10)
        for line in lists(
            self.device, self.resident, self.kernels, self.host, self.limits, n, self.dim, K, LIST_BATCHES
        ):
            yield {"row": "IVF", **line}

    def _bfloat16(self, n: int) -> np.ndarray:
        out, xp = np.empty((n, self.dim), np.uint16), self.device.xp
        with self.device.working():
            for low in range(0, n, MADE):
                some = xp.random.standard_normal((min(MADE, n - low), self.dim)).astype(np.float32)
                out[low : low + MADE] = self.device.get(to_bfloat16(some))
        return scans.kept(out)

    def _dense(self, rows: np.ndarray, nq: int) -> Line:
        def scan(by: Any, some: np.ndarray) -> scans.Found:
            found = scans.outputs(nq, K)
            by.scan(Metric.DOT, self.queries[:nq], some, None, None, *found)
            return found

        few = scans.kept(rows[: scans.CHECKED].copy())
        scans.check(f"bfloat16, {nq} queries", scan(self.kernels, few), scan(self.host, few))
        taken = seconds(lambda: scan(self.kernels, rows))
        return self.limits.line("scan bfloat16", nq, rows.nbytes, 2.0 * nq * rows.size, taken, "bfloat16")


def measure(device: Any, given: argparse.Namespace) -> Iterator[Line]:
    """What matters most, and what was never measured, first."""
    started = time.monotonic()
    limits = roofline(device, given.size)
    yield {"row": 0, "what": "copy", "GB/s": limits.bytes_s / 1e9}
    yield from ({"row": 0, "what": f"product {name}", "TFLOP/s": f / 1e12} for name, f in limits.flops_s.items())
    rows = Rows(device, given.rows, given.dim, limits)
    of_row: list[Callable[[], Iterator[Line]]] = [
        rows.row_7, rows.row_6, rows.row_8, rows.rows_1_and_2, rows.row_4, rows.row_3, rows.row_5, rows.lists,
    ]  # fmt: skip
    for some in of_row:
        begun = time.monotonic()
        if begun - started > given.limit:
            yield {"row": some.__name__, "what": f"left out after {given.limit} s"}
            continue
        try:
            yield from some()
        except SystemExit as refused:  # the device's answers are not the host's
            yield {"row": some.__name__, "what": str(refused), "met": False}
        rows.resident.drop_all()
        yield {"row": some.__name__, "what": "done", "s": time.monotonic() - begun}


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--device", default="cuda:0", help='"cuda:N", or "numpy" to try the command without one')
    read.add_argument("--rows", type=int, default=10_000_000)
    read.add_argument("--dim", type=int, default=768)
    read.add_argument("--size", type=int, default=8192, help="of the product that shows the limit")
    read.add_argument("--limit", type=float, default=360, help="seconds after which no row is begun")
    read.add_argument("--out", help="also write the lines as JSON")
    given = read.parse_args()
    device = opened(given.device)
    tell(measure(device, given), device, given.out)


if __name__ == "__main__":
    main()
