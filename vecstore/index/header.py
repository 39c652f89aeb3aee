"""What an index says of itself, stored as JSON in the array `header`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec
import numpy as np

from vecstore.errors import Corruption

H = TypeVar("H", bound=msgspec.Struct)


def read_header(arrays: Mapping[str, np.ndarray], kind: type[H], what: str) -> H:
    """The header as a `kind`; `what` names the index in errors. Raises Corruption."""
    stored = arrays.get("header")
    if stored is None or stored.dtype != np.uint8 or stored.ndim != 1:
        raise Corruption(f"{what} lacks its header")
    try:
        return msgspec.json.decode(stored.tobytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corruption(f"the header of {what} cannot be read: {error}") from None
