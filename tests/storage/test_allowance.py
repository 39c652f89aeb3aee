"""Bytes that may stay in memory are granted as far as they go, and come back."""

from __future__ import annotations

from vecstore.storage.allowance import Allowance


def test_granted_while_they_last() -> None:
    allowance = Allowance(100)
    assert allowance.take(60)
    assert not allowance.take(41)
    assert allowance.take(40)
    assert not allowance.take(1)
    allowance.give_back(60)
    assert allowance.take(60)
