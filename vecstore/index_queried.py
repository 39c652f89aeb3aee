"""What of an index spec only queries use: an index serves another spec that differs in nothing else."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from vecstore.index_spec import IVF, Graph, HammingIVF, Index, Plaid

S = TypeVar("S", bound=msgspec.Struct)

QUERIED: dict[type[Index], str] = {IVF: "nprobe", Graph: "ef", HammingIVF: "nprobe", Plaid: "nprobe"}


def built_alike(built: Index, wanted: Index) -> bool:
    """Whether an index that was built by one spec needs no other build for the other."""
    setting = QUERIED.get(type(built))
    if setting is None or type(built) is not type(wanted):
        return built == wanted
    return msgspec.structs.replace(built, **{setting: getattr(wanted, setting)}) == wanted


def as_queried(built: S, wanted: Index | None) -> S:
    """The spec that an index was built by, or the one that it is searched by now."""
    if wanted is not None and isinstance(wanted, type(built)) and built_alike(built, wanted):  # type: ignore[arg-type]
        return wanted
    return built
