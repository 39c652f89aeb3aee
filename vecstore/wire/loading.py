"""How gRPC is loaded: its core decides by its environment, once in a process, how its threads wait for sockets.

The core's event engines hand every call on between threads of their own; the pollers before them wait on the sockets in
the thread that is asked. A short call takes a third less time and half of the switches between threads with these.
Between calls nobody waits then but a timer, by default every five seconds, and a channel would learn that late that its
server is back: it is made to look ten times a second.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import sys
from pathlib import Path

VARIABLE = "GRPC_EXPERIMENTS"  # gRPC's own: whoever sets it, or loads gRPC first, decides
ENGINES = ("event_engine_client", "event_engine_listener")
BETWEEN_CALLS = "GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS"
BETWEEN_MS = 100


def load_grpc() -> None:
    """Import it with the pollers, where it has them; child processes see the environment as it was."""
    if "grpc" in sys.modules or VARIABLE in os.environ or not _knows(ENGINES):
        return
    ours = {VARIABLE: ",".join(f"-{name}" for name in ENGINES)}
    if BETWEEN_CALLS not in os.environ:
        ours[BETWEEN_CALLS] = str(BETWEEN_MS)
    os.environ.update(ours)
    try:
        import grpc  # noqa: F401
    finally:
        for name in ours:
            del os.environ[name]


def _knows(names: tuple[str, ...]) -> bool:
    """Whether the installed core has settings of these names: it complains of others on the terminal."""
    spec = importlib.util.find_spec("grpc")
    folders = (spec.submodule_search_locations if spec else None) or []
    core = next((path for folder in folders for path in Path(folder, "_cython").glob("cygrpc*")), None)
    if core is None:
        return False
    with core.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return all(text.find(b"\0%b\0" % name.encode()) >= 0 for name in names)
