"""Rank expressions from text, such as `score(0) + 0.3 * gauss_decay(field("year"), 2026, scale=3)`.

Python's own parser reads the syntax; of the tree that it gives, only numbers, arithmetic, comparisons and calls of the
functions named here are taken. Nothing is evaluated or looked up. `matches` takes a filter in its JSON form.
"""

from __future__ import annotations

import ast
import threading
from functools import lru_cache
from typing import Any, NoReturn

from vecstore.config import Limits
from vecstore.errors import InvalidArgument, limit_exceeded
from vecstore.query.builder import moment
from vecstore.query.formula import (
    ARITY,
    DECAYS,
    Call,
    Decay,
    Expression,
    FieldValue,
    GeoDistance,
    Matches,
    Number,
    Score,
)
from vecstore.query.formula_check import DEPTH_CEILING, bad_formula
from vecstore.query.parse import parse_filter

TEXT_MAX = 16_384  # characters
KEPT_MAX, KEPT = 1_024, 128  # characters of a text whose tree is kept for the next query with it, and how many are
_parsing = threading.Lock()  # CPython 3.11 counts the depth of all trees that are being made in one place
_INT_MAX = 1.7976931348623157e308

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
    ast.Lt: "lt", ast.LtE: "lte", ast.Gt: "gt", ast.GtE: "gte", ast.Eq: "eq", ast.NotEq: "ne",
}  # fmt: skip
_CONSTANTS = {"true": True, "false": False, "null": None}  # JSON's, beside Python's own
_CALLS = ("abs", "eq", "exp", "log", "log10", "max", "min", "ne", "sqrt", "where")
_PARAMETERS = {  # name -> its parameters in order, and how many of them are needed
    "score": (("prefetch", "default"), 0),
    "field": (("key", "default"), 1),
    "datetime_field": (("key", "default"), 1),
    "datetime": (("value",), 1),
    "geo_distance": (("key", "lat", "lon", "default"), 3),
    **{f"{kind}_decay": (("x", "target", "scale", "midpoint"), 1) for kind in DECAYS},
}


def formula_from_text(text: str, limits: Limits, path: str = "formula") -> Expression:
    """What it holds is checked with the query. Raises InvalidArgument: BAD_FORMULA with the column, LIMIT_EXCEEDED."""
    if len(text) > TEXT_MAX:
        raise bad_formula(path, f"has {len(text)} characters, the most is {TEXT_MAX}")
    return _kept(text, limits, path) if len(text) <= KEPT_MAX else _read(text, limits, path)


