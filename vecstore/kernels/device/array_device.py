"""numpy in a device's place: the reference of a device's operations, and what scans run on where tests have no GPU."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.device.array_codes import ArrayCodes
from vecstore.kernels.device.array_encode import ArrayEncode
from vecstore.kernels.device.array_train import ArrayTrain
from vecstore.kernels.device.arrays import Outputs, Plans, Queue, to_bfloat16, widened
from vecstore.kernels.device.shortlist import Ready, Shortlist, Terms, distance_of, key_of
from vecstore.schema import Metric

UNIT = 2.0**-24
LARGEST = 1e18  # products of longer vectors may overflow float32
NOTHING = 0xFFFFFFFF
UNDERFLOW = 2.0**-120  # more than a product or a narrowed component so small may lose


class ArrayDevice(ArrayCodes, ArrayTrain, ArrayEncode):
    name = "numpy"
    xp: Any = np
    total_bytes = 1 << 30
    score_bytes = 4 << 20
    few_tables = 2

    def working(self) -> AbstractContextManager[object]:
        return nullcontext()

    def put(self, host: NDArray[Any]) -> NDArray[Any]:
        return host

    def get(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def replayed(self, plans: Plans, key: Hashable, inputs: Outputs, queue: Queue) -> Outputs:
        return queue(*inputs)

    def finish(self) -> None:
        """numpy has finished when it returns."""

    def release(self) -> None:
        """The host's memory needs no word."""

    def products(self, rows: NDArray[Any], queries: NDArray[Any]) -> NDArray[Any]:
        out = np.int32 if rows.dtype == np.int8 else np.float32
        with np.errstate(over="ignore", invalid="ignore"):
            products: NDArray[Any] = (widened(np, queries) @ widened(np, rows).T).astype(out, copy=False)
        return products

    def prepare(self, queries: NDArray[np.float32], dtype: np.dtype[Any], metric: Metric, largest: float) -> Ready:
        wide, dim = queries.astype(np.float64), queries.shape[1]
        scale = np.abs(queries).max(axis=1, initial=0)
        scale[scale == 0] = 1
        narrowing = 0.0
        if dtype == np.float32:
            scale[:] = 1
            narrowing = 2.0**-9
        units = queries / scale[:, None]
        array = to_bfloat16(units) if dtype == np.uint16 else units.astype(dtype)
        back = widened(np, array)
        lengths = np.linalg.norm(wide, axis=1)
        rounding = 2 * (dim + 8) * UNIT
        gone = np.linalg.norm(wide - back.astype(np.float64) * scale[:, None], axis=1)
        gone += (rounding + narrowing) * lengths  # of a product with a row of unit length
        inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        start, step, slack = np.zeros_like(lengths), -scale, gone * largest
        with np.errstate(over="ignore", invalid="ignore"):
            if metric is Metric.L2:
                start, step = lengths**2, -2 * scale
                slack = 2 * gone * largest + rounding * (largest**2 + lengths**2)
            elif metric is Metric.COSINE:
                start, step = np.ones_like(lengths), -scale * inverse
                slack = 1.001 * gone * inverse + 8 * UNIT
            slack += dim * UNDERFLOW * (1 + lengths + largest)
            lost = ~(np.maximum(np.maximum(lengths, largest), lengths * largest) < LARGEST)
            start, spread = start[:, None].astype(np.float32), (1.01 * slack)[:, None].astype(np.float32)
            return Ready(array, step.astype(np.float32), start, spread, lengths, lost.astype(np.uint8))

    def take(self, short: Shortlist, products: NDArray[Any], terms: Terms) -> None:
        columns = products.shape[1]
        asked = np.arange(len(short.counts)) if terms.queries is None else terms.queries
        step = terms.step.reshape(-1, len(short.counts))[:, asked].reshape(-1, 1)
        numbers = (
            np.arange(terms.first, terms.first + columns) if terms.numbers is None else terms.numbers.astype(np.int64)
        )
        usable = numbers >= 0
        if terms.allowed is not None:
            usable &= numbers < 64 * len(terms.allowed)
            inside = np.where(usable, numbers, 0)
            if len(terms.allowed):
                usable &= (terms.allowed[inside >> 6] >> (inside & 63).astype(np.uint64) & np.uint64(1)).astype(bool)
        column = np.zeros(columns, np.int32) if terms.column is None else terms.column
        with np.errstate(over="ignore", invalid="ignore"):
            sums = (products.astype(np.float32) * step).reshape(-1, len(asked), columns).sum(axis=0)
            add = np.float32(0) if terms.add is None else terms.add
            scale = np.float32(1) if terms.scale is None else terms.scale
            start = terms.start[asked][:, column]
            distances = (start + add) + scale * sums
            distances = np.where(np.isnan(distances), np.float32(np.inf), distances)
            slack = np.zeros_like(distances)
            if terms.spread is not None:
                slack = terms.spread[asked][:, column] * (np.float32(1) if terms.error is None else terms.error)
            least, most = distances - slack, distances + slack
        keys = key_of(most if terms.spread is not None else distances, numbers & NOTHING)
        for line, q in enumerate(asked.tolist()):
            bound = short.bounds[q]
            within = keys[line] <= bound if terms.spread is None else ~(least[line] > distance_of(bound[None])[0])
            self._join(short, q, np.flatnonzero(usable & ~np.isnan(start[line]) & within), keys[line], distances[line])

    def _join(self, short: Shortlist, q: int, found: Any, keys: Any, distances: Any) -> None:
        before = min(int(short.counts[q]), short.room)
        short.counts[q] += len(found)
        some = found[: short.room - before]
        short.keys[q, before : before + len(some)] = keys[some]
        if short.distances is not None:
            short.distances[q, before : before + len(some)] = distances[some]

    def tighten(self, short: Shortlist, more_than: int) -> None:
        for q, arrived in enumerate(short.counts.tolist()):
            count = min(arrived, short.room)
            if arrived <= more_than or count < short.k:
                continue
            short.lost[q] |= arrived > count
            keys = short.keys[q, :count].copy()
            bound = np.partition(keys, short.k - 1)[short.k - 1]
            if short.distances is None:
                short.bounds[q] = bound = min(bound, short.bounds[q])
                keys = keys[keys <= bound]
            else:
                short.bounds[q] = bound = min(bound | np.uint64(NOTHING), short.bounds[q])
                distances = short.distances[q, :count].copy()
                with np.errstate(invalid="ignore"):
                    least = distances - (distance_of(keys) - distances)
                stays = ~(least > distance_of(bound[None])[0])
                keys = keys[stays]
                short.distances[q, : len(keys)] = distances[stays]
            short.keys[q, : len(keys)] = keys
            short.counts[q] = len(keys)

    def settle(self, short: Shortlist) -> None:
        distances, short.distances = short.distances, None
        assert distances is not None  # nothing else is settled
        for q, count in enumerate(short.counts.tolist()):
            short.keys[q, :count] = key_of(distances[q, :count], short.keys[q, :count] & np.uint64(NOTHING))

    def exact(self, short: Shortlist, rows: Any, queries: Any, ready: Ready, norms: Any, metric: Metric) -> None:
        short.distances = None
        for q, count in enumerate(short.counts.tolist()):
            keys = short.keys[q, : min(count, short.room)]
            listed = keys & np.uint64(NOTHING) != NOTHING
            numbers = (keys[listed] & np.uint64(NOTHING)).astype(np.int64)
            own, asked = widened(np, rows[numbers]).astype(np.float64), queries[q].astype(np.float64)
            if metric is Metric.L2:
                distances = ((own - asked) ** 2).sum(axis=1)
            else:
                distances = -(own * asked).sum(axis=1)
            if metric is Metric.COSINE:
                length = ready.lengths[q]
                distances = 1 + (distances / length if length > 0 else 0 * distances) * norms[numbers]
            with np.errstate(over="ignore"):
                rounded = distances.astype(np.float32)
            keys[listed] = key_of(np.where(np.isnan(rounded), np.float32(np.inf), rounded), numbers)

    def exact_tokens(self, short: Shortlist, tokens: Any, offsets: Any, queries: Any, lines: Any) -> None:
        short.distances = None
        for q, count in enumerate(short.counts.tolist()):
            keys = short.keys[q, : min(count, short.room)]
            asked = queries[lines[q] : lines[q + 1]].astype(np.float64)
            for place, row in enumerate((keys & np.uint64(NOTHING)).astype(np.int64).tolist()):
                own = widened(np, tokens[offsets[row] : offsets[row + 1]]).astype(np.float64)
                score = np.einsum("td,md->tm", own, asked).max(axis=0).sum()
                keys[place] = key_of(np.array([-score], np.float32), np.array([row]))[0]

    def order(self, short: Shortlist, k: int) -> NDArray[np.uint8]:
        rows, distances = np.full((len(short.counts), k), -1), np.full((len(short.counts), k), np.inf, np.float32)
        for q, count in enumerate(short.counts.tolist()):
            keys = np.sort(short.keys[q, :count])[:k]
            rows[q, : len(keys)] = (keys & np.uint64(NOTHING)).astype(np.int64)
            distances[q, : len(keys)] = distance_of(keys)
        return np.concatenate([part.reshape(-1).view(np.uint8) for part in (rows, distances, short.lost)])
