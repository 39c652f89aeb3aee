"""A rank expression over columns of candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.formula import run_formula
from vecstore.query.formula import Expression, Leaf
from vecstore.query.formula_program import program_of

Column: TypeAlias = NDArray[np.float64]
Columns: TypeAlias = Callable[[Leaf], Column]


def evaluate(root: Expression, columns: Columns, n: int) -> Column:
    """(n,) values of a checked tree; `columns` gives those of leaves, (n,) each."""
    program = program_of(root)
    gathered = np.empty((len(program.leaves), n))
    for place, leaf in enumerate(program.leaves):
        gathered[place] = columns(leaf)
    return run_formula(program.instructions, np.array(program.constants, np.float64), gathered)
