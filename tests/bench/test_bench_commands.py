"""Every command of `python -m bench` has an option for each parameter of its function, and none that does nothing."""

from __future__ import annotations

import argparse
import inspect
from functools import partial

import pytest

from bench.__main__ import parser
from bench.commands.common import function_of

OWN = {"command", "do", "help"}


def commands() -> dict[str, argparse.ArgumentParser]:
    (made,) = (one for one in parser()._actions if isinstance(one, argparse._SubParsersAction))
    return dict(made.choices)


@pytest.mark.parametrize("name", commands())
def test_options_are_the_parameters(name: str) -> None:
    command = commands()[name]
    do = command.get_default("do")
    assert isinstance(do, partial)
    try:
        wanted = set(inspect.signature(function_of(do.args[0])).parameters)
    except ImportError as error:
        pytest.skip(f"needs {error.name}")
    if wanted == {"options"}:
        return
    given = {action.dest for action in command._actions} - OWN
    if "spec" in wanted:  # the function is called for each of them
        wanted = wanted - {"spec"} | {"specs"}
    assert given == wanted
