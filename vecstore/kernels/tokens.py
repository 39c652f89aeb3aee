"""Token vectors in fewer bits, as late interaction searches them: the contract of `Kernels.open_tokens`,
`centroid_search` and `token_rerank`.

A token t of `dim` components stands for

    x = scales[t] * (centroid_scales[h] * c + step * v),    h = homes[t], c = centroids[h] - 128

where scales of bytes stand for scale_values[byte], and v holds its code's values: byte - 128 for 8 bits, else
levels[field] - 128. Without homes the first term is 0; tokens without codes are known by centroids only (scale 1).
Fields of `bits` (1, 2 or 4) lie in planes: of the code_bytes bytes of a token, the lowest field of byte i is dimension
i, the next one dimension code_bytes + i, and so on; fields past the last dimension are of no meaning.

A query's tokens are rounded to bytes, b = rint(q * 127 / max |q|), and products of bytes are exact; the rest is float32
in a fixed order without fusing, so that every backend and instruction set gives the same bits:

    value = scales[t] * (centroid_value[h] + (max |q| / 127 * step) * <b, v>)
    centroid_value[h] = ((max |q| / 127) * <b, c>) * centroid_scales[h]

A score is the sum over a query's tokens of the largest value of a row's, in float64, rounded once. In `centroid_search`
centroid values are rounded to bytes of one step, a 255th of the longest query token times the longest centroid;
negative ones count as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

UInt8Array: TypeAlias = NDArray[np.uint8]
Bits: TypeAlias = Literal[1, 2, 4, 8]

SEARCH_COUNTERS = ("centroids_visited", "rows_interacted")
CENTROIDS_MAX = 1 << 16


def code_bytes(dim: int, bits: int) -> int:
    """Bytes of a token's code, whole fours of them."""
    return (-(-dim * bits // 8) + 3) // 4 * 4


def centroid_bytes(dim: int) -> int:
    return (dim + 3) // 4 * 4


@dataclass(frozen=True, slots=True)
class Centroids:
    """What tokens share, with the rows that have a token at each."""

    homes: NDArray[np.uint16]  # (T,) the centroid of each token
    centroids: UInt8Array  # (C, centroid_bytes), 128 past the last dimension
    scales: NDArray[np.float32]  # (C,)
    list_starts: NDArray[np.int64]  # (C + 1,) in `lists`
    lists: UInt8Array  # rows, see `kernels.token_lists`; none where nothing searches by centroids


@dataclass(frozen=True, slots=True)
class Codes:
    bits: Bits
    codes: UInt8Array  # (T, code_bytes)
    scales: NDArray[np.float32] | NDArray[np.float16] | UInt8Array  # (T,)
    levels: UInt8Array  # (16,), of which 2^bits are used; none for 8 bits
    step: float
    scale_values: NDArray[np.float32] | None = None  # (256,) where scales are bytes

    def wide_scales(self, part: slice) -> NDArray[np.float32]:
        """Of some tokens."""
        scales = self.scales[part]
        return scales.astype(np.float32) if self.scale_values is None else self.scale_values[scales]


@dataclass(frozen=True, slots=True)
class TokenCodes:
    """`centroids`, `codes` or both, of rows that `offsets` cut."""

    dim: int
    offsets: NDArray[np.int64]  # (n + 1,)
    centroids: Centroids | None
    codes: Codes | None

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, slots=True)
class OpenTokens:
    """Token codes in the form that a backend searches; its arrays were checked once."""

    codes: TokenCodes
    handle: Any  # the backend's own
