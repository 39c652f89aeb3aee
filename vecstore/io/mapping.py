"""Which columns of a file are the ids, the vectors and the payload."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType

from vecstore.errors import FailedPrecondition, InvalidArgument

FORMAT_KEY = "vecstore.format"  # in the metadata of files that vecstore wrote: columns id, payload (JSON) and vectors
FORMAT_VERSION = "1"
READ_ROWS = 4096  # rows that a reader holds at once, unless the file's own blocks say otherwise
READ_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """`vectors` maps field names to columns; empty: every column that is surely a vector. `texts` maps text fields to
    columns; such a column may be payload, too. `payload` lists columns; None: every column that holds single values.
    `id_column` None: "id" when there is one, else the row's number."""

    id_column: str | None = None
    vectors: Mapping[str, str] = field(default_factory=dict)
    payload: Sequence[str] | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


def need_column(name: str, known: Sequence[str], what: str, path: object) -> str:
    """`name`, when the file has it. Raises InvalidArgument (BAD_COLUMN) listing the columns."""
    if name in known:
        return name
    columns = ", ".join(known)
    raise InvalidArgument(f"{path} has no {what} {name!r}; it has: {columns}", reason="BAD_COLUMN")


def bad_row(path: object, row: int, what: str, reason: str = "BAD_ROW") -> InvalidArgument:
    """An error that names a row of a file, counted from 0."""
    return InvalidArgument(f"{path}, row {row}: {what}", reason=reason, metadata={"row": row})


def row_in_batch(error: InvalidArgument) -> int | None:
    """The place in the batch that an error names in its first path, such as 3 in `vectors.text[3]`."""
    places = (re.search(r"\[(\d+)\]", path) for path, _ in error.field_violations)
    return next((int(place[1]) for place in places if place), None)


def need_module(name: str) -> ModuleType:
    """Import a library of the `io` extra. Raises FailedPrecondition (EXTRA_MISSING) saying what to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        message = f"this file format needs {package}: pip install 'vecstore[io]'"
        raise FailedPrecondition(message, reason="EXTRA_MISSING") from None
