"""The machine of rank expressions: every backend against numpy on random programs, and programs that are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from seeds import seeded

from vecstore.errors import Cancelled
from vecstore.kernels.formula import BINARY, OPS, TAKES, UNARY, Run, run_formula, run_numba, run_numpy, stack_depth
from vecstore.kernels.select import available_backends
from vecstore.kernels.stop import Stop

ODD = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 5e-324, -1e-310, 1e308, -1e308, math.inf, -math.inf, math.nan, 709.7, -745.2]
ROUNDED = {"exp": 2, "log": 2, "log10": 2, "pow": 4}  # units in the last place between libraries

RUNS: dict[str, Run] = {"numba": run_numba}
if "native" in available_backends():
    from vecstore.kernels import _native, native_backend  # which has native code asked to stop

    assert native_backend
    RUNS["native"] = _native.run_formula


@pytest.fixture(params=sorted(RUNS))
def run(request: pytest.FixtureRequest) -> Run:
    return RUNS[request.param]


def columns_of(rng: np.random.Generator, count: int, n: int) -> np.ndarray:
    drawn = rng.normal(size=(count, n)) * 10.0 ** rng.integers(-3, 4, (count, n))
    odd = rng.random((count, n)) < 0.3
    drawn[odd] = rng.choice(ODD, np.count_nonzero(odd))
    return drawn


def random_program(rng: np.random.Generator, steps: int, ops: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Puts values on the stack and works on them, down to one."""
    code, constants, depth = [], [float(one) for one in rng.choice(ODD, 3)], 0
    while len(code) < steps or depth != 1:
        fitting = [op for op in ops if TAKES[OPS.index(op)] <= depth]
        if depth == 0 or (len(code) < steps and rng.random() < 0.5):
            code.append((int(rng.integers(2)), int(rng.integers(3))))
            depth += 1
        elif fitting:
            op = OPS.index(fitting[int(rng.integers(len(fitting)))])
            code.append((op, int(rng.integers(-9, 9))))  # which is not read
            depth += 1 - TAKES[op]
    return np.array(code, np.int32), np.array(constants)


def results(run: Run, code: Any, constants: np.ndarray, columns: np.ndarray) -> np.ndarray:
    out = np.full(columns.shape[1], 77.0)
    run(np.array(code, np.int32), constants, columns, out)
    return out


def bits(values: np.ndarray) -> np.ndarray:
    """Every NaN alike."""
    return np.where(np.isnan(values), np.nan, values).view(np.uint64)


def test_exact_operators_give_numpys_bits(run: Run) -> None:
    rng = seeded()
    exact = [op for op in OPS[2:] if op not in ROUNDED]
    for _ in range(300):
        code, constants = random_program(rng, int(rng.integers(1, 25)), exact)
        columns = columns_of(rng, 3, int(rng.choice([0, 1, 255, 256, 257, 700])))
        columns[columns == 0] = 0.0  # the smaller of 0 and -0 is either
        constants[constants == 0] = 0.0
        expected = results(run_numpy, code, constants, columns)
        found = results(run, code, constants, columns)
        same = (bits(found) == bits(expected)) | (found == expected)
        assert same.all(), [(OPS[op], operand) for op, operand in code.tolist()]


def test_a_program_does_not_depend_on_what_stands_beside_a_row(run: Run) -> None:
    rng = seeded()
    for _ in range(50):
        code, constants = random_program(rng, 12, list(OPS[2:]))
        columns = columns_of(rng, 3, 5_000)
        whole = results(run, code, constants, columns)
        rows = rng.permutation(5_000)[:301]
        assert (bits(results(run, code, constants, np.ascontiguousarray(columns[:, rows]))) == bits(whole[rows])).all()


@pytest.mark.parametrize("op", ROUNDED)
def test_rounded_operators_are_near_numpys(run: Run, op: str) -> None:
    rng = seeded()
    number, takes = OPS.index(op), TAKES[OPS.index(op)]
    pairs = np.array([(x, y) for x in ODD for y in ODD]).T
    columns = np.concatenate([pairs, columns_of(rng, 2, 20_000), np.abs(columns_of(rng, 2, 20_000))], axis=1)
    code = [(1, place) for place in range(takes)] + [(number, 0)]
    found = results(run, code, np.empty(0), columns)
    expected = results(run_numpy, code, np.empty(0), columns)
    odd = ~np.isfinite(expected) | ~np.isfinite(found)
    assert (bits(found[odd]) == bits(expected[odd])).all()
    spacing = np.spacing(np.abs(expected[~odd]))
    assert (np.abs(found[~odd] - expected[~odd]) <= ROUNDED[op] * spacing).all()


@pytest.mark.parametrize("run", [*RUNS.values(), run_numpy])
@pytest.mark.parametrize(
    "code",
    [
        [],
        [(0, 2)], [(0, -1)], [(1, 3)], [(1, -1)], [(1, 1 << 30)],  # constants and columns that are not there
        [(-1, 0)], [(len(OPS), 0)],
        [(OPS.index("neg"), 0)], [(0, 0), (OPS.index("add"), 0)], [(0, 0), (1, 0), (OPS.index("where"), 0)],
        [(0, 0), (1, 0)],  # two are left
    ],
)  # fmt: skip
def test_programs_that_are_none_are_refused(run: Run, code: list[tuple[int, int]]) -> None:
    program = np.array(code, np.int32).reshape(-1, 2)
    with pytest.raises(ValueError, match="the program"):
        run(program, np.zeros(2), np.zeros((3, 4)), np.empty(4))


def test_the_chosen_backend_runs_it() -> None:
    code = np.array([(1, 0), (0, 0), (OPS.index("mul"), 0)], np.int32)
    assert run_formula(code, np.array([3.0]), np.array([[1.0, -2.0]])).tolist() == [3.0, -6.0]
    assert stack_depth(code, 1, 1) == 2
    assert {op: OPS.index(op) for op in (*UNARY, *BINARY)}.keys() == set(OPS[2:-1])


@pytest.mark.parametrize("run", [*RUNS.values(), run_numpy])
def test_a_long_one_is_stopped(run: Run) -> None:
    out = np.zeros(10_000)

    def until_the_second_look() -> None:
        with Stop() as stop:
            stop.flag[0] = 2
            run(np.array([(1, 0)], np.int32), np.empty(0), np.ones((1, 10_000)), out)

    with pytest.raises(Cancelled):
        until_the_second_look()
    assert 0 < np.count_nonzero(out) < 10_000


def test_native_refuses_arrays_that_do_not_fit() -> None:
    if "native" not in RUNS:
        pytest.skip("no native extension")
    code, none = np.array([(1, 0)], np.int32), np.empty(0)
    for columns, out in ((np.zeros((1, 4), np.float32), np.empty(4)), (np.zeros((1, 4)), np.empty(5))):
        with pytest.raises(ValueError, match=r"float64|shape"):
            RUNS["native"](code, none, columns, out)
