"""`python -m bench flat-codes`: what a scan of codes costs, on data larger than the last-level cache.

- bandwidth: bytes of codes a second for one query, as a share of a plain read of the same arrays;
- stages: the scan that refines only what its error bounds leave open, beside the scan that refines every row;
- beside turbovec: time of one query and of 32 at once, through the index, for codes of at least its recall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import contest, indexes, results
from bench.frontier import installed
from bench.peers import turbovec_flat
from vecstore.errors import VecstoreError
from vecstore.index_spec import SAQ, Flat, Int4, Int8, LloydMax, Quantizer, RaBitQ
from vecstore.kernels.select import get_kernels
from vecstore.quantize.base import Codes, Lists, Probes
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric

SCANNED_BYTES = 256 << 20  # codes are repeated up to this: several times the last-level cache
BATCH = 32
ENCODE_ROWS = 65_536
EPS = 1.9  # standard deviations of the bounds, specs' default
COLUMNS = ["what", "spec", "bytes_per_vector", "recall", "ms", "gb_s", "ratio", "against", "share_refined"]


@dataclass(slots=True)
class Scan:
    """Packed codes of all rows in one list, repeated `copies` times."""

    spec: Quantizer
    codes: Codes
    arrays: dict[str, np.ndarray]
    rows: int
    code_bytes: float

    def search(self, query: np.ndarray, k: int, eps: float) -> dict[str, int]:
        zero = np.zeros((len(query), 1), np.float32)
        length = np.linalg.norm(query, axis=1).astype(np.float32)[:, None]
        probes = Probes(np.zeros((len(query), 1), np.int32), zero, length)
        return self.codes.search(get_kernels(), query, probes, k, k, None, eps).counters

    def read(self) -> None:
        """Every byte that a whole scan has to look at."""
        from vecstore.kernels import _native

        for name, array in self.arrays.items():
            if name != "rows" and len(array):
                _native.read_bytes(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def make_scan(spec: Quantizer, rows: np.ndarray) -> Scan:
    kind = QUANTIZERS[str(type(spec).__struct_config__.tag)]
    sample = rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:ENCODE_ROWS])]
    trained = kind.train(spec, Metric.DOT, sample, None, 0)
    parts = [trained.encode(rows[low : low + ENCODE_ROWS], None) for low in range(0, len(rows), ENCODE_ROWS)]
    copies = max(1, round(SCANNED_BYTES / (trained.code_bytes * len(rows))))
    encoded = {
        name: np.tile(np.concatenate([part[name] for part in parts]), (copies, *[1] * (parts[0][name].ndim - 1)))
        for name in parts[0]
    }
    count = len(rows) * copies
    lists = Lists(np.array([0, count], np.int64), np.arange(count, dtype=np.uint32))
    arrays = trained.pack(encoded, lists)
    return Scan(spec, trained.open(arrays, lists), arrays, count, trained.code_bytes)


def flat_codes(
    data: str, specs: list[str], rounds: int, k: int, queries: int | None, rows: int | None, clock: str, out: str,
    peers: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    records = contest.alone(measure, data, specs, rounds, k, queries, rows, clock, peers)
    around = results.surroundings()
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    print(f"written to {out}")
    return records


def measure(
    path: str,
    specs: list[str],
    rounds: int,
    k: int,
    queries: int | None,
    rows: int | None,
    clock_name: str,
    peers: bool,
) -> list[dict[str, Any]]:
    data = contest.load(path, k, queries, rows)
    clock = contest.CLOCKS[clock_name]
    kernels = get_kernels()
    records: list[dict[str, Any]] = []
    for part in (bandwidth, stages):
        records += attempt(part, data, rounds, k, clock)
    kernels.set_threads(0)
    records += beside(data, specs, rounds, k, clock, peers)
    shared = {"bench": "flat_codes", "dataset": data.name, "rows": len(data.rows), "dim": data.rows.shape[1], "k": k,
              "rounds": rounds, "clock": clock_name, "isa": kernels.isa}  # fmt: skip
    return [record | shared for record in records]


def attempt(part: Callable[..., list[dict[str, Any]]], *arguments: Any) -> list[dict[str, Any]]:
    try:
        return part(*arguments)
    except (VecstoreError, KeyError) as error:
        contest.say(f"{part.__name__}: left out: {error!r}")
        return []


def bandwidth(data: contest.Data, rounds: int, k: int, clock: Any) -> list[dict[str, Any]]:
    records = []
    get_kernels().set_threads(1)
    specs: list[Quantizer] = [RaBitQ(bits=1), LloydMax(bits=1), LloydMax(bits=4), Int4(), Int8()]
    for spec in specs:
        contest.say(f"bandwidth of {spec} ...")
        scan = make_scan(spec, data.rows)
        query = data.queries[:1]
        size = scan.code_bytes * scan.rows
        calls = [lambda s=scan, q=query: s.search(q, k, 0.0), scan.read]
        contest.interleaved(calls, 1, clock)  # fault in
        pairs = [contest.interleaved(calls, 1, clock) for _ in range(rounds)]
        seconds = float(np.median([mine for mine, _ in pairs]))
        held = sum(array.nbytes for name, array in scan.arrays.items() if name != "rows")
        ratio = float(np.median([(size / mine) / (held / read) for mine, read in pairs]))
        records.append({"what": "bandwidth", "spec": str(spec), "bytes_per_vector": scan.code_bytes,
                        "ms": round(seconds * 1e3, 3), "gb_s": round(size / seconds / 1e9, 2), "ratio": round(ratio, 3),
                        "against": "plain read", "scanned_rows": scan.rows})  # fmt: skip
    return records


def stages(data: contest.Data, rounds: int, k: int, clock: Any) -> list[dict[str, Any]]:
    """8-bit codes: bounds let most rows go after their first bit; int8 reads every byte of every row."""
    get_kernels().set_threads(1)
    contest.say("stages ...")
    staged, whole = make_scan(RaBitQ(bits=8), data.rows), make_scan(Int8(), data.rows)
    query = data.queries[:1]
    calls = [lambda: staged.search(query, k, EPS), lambda: whole.search(query, k, 0.0)]
    counters, _ = staged.search(query, k, EPS), whole.search(query, k, 0.0)
    pairs = [contest.interleaved(calls, 1, clock) for _ in range(rounds)]
    seconds = float(np.median([mine for mine, _ in pairs]))
    ratio = float(np.median([(other / whole.rows) / (mine / staged.rows) for mine, other in pairs]))
    share = counters["rows_refined"] / max(1, counters["rows_scanned"])
    return [{"what": "stages", "spec": str(staged.spec), "bytes_per_vector": staged.code_bytes,
             "ms": round(seconds * 1e3, 3), "gb_s": round(staged.code_bytes * staged.rows / seconds / 1e9, 2),
             "ratio": round(ratio, 2), "against": "int8, every byte", "share_refined": round(share, 5)}]  # fmt: skip


def beside(data: contest.Data, specs: list[str], rounds: int, k: int, clock: Any, peers: bool) -> list[dict[str, Any]]:
    """Time per query alone and in a batch of 32, everybody in turn."""
    quantizers: list[Quantizer] = [LloydMax(bits=4), RaBitQ(bits=4), SAQ(bits=4.0), Int4(), RaBitQ(bits=5)]
    chosen = indexes.parsed(specs) or [Flat(quantizer, rerank="none") for quantizer in quantizers]
    entrants = [indexes.entrant(spec) for spec in chosen]
    if peers:
        for module in installed([turbovec_flat]):
            entrants += [one for one in module.entrants(data.rows.shape[1]) if "bit_width=4" in one.spec]
    built = []
    for entrant in entrants:
        contest.say(f"{entrant.system}: {entrant.spec} ...")
        try:
            built.append((entrant, entrant.build(data.rows)))
        except VecstoreError as error:
            contest.say(f"  left out: {error}")
    contest.one_thread()
    singles = [data.queries[query : query + 1] for query in range(min(BATCH, len(data.queries)))]
    batch = data.queries[:BATCH]
    calls: list[Callable[[], object]] = []
    for _, made in built:
        calls.append(lambda made=made: [made.search(one, k) for one in singles])
        calls.append(lambda made=made: made.search(batch, k))
    contest.interleaved(calls, 1, clock)
    took = contest.interleaved(calls, rounds, clock)
    rows = []
    for place, (entrant, made) in enumerate(built):
        recall = data.truth.recall(made.search(data.queries, k))
        one, many = took[2 * place] / len(singles), took[2 * place + 1] / len(batch)
        rows.append((entrant, made, recall, one, many))
    theirs = [row for row in rows if row[0].system != "vecstore"]
    records = []
    for entrant, made, recall, one, many in rows:
        rivals = [row for row in theirs if row[2] <= recall + 1e-9] or theirs
        for what, seconds, place in (("one query", one, 3), ("32 queries, each", many, 4)):
            record = {"what": what, "spec": f"{entrant.system} {entrant.spec}", "recall": round(recall, 4),
                      "bytes_per_vector": round(made.bytes_per_vector, 1), "ms": round(seconds * 1e3, 4),
                      "gb_s": round(made.bytes_per_vector * len(data.rows) / seconds / 1e9, 2)}  # fmt: skip
            if entrant.system == "vecstore" and rivals:
                record["ratio"] = round(min(row[place] for row in rivals) / seconds, 3)
                record["against"] = f"turbovec, recall {max(row[2] for row in rivals):.4f}"
            records.append(record)
        records.append({"what": "32 queries: gain of a batch", "spec": f"{entrant.system} {entrant.spec}",
                        "ratio": round(one / many, 3), "against": "one query"})  # fmt: skip
    return records
