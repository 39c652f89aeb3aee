"""Which devices there are. Each is opened once in a process."""

from __future__ import annotations

import importlib.util
import re
import threading
from functools import cache

from vecstore.kernels.device.arrays import Device

_NAME = re.compile(r"cuda:(\d{1,3})")
_lock = threading.Lock()


@cache
def count() -> int:
    """CUDA devices that CuPy can use here; 0 without CuPy, a driver or a GPU."""
    if importlib.util.find_spec("cupy") is None:
        return 0
    import cupy

    try:
        return int(cupy.cuda.runtime.getDeviceCount())
    except (RuntimeError, ImportError):  # no GPU, no driver, a driver that is too old
        return 0


def open_device(name: str) -> Device | None:
    """None where the device is not there, which is no error: the host answers."""
    with _lock:
        return _opened(name)


@cache
def _opened(name: str) -> Device | None:
    found = _NAME.fullmatch(name)
    if found is None or int(found[1]) >= count():
        return None
    from vecstore.kernels.device.cupy_device import CupyDevice

    return CupyDevice(int(found[1]))
