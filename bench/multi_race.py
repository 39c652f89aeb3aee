"""`python -m bench multi-race`: time of one query at a recall, multi-vectors, one thread.

Ours as index text, beside qdrant-edge's MaxSim over its graph, and an exact scan by a BLAS product; each setting is
asked all queries one at a time, `rounds` times over, and the best round counts: CPU time of the process, and wall time.
Recall is the overlap with the file's neighbours. A folder with judgements gives nDCG@10 as well.
"""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bench import contest, labelled, results
from bench.peers import qdrant_multi
from vecstore.index.base import SearchParams
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.index.registry import built_index
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.tokens import TokenRows

COLUMNS = ["family", "setting", "recall", "ndcg", "cpu_us", "wall_us", "of_exact", "build_cpu_s", "row_bytes"]
SPECS = ("plaid", "plaid(tokens=residual4)", "plaid(tokens=residual2)", "muvera(k_sim=4)")
RECALLS = (0.8, 0.9, 0.95, 0.98, 0.99)
Search = Callable[[TokenRows, int], np.ndarray]  # one query, k: rows


@dataclass(frozen=True, slots=True)
class MultiData:
    rows: TokenRows  # float16
    queries: TokenRows
    neighbours: np.ndarray
    judged: labelled.Labelled | None


@dataclass(frozen=True, slots=True)
class Setting:
    family: str
    name: str
    search: Search
    facts: dict[str, Any]


def load(path: str | Path, queries: int | None) -> MultiData:
    """A file with train, train_offsets, test, test_offsets and neighbors; tokens are divided by its `scale`."""
    path = Path(path)
    with h5py.File(path) as file:
        scale = np.float32(file.attrs.get("scale", 1.0))
        parts = [(file[f"{name}_offsets"][:].astype(np.int64), file[name][:] / scale) for name in ("train", "test")]
        neighbours = file["neighbors"][:]
    rows, asked = TokenRows(parts[0][0], parts[0][1].astype(np.float16)), TokenRows(parts[1][0], parts[1][1])
    judged = labelled.load(path.parent) if labelled.is_labelled(path.parent) else None
    most = None if judged is not None else queries  # judgements are of all queries
    return MultiData(rows, asked[:most], neighbours[:most], judged)


def race(
    path: str, specs: list[str], k: int, queries: int | None, rounds: int, peers: bool, out: str
) -> list[dict[str, Any]]:
    contest.one_thread()
    get_kernels().set_threads(1)
    data = load(path, queries)
    around, records = results.surroundings(), []
    for setting in settings(data, specs or list(SPECS), peers):
        record = {"bench": "multi_race", "data": Path(path).stem, "k": k, **measured(setting, data, k, rounds)}
        exact = records[0]["cpu_us"] if records else record["cpu_us"]  # the BLAS scan comes first
        records.append(record | {"of_exact": round(exact / record["cpu_us"], 1)} | around)
        results.append(out, records[-1:])
    print(results.table(records, COLUMNS))
    return records


def settings(data: MultiData, specs: list[str], peers: bool) -> Iterator[Setting]:
    yield Setting("blas scan", "exact", blas_scan(data.rows), {})
    field = VectorField(VectorKind.MULTI, data.rows.dim, Metric.MAXSIM, DataType.FLOAT16)
    flat = MaxSimFlatIndex(field, data.rows)
    yield Setting("flat", "exact", lambda query, k: flat.search(get_kernels(), query, k, None).rows[0], {})
    if (row_bytes := flat.rounded(get_kernels(), 0)) is not None:
        first = flat.reading(row_bytes)
        yield Setting(
            "flat", "exact, bytes first", lambda query, k: first.search(get_kernels(), query, k, None).rows[0], {}
        )
    for text in specs:
        yield from ours(field, data.rows, text)
    if not peers:
        return
    if importlib.util.find_spec("qdrant_edge") is None:
        contest.say("qdrant_edge: left out, it is not installed")
        return
    with qdrant_multi.QdrantMulti(data.rows) as peer:
        for ef in qdrant_multi.WIDTHS:
            search: Search = functools.partial(peer.search, ef=ef)
            yield Setting("qdrant-edge", f"ef={ef}", search, {"build_cpu_s": peer.build_cpu_s})


def ours(field: VectorField, rows: TokenRows, text: str) -> Iterator[Setting]:
    spec, began = parse_index(text), time.process_time()
    index = built_index(spec).build(field, spec, rows, None, get_kernels(), lambda *_: None)
    facts = {"build_cpu_s": round(time.process_time() - began, 1), "row_bytes": round(index.code_bytes)}
    answers = [SearchParams(recall_target=target) for target in RECALLS]
    if getattr(spec, "tokens", "stored") != "stored":
        answers.append(SearchParams(recall_target=RECALLS[-1], rescore=False))
    for params in answers:

        def search(query: TokenRows, k: int, params: SearchParams = params) -> np.ndarray:
            return index.search(get_kernels(), query, k, None, params).rows[0]

        name = f"recall_target={params.recall_target}" + ("" if params.rescore else ", by codes")
        yield Setting(text, name, search, facts)


def blas_scan(rows: TokenRows) -> Search:
    tokens, starts = rows.tokens.astype(np.float32), rows.offsets[:-1]

    def search(query: TokenRows, k: int) -> np.ndarray:
        products = tokens @ query.tokens.T
        scores = np.maximum.reduceat(products, starts, axis=0).sum(axis=1)
        best = np.argpartition(-scores, k - 1)[:k]
        order: np.ndarray = best[np.argsort(-scores[best], kind="stable")]
        return order

    return search


def measured(setting: Setting, data: MultiData, k: int, rounds: int) -> dict[str, Any]:
    contest.say(f"{setting.family}: {setting.name} ...")
    queries = list(data.queries)
    found = [setting.search(query, k) for query in queries]
    cpu, wall = [], []
    for _ in range(rounds):
        began, began_cpu = time.perf_counter(), time.process_time()
        for query in queries:
            setting.search(query, k)
        cpu.append(time.process_time() - began_cpu)
        wall.append(time.perf_counter() - began)
    recall = np.mean([len(set(rows) & set(near[:k])) / k for rows, near in zip(found, data.neighbours, strict=True)])
    ndcg = None if data.judged is None else round(data.judged.ndcg(found, k), 4)
    return {
        "family": setting.family, "setting": setting.name, "recall": round(float(recall), 4), "ndcg": ndcg,
        "cpu_us": round(min(cpu) / len(queries) * 1e6, 1), "wall_us": round(min(wall) / len(queries) * 1e6, 1),
        "build_cpu_s": None, "row_bytes": None, **setting.facts,
    }  # fmt: skip
