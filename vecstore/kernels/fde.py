"""Fixed dimensional encodings of multi-vectors (MUVERA, Dhulipala et al. 2024): one vector for a row of tokens, whose
inner product with a query's approximates MaxSim up to a factor. The same bits on every backend.

Repetition r puts a token in the cell of the signs of its products with k_sim Gaussian directions; the cell's number is
the rank of the sign string as a Gray code word. A query's vector holds, cell by cell, the sum of its tokens there,
projected by a dense matrix of +-1 / sqrt(projection); a document's holds the mean, and with fill_empty, for an empty
cell, the token whose signs differ least (the first of several). Optionally a count sketch folds it all to final_dim.

Randomness comes from splitmix64 of (seed, repetition, role, row, column), normals from Box and Muller in float64: they
are the same in any language. Encodings of other libraries are not compatible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels import encode
from vecstore.kernels.base import Float32Array, Int64Array
from vecstore.kernels.places import in_parts
from vecstore.kernels.select import get_kernels
from vecstore.tokens import TokenRows

GENERATOR = 1  # the version of what the hash below makes of a seed
_BATCH_FLOATS = 1 << 22  # projected components held at once
_DIRECTION, _SIGN, _FOLD = 1, 2, 3  # roles
_UInt64Array = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Fde:
    dim: int
    repetitions: int
    k_sim: int
    projection: int  # components of a projected token; 0: all, without a projection
    final_dim: int  # 0: not folded
    fill_empty: bool
    seed: int

    @property
    def width(self) -> int:
        return self.projection or self.dim

    @property
    def unfolded(self) -> int:
        return self.repetitions * self.width << self.k_sim

    @property
    def length(self) -> int:
        return self.final_dim or self.unfolded


class FdeEncoder:
    """Holds the matrices of one configuration."""

    def __init__(self, fde: Fde) -> None:
        self.fde = fde
        reps = np.arange(fde.repetitions)
        directions = [_normals(fde.seed, int(r), fde.dim, fde.k_sim) for r in reps]
        self._directions = np.concatenate(directions, axis=1).astype(np.float32)
        self._matrix: Float32Array | None = None
        if fde.projection:
            signs = [_signs(fde.seed, int(r), fde.dim, fde.projection) for r in reps]
            self._matrix = (np.concatenate(signs, axis=1) / np.sqrt(fde.projection)).astype(np.float32)
        self._fold: tuple[Int64Array, Float32Array] | None = None
        if fde.final_dim:
            hashed = _hash(fde.seed, 0, _FOLD, np.arange(fde.unfolded, dtype=np.uint64), np.uint64(0))
            places = (hashed >> np.uint64(1)) % np.uint64(fde.final_dim)
            folded = np.where(hashed & np.uint64(1), np.float32(1), np.float32(-1))
            self._fold = places.astype(np.int64), folded

    def documents(self, rows: TokenRows) -> Float32Array:
        """(n, length); zeros for a row without tokens."""
        return self._encode(rows, True)

    def queries(self, rows: TokenRows) -> Float32Array:
        """(n, length), divided by the repetitions."""
        return self._encode(rows, False) / np.float32(self.fde.repetitions)

    def _encode(self, rows: TokenRows, documents: bool) -> Float32Array:
        out = np.empty((len(rows), self.fde.length), np.float32)
        for low, high in _runs(rows.offsets, self.fde):
            part = rows[low:high]
            tokens = part.tokens.astype(np.float32)
            signs, projected = self._projected(tokens)
            out[low:high] = self._folded(_cells(signs, projected, part.offsets, self.fde, documents))
        return out

    def _projected(self, tokens: Float32Array) -> tuple[Float32Array, Float32Array]:
        """On the device that a build has entered, to the same bits; what is projected is put in its cells here."""

        def work(some: Float32Array, _: None) -> dict[str, Float32Array]:
            made = {"signs": encode.project(some, self._directions)}
            if self._matrix is not None:
                made["projected"] = encode.project(some, self._matrix)
            return made

        parts = [made for _, made in in_parts(tokens, None, work)]
        whole = parts[0] if len(parts) == 1 else {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        if self._matrix is None:
            whole["projected"] = np.tile(tokens, (1, self.fde.repetitions))
        return whole["signs"], whole["projected"]

    def _folded(self, vectors: Float32Array) -> Float32Array:
        if self._fold is None:
            return vectors
        places, signs = self._fold
        order = np.argsort(places, kind="stable")
        out = np.zeros((len(vectors), self.fde.final_dim), np.float32)
        ranks = np.arange(len(order)) - np.searchsorted(places[order], places[order])
        for rank in range(int(ranks.max(initial=-1)) + 1):  # the first input of each place, then the second, ...
            some = order[ranks == rank]
            out[:, places[some]] += vectors[:, some] * signs[some]
        return out


def _runs(offsets: Int64Array, fde: Fde) -> list[tuple[int, int]]:
    """Runs of rows whose tokens and vectors are held at once."""
    n, each = len(offsets) - 1, fde.repetitions * (fde.width + fde.k_sim)
    found, low = [], 0
    while low < n:
        most = int(np.searchsorted(offsets, offsets[low] + max(1, _BATCH_FLOATS // each), side="right")) - 1
        high = min(n, max(low + 1, min(most, low + max(1, _BATCH_FLOATS // fde.unfolded))))
        found.append((low, high))
        low = high
    return found


def _cells(
    signs: Float32Array, projected: Float32Array, offsets: Int64Array, fde: Fde, documents: bool
) -> Float32Array:
    out = np.empty((len(offsets) - 1, fde.unfolded), np.float32)
    fill = documents and fde.fill_empty and fde.k_sim > 0
    shape = (fde.repetitions, fde.k_sim, fde.width, documents, fill)
    if get_kernels().name == "native":
        from vecstore.kernels import _native as native

        native.fde_cells(signs, projected, offsets, *shape, out)
    else:
        from vecstore.kernels import fde_numpy

        fde_numpy.cells(signs, projected, offsets, *shape, out)
    return out


def _hash(
    seed: int, repetition: int, role: int, row: _UInt64Array | np.uint64, column: _UInt64Array | np.uint64
) -> _UInt64Array:
    """splitmix64, folded over the parts."""
    state: _UInt64Array = np.zeros(np.broadcast(row, column).shape, np.uint64)
    with np.errstate(over="ignore"):
        for part in (np.uint64(seed), np.uint64(repetition), np.uint64(role), row, column):
            state = state + np.uint64(0x9E3779B97F4A7C15) + part
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def _grid(seed: int, repetition: int, role: int, rows: int, columns: int) -> _UInt64Array:
    at = np.arange(rows, dtype=np.uint64)[:, None], np.arange(columns, dtype=np.uint64)[None, :]
    return _hash(seed, repetition, role, *at)


def _normals(seed: int, repetition: int, rows: int, columns: int) -> NDArray[np.float64]:
    pairs = _grid(seed, repetition, _DIRECTION, rows, 2 * columns)
    uniform = ((pairs >> np.uint64(11)).astype(np.float64) + 0.5) / (1 << 53)
    radius = np.sqrt(-2 * np.log(uniform[:, 0::2]))
    normals: NDArray[np.float64] = radius * np.cos(2 * np.pi * uniform[:, 1::2])
    return normals


def _signs(seed: int, repetition: int, rows: int, columns: int) -> NDArray[np.float64]:
    return np.where(_grid(seed, repetition, _SIGN, rows, columns) & np.uint64(1), 1.0, -1.0)
