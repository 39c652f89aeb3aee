"""How many queries a batch should wait for."""

from __future__ import annotations

SKIP_MAX = 256  # queries
PROBE_FIRST, PROBE_LAST = 16, 256  # batches
FORGOTTEN = 8  # this part of the callers, after a wait for all of them in vain


class Patience:
    """Learns how many queries a batch should wait for, from how many came while earlier ones waited.

    A caller that sends one query after another never sends while it waits, so that waiting for it is in vain: after a
    vain wait the next queries go ahead, twice as many each time, up to SKIP_MAX. After a wait that brought others, the
    next batch waits for as many, and now and then for twice as many, in case more callers came: after PROBE_FIRST
    batches, and where none had come, twice as many each time, up to PROBE_LAST, so that these waits are few. It is
    tried soon again where batches are half as large as the last such wait found possible.

    Where there is no processor time to spare, a batch waits for all callers that are known, though the last one had
    fewer: whoever is late is waiting for a core, too, and what waits here leaves it one. Callers are as many as the
    largest batch had, less an eighth for each batch that waited for more than came, and one more for each that did not,
    up to what trying for more has found.

    `query_s` is the least that a query of these took lately, in seconds; None before the first."""

    __slots__ = ("_callers", "_found", "_left", "_probe_every", "_probe_in", "_probing", "_skip", "_target", "query_s")

    def __init__(self) -> None:
        self._target = 1
        self._skip = 1
        self._left = 1
        self._probing = True  # until a wait brought fewer than wanted
        self._probe_every = self._probe_in = PROBE_FIRST
        self._callers = self._found = 1
        self.query_s: float | None = None

    def target(self, shortage: float = 0.0) -> int:
        """The number of queries to wait for; 1 is not to wait. `shortage` of processor time, from 0 to 1."""
        own = self._target
        if own == 1:
            self._left -= 1
            own = 1 if self._left >= 0 else 2
        return max(own, round(shortage * self._callers))

    def learn(self, target: int, size: int) -> None:
        """A batch that waited for `target` queries got `size`."""
        if size < target:
            self._callers -= max(1, self._callers // FORGOTTEN)
            self._found = max(size, self._found - 1)
        elif self._callers < self._found:
            self._callers += 1
        self._callers = max(size, self._callers)
        if size == 1:
            if target > 1:
                self._target, self._probing = 1, True
                self._skip = self._left = min(2 * self._skip, SKIP_MAX)
            return
        self._skip = 1
        self._target = size
        self._probe_in -= 1
        if self._probing:
            self._probe(size, came=size >= target)
        elif 2 * size <= self._found:
            self._probe_every, self._probe_in = PROBE_FIRST, min(self._probe_in, PROBE_FIRST)
        if self._probe_in <= 0:
            self._probing = True
        if self._probing:
            self._target = 2 * size

    def _probe(self, size: int, came: bool) -> None:
        """What waiting for more than last time brought."""
        self._probing = came
        if came:
            self._probe_every = PROBE_FIRST
        else:
            self._found = size
            self._probe_in, self._probe_every = self._probe_every, min(2 * self._probe_every, PROBE_LAST)

    def timed(self, seconds: float, size: int) -> None:
        """A batch of `size` took so long. On a busy machine any batch may take long, so that only several in a row
        count: the time kept follows a longer one by a quarter at most."""
        took = seconds / size
        self.query_s = took if self.query_s is None else min(took, 1.25 * self.query_s)