def _read(text: str, limits: Limits, path: str) -> Expression:
    try:
        with _parsing:
            tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise bad_formula(path, f"column {error.offset or 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise bad_formula(path, "is nested too deep, or holds a zero byte") from None
    return _Reader(limits, path).expression(tree.body, 1)


_kept = lru_cache(KEPT)(_read)  # trees never change


class _Reader:
    def __init__(self, limits: Limits, path: str) -> None:
        self._limits = limits
        self._depth_max = min(limits.formula_depth_max, DEPTH_CEILING)
        self._path = path

    def expression(self, node: ast.expr, depth: int) -> Expression:
        if depth > self._depth_max:
            raise limit_exceeded("formula_depth_max", depth, self._depth_max, path="formula depth")
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return Number(self._plain(node))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
                return Number(self._plain(node))
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return Call("neg", (self.expression(inner, depth + 1),))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                args = self.expression(left, depth + 1), self.expression(right, depth + 1)
                return Call(_OPERATORS[type(op)], args)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
                args = self.expression(left, depth + 1), self.expression(right, depth + 1)
                return Call(_OPERATORS[type(op)], args)
            case ast.Compare():
                self._refuse(node, "compare two values, with one of < <= > >= == !=")
            case ast.Call(func=ast.Name(id=name)):
                return self._call(node, name, depth)
        self._refuse(node, "is no number, operator or function of expressions")

    def _call(self, node: ast.Call, name: str, depth: int) -> Expression:
        if name in _CALLS:
            least, most = ARITY[name]
            if node.keywords or not least <= len(node.args) <= most:
                self._refuse(node, f"{name} takes {least} to {most} arguments by place")
            return Call(name, tuple(self.expression(one, depth + 1) for one in node.args))
        if name == "matches":
            if node.keywords or len(node.args) != 1:
                self._refuse(node, "matches takes one filter")
            return Matches(parse_filter(self._json(node.args[0]), self._limits, f"{self._path}.matches"))
        if name not in _PARAMETERS:
            known = ", ".join(sorted((*_CALLS, *_PARAMETERS, "matches")))
            self._refuse(node, f"no function is named {name!r:.40}; known: {known}")
        given = self._arguments(node, name)
        if name.endswith("_decay"):
            x = self.expression(given["x"], depth + 1)
            target = self.expression(given["target"], depth + 1) if "target" in given else Number(0.0)
            scale, midpoint = self._number(given, "scale", 1.0), self._number(given, "midpoint", 0.5)
            return Decay(name.removesuffix("_decay"), x, target, scale, midpoint)
        if name == "score":
            place = self._plain(given["prefetch"]) if "prefetch" in given else 0
            return Score(place, self._number(given, "default", 0.0))
        if name == "datetime":
            return Number(self._moment(given["value"]))
        key = self._plain(given["key"])
        if name == "field":
            return FieldValue(key, self._number(given, "default", None))
        if name == "datetime_field":
            default = self._moment(given["default"]) if "default" in given else None
            return FieldValue(key, default, True)
        lat, lon = self._number(given, "lat", None), self._number(given, "lon", None)
        return GeoDistance(key, lat, lon, self._number(given, "default", None))

    def _arguments(self, node: ast.Call, name: str) -> dict[str, ast.expr]:
        parameters, needed = _PARAMETERS[name]
        named = [(one.arg, one.value) for one in node.keywords]
        given = [*zip(parameters, node.args, strict=False), *named]
        found = {key: value for key, value in given if key in parameters}
        missing = [key for key in parameters[:needed] if key not in found]
        if len(node.args) > len(parameters) or len(found) < len(given) or missing:
            self._refuse(node, f"{name} takes ({', '.join(parameters)}), the first {needed} at least")
        return {str(key): value for key, value in found.items()}

    def _number(self, given: dict[str, ast.expr], name: str, default: Any) -> Any:
        return self._plain(given[name]) if name in given else default

    def _plain(self, node: ast.expr) -> Any:
        """A number or a string as it stands; what it may be is checked with the query."""
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            node, sign = node.operand, -1
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            if abs(node.value) > _INT_MAX:
                self._refuse(node, "is larger than any number of 64 bits")
            return sign * node.value
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and sign == 1:
            return node.value
        self._refuse(node, "must be a number or a string here")

    def _json(self, node: ast.expr) -> Any:
        """A filter as it stands, no deeper than the 200 brackets of Python's parser; `parse_filter` checks it."""
        match node:
            case ast.Dict(keys=keys, values=values):
                names = [key.value if isinstance(key, ast.Constant) else None for key in keys]
                if not all(isinstance(name, str) for name in names):
                    self._refuse(node, "names in a filter are strings")
                return {name: self._json(value) for name, value in zip(names, values, strict=True)}
            case ast.List(elts=elements):
                return [self._json(one) for one in elements]
            case ast.Name(id=name) if name in _CONSTANTS:
                return _CONSTANTS[name]
            case ast.Constant(value=bool() | None as value):
                return value
        return self._plain(node)

    def _moment(self, node: ast.expr) -> float:
        value = self._plain(node)
        if not isinstance(value, str):
            self._refuse(node, "a moment is a string, such as '2026-11-01T00:00:00Z'")
        try:
            return moment(value) / 1e6
        except InvalidArgument as error:
            self._refuse(node, error.message)

    def _refuse(self, node: ast.AST, problem: str) -> NoReturn:
        raise bad_formula(self._path, f"column {getattr(node, 'col_offset', 0) + 1}: {problem}")
