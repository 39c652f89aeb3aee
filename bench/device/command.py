"""What the commands of this package share: the device that was named, and lines printed and kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from vecstore.kernels.device import devices
from vecstore.kernels.device.array_device import ArrayDevice


def opened(name: str) -> Any:
    """The device; "numpy" stands in for one. Ends the program where there is none."""
    device: Any = ArrayDevice() if name == "numpy" else devices.open_device(name)
    if device is None:
        sys.exit(f"no device {name} here: {devices.count()} found by CuPy (pip install 'vecstore[gpu]')")
    return device


def tell(lines: Iterable[dict[str, Any]], device: Any, out: str | None) -> None:
    """Prints each line as it comes, and adds it to the file `out` as JSON."""
    for line in lines:
        shown = (
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in line.items()
        )
        print("  ".join(shown).removeprefix("what "), flush=True)
        if out:
            with open(out, "a", encoding="utf-8") as file:
                file.write(json.dumps({"device": device.name, **line}, default=bool) + "\n")
