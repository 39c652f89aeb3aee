"""Indexes as earlier versions of the header have them, in the form of today.

Until version 3 every part had the number of its block, and a record of 8 bytes of bits and a code for each row. Version
2 says where a record begins from the first of its 64 parts, version 1 from the first of its term.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import Corruption
from vecstore.index.seismic_parts import padded, placed_blocks
from vecstore.kernels.seismic import PADDING
from vecstore.kernels.seismic_records import encoded, placed

OLD_VERSIONS = (1, 2)
MASK_BYTES = 8
_GROUP = 64
_PARTS = 1 << 18  # at a time
_NAMES = ("term_parts", "term_records", "part_blocks", "part_codes", "part_records", "records")


def of_today(version: int, arrays: Mapping[str, np.ndarray], n: int) -> Mapping[str, np.ndarray]:
    """Raises Corruption for arrays that do not fit together."""
    try:
        return {name: array for name, array in arrays.items() if name not in _NAMES} | _converted(version, arrays, n)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise Corruption(f"the arrays of a seismic index do not fit together: {error}") from None


def _converted(version: int, arrays: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    term_parts, blocks = arrays["term_parts"], arrays["part_blocks"].astype(np.int64)
    counts, parts = np.diff(term_parts), len(blocks)
    _require(
        term_parts[0] == 0 and term_parts[-1] == parts and bool((counts > 0).all()), "terms do not cover the parts"
    )
    _require(len(arrays["part_codes"]) == len(arrays["part_records"]) == parts, "parts differ in number")
    if version == 1:
        starts = np.repeat(arrays["term_records"][:-1], counts) + arrays["part_records"].astype(np.int64)
    else:
        starts = np.repeat(arrays["record_bases"], _GROUP)[:parts] + arrays["part_records"].astype(np.int64)
    _require(bool((arrays["term_records"][:-1] == starts[term_parts[:-1]]).all()), "records of terms begin elsewhere")
    falls = np.diff(blocks) <= 0
    falls[term_parts[1:-1] - 1] = False
    _require(not falls.any(), "a term's blocks do not ascend")
    _require(not parts or (blocks.min() >= 0 and blocks.max() * 64 < n), "a part is of a block past the last")

    records, nbytes = arrays["records"], len(arrays["records"]) - PADDING
    _require(not parts or (starts.min() >= 0 and starts.max() <= nbytes - MASK_BYTES), "a record is past the end")
    made, end = [], 0
    for low in range(0, parts, _PARTS):
        begins = starts[low : low + _PARTS]
        masks = records[begins[:, None] + np.arange(MASK_BYTES)]
        bits = np.unpackbits(masks, axis=1, bitorder="little")
        held = bits.sum(axis=1, dtype=np.int64)
        ends = begins + MASK_BYTES + held
        follow = begins[0] == end and bool((begins[1:] == ends[:-1]).all()) and ends[-1] <= nbytes
        _require(follow and bool((held > 0).all()), "records leave gaps")
        end = int(ends[-1])
        places: NDArray[np.uint8] = np.nonzero(bits)[1].astype(np.uint8)
        # Codes follow the masks of their records.
        at = np.repeat(begins + MASK_BYTES - (np.cumsum(held) - held), held) + np.arange(len(places))
        made.append(encoded(places, records[at], held))
    _require(end == nbytes, "records without a part")
    words = np.concatenate([np.empty(0, np.uint16), *(one.words for one in made)])
    sizes = np.concatenate([np.empty(0, np.int64), *(one.sizes for one in made)])
    part_records, record_bases = placed(words, sizes)
    of_parts = placed_blocks(blocks, term_parts, n)
    return {
        "term_parts": term_parts, "block_bits": of_parts.block_bits, "part_blocks": of_parts.part_blocks,
        "part_codes": arrays["part_codes"], "part_records": part_records, "record_bases": record_bases,
        "records": padded([one.records for one in made]),
    }  # fmt: skip


def _require(fits: bool, problem: str) -> None:
    if not fits:
        raise ValueError(problem)
