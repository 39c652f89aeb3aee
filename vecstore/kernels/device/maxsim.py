"""Late interaction: products of all tokens of a chunk of documents with all tokens of all queries, the largest of each
document, summed over a query's tokens. Source: specs, gpu section 4.6.

Query tokens are rounded to the type of the documents', which moves a score by no more than is known: what lies within
this of the k-th best is scored again as the reference does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vecstore.kernels.base import Bitmap, Float32Array, Int64Array
from vecstore.kernels.device import dense
from vecstore.kernels.device.arrays import Device
from vecstore.kernels.device.nearest import GROWTH, Nearest, chunk_rows, write_answers
from vecstore.kernels.device.shortlist import Terms
from vecstore.schema import Metric
from vecstore.tokens import TokenRows

FIRST = 1 << 16  # tokens of the first chunk


def upload(device: Device, rows: TokenRows) -> dict[str, Any]:
    """Tokens, the documents that have any (r,), and where each begins, then the end (r + 1,)."""
    listed = np.flatnonzero(np.diff(rows.offsets))
    starts = np.append(rows.offsets[listed], rows.offsets[-1]).astype(np.int64)
    return {
        **dense.upload(device, rows.tokens),
        "offsets": device.put(np.ascontiguousarray(rows.offsets)),
        "numbers": device.put(listed.astype(np.int32)),
        "starts": device.put(starts),
        "host_starts": starts,
    }


def scan(
    device: Device,
    held: Mapping[str, Any],
    queries: TokenRows,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
) -> Int64Array:
    """The queries left to the host."""
    k, tokens = out_rows.shape[1], queries.tokens.astype(np.float32)
    members = np.zeros((len(queries), len(tokens)), np.float32)
    members[np.repeat(np.arange(len(queries)), np.diff(queries.offsets)), np.arange(len(tokens))] = 1
    inputs = (tokens, np.ascontiguousarray(queries.offsets), members)
    if allowed is None:

        def queue(*asked: Any) -> tuple[Any]:
            return (_queued(device, held, asked, None, k),)

        (found,) = device.replayed(held["plans"], (k, members.shape), inputs, queue)
    else:
        permitted = device.put(np.ascontiguousarray(allowed))
        found = device.get(_queued(device, held, tuple(device.put(array) for array in inputs), permitted, k))
    return write_answers(found, out_rows, out_distances)


def _queued(device: Device, held: Mapping[str, Any], inputs: tuple[Any, ...], permitted: Any | None, k: int) -> Any:
    """By queries' tokens, where those of each begin, and members (m, tokens): 1 for its own. It waits for nothing."""
    xp, tokens, (asked, lines, members) = device.xp, held["rows"], inputs
    nq = len(members)
    ready = device.prepare(asked, tokens.dtype, Metric.DOT, held["largest"])
    spread = (members * ready.spread.reshape(1, -1)).sum(axis=1, keepdims=True) * np.float32(1.001)
    lost = ((members * ready.lost).sum(axis=1) > 0).astype(np.uint8)
    one, zero = xp.ones(nq, np.float32), xp.zeros((nq, 1), np.float32)
    chunks = list(_chunks(held["host_starts"], chunk_rows(device, max(1, len(asked)))))
    longest = max((part.stop - part.start for part in chunks), default=1)
    nearest = Nearest(device, nq, k, longest, True, lost)
    for part in chunks:
        base, end = int(held["host_starts"][part.start]), int(held["host_starts"][part.stop])
        products = device.products(tokens[base:end], ready.array)
        starts = held["starts"][part.start : part.stop + 1]
        distances = device.largest_sums(products, ready.step, lines, starts, base)
        nearest.take(distances, Terms(one, zero, spread, numbers=held["numbers"][part], allowed=permitted))
    device.exact_tokens(nearest.close(), tokens, held["offsets"], asked, lines)
    return nearest.answer(k)


def _chunks(starts: Int64Array, tokens: int) -> Iterator[slice]:
    """Runs of neighbouring documents of so many tokens together, at least one document. The first are few, so that a
    bound is soon known."""
    low, last = 0, len(starts) - 1
    own = min(tokens, FIRST)
    while low < last:
        high = max(low + 1, int(np.searchsorted(starts, starts[low] + own, side="right")) - 1)
        yield slice(low, min(high, last))
        low, own = min(high, last), min(tokens, GROWTH * own)
