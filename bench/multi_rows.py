"""`python -m bench multi-rows`: what the specifications of late interaction ask beside the race.

Pooling: how many of the ten best by all tokens are the ten best by pooled ones, on made-up documents and on the file's.
Encodings: whether the best row is among 100 candidates, by codes of several kinds. Tokens in a graph: bytes and time of
an index over single tokens (hnswlib) beside ours. Near copies: tokens that another of their row stands for.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from bench import contest, results
from bench.multi_race import MultiData, load
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.index.muvera import MuveraIndex
from vecstore.index.registry import built_index
from vecstore.index.token_pool import pooled
from vecstore.index_spec import PQ, Muvera, Quantizer, RaBitQ
from vecstore.index_text import parse_index
from vecstore.kernels.select import get_kernels
from vecstore.schema import DataType, Metric, VectorField, VectorKind
from vecstore.tokens import TokenRows

COLUMNS = ["what", "setting", "figure", "unit"]
FACTORS = (2, 3, 4, 6, 8, 11)
POOLED_ROWS, POOLED_QUERIES = 600, 60
# Made-up documents: topics of all, of one document, and a token's noise around its topic, as a share of its length. The
# specification says the shapes, and that clusters are of 8 to 11 tokens; these three give its table, within .03.
TOPICS, OWN_TOPICS, SPREAD = 300, 10, 1.15
DRAWS = 3  # of made-up documents, whose shares are averaged
MADE_TOKENS, ASKED_TOKENS, MADE_DIM = 96, 32, 128
EPSILONS = (0.005, 0.01, 0.02, 0.05, 0.1)
GRAPH_ROWS = 5_000
CANDIDATES = 100
Record = tuple[str, str, float, str]


def rows(path: str, out: str) -> list[dict[str, Any]]:
    get_kernels().set_threads(1)
    data = load(path, None)
    found = token_graph(data.rows[:GRAPH_ROWS]) + copies(data.rows) + candidates(data)
    contest.say("pooling ...")
    some = data.rows[:POOLED_ROWS]
    found += [("overlap@10", f"real, {name}", figure, "share") for name, figure in pooling(some, data.queries)]
    draws = [dict(pooling(*made_up(seed))) for seed in range(DRAWS)]
    means = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
    found += [("overlap@10", f"made up, {name}", figure, "share") for name, figure in means.items()]
    shared = {"bench": "multi_rows", "data": Path(path).stem} | results.surroundings()
    records = [
        {"what": what, "setting": setting, "figure": round(figure, 3), "unit": unit} | shared
        for what, setting, figure, unit in found
    ]
    results.append(out, records)
    print(results.table(records, COLUMNS))
    return records


def made_up(seed: int) -> tuple[TokenRows, TokenRows]:
    """Documents of 96 tokens, each around one of the 10 topics of its document, and queries of 32 like those of one."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.standard_normal((TOPICS, MADE_DIM)))
    topics = [rng.choice(TOPICS, OWN_TOPICS, replace=False) for _ in range(POOLED_ROWS)]
    own = [mine[rng.integers(0, OWN_TOPICS, MADE_TOKENS)] for mine in topics]

    def around(places: np.ndarray) -> np.ndarray:
        noise = rng.standard_normal((len(places), MADE_DIM)) * SPREAD / np.sqrt(MADE_DIM)
        return unit(centres[places] + noise)

    documents = [around(rng.permutation(places)) for places in own]
    asked = [around(rng.choice(own[at], ASKED_TOKENS)) for at in rng.choice(POOLED_ROWS, POOLED_QUERIES, replace=False)]
    return TokenRows.of(documents, MADE_DIM, np.float32), TokenRows.of(asked, MADE_DIM, np.float32)


def unit(tokens: np.ndarray) -> np.ndarray:
    found: np.ndarray = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-9)
    return found.astype(np.float32)


def pooling(documents: TokenRows, queries: TokenRows) -> list[tuple[str, float]]:
    documents = TokenRows(documents.offsets, unit(documents.tokens.astype(np.float32)))
    asked = queries[:POOLED_QUERIES]
    wanted, found = best(documents, asked), []
    wards, averages = ([tree(row.tokens, link) for row in documents] for link in ("ward", "average"))
    for factor in FACTORS:
        ways: dict[str, Callable[[], TokenRows]] = {
            "ours": functools.partial(pooled, documents, factor, 0, nothing),
            "Ward, plain means": functools.partial(clustered, documents, factor, wards, False),
            "average link": functools.partial(clustered, documents, factor, averages, True),
            "runs": functools.partial(clustered, documents, factor, None, True),
        }
        for name, way in ways.items():
            near = best(way(), asked)
            share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(near, wanted, strict=True)])
            found.append((f"factor {factor}, {name}", float(share)))
    return found


def best(documents: TokenRows, queries: TokenRows) -> np.ndarray:
    field = VectorField(VectorKind.MULTI, documents.dim, Metric.MAXSIM, DataType.FLOAT32)
    return MaxSimFlatIndex(field, documents).search(get_kernels(), queries, 10, None).rows


