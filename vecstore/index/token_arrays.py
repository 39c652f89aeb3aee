"""Codes of tokens as the arrays of an index, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from vecstore.errors import Corruption
from vecstore.index.token_codes import no_lists
from vecstore.kernels.select import get_kernels
from vecstore.kernels.token_lists import packed_lists
from vecstore.kernels.tokens import Bits, Centroids, Codes, TokenCodes
from vecstore.offsets import offsets_of


@dataclass(frozen=True, slots=True)
class LearnedFacts:
    """Of what was learned, what the header holds."""

    bits: int
    step: float
    has_centroids: bool
    listed: bool  # the rows at each


def stored_arrays(codes: TokenCodes) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {"offsets": codes.offsets}
    if codes.centroids is not None:
        c = codes.centroids
        out |= {"homes": c.homes, "centroids": c.centroids, "centroid_scales": c.scales}
        if len(c.lists) or not len(c.homes):  # not where tokens were not listed
            out |= {"list_sizes": np.diff(c.list_starts).astype(np.uint32), "lists": c.lists}
    if codes.codes is not None:
        k = codes.codes
        out |= {"codes": k.codes, "scales": k.scales, "levels": k.levels}
        if k.scale_values is not None:
            out["scale_values"] = k.scale_values
    return out


def open_arrays(arrays: Mapping[str, np.ndarray], dim: int, n: int, learned: LearnedFacts) -> TokenCodes:
    """Raises Corruption unless the arrays fit together and `n` rows."""

    def take(*names: str) -> list[Any]:
        missing = [name for name in names if name not in arrays]
        if missing:
            raise Corruption(f"token codes lack their arrays {', '.join(missing)}")
        return [arrays[name] for name in names]

    shared = coded = None
    try:
        if learned.has_centroids:
            homes, centroids, scales = take("homes", "centroids", "centroid_scales")
            starts, lists = no_lists(len(centroids))
            if learned.listed:
                sizes, lists = take("list_sizes", "lists")
                starts = offsets_of(sizes)
            shared = Centroids(homes, centroids, scales, starts, lists)
        if learned.bits:
            codes, scales, levels = take("codes", "scales", "levels")
            values = take("scale_values")[0] if scales.dtype == np.uint8 else None
            coded = Codes(cast(Bits, learned.bits), codes, scales, levels, learned.step, values)
        found = TokenCodes(dim, take("offsets")[0], shared, coded)
        get_kernels().open_tokens(found)  # checks all of it
    except ValueError as error:
        raise Corruption(f"token codes of an index do not fit together: {error}") from None
    if len(found) != n:
        raise Corruption(f"token codes are of {len(found)} rows, their segment has {n}")
    return found


def packed_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of version 1, where lists held rows of 32 bits: the arrays in the form of today."""
    try:
        starts, lists = packed_lists(arrays["list_offsets"], arrays["list_rows"].astype(np.int64))
    except (KeyError, IndexError, ValueError) as error:
        raise Corruption(f"lists of a token index do not fit together: {error}") from None
    return {**arrays, "list_sizes": np.diff(starts), "lists": lists}
