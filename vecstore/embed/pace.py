"""When the next request may go: a rate of one's own, and what the other side asks for."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRY_AFTER_MAX_S = 3600.0


class Pace:
    """At most `per_minute` requests a minute, evenly spaced after a first second's worth; 0 is no bound."""

    def __init__(self, per_minute: int) -> None:
        self._gap_s = 60.0 / per_minute if per_minute else 0.0
        self._slack_s = max(1.0, self._gap_s)  # unused turns of this long may be made up for
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, at_most_s: float) -> bool:
        """Sleep until it is this caller's turn; False, at once, when that would be later than `at_most_s`."""
        if not self._gap_s:
            return True
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now - self._slack_s + self._gap_s)
            if turn - now > at_most_s:
                return False
            self._next = turn + self._gap_s
        time.sleep(max(0.0, turn - now))
        return True


def retry_after_s(header: str | None) -> float | None:
    """Seconds from a Retry-After header: a number of them or a date (RFC 9110, 10.2.3); None for what is neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S) if seconds == seconds else None