def tree(tokens: np.ndarray, link: str) -> np.ndarray | None:
    """By scipy, from 1 - cosine."""
    if len(tokens) < 2:
        return None
    found: np.ndarray = linkage(np.maximum((1 - tokens @ tokens.T)[np.triu_indices(len(tokens), 1)], 0), link)
    return found


def clustered(
    documents: TokenRows, factor: int, trees: list[np.ndarray | None] | None, renormalised: bool
) -> TokenRows:
    """Clusters of the documents' trees, or of runs of `factor` tokens."""
    made = []
    for place, row in enumerate(documents):
        tokens = row.tokens
        labels, own = np.arange(len(tokens)) // factor, None if trees is None else trees[place]
        if own is not None:
            labels = fcluster(own, max(1, len(tokens) // factor), "maxclust")
        means = np.stack([tokens[labels == label].mean(axis=0) for label in np.unique(labels)])
        made.append(unit(means) if renormalised else means)
    return TokenRows.of(made, documents.dim, np.float32)


def copies(documents: TokenRows) -> list[Record]:
    found: list[Record] = []
    for epsilon in EPSILONS:
        dropped = total = 0
        for row in documents[:POOLED_ROWS]:
            tokens = unit(row.tokens.astype(np.float32))
            near, kept = tokens @ tokens.T > 1 - epsilon, np.zeros(len(tokens), bool)
            for place in range(len(tokens)):
                kept[place] = not (near[place] & kept).any()
            dropped, total = dropped + len(tokens) - int(kept.sum()), total + len(tokens)
        found.append(("near copies", f"{epsilon}", dropped / max(1, total), "of tokens"))
    return found


def candidates(data: MultiData) -> list[Record]:
    """The best row among 100 candidates: by codes alone, and by the encodings of twice as many found by codes."""
    field = VectorField(VectorKind.MULTI, data.rows.dim, Metric.MAXSIM, DataType.FLOAT16)
    kernels, length = get_kernels(), 20 * 16 * 8
    nearest, found = data.neighbours[:, 0], list[Record]()
    quantizers: dict[str, Quantizer] = {
        "rabitq(bits=4)": RaBitQ(4),
        "rabitq(bits=2)": RaBitQ(2),
        "rabitq(bits=1)": RaBitQ(1),
        "PQ-256-8": PQ(length // 8, 8),
    }
    for name, quantizer in quantizers.items():
        contest.say(f"codes of encodings: {name} ...")
        spec = Muvera(k_sim=4, quantizer=quantizer, whole=True)
        index = MuveraIndex.build(field, spec, data.rows, None, kernels, nothing)
        assert index._encodings is not None
        asked = index._encoder.queries(data.queries)
        if not found:
            whole = np.argsort(-(asked @ index._encodings.T.astype(np.float32)), axis=1)[:, :CANDIDATES]
            found.append(("best of 100", "whole encodings", among(whole, nearest), "share"))
        by_codes = index._dense.search(kernels, asked, CANDIDATES, None).rows
        again, _, _ = index._first(kernels, data.queries, CANDIDATES, 1, None)
        found.append(("best of 100", f"{name}, codes alone", among(by_codes, nearest), "share"))
        found.append(("best of 100", f"{name}, twice as many ranked again", among(again, nearest), "share"))
        found.append(("codes of encodings", name, index.code_bytes, "bytes a row"))
    return found


def among(rows_found: np.ndarray, wanted: np.ndarray) -> float:
    return float((rows_found == wanted[:, None]).any(axis=1).mean())


def token_graph(documents: TokenRows) -> list[Record]:
    import hnswlib

    contest.say("a graph of tokens ...")
    began = time.process_time()
    graph = hnswlib.Index("ip", documents.dim)
    graph.init_index(len(documents.tokens), M=16, ef_construction=100)
    graph.set_num_threads(1)
    graph.add_items(documents.tokens.astype(np.float32))
    took = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        graph.save_index(f"{folder}/graph")
        size = Path(f"{folder}/graph").stat().st_size
    found: list[Record] = [("graph of tokens", "hnswlib, M=16", size / len(documents), "bytes a row")]
    found.append(("graph of tokens", "hnswlib, M=16", 1e6 * took / len(documents), "CPU us a row"))
    field = VectorField(VectorKind.MULTI, documents.dim, Metric.MAXSIM, DataType.FLOAT16)
    for text in ("plaid", "muvera", "muvera(k_sim=4)"):
        spec, began = parse_index(text), time.process_time()
        index = built_index(spec).build(field, spec, documents, None, get_kernels(), nothing)
        took = time.process_time() - began
        held = sum(array.nbytes for array in index.arrays().values())
        found.append(("index of rows", text, held / len(documents), "bytes a row"))
        found.append(("index of rows", text, 1e6 * took / len(documents), "CPU us a row"))
    return found


def nothing(_phase: str, _done: int, _total: int) -> None:
    """As progress."""
