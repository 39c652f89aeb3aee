"""A vector field in a few words."""

from __future__ import annotations

from vecstore.index_text import format_index
from vecstore.schema import VectorField


def describe(field: VectorField) -> str:
    parts = [str(field.kind), *([str(field.dim)] if field.dim else []), str(field.metric)]
    if field.datatype != "float32":
        parts.append(str(field.datatype))
    if field.analysis is not None:
        parts.append(field.analysis.language)
    if field.index is not None:
        parts.append(format_index(field.index))
    return " ".join(parts)
