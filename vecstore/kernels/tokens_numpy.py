"""Token codes in plain numpy; the law for the other backends, which give the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.array_checks import check
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.maxsim_checks import check_offsets
from vecstore.kernels.places import quotients
from vecstore.kernels.stop import check_stop
from vecstore.kernels.token_lists import unpacked_lists
from vecstore.kernels.tokens import CENTROIDS_MAX, Centroids, Codes, TokenCodes, centroid_bytes, code_bytes

_ROWS_MAX = 1 << 32
_STOP_ROWS = 1024  # scored between two looks at whether to stop


class PythonTokens:
    """Checked arrays, and the values of bytes that products are made of."""

    def __init__(self, codes: TokenCodes) -> None:
        check_codes(codes)
        self.codes, shared = codes, codes.centroids
        self._longest = np.float32(0)
        if shared is not None and len(shared.centroids):
            self._longest = (lengths(shared.centroids[:, : codes.dim].astype(np.int32) - 128) * shared.scales).max()
        self._lists = [] if shared is None else unpacked_lists(shared.list_starts, shared.lists, len(codes))

    def centroid_values(self, tokens: NDArray[Any]) -> Float32Array:
        """(C, m)."""
        shared = self._centroids()
        values, steps = rounded(tokens)
        dots = exact_products(shared.centroids[:, : self.codes.dim].astype(np.int32) - 128, values)
        return (steps * dots.astype(np.float32)) * shared.scales[:, None]

    def table(self, tokens: NDArray[Any]) -> tuple[NDArray[np.uint8], np.float32]:
        """Centroid values as bytes (C, m), and what one stands for."""
        bytes_, steps = rounded(tokens)
        most = (lengths(bytes_) * steps).max(initial=0) * self._longest
        unit = np.float32(255) / most if most > 0 else np.float32(0)
        scaled = np.clip(self.centroid_values(tokens) * unit, np.float32(0), np.float32(255))
        return (scaled + np.float32(0.5)).astype(np.uint8), most / np.float32(255)

    def candidates(
        self, table: NDArray[np.uint8], lists: int, allowed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], int]:
        """Allowed rows at the visited centroids, and how many these are."""
        offsets = self.codes.offsets
        wanted = lists * table.shape[1]
        if lists == 0 or wanted >= len(table):
            return np.flatnonzero(allowed & (np.diff(offsets) > 0)), len(table)
        top = table.max(axis=0, initial=0).astype(np.int32)
        gaps = np.where(top > 0, top - table, 255).min(axis=1, initial=255)
        visited = np.argsort(gaps, kind="stable")[:wanted]
        seen = np.zeros(len(allowed), bool)
        for c in visited:
            seen[self._lists[c]] = True
        return np.flatnonzero(seen & allowed), wanted

    def decoded(self, first: int, last: int) -> NDArray[np.int32]:
        """The values of the codes of tokens first..last-1, (tokens, dim)."""
        codes, dim = self._codes(), self.codes.dim
        packed = codes.codes[first:last]
        if codes.bits == 8:
            return packed[:, :dim].astype(np.int32) - 128
        fields = [packed >> (plane * codes.bits) & (1 << codes.bits) - 1 for plane in range(8 // codes.bits)]
        return codes.levels[np.concatenate(fields, axis=1)[:, :dim]].astype(np.int32) - 128

    def distances(self, tokens: NDArray[Any], listed: Int64Array) -> Float32Array:
        """Minus the scores of listed rows, +inf for -1 and rows without tokens."""
        codes, offsets = self._codes(), self.codes.offsets
        out = np.full(len(listed), np.inf, np.float32)
        values, steps = rounded(tokens)
        steps = steps * np.float32(codes.step)
        bases = None if self.codes.centroids is None else self.centroid_values(tokens)
        for place, row in enumerate(listed):
            check_stop()
            first, last = (int(offsets[row]), int(offsets[row + 1])) if row >= 0 else (0, 0)
            if first == last:
                continue
            own = steps * exact_products(self.decoded(first, last), values).astype(np.float32)
            if bases is not None and self.codes.centroids is not None:
                own = bases[self.codes.centroids.homes[first:last]] + own
            own = own * codes.wide_scales(slice(first, last))[:, None]
            out[place] = -own.max(axis=0).sum(dtype=np.float64)
        return out

    def arguments(self, tokens: NDArray[Any]) -> tuple[Any, ...]:
        """Of a query's tokens, what the compiled loop takes besides rows."""
        codes, shared = self._codes(), self.codes.centroids
        values, steps = rounded(tokens)
        lanes = np.ascontiguousarray(values.T.astype(np.int32))
        bases = np.empty((0, len(tokens)), np.float32) if shared is None else self.centroid_values(tokens)
        homes = np.empty(0, np.uint16) if shared is None else shared.homes
        scales = codes.wide_scales(slice(None))
        steps = steps * np.float32(codes.step)
        return lanes, steps, codes.codes, codes.bits, codes.levels, scales, bases, homes

    def _centroids(self) -> Centroids:
        if self.codes.centroids is None:
            raise ValueError("these tokens have no centroids")
        return self.codes.centroids

    def _codes(self) -> Codes:
        if self.codes.codes is None:
            raise ValueError("these tokens have no codes")
        return self.codes.codes


