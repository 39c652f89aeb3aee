"""A small database to use the command line on."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

import vecstore
from vecstore import Binary, Dense

ROWS = np.random.default_rng(11).standard_normal((50, 8)).astype(np.float32)
BITS = np.random.default_rng(12).random((50, 16)) > 0.5


def fill(path: Path, ids: list[Any], *, both: bool = True, missing: bool = True) -> None:
    """A collection `docs` with a dense field, and a binary one that some points lack."""
    vectors: dict[str, Any] = {"text": ROWS[: len(ids)]}
    if both:
        vectors["bits"] = [None if missing and row % 7 == 3 else BITS[row] for row in range(len(ids))]
    payloads = [{"n": row, "tags": ["a", "b"], "deep": {"ü": None}} if row % 5 else None for row in range(len(ids))]
    with vecstore.connect(path) as db:
        binary = {"bits": Binary(16)} if both else None
        docs = db.create_collection("docs", vectors={"text": Dense(8, metric="l2")}, binary=binary)
        docs.upsert(ids, vectors, payloads)


def contents(path: Path, name: str = "docs") -> list[tuple[Any, Any, dict[str, list[float]]]]:
    with vecstore.connect(path) as db:
        return [
            (point.id, point.payload, {key: row.tolist() for key, row in (point.vectors or {}).items()})
            for point in db.collection(name).scroll(with_vectors=True)
        ]


ID_KINDS: dict[str, list[Any]] = {
    "numbers": [*range(49), 2**64 - 1],
    "uuids": [UUID(int=row * 7919) for row in range(50)],
    "strings": [f"id-{row:02d}-é" for row in range(50)],
    "mixed": [row if row % 3 == 0 else UUID(int=row) if row % 3 == 1 else str(row) for row in range(50)],
}
