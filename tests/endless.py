"""A search that goes on until it is stopped."""

from __future__ import annotations

import queue
import time
from typing import Any, NoReturn

from vecstore.kernels.stop import Stopped, check_stop


class Endless:
    """Stands for the engine's: `heard` tells "begun" and "stopped"."""

    def __init__(self) -> None:
        self.heard: queue.Queue[str] = queue.Queue()

    def __call__(self, *_arguments: Any) -> NoReturn:
        self.heard.put("begun")
        try:
            while True:
                check_stop()
                time.sleep(0.001)
        except Stopped:
            self.heard.put("stopped")
            raise
