"""Index specs as one line of text and back: `pca(256) | ivf(nlist=1024) | rabitq(bits=5) | rerank(float16)`.

    index   = stage { "|" stage }          transforms, then a structure, a quantizer, a rerank; each may be left out
    stage   = name [ "(" [ value ] { "," name "=" value } ")" ]     a value without a name is the first parameter
    value   = number | name | "[" number { "," number } "]"         true, false and none are names

Without a structure it is flat. A line that starts with a capital is one of faiss's (`index_faiss.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from vecstore import index_spec
from vecstore.errors import InvalidArgument
from vecstore.index_faiss import parse_faiss
from vecstore.index_spec import Flat, Index, Quantizer, Rerank, Transform

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<number>[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)|(?P<mark>[()|,=\[\]])|(?P<end>\Z))"
)
_CONSTANTS = {"true": True, "false": False, "none": None}


def _by_tag(union: Any) -> dict[str, type[msgspec.Struct]]:
    return {str(kind.__struct_config__.tag): kind for kind in get_args(union)}


_TRANSFORMS, _STRUCTURES, _QUANTIZERS = _by_tag(Transform), _by_tag(Index), _by_tag(Quantizer)
_STAGES = {**_TRANSFORMS, **_STRUCTURES, **_QUANTIZERS}
# What other databases call what is here.
_MEANT = {
    "hnsw": "graph(degree=..., ef=...)", "diskann": "graph", "vamana": "graph", "ivfflat": "ivf", "ivf_flat": "ivf",
    "ivf_pq": "ivf | pq", "ivf_sq": "ivf | int8", "ivf_rq": "ivf | rabitq", "ivf_rabitq": "ivf | rabitq", "sq": "int8",
    "bq": "binary", "scalar": "int8", "product": "pq", "none": "flat", "brute_force": "flat",
}  # fmt: skip
LENGTH_MAX = 1_000
_PARTS = ("quantizer", "transforms", "rerank")  # of a structure: stages of their own


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # name, number, mark, end
    text: str
    at: int


@dataclass(slots=True)
class _Stage:
    name: str
    at: int
    values: dict[str, tuple[Any, int]]  # parameter to value and position; "" for the one without a name


def parse_index(text: str) -> Index:
    """Raises InvalidArgument (BAD_INDEX_SPEC) that says where and what was expected."""
    if not isinstance(text, str) or not text.strip():
        raise _bad(f"{text!r:.80}", 0, "a spec such as 'ivf | rabitq(bits=4)'")
    if len(text) > LENGTH_MAX:
        raise _bad(f"{text[:80]}...", LENGTH_MAX, f"the end: a spec has at most {LENGTH_MAX} characters")
    if text.lstrip()[0].isupper():
        return parse_faiss(text)
    return _assemble(text, _Parser(text).stages())


def format_index(spec: Index) -> str:
    """The line that `parse_index` reads back as the same spec; defaults are left out."""
    stages = [*getattr(spec, "transforms", ()), spec]
    if getattr(spec, "quantizer", None) is not None:
        stages.append(spec.quantizer)  # type: ignore[union-attr]
    parts = [_format_stage(stage) for stage in stages]
    rerank = getattr(spec, "rerank", "stored")
    if rerank != "stored":
        parts.append(f"rerank({rerank})")
    return " | ".join(parts)


def _format_stage(stage: msgspec.Struct) -> str:
    shown = []
    for field in msgspec.structs.fields(stage):
        value = getattr(stage, field.name)
        if field.name in _PARTS:
            continue
        if field.required:
            shown.append(_format_value(value))
        elif value != field.default:
            shown.append(f"{field.name}={_format_value(value)}")
    name = str(stage.__struct_config__.tag)
    return f"{name}({', '.join(shown)})" if shown else name


def _format_value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_format_value, value))}]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0

    def stages(self) -> list[_Stage]:
        stages = [self._stage()]
        while self._skip("|"):
            stages.append(self._stage())
        if self._peek().kind != "end":
            raise self._unexpected("'|' or the end")
        return stages

    def _stage(self) -> _Stage:
        name = self._take("name", "the name of a transform, structure or quantizer")
        stage = _Stage(name.text, name.at, {})
        if not self._skip("("):
            return stage
        while not self._skip(")"):
            if stage.values and not self._skip(","):
                raise self._unexpected("',' or ')'")
            self._parameter(stage)
        return stage

    def _parameter(self, stage: _Stage) -> None:
        token = self._peek()
        after = self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        name = ""
        if token.kind == "name" and after.text == "=":
            name = token.text
            self._next += 2
        elif stage.values:
            raise self._unexpected("a parameter as name=value")
        if name in stage.values:
            raise _bad(self._text, token.at, f"{name} only once")
        at = self._peek().at
        stage.values[name] = self._value(), at

    def _value(self) -> Any:
        if self._skip("["):
            values = [self._scalar()]
            while self._skip(","):
                values.append(self._scalar())
            if not self._skip("]"):
                raise self._unexpected("',' or ']'")
            return values
        return self._scalar()

    def _scalar(self) -> Any:
        token = self._peek()
        if token.kind not in ("name", "number"):
            raise self._unexpected("a value")
        self._next += 1
        if token.kind == "name":
            return _CONSTANTS.get(token.text, token.text)
        return float(token.text) if set(token.text) & set(".eE") else int(token.text)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, kind: str, wanted: str) -> _Token:
        token = self._peek()
        if token.kind != kind:
            raise self._unexpected(wanted)
        self._next += 1
        return token

    def _skip(self, mark: str) -> bool:
        found = self._peek().kind == "mark" and self._peek().text == mark
        self._next += found
        return found

    def _unexpected(self, wanted: str) -> InvalidArgument:
        return _bad(self._text, self._peek().at, wanted)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise _bad(text, start, "a name, a number or one of ( ) [ ] | , =")
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return found


def _assemble(text: str, stages: list[_Stage]) -> Index:
    transforms: list[dict[str, Any]] = []
    structure: tuple[_Stage, dict[str, Any]] | None = None
    parts: dict[str, Any] = {}
    for stage in stages:
        if stage.name in _TRANSFORMS and structure is None and not parts:
            transforms.append(_read(text, stage))
        elif stage.name in _STRUCTURES and structure is None and not parts:
            structure = stage, _read(text, stage)
        elif stage.name in _QUANTIZERS and not parts:
            parts["quantizer"] = _read(text, stage)
        elif stage.name == "rerank" and "rerank" not in parts:
            parts["rerank"] = _rerank(text, stage)
        elif stage.name in _STAGES or stage.name == "rerank":
            raise _bad(text, stage.at, "transforms, then one structure, one quantizer and one rerank")
        else:
            known = ", ".join([*_STAGES, "rerank"])
            meant = _MEANT.get(stage.name)
            raise _bad(text, stage.at, f"{meant}, or one of {known}" if meant else f"one of {known}")
    if transforms:
        parts["transforms"] = transforms
    owner, values = structure or (stages[0], {"type": str(Flat.__struct_config__.tag)})
    kind = _STRUCTURES[values["type"]]
    for name in parts:
        if name not in kind.__struct_fields__:
            raise _bad(text, owner.at, f"no {name} beside {values['type']}")
    spec: Index = msgspec.convert({**values, **parts}, kind)  # type: ignore[assignment]
    return spec


def _read(text: str, stage: _Stage) -> dict[str, Any]:
    """The stage as a dictionary that converts to its type."""
    kind = _STAGES[stage.name]
    names = [name for name in kind.__struct_fields__ if name not in _PARTS]
    values: dict[str, Any] = {}
    places: dict[str, int] = {}
    for name, (value, at) in stage.values.items():
        if not name and not names:
            raise _bad(text, at, f"no parameter: {stage.name} takes none")
        key = name or names[0]
        if key not in names:
            raise _bad(text, at, f"a parameter of {stage.name}: {', '.join(names) or 'it takes none'}")
        if key in values:
            raise _bad(text, at, f"{key} only once")
        values[key], places[key] = value, at
    try:
        msgspec.convert(values | {"type": stage.name}, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        named = re.search(r"\$\.(\w+)", path)
        at = places.get(named[1], stage.at) if named else stage.at
        raise _bad(text, at, f"other parameters of {stage.name}: {message.replace('`', '')}") from None
    return values | {"type": stage.name}


def _rerank(text: str, stage: _Stage) -> str:
    known = get_args(Rerank)
    value, at = stage.values.get("", stage.values.get("by", (stage, stage.at)))
    value = "none" if value is None else value
    if value not in known or len(stage.values) != 1:
        raise _bad(text, at, f"rerank by one of {', '.join(known)}")
    return str(value)


def _bad(text: str, at: int, wanted: str) -> InvalidArgument:
    message = f"index spec {text!r:.200}: at position {at} expected {wanted}"
    return InvalidArgument(
        message, reason=index_spec.BAD_INDEX_SPEC, metadata={"position": at}, field_violations=[("index", message)]
    )
