"""What to say of an option that there is not: what was meant, or else what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# What other databases call what is here.
_MEANT = {
    "limit": "k", "top_k": "k", "topk": "k", "n_results": "k", "query_filter": "filter", "where": "filter",
    "expr": "filter", "anns_field": "using", "vector_name": "using", "field": "using", "hnsw_ef": "ef",
    "nprobes": "nprobe", "refine_factor": "oversampling", "include_vectors": "with_vectors",
    "output_fields": "with_payload", "timeout": "timeout_s",
}  # fmt: skip


def unknown_option(what: str, option: str, known: Iterable[str]) -> TypeError:
    """`what` has the options `known`, and was given another one."""
    names = sorted(known)
    meant = _MEANT.get(option) or next(iter(difflib.get_close_matches(option, names, 1)), None)
    hint = f"did you mean {meant}?" if meant in (*names, "k") else f"there are {', '.join(names)}"
    return TypeError(f"{what} has no option {option!r}: {hint}")
