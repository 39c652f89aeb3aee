"""How long a model is followed: a little at every change, as long as one likes with ROUNDS (examples)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def follow(
    machine: type[RuleBasedStateMachine], examples: int, steps: int, reached: Counter[str], expected: Sequence[str]
) -> None:
    """Each of `expected` is to be reached. Random examples come in clumps, so there may be four times as
    many of them until that is so."""
    reached.clear()
    for _ in range(4):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=int(os.environ.get("ROUNDS", examples)), stateful_step_count=steps, deadline=None,
                suppress_health_check=list(HealthCheck), print_blob=True,
            ),
        )  # fmt: skip
        lacking = [name for name in expected if not reached[name]]
        if not lacking:
            return
    raise AssertionError(f"never reached {lacking}: {reached}")
