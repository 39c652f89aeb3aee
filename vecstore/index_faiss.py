"""Index strings of faiss's factory that mean something here: `IVF4096,PQ48x4fs,RFlat`, `OPQ48_384,PQ48`, `HNSW32,SQ8`.

Layout suffixes (`fs`, a block size) say nothing about the answer and are dropped. The stored vectors rerank, with or
without `RFlat`, unless `Refine(...)` names something smaller. A graph is walked by codes of its own here: what faiss
walks by is what ours reranks by. Everything else is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

from vecstore.errors import InvalidArgument
from vecstore.index_spec import (
    BAD_INDEX_SPEC,
    IVF,
    OPQ,
    PCA,
    PQ,
    BFloat16,
    Binary,
    Flat,
    Float16,
    Graph,
    HammingIVF,
    Index,
    Int4,
    Int8,
    LloydMax,
    Normalize,
    Quantizer,
    RaBitQ,
    Rerank,
    Rotate,
    Transform,
)

_Rule = tuple[str, Callable[[re.Match[str]], Any]]

_TRANSFORMS: list[_Rule] = [
    (r"PCA(\d+)", lambda found: [PCA(int(found[1]))]),
    (r"PCAR(\d+)", lambda found: [PCA(int(found[1])), Rotate()]),
    (r"RR", lambda found: [Rotate()]),
    (r"OPQ(\d+)(?:_(\d+))?", lambda found: [OPQ(int(found[1]), int(found[2]) if found[2] else None)]),
    (r"L2norm", lambda found: [Normalize()]),
]
_QUANTIZERS: list[_Rule] = [
    (r"SQ8", lambda found: Int8()),
    (r"SQ4", lambda found: Int4()),
    (r"SQfp16", lambda found: Float16()),
    (r"SQbf16", lambda found: BFloat16()),
    (r"SQtqmse([124])", lambda found: LloydMax(int(found[1]))),  # type: ignore[arg-type]
    (r"PQ(\d+)(?:x([48]))?", lambda found: PQ(int(found[1]), 4 if found[2] == "4" else 8)),
    (r"PQ(\d+)x4fsr?(?:_\d+)?", lambda found: PQ(int(found[1]), 4)),
    (r"RaBitQ([1-8])?", lambda found: RaBitQ(int(found[1] or 1))),
    (r"RaBitQfs([1-8])?(?:_\d+)?", lambda found: RaBitQ(int(found[1] or 1))),
]
_RERANKS: dict[str, Rerank] = {
    "RFlat": "stored", "Refine(Flat)": "stored", "Refine(SQfp16)": "float16", "Refine(SQbf16)": "bfloat16",
    "Refine(SQ8)": "int8",
}  # fmt: skip
# What a graph of faiss walks by, as the code that ours walks by and what it reranks by.
_GRAPHS: dict[str, tuple[Quantizer | None, Rerank]] = {
    "Flat": (None, "stored"), "SQ8": (None, "int8"), "SQfp16": (None, "float16"), "SQbf16": (None, "bfloat16"),
    "RaBitQ": (RaBitQ(1), "stored"), "RaBitQ1": (RaBitQ(1), "stored"), "RaBitQ2": (RaBitQ(2), "stored"),
    "RaBitQ4": (RaBitQ(4), "stored"),
}  # fmt: skip
_DEGREE_STEP = 16


def parse_faiss(text: str) -> Index:
    """Raises InvalidArgument (BAD_INDEX_SPEC) naming the token that has no counterpart."""
    tokens = [token.strip() for token in re.split(r",(?![^(]*\))", text.strip())]
    if tokens == ["BFlat"]:
        return Flat()
    if (found := re.fullmatch(r"BIVF(\d+)", text.strip())) is not None:
        return HammingIVF(int(found[1]))
    if (found := re.fullmatch(r"(HNSW|NSG)(\d*)(?:_(.+))?", tokens[0])) is not None:
        return _graph(text, found[1], int(found[2] or 32), [*([found[3]] if found[3] else []), *tokens[1:]])
    transforms: list[Transform] = []
    while tokens and (more := _match(_TRANSFORMS, tokens[0])) is not None:
        transforms += more
        del tokens[0]
    nlist = None
    if tokens and (found := re.fullmatch(r"IVF(\d+)", tokens[0])) is not None:
        nlist = int(found[1])
        del tokens[0]
    quantizer = _quantizer(tokens, nlist is not None)
    rerank: Rerank = "stored"
    if tokens and tokens[0] in _RERANKS:
        rerank = _RERANKS[tokens.pop(0)]
    if tokens:
        raise _unknown(text, tokens[0])
    if nlist is not None:
        return IVF(nlist, quantizer, tuple(transforms), rerank)
    return Flat(quantizer, tuple(transforms), rerank)


def _graph(text: str, kind: str, links: int, tokens: list[str]) -> Graph:
    """HNSW keeps twice its links in the layer that holds all rows."""
    quantizer, rerank = _GRAPHS[tokens.pop(0)] if tokens and tokens[0] in _GRAPHS else _GRAPHS["Flat"]
    if tokens and tokens[0] in _RERANKS:
        rerank = _RERANKS[tokens.pop(0)]
    if tokens:
        raise _unknown(text, tokens[0])
    degree = 2 * links if kind == "HNSW" else links
    return Graph(-(-degree // _DEGREE_STEP) * _DEGREE_STEP, quantizer, rerank)


def _quantizer(tokens: list[str], ivf: bool) -> Quantizer | None:
    """Takes the code's tokens off the front."""
    if not tokens or tokens[0] in _RERANKS:
        return None
    if tokens[0] == "Flat":
        del tokens[0]
        return None
    if not ivf and len(tokens) > 1 and tokens[1] == "LSH" and (found := re.fullmatch(r"ITQ(\d+)?", tokens[0])):
        del tokens[:2]
        return Binary(int(found[1]) if found[1] else None, itq=True)
    chosen = _match(_QUANTIZERS, tokens[0])
    if isinstance(chosen, get_args(Quantizer)):
        del tokens[0]
    return chosen  # type: ignore[no-any-return]


def _match(rules: list[_Rule], token: str) -> Any:
    for pattern, make in rules:
        if (found := re.fullmatch(pattern, token)) is not None:
            return make(found)
    return None


def _unknown(text: str, token: str) -> InvalidArgument:
    message = f"index spec {text!r:.200}: {token!r:.80} has no counterpart here, or not in this place"
    return InvalidArgument(
        message, reason=BAD_INDEX_SPEC, metadata={"token": token[:80]}, field_violations=[("index", message)]
    )
