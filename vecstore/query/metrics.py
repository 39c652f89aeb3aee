"""Metrics of the user's own, by name: functions of this process, so that only an embedded database has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.errors import InvalidArgument, Unimplemented
from vecstore.schema import Metric

Float32Array: TypeAlias = NDArray[np.float32]
MetricFunction: TypeAlias = Callable[[Float32Array, Float32Array], Any]

NAME_MAX = 100  # characters

_functions: dict[str, MetricFunction] = {}


def register_metric(name: str, function: MetricFunction) -> None:
    """Let queries of this process rank points of dense fields by `ByMetric(vector, name)`.

    `function(queries, rows)` takes float32 arrays (m, dim) and (n, dim) and returns the distances (m, n), any real
    numbers that are finite in float32, small is near. It may be compiled by Numba. Threads call it at the same time. A
    name that is registered again gets the new function. Raises InvalidArgument (BAD_METRIC)."""
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX:
        raise bad_metric("name", f"{name!r:.40} must be a string of 1 to {NAME_MAX} characters")
    if name in list(Metric):
        raise bad_metric("name", f"{name!r} is a metric that fields have")
    if not callable(function):
        raise bad_metric("function", f"{function!r:.40} cannot be called")
    _functions[name] = function


def metric_named(name: str) -> MetricFunction:
    """Raises InvalidArgument (BAD_METRIC)."""
    function = _functions.get(name) if isinstance(name, str) else None
    if function is None:
        known = ", ".join(sorted(_functions)) or "none"
        raise bad_metric("by_metric.metric", f"{name!r:.40} is not registered in this process; known: {known:.400}")
    return function


def distances_of(name: str, function: MetricFunction, queries: Float32Array, rows: Float32Array) -> Float32Array:
    """What the function gives, (m, n). Raises InvalidArgument (BAD_METRIC) where it raises or gives anything else."""
    path = f"metric {name!r}"
    try:
        given = np.asarray(function(queries, rows))
    except Exception as error:
        raise bad_metric(path, f"raised {type(error).__name__}: {error}") from error
    wanted = (len(queries), len(rows))
    if given.shape != wanted or given.dtype.kind not in "fiu":
        raise bad_metric(path, f"gave {given.dtype} of shape {given.shape}, not real numbers of shape {wanted}")
    with np.errstate(over="ignore"):
        distances = given.astype(np.float32)
    if not np.isfinite(distances).all():
        raise bad_metric(path, f"gave {given[~np.isfinite(distances)][0]}, which is not finite in float32")
    return distances


def bad_metric(path: str, problem: str) -> InvalidArgument:
    return InvalidArgument(f"{path} {problem}", reason="BAD_METRIC", field_violations=[(path, problem)])


def embedded_only(name: str) -> Unimplemented:
    return Unimplemented(f"metric {name!r:.40} is a function of this process: a server has none; embed the database")
