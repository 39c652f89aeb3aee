"""Rank expressions as programs for a machine with a stack (`kernels/formula.py`), which works on blocks of candidates.

A program takes about a microsecond for each node to make, so nothing needs to be kept between queries, and a formula
with other numbers in every query costs the same. The machine is compiled once for all trees, by the C++ compiler or by
Numba. Code of Numba's for each tree would take 120 ms or more to make, and Numba 130 MiB in each process that ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vecstore.kernels.formula import OPS, Instructions
from vecstore.query.formula import Call, Decay, Expression, Leaf, Number

_NUMBERS = {op: number for number, op in enumerate(OPS)}


@dataclass(slots=True)
class Program:
    """`leaves` are the columns that it reads, by their place, `constants` what else it reads."""

    code: list[int] = field(default_factory=list)  # operator and operand of each instruction
    constants: list[float] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)

    @property
    def instructions(self) -> Instructions:
        return np.array(self.code, np.int32).reshape(-1, 2)

    def do(self, op: str, operand: int = 0) -> None:
        self.code += (_NUMBERS[op], operand)

    def push(self, value: float) -> None:
        self.do("constant", len(self.constants))
        self.constants.append(value)

    def take(self, node: Expression) -> None:
        """Have it leave the value of a tree on the stack. Recursion follows the tree, whose depth is checked."""
        if isinstance(node, Number):
            self.push(node.value)
        elif isinstance(node, Decay):
            self._take_decay(node)
        elif isinstance(node, Call):
            self.take(node.args[0])
            if node.op == "where":
                self.take(node.args[1])
                self.take(node.args[2])
                self.do("where")
            elif len(node.args) > 1:
                for one in node.args[1:]:
                    self.take(one)
                    self.do(node.op)
            elif node.op in ("neg", "abs", "sqrt", "exp", "log", "log10"):
                self.do(node.op)  # a sum or product of one is that one
        else:
            self.do("column", len(self.leaves))
            self.leaves.append(node)  # type: ignore[arg-type]

    def _take_decay(self, node: Decay) -> None:
        self.take(node.x)
        self.take(node.target)
        self.do("sub")
        self.do("abs")
        self.push(node.scale)
        self.do("div")
        if node.kind == "linear":
            self.push(node.midpoint - 1.0)
            self.do("mul")
            self.push(1.0)
            self.do("add")
            self.push(0.0)
            self.do("max")
            return
        if node.kind == "gauss":
            self.do("square")
        self.push(math.log(node.midpoint))
        self.do("mul")
        self.do("exp")


def program_of(root: Expression) -> Program:
    """Of a checked tree."""
    program = Program()
    program.take(root)
    return program
