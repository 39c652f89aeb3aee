"""The values at one payload key of some rows. Of the rest of a payload nothing is built, which is most of what reading
a whole one takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from vecstore.engine.segment import STOP_ROWS, SegmentView, decode_payload
from vecstore.errors import Corruption
from vecstore.kernels.base import Int64Array
from vecstore.kernels.stop import check_stop
from vecstore.query.path import found_at, parse_path, values_of

DECODERS = 256  # kept, each for a name at the top of payloads
NOTHING: list[Any] = []


def values_at(view: SegmentView, rows: Int64Array, key: str) -> Iterator[list[Any]]:
    """Of each row in turn what conditions look at, arrays flattened one level. Raises Corruption for a payload that is
    no JSON object; InvalidArgument (BAD_FILTER) for a key that is no path."""
    path = parse_path(key)
    name, take = path[0], view.segment.take_payloads
    read = _reader(name)
    try:
        for low in range(0, len(rows), STOP_ROWS):
            check_stop()
            for encoded in take(rows[low : low + STOP_ROWS]):
                value = read(encoded) if encoded else msgspec.UNSET
                if value is msgspec.UNSET:
                    yield NOTHING
                elif len(path) == 1:
                    yield value if type(value) is list else [value]
                else:
                    yield values_of(found_at({name: value}, path))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Corruption(f"a stored payload is no JSON object: {error}") from None


def best_at(
    view: SegmentView, rows: Int64Array, key: str, read: Callable[[Any], float | None], largest: bool = False
) -> NDArray[np.float64]:
    """(n,) the smallest, or largest, of what `read` makes of each row's values; NaN where it makes nothing of them."""
    found: list[float | None] = []
    for values in values_at(view, rows, key):
        if len(values) == 1:
            found.append(read(values[0]))
        else:
            numbers = [number for number in map(read, values) if number is not None]
            found.append((max if largest else min)(numbers, default=None))
    return np.array(found, np.float64)  # which has NaN for None


@lru_cache(maxsize=DECODERS)
def _reader(name: str) -> Callable[[bytes], Any]:
    """The value of a name in an encoded object, UNSET where it is not there."""
    try:
        row = msgspec.defstruct("Row", [("value", Any, msgspec.UNSET)], rename={"value": name})
    except ValueError:  # a quote, a backslash or a control character in it
        return lambda encoded: decode_payload(encoded).get(name, msgspec.UNSET)
    decode = msgspec.json.Decoder(row).decode
    return lambda encoded: decode(encoded).value  # type: ignore[attr-defined]
