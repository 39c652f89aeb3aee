"""A list of transforms as one: fitted in order, each to what the steps before it make of the sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from vecstore.errors import Corruption
from vecstore.index_spec import Transform as TransformSpec
from vecstore.kernels.base import Float32Array
from vecstore.schema import Metric
from vecstore.transform.arrays import DIM_MAX, number, stored_number
from vecstore.transform.base import Transform
from vecstore.transform.registry import TRANSFORMS


class Chain:
    """Array names carry the step's place and kind: `0.pca.basis`. A chain without steps changes nothing."""

    def __init__(self, dim_in: int, steps: Sequence[Transform]) -> None:
        """Raises ValueError when the steps' dimensions do not follow from each other."""
        self.dim_in = self.dim_out = dim_in
        for step in steps:
            if step.dim_in != self.dim_out:
                raise ValueError(f"{step.name} takes {step.dim_in} dimensions, the steps before it give {self.dim_out}")
            self.dim_out = step.dim_out
        self.steps = tuple(steps)

    @classmethod
    def fit(cls, specs: Sequence[TransformSpec], sample: Float32Array, metric: Metric, unit: bool = False) -> Self:
        """Fit to stored vectors, float32 (n, dim). `metric` is L2 or DOT; cosine is DOT with `unit` true on a sample
        of unit length. Raises InvalidArgument (BAD_INDEX_SPEC), naming the step."""
        dim_in = sample.shape[1]
        steps: list[Transform] = []
        for place, spec in enumerate(specs):
            if place:
                sample = steps[-1].apply(sample)
            step = TRANSFORMS[str(type(spec).__struct_config__.tag)].fit(spec, sample, metric, unit)
            unit = step.unit_after(unit)
            steps.append(step)
        return cls(dim_in, steps)

    def apply(self, rows: Float32Array) -> Float32Array:
        """Stored vectors, float32 (n, dim_in), to (n, dim_out). Never changes its argument."""
        for step in self.steps:
            rows = step.apply(rows)
        return rows

    def apply_queries(self, queries: Float32Array) -> tuple[Float32Array, Float32Array | None]:
        """Queries, float32 (nq, dim_in), to (nq, dim_out), and what to add to each query's inner products (nq,)."""
        total: Float32Array | None = None
        for step in self.steps:
            queries, add = step.apply_queries(queries)
            if not step.linear:
                total = None  # lengths changed: inner products are cosines of the mapped vectors from here on
            if add is not None:
                total = add if total is None else total + add
        return queries, total

    def arrays(self) -> dict[str, np.ndarray]:
        named = {"dim": stored_number(self.dim_in)}
        for place, step in enumerate(self.steps):
            named |= {f"{place}.{step.name}.{name}": array for name, array in step.arrays().items()}
        return named

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild from `arrays()`. Raises Corruption when they do not fit together."""
        dim = number(arrays, "dim", 1, DIM_MAX)
        found: dict[int, dict[str, dict[str, np.ndarray]]] = {}
        for key, array in arrays.items():
            if key == "dim":
                continue
            prefix, _, rest = key.partition(".")
            kind, _, name = rest.partition(".")
            if not (prefix.isascii() and prefix.isdigit()) or kind not in TRANSFORMS or not name:
                raise Corruption(f"array {key} belongs to no transform")
            found.setdefault(int(prefix), {}).setdefault(kind, {})[name] = array
        steps = []
        for place in range(len(found)):
            kinds = found.get(place, {})
            if len(kinds) != 1:
                got = " and ".join(sorted(kinds)) or "missing"
                raise Corruption(f"step {place} of a chain of transforms is {got}")
            for kind, state in kinds.items():
                steps.append(TRANSFORMS[kind].from_arrays(state))
        try:
            return cls(dim, steps)
        except ValueError as error:
            raise Corruption(f"a chain of transforms does not fit together: {error}") from None
