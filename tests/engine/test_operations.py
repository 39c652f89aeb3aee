"""How far an operation is, as those who look are told."""

from __future__ import annotations

import pytest

from vecstore.engine.operations import Operations
from vecstore.errors import Corruption
from vecstore.types import OperationState


@pytest.mark.parametrize("error", [None, Corruption("torn")])
def test_what_is_done_is_done_to_its_end_and_what_failed_is_not(error: Corruption | None) -> None:
    operation = Operations().start("verify", "docs")
    operation.progress("blobs", 3, 4)
    operation.finish(error)
    info = operation.info()
    assert (info.done, info.total) == ((4, 4) if error is None else (3, 4))
    assert info.state is (OperationState.DONE if error is None else OperationState.FAILED)
    assert info.finished_at is not None
    assert info.eta_s is None
