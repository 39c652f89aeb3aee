"""How long a model is followed: a little at every change, as long as one likes with ROUNDS (examples)."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

TIMES = 16


def follow(
    machine: type[RuleBasedStateMachine], examples: int, steps: int, reached: Counter[str], expected: Sequence[str]
) -> None:
    """Each of `expected` is to be reached. Random examples come in clumps, so there may be 16 times as many of
    them until that is so. Each time has a seed of its own, the next one up (SEED names the first): where CI is
    set, Hypothesis would otherwise draw the same examples every time."""
    first = int(os.environ.get("SEED", 0 if settings.default.derandomize else random.randrange(2**32)))
    print(f"SEED={first}")
    reached.clear()
    for time in range(TIMES):
        run_state_machine_as_test(
            seed(first + time)(machine),
            settings=settings(
                max_examples=int(os.environ.get("ROUNDS", examples)), stateful_step_count=steps, deadline=None,
                suppress_health_check=list(HealthCheck), print_blob=True,
            ),
        )  # fmt: skip
        lacking = [name for name in expected if not reached[name]]
        if not lacking:
            return
    raise AssertionError(f"never reached {lacking}: {reached}")
