"""What every write takes beside its points: when it is acknowledged, what it expects to find, its name for retries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

import numpy as np

from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.options import unknown_option
from vecstore.config import Limits
from vecstore.errors import InvalidArgument, invalid
from vecstore.types import Durability, IfMatch, Indexed

Wait = Literal["visible", "indexed"]


class MatchOptions(TypedDict, total=False):
    """`if_match`: points that are there have to satisfy this filter. `expected_seqs`: one for each id, or one for all:
    the write (`Point.seq`) that the point must come from, 0 where there must be none. What does not match is skipped
    and counted, or with `on_mismatch="fail"` ends the write with FailedPrecondition (VERSION_MISMATCH), nothing
    written. Both are looked at when the write is applied, so nobody comes in between."""

    if_match: FilterLike | None
    expected_seqs: Sequence[int] | int | None
    on_mismatch: Literal["skip", "fail"]


class WriteOptions(MatchOptions, total=False):
    """And `durability` ("fsync" or "os"; the server's setting by default), and `idempotency_key`: a name of this write.
    Sent again under the same name, as after a lost answer or a crash, it is not done again, and gets the answer of the
    first time. A collection remembers the last `idempotency_keys_max` names.

    `wait`: "visible", or "indexed": the call returns once every row written up to this is sealed, and served by the
    index that its field asks for, too. Where `timeout_s` of the client ends first: DeadlineExceeded (NOT_INDEXED_YET),
    whose metadata name the `seq` of the write, which is durable and visible."""

    durability: Durability | None
    idempotency_key: str | None
    wait: Wait


def check_options(given: Any, known: type[MatchOptions]) -> None:
    """Raises TypeError for an option that there is not."""
    for option in given.keys() - known.__annotations__.keys():
        raise unknown_option("a write", option, known.__annotations__)


def if_match_of(given: MatchOptions, limits: Limits, count: int | None) -> IfMatch | None:
    """The condition of a write of `count` ids; None of one by a filter."""
    where, seqs = as_filter(given.get("if_match"), limits), given.get("expected_seqs")
    mismatch = given.get("on_mismatch", "skip")
    if mismatch not in ("skip", "fail"):
        raise InvalidArgument(f"on_mismatch={mismatch!r:.80} is not one of skip, fail", reason="BAD_ARGUMENT")
    if where is None and seqs is None:
        return None
    if isinstance(seqs, int | np.integer):
        seqs = [int(seqs)] * (count or 1)
    elif seqs is not None:
        seqs = [one.item() if isinstance(one, np.generic) else one for one in seqs]
    for place, one in enumerate(seqs or ()):
        if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < 1 << 64:
            message = f"expected_seqs[{place}]={one!r:.80} must be a seq, or 0"
            raise invalid("BAD_ARGUMENT", message, "expected_seqs")
    return IfMatch(where, seqs, mismatch == "fail")


def part_of(condition: IfMatch | None, start: int, count: int) -> IfMatch | None:
    """The condition for a run of the ids."""
    if condition is None or condition.seqs is None:
        return condition
    return IfMatch(condition.filter, condition.seqs[start : start + count], condition.fail)


def wait_of(wait: Wait, timeout_s: float, *, last: bool = True) -> Indexed | None:
    """Of a write that is sent in several, the `last` one waits for all. Raises InvalidArgument (BAD_ARGUMENT)."""
    if wait not in ("visible", "indexed"):
        message = f"wait={wait!r:.80} is not one of visible, indexed"
        raise invalid("BAD_ARGUMENT", message, "wait")
    return Indexed(timeout_s) if wait == "indexed" and last else None


def key_of(key: str | None, place: int = 0, parts: int = 1) -> str | None:
    """The key of a write, or of a part of one that is sent in several."""
    if key is not None and (not isinstance(key, str) or not key):
        message = f"idempotency_key={key!r:.80} must be a string of 1 to 255 characters"
        raise invalid("BAD_ARGUMENT", message, "idempotency_key")
    return key if key is None or parts == 1 else f"{key}/{place}"
