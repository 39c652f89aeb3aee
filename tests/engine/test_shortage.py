"""How short of processor time a thread is, by what the system says that it waited."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vecstore.engine import shortage
from vecstore.engine.shortage import FULL_FROM, LOOK_S, NONE_BELOW, Shortage


class Thread:
    """One whose waiting the test decides."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file, self._now, self._waited_ns = file, 100.0, 7_000_000_000
        monkeypatch.setattr(shortage, "SCHEDSTAT", str(file))
        monkeypatch.setattr(shortage.time, "perf_counter", lambda: self._now)
        self.passes(0.0, 0.0)

    def passes(self, seconds: float, waited_s: float) -> None:
        self._now += seconds
        self._waited_ns += int(1e9 * waited_s)
        self._file.write_text(f"123456789 {self._waited_ns} 42\n")


def test_it_follows_the_share_of_time_that_was_waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Thread(tmp_path / "schedstat", monkeypatch)
    short = Shortage()
    assert short.now() == 0.0  # whatever it waited before
    for share, expected in ((NONE_BELOW, 0.0), (FULL_FROM, 1.0), ((NONE_BELOW + FULL_FROM) / 2, 0.5), (0.0, 0.0)):
        for _ in range(20):
            thread.passes(2 * LOOK_S, 2 * LOOK_S * share)
            found = short.now()
        assert found == pytest.approx(expected, abs=0.01)


def test_it_looks_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Thread(tmp_path / "schedstat", monkeypatch)
    short = Shortage()
    thread.passes(2 * LOOK_S, 0.0)
    assert short.now() == 0.0
    thread.passes(LOOK_S / 2, LOOK_S / 2)
    assert short.now() == 0.0
    thread.passes(LOOK_S, LOOK_S)
    assert short.now() == 1.0


@pytest.mark.parametrize("text", [None, "", "what is this", "12\n"])
def test_without_word_from_the_system_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    thread = Thread(tmp_path / "schedstat", monkeypatch)
    short = Shortage()
    for _ in range(3):
        thread.passes(LOOK_S, LOOK_S)
        if text is None:
            (tmp_path / "schedstat").unlink()
        else:
            (tmp_path / "schedstat").write_text(text)
        assert short.now() == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a thread waited")
def test_the_system_says_it() -> None:
    waited_ns = shortage._waited_ns()
    assert waited_ns is not None
    assert waited_ns >= 0
