"""A dictionary that forgets all where it would grow too large."""

from __future__ import annotations

from vecstore.memory.remembered import Remembered


def test_it_holds_at_most_so_many() -> None:
    known: Remembered[int, str] = Remembered(3)
    for key in range(3):
        assert known.keep(key, str(key)) == str(key)
    assert known == {0: "0", 1: "1", 2: "2"}
    known.keep(3, "3")
    assert known == {3: "3"}
    assert known.get(0) is None