def rounded(tokens: NDArray[Any]) -> tuple[NDArray[np.int32], Float32Array]:
    """Bytes (m, dim) of float32 tokens, and what a unit of each is worth (m,), where the tokens are (`places`)."""
    top = np.abs(tokens).max(axis=1).astype(np.float32)
    inverse = quotients(np.float32(127), top, top > 0, 0)
    steps: Float32Array = top / np.float32(127)
    return np.rint(tokens * inverse[:, None]).astype(np.int32), steps


def lengths(values: NDArray[np.int32]) -> Float32Array:
    """Of rows of bytes (n, dim), exact until the root is rounded."""
    found: Float32Array = np.sqrt((values.astype(np.int64) ** 2).sum(axis=1)).astype(np.float32)
    return found


def exact_products(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.float64]:
    """Of rows (n, dim) and (m, dim): integers, which float64 holds in any order of summing."""
    products: NDArray[np.float64] = a.astype(np.float64) @ b.astype(np.float64).T
    return products


def _interact(
    table: NDArray[np.uint8], homes: NDArray[np.uint16], offsets: Int64Array, listed: Int64Array,
    scores: NDArray[np.uint32],
) -> None:  # fmt: skip
    for place, row in enumerate(listed):
        scores[place] = table[homes[offsets[row] : offsets[row + 1]]].max(axis=0).sum(dtype=np.uint32)


def search(
    tokens: PythonTokens, query: NDArray[Any], lists: int, allowed: NDArray[np.bool_], out_rows: Int64Array,
    out_distances: Float32Array, out_counters: Int64Array, interact: Callable[..., None] = _interact,
) -> None:  # fmt: skip
    """One query's rows by their centroids, best first."""
    table, step = tokens.table(query)
    listed, visited = tokens.candidates(table, lists, allowed)
    scores = np.empty(len(listed), np.uint32)
    for first in range(0, len(listed), _STOP_ROWS):
        check_stop()
        part = slice(first, first + _STOP_ROWS)
        interact(table, tokens._centroids().homes, tokens.codes.offsets, listed[part], scores[part])
    order = np.lexsort((listed, ~scores))[: len(out_rows)]
    out_rows.fill(-1)
    out_distances.fill(np.inf)
    out_rows[: len(order)] = listed[order]
    out_distances[: len(order)] = -(scores[order].astype(np.float32) * step)
    out_counters[:] = visited, len(listed)


def check_codes(codes: TokenCodes) -> None:
    """Raises ValueError for arrays that do not fit together."""
    check("offsets", codes.offsets, np.int64, (None,))
    total = None
    if codes.centroids is not None:
        total = _check_centroids(codes.centroids, codes.dim)
    if codes.codes is not None:
        total = _check_codes(codes.codes, codes.dim, total)
    if total is None:
        raise ValueError("tokens need centroids or codes")
    check_offsets("rows", codes.offsets, total)
    if codes.offsets[0] != 0 or len(codes.offsets) >= _ROWS_MAX:
        raise ValueError("offsets of rows must begin at 0 and cut at most 2^32 - 2 rows")


def _check_centroids(shared: Centroids, dim: int) -> int:
    """All but what the bytes of lists hold."""
    check("homes", shared.homes, np.uint16, (None,))
    check("centroids", shared.centroids, np.uint8, (None, centroid_bytes(dim)))
    count = len(shared.centroids)
    check("centroid_scales", shared.scales, np.float32, (count,))
    check("list_starts", shared.list_starts, np.int64, (count + 1,))
    check("lists", shared.lists, np.uint8, (None,))
    if shared.homes.max(initial=0) >= max(1, count) or count > CENTROIDS_MAX:
        raise ValueError(f"homes hold {shared.homes.max()}, which is no centroid")
    check_offsets("lists", shared.list_starts, len(shared.lists))
    return len(shared.homes)


def _check_codes(codes: Codes, dim: int, total: int | None) -> int:
    if codes.bits not in (1, 2, 4, 8):
        raise ValueError("bits must be 1, 2, 4 or 8")
    check("codes", codes.codes, np.uint8, (None, code_bytes(dim, codes.bits)))
    check("levels", codes.levels, np.uint8, (16,))
    count = len(codes.codes)
    if codes.scale_values is not None:
        check("scale_values", codes.scale_values, np.float32, (256,))
        check("scales", codes.scales, np.uint8, (count,))
    else:
        half = codes.scales.dtype == np.float16
        check("scales", codes.scales, np.float16 if half else np.float32, (count,))
    if total not in (None, count):
        raise ValueError(f"homes and codes are of {total} and {count} tokens")
    return count
