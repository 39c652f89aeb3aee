"""From a question to one query over every field that texts go into."""

from __future__ import annotations

from dataclasses import dataclass

from vecstore.config import Limits
from vecstore.documents.layout import DOCUMENT_ID, searched_fields
from vecstore.errors import InvalidArgument, invalid, limit_exceeded
from vecstore.grouping import GroupsRequest
from vecstore.query.filter import Filter
from vecstore.query.fusion import Fusion, FusionMethod
from vecstore.rows import TextRows
from vecstore.schema import Schema, VectorKind
from vecstore.types import Prefetch, QueryRequest, Selection

NEIGHBOURS_MAX = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: `k` passages out of `candidates` of each field, in at most `budget` tokens, each with
    `neighbours` chunks before and after. Passages that share `duplicates` of their words with a better one are left
    out (1: only equal ones). `diversity` (0 to 1) prefers passages that are unlike each other. At most `per_document`
    are of one document; with `by_document`, the best documents are chosen and a document's passages stand together."""

    k: int = 8
    candidates: int = 50
    budget: int = 2_000
    neighbours: int = 0
    duplicates: float = 0.9
    diversity: float = 0.0
    per_document: int | None = None
    by_document: bool = False
    tokenizer: str = ""


def check_wanted(wanted: Wanted, limits: Limits) -> None:
    """Raises InvalidArgument (BAD_ARGUMENT, LIMIT_EXCEEDED)."""
    for name, low in (("k", 1), ("candidates", 1), ("budget", 1), ("neighbours", 0)):
        value = getattr(wanted, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise _bad(name, f"{value!r:.40} must be a whole number of at least {low}")
    for name, bound in (("k", limits.k_max), ("candidates", limits.k_max), ("neighbours", NEIGHBOURS_MAX)):
        if getattr(wanted, name) > bound:
            limit = "NEIGHBOURS_MAX" if name == "neighbours" else "k_max"
            raise limit_exceeded(limit, getattr(wanted, name), bound, path=name)
    for name in ("duplicates", "diversity"):
        value = getattr(wanted, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise _bad(name, f"{value!r:.40} must be in 0..1")
    if wanted.per_document is not None and wanted.per_document < 1:
        raise _bad("per_document", f"{wanted.per_document} must be at least 1")


def query_for(
    question: str,
    collection: str,
    schema: Schema,
    wanted: Wanted,
    where: Filter | None,
    fusion: Fusion | None,
    timeout_s: float,
) -> tuple[QueryRequest, list[str]]:
    """The query, and the fields of its prefetches in order. Raises InvalidArgument (BAD_ARGUMENT), FailedPrecondition
    (NOT_FOR_DOCUMENTS)."""
    if not isinstance(question, str) or not question.strip():
        raise _bad("question", f"{question!r:.40} is blank")
    names = list(searched_fields(schema))
    dense = vectors_field(schema)
    reach = max(wanted.candidates, wanted.k)
    request = QueryRequest(
        collection,
        filter=where,
        k=reach,
        select=Selection(True, [dense] if dense and wanted.diversity > 0 else False),
        timeout_s=timeout_s,
        prefetch=tuple(Prefetch(TextRows([question]), name, k=reach) for name in names),
        fusion=fusion or Fusion(FusionMethod.RRF),
    )
    return request, names


def groups_for(query: QueryRequest, wanted: Wanted) -> GroupsRequest:
    query.k = min(query.k, wanted.k)
    return GroupsRequest(query, DOCUMENT_ID, wanted.per_document or 3)


def vectors_field(schema: Schema) -> str | None:
    """The field by whose vectors passages are compared."""
    fields = searched_fields(schema)
    return next((name for name, field in fields.items() if field.kind is VectorKind.DENSE), None)


def _bad(name: str, problem: str) -> InvalidArgument:
    message = f"{name}={problem}"
    return invalid("BAD_ARGUMENT", message, name)
