"""What uploads return."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class UploadResult:
    """`points` were read and sent (after those skipped), of which `changed` were written; all durable at `seq`."""

    points: int = 0
    changed: int = 0
    skipped: int = 0
    requests: int = 0
    seq: int = 0
