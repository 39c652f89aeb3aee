"""How many queries a batch should wait for."""

from __future__ import annotations

SKIP_MAX = 256  # queries
PROBE_FIRST, PROBE_LAST = 16, 256  # batches
RECENT = 4  # batches


class Patience:
    """Learns how many queries a batch should wait for, from how many came while earlier ones waited.

    A caller that sends one query after another never sends while it waits, so that waiting for it is in vain: after a
    vain wait the next queries go ahead, twice as many each time, up to SKIP_MAX. After a wait that brought others, the
    next batch waits for as many, and now and then for twice as many, in case more callers came: after PROBE_FIRST
    batches, and where none had come, twice as many each time, up to PROBE_LAST, so that these waits are few.

    Where there is no processor time to spare, a batch waits for as many as the largest of the last few had, though the
    last one had fewer: whoever is late is waiting for a core, too, and what waits here leaves it one.

    `query_s` is the least that a query of these took lately, in seconds; None before the first."""

    __slots__ = ("_left", "_probe_every", "_probe_in", "_probing", "_recent", "_skip", "_target", "query_s")

    def __init__(self) -> None:
        self._target = 1
        self._skip = 1
        self._left = 1
        self._probing = True  # until a wait brought fewer than wanted
        self._probe_every = self._probe_in = PROBE_FIRST
        self._recent = (1,) * RECENT
        self.query_s: float | None = None

    def target(self, shortage: float = 0.0) -> int:
        """The number of queries to wait for; 1 is not to wait. `shortage` of processor time, from 0 to 1."""
        if self._target == 1:
            self._left -= 1
            return 1 if self._left >= 0 else 2
        return max(self._target, round(shortage * max(self._recent)))

    def learn(self, target: int, size: int) -> None:
        """A batch that waited for `target` queries got `size`."""
        self._recent = (*self._recent[1:], size)
        if size == 1:
            if target > 1:
                self._target, self._probing = 1, True
                self._skip = self._left = min(2 * self._skip, SKIP_MAX)
            return
        self._skip = 1
        self._target = size
        self._probe_in -= 1
        if self._probing:
            self._probe(came=size >= target)
        elif self._probe_in <= 0:
            self._probing = True
        if self._probing:
            self._target = 2 * size

    def _probe(self, came: bool) -> None:
        """What waiting for more than last time brought."""
        self._probing = came
        if came:
            self._probe_every = PROBE_FIRST
        else:
            self._probe_in, self._probe_every = self._probe_every, min(2 * self._probe_every, PROBE_LAST)

    def timed(self, seconds: float, size: int) -> None:
        """A batch of `size` took so long. On a busy machine any batch may take long, so that only several in a row
        count: the time kept follows a longer one by a quarter at most."""
        took = seconds / size
        self.query_s = took if self.query_s is None else min(took, 1.25 * self.query_s)
