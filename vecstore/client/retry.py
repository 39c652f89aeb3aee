"""When to send a request again, and after how long. Pure: the caller sleeps."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from vecstore.errors import DeadlineExceeded, ResourceExhausted, Unavailable, VecstoreError
from vecstore.types import UpdateBatchRequest, UpdateVectorsRequest, UpsertRequest, WriteMode, WriteRequest

# gRPC's service-config retries are not used: they choose by method and code, while an upsert may be repeated or not by
# its mode and RESOURCE_EXHAUSTED only when the server gives a delay. gRPC's transparent retries (calls that never left
# this process) stay on.


def is_idempotent(request: WriteRequest) -> bool:
    """Whether the same write again leaves the same points and gets the same answer."""
    if request.idempotency_key is not None:
        return True
    if isinstance(request, UpdateBatchRequest) or request.if_match is not None:
        return False
    if isinstance(request, UpsertRequest):
        # INSERT_ONLY and UPDATE_ONLY count what they skip, and a repeated insert would skip its own points.
        return request.mode is WriteMode.UPSERT
    return isinstance(request, UpdateVectorsRequest) or request.ids is not None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to `attempts` sends in all. Waits are random, up to `first_s` doubling to `longest_s` ("full jitter":
    M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog 2015), after what the server asks for."""

    attempts: int = 5
    first_s: float = 0.05
    longest_s: float = 2.0


@dataclass(slots=True)
class Attempts:
    """The sends of one call: the time left, and whether and when to try again."""

    policy: RetryPolicy
    timeout_s: float
    idempotent: bool
    _sent: int = 0
    _deadline: float = 0.0

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.timeout_s

    def remaining_s(self) -> float:
        """Seconds for the next send. Raises DeadlineExceeded (QUERY_TIMEOUT) when none are left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"no answer within timeout_s={self.timeout_s}")
        self._sent += 1
        return left

    def delay_s(self, error: VecstoreError, hint_s: float | None) -> float | None:
        """How long to wait before sending again, or None when `error` is final."""
        safe = isinstance(error, Unavailable) or (isinstance(error, ResourceExhausted) and hint_s is not None)
        if not safe or not self.idempotent or self._sent >= self.policy.attempts:
            return None
        ceiling = min(self.policy.longest_s, self.policy.first_s * 2 ** (self._sent - 1))
        delay = random.uniform(0, ceiling) + (hint_s or 0.0)  # noqa: S311 (no secret)
        return delay if time.monotonic() + delay < self._deadline else None
