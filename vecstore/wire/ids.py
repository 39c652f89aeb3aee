"""Point ids: one by one, and by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import numpy as np

from vecstore.errors import InvalidArgument, invalid
from vecstore.pb.v1 import common_pb2 as pb
from vecstore.query.filter import PointId

U64_MAX = (1 << 64) - 1
NUM, UUID_, STR = 0, 1, 2


def bad_id(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid("BAD_ID", message, path)


def set_id(message: pb.PointId, value: PointId) -> None:
    """Write an id into a message that exists, which is cheaper than building one and copying it."""
    if isinstance(value, int):
        message.num = value
    elif isinstance(value, UUID):
        digits = value.bytes.hex()  # faster than str(value)
        message.uuid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    else:
        message.str = value


def id_to_pb(value: PointId, path: str = "id") -> pb.PointId:
    """Raises InvalidArgument (BAD_ID) for a number outside u64 and for other types than int, UUID and str."""
    message = pb.PointId()
    _check(value, path)
    set_id(message, value)
    return message


def id_from_pb(message: pb.PointId, path: str = "id") -> PointId:
    kind = message.WhichOneof("id")
    if kind == "num":
        return message.num
    if kind == "uuid":
        return _uuid(message.uuid, path)
    if kind == "str":
        return message.str
    raise bad_id(path, "is empty: give num, uuid or str")


def ids_from_pb(messages: Iterable[pb.PointId], path: str = "ids") -> list[PointId]:
    return [id_from_pb(message, f"{path}[{place}]") for place, message in enumerate(messages)]


def column_to_pb(ids: Sequence[PointId], path: str = "ids") -> pb.IdColumn:
    """Raises InvalidArgument (BAD_ID) as `id_to_pb` does."""
    kinds = {type(value) for value in ids}
    if kinds == {int}:
        try:
            return pb.IdColumn(nums=ids)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            pass  # some number is outside u64: the loop below names it
    for place, value in enumerate(ids):
        _check(value, f"{path}[{place}]")
    nums = [value for value in ids if isinstance(value, int)]
    uuids = [value.bytes for value in ids if isinstance(value, UUID)]
    strs = [value for value in ids if isinstance(value, str)]
    column = pb.IdColumn(nums=nums, uuids=b"".join(uuids), strs=strs)
    if len(ids) not in (len(nums), len(uuids), len(strs)):
        column.kinds = bytes(NUM if isinstance(v, int) else UUID_ if isinstance(v, UUID) else STR for v in ids)
    return column


def column_from_pb(column: pb.IdColumn, path: str = "ids") -> list[PointId]:
    """Raises InvalidArgument (BAD_ID) when the columns do not fit together."""
    packed = column.uuids
    if len(packed) % 16:
        raise bad_id(f"{path}.uuids", f"holds {len(packed)} bytes, which is no multiple of 16")
    nums: list[PointId] = list(column.nums)
    strs: list[PointId] = list(column.strs)
    uuids: list[PointId] = [UUID(bytes=packed[at : at + 16]) for at in range(0, len(packed), 16)]
    if not column.kinds:
        if bool(nums) + bool(uuids) + bool(strs) > 1:
            raise bad_id(f"{path}.kinds", "is empty although ids of several kinds are given")
        return nums or uuids or strs
    kinds = np.frombuffer(column.kinds, np.uint8)
    given = (len(nums), len(uuids), len(strs))
    told = tuple(int((kinds == kind).sum()) for kind in (NUM, UUID_, STR))
    if given != told or sum(told) != len(kinds):
        raise bad_id(f"{path}.kinds", f"counts {told} of {len(kinds)} ids as num, uuid and str, but {given} are given")
    columns = (iter(nums), iter(uuids), iter(strs))
    return [next(columns[kind]) for kind in kinds.tolist()]


def _uuid(text: str, path: str) -> UUID:
    digits = text.replace("-", "")
    try:
        if len(text) == 36 and len(digits) == 32:
            return UUID(int=int(digits, 16))  # faster than UUID(text), which takes other notations too
    except ValueError:
        pass
    raise bad_id(path, f"is no UUID: {text[:64]!r}")


def _check(value: object, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | UUID | str):
        raise bad_id(path, f"must be an integer, a UUID or a string, not {type(value).__name__}")
    if isinstance(value, int) and not 0 <= value <= U64_MAX:
        raise bad_id(path, f"is {value}, outside 0..2^64-1")
