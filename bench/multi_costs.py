"""`python -m bench multi-costs`: rates on a core of what late interaction takes: kernels, encodings, codes, pooling."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from bench import results
from bench.multi_race import load
from vecstore.index import token_codes
from vecstore.index.plaid import sampled
from vecstore.index.token_codes import encode_rows, learn, widened
from vecstore.index.token_pool import pooled
from vecstore.kernels.fde import Fde, FdeEncoder
from vecstore.kernels.select import get_kernels
from vecstore.kernels.token_encode import nearest_centroids, pool_tokens
from vecstore.tokens import TokenRows

COLUMNS = ["what", "figure", "unit"]
SCANNED = 20  # queries of a scan
POOL_TOKENS, POOL_ROWS = 100, 1_000
BESIDE_ROWS, BESIDE_SCIPY, BESIDE_DIM = 400, 40, 128  # documents that ours and scipy pool, in turns


def nothing(_phase: str, _done: int, _total: int) -> None:
    """As progress."""


def costs(path: str, rows: int, threads: int, out: str) -> list[dict[str, Any]]:
    kernels = get_kernels()
    kernels.set_threads(threads)
    data = load(path, SCANNED)
    held, queries = data.rows[:rows], data.queries
    found: list[tuple[str, float, str]] = []
    operations = 2.0 * len(queries.tokens) * len(held.tokens) * held.dim
    wide = held.tokens.astype(np.float32)
    room = np.empty((len(queries), 10), np.int64), np.empty((len(queries), 10), np.float32)
    seconds = best_of(lambda: kernels.maxsim_scan(queries, held, None, *room))
    found.append(("exact scan, float16, a batch", operations / seconds / 1e9, "GFLOP/s"))
    seconds = best_of(lambda: blas_scores(wide, held.offsets, queries.tokens))
    found.append(("BLAS product and maxima, float32, a batch", operations / seconds / 1e9, "GFLOP/s"))

    count = token_codes.centroid_count(len(held.tokens))
    sample = sampled(held, max(token_codes.SAMPLE_MIN, count * token_codes.POINTS_PER_CENTROID))
    for bits in (1, 2, 4, 8):
        learned = learn(sample, count, bits, nothing)
        seconds = best_of(functools.partial(encode_rows, held, learned, nothing), 1)
        found.append((f"residual codes of {bits} bits", len(held) / seconds, "documents/s"))
        found.append((f"cosine of tokens and their codes of {bits} bits", cosine(sample[:20_000], learned), ""))
    for name, fde in {
        "encodings (20, 4, 8)": Fde(held.dim, 20, 4, 8, 0, False, 1),
        "encodings (20, 5, 8)": Fde(held.dim, 20, 5, 8, 0, False, 1),
        "encodings (20, 5, 8), filled": Fde(held.dim, 20, 5, 8, 0, True, 1),
    }.items():
        encoder = FdeEncoder(fde)
        few = held[:4_000]
        found.append((name, len(few) / best_of(functools.partial(encoder.documents, few), 2), "documents/s"))
    long = documents_of(held, POOL_TOKENS, POOL_ROWS)
    found.append(("pooling by 2", len(held) / best_of(lambda: pooled(held, 2, 1, nothing), 2), "documents/s"))
    rate = len(long) / best_of(lambda: pooled(long, 2, 1, nothing), 2)
    found.append((f"pooling by 2, {POOL_TOKENS} tokens each", rate, "documents/s"))
    ours, scipys = pooling_beside_scipy()
    found += [(f"pooling by 2, {POOL_TOKENS} tokens of {BESIDE_DIM}, float32", ours, "us/document")]
    found += [("the same by scipy's linkage and fcluster, numpy's cosines and means", scipys, "us/document")]
    around = results.surroundings()
    records = [
        {"bench": "multi_costs", "data": Path(path).stem, "threads": threads, "what": what, "unit": unit,
         "figure": round(figure, 4 if figure < 10 else 0)} | around
        for what, figure, unit in found
    ]  # fmt: skip
    results.append(out, records)
    print(results.table(records, COLUMNS))
    return records


def best_of(call: Callable[[], object], rounds: int = 3, clock: Callable[[], float] = time.process_time) -> float:
    """CPU seconds of the process, so that rates are those of a core, whatever else runs."""
    taken = []
    for _ in range(rounds):
        began = clock()
        call()
        taken.append(clock() - began)
    return min(taken)


def pooling_beside_scipy(rounds: int = 7) -> tuple[float, float]:
    """Microseconds of the calling thread a document, the least of rounds in turns; the first token stays."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((BESIDE_ROWS, POOL_TOKENS // 3, BESIDE_DIM))
    homes = rng.integers(0, POOL_TOKENS // 3, (BESIDE_ROWS, POOL_TOKENS))
    noise = 0.6 * rng.standard_normal((BESIDE_ROWS, POOL_TOKENS, BESIDE_DIM))
    tokens = centres[np.arange(BESIDE_ROWS)[:, None], homes] + noise
    tokens = (tokens / np.linalg.norm(tokens, axis=2, keepdims=True)).astype(np.float32)
    held = 1 + (POOL_TOKENS - 1) // 2
    cuts = [np.arange(BESIDE_ROWS + 1) * each for each in (POOL_TOKENS, held)]

    def ours() -> None:
        pool_tokens(tokens.reshape(-1, BESIDE_DIM), cuts[0], 1, cuts[1])

    def scipys() -> None:
        for own in tokens[:BESIDE_SCIPY, 1:]:
            apart = (1 - own @ own.T)[np.triu_indices(len(own), 1)]
            labels = fcluster(linkage(apart, "ward"), held - 1, "maxclust")
            np.stack([own[labels == label].mean(axis=0) for label in range(1, labels.max() + 1)])

    turns = [[best_of(call, 1, time.thread_time) for call in (ours, scipys)] for _ in range(rounds)]
    taken = np.min(turns, axis=0) * 1e6
    return float(taken[0] / BESIDE_ROWS), float(taken[1] / BESIDE_SCIPY)


def blas_scores(tokens: np.ndarray, offsets: np.ndarray, queries: np.ndarray) -> np.ndarray:
    best: np.ndarray = np.maximum.reduceat(tokens @ queries.T, offsets[:-1], axis=0)
    return best


def cosine(tokens: np.ndarray, learned: token_codes.Learned) -> float:
    """The mean of cosine(token, what its code stands for)."""
    assert learned.centroids is not None
    assert learned.scales is not None
    rows = TokenRows(np.array([0, len(tokens)]), tokens)
    codes = encode_rows(rows, learned, nothing).codes
    assert codes is not None
    near = widened(learned.centroids, learned.scales, tokens.shape[1])
    homes = nearest_centroids(tokens, learned.centroids, learned.scales)
    fields = [codes.codes >> (plane * codes.bits) & (1 << codes.bits) - 1 for plane in range(8 // codes.bits)]
    numbers = np.concatenate(fields, axis=1)[:, : tokens.shape[1]]
    values = (numbers if codes.bits == 8 else codes.levels[numbers]).astype(np.float32) - 128
    decoded = near[homes.astype(np.int64)] + codes.step * values
    norms = np.linalg.norm(tokens, axis=1) * np.linalg.norm(decoded, axis=1)
    return float((np.vecdot(tokens, decoded) / norms).mean())


def documents_of(rows: TokenRows, tokens: int, count: int) -> TokenRows:
    """The same tokens, cut into documents of so many."""
    count = min(count, len(rows.tokens) // tokens)
    return TokenRows(np.arange(count + 1, dtype=np.int64) * tokens, rows.tokens[: count * tokens])
