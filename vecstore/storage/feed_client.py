"""A follower's end of the feed (`feed`): the state first, then each batch; again from the start after a break."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path

from vecstore.errors import Corruption, FailedPrecondition, Unavailable
from vecstore.storage.feed_frames import (
    PROTOCOL,
    Ack,
    Batch,
    Hello,
    Intro,
    Live,
    Note,
    Repair,
    Repaired,
    dial,
    frame,
    read_message,
)
from vecstore.storage.interfaces import BlobRef

ALIVE_S = 2.0  # between signs of life
REPAIR_S = 60.0


class FeedClient:
    """One connection to the writer. One thread calls `read` and `ack`; any thread may call `close`."""

    def __init__(self, directory: Path, name: str) -> None:
        """Raises FailedPrecondition (NO_WRITER) when no process feeds followers of `directory`."""
        try:
            self._connection = dial(directory)
        except OSError as error:
            message = f"no process that has {directory} open feeds followers ({error.strerror}): see storage.feed"
            raise FailedPrecondition(message, reason="NO_WRITER") from None
        self._stream = self._connection.makefile("rb")
        self._sending = threading.Lock()
        self._shown = -1
        self._closed = threading.Event()
        self._send(Intro(PROTOCOL, os.getpid(), name))
        threading.Thread(target=self._stay_alive, name="vecstore-follow-alive", daemon=True).start()

    def read(self) -> Hello | Batch | Live | None:
        """What comes next; None once the writer is gone or has cut this follower off."""
        try:
            message = read_message(self._stream)
        except (OSError, ValueError):
            return None
        assert message is None or isinstance(message, Hello | Batch | Live)
        return message

    def ack(self, number: int) -> None:
        """Everything up to `number` is shown, and nothing that it took away will be looked for."""
        self._shown = number
        self._send(Ack(number))

    def tell(self, content: bytes) -> None:
        """Any thread may. Lost where the writer is gone."""
        self._send(Note(content))

    def close(self) -> None:
        """`read` then returns None."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """From the thread that reads, when it is done."""
        self.close()
        self._stream.close()
        self._connection.close()

    def _stay_alive(self) -> None:
        while not self._closed.wait(ALIVE_S):
            self._send(Ack(self._shown))

    def _send(self, message: Intro | Ack | Note) -> None:
        with contextlib.suppress(OSError), self._sending:  # `read` tells of a writer that is gone
            self._connection.sendall(frame(message))


def ask_repair(directory: Path, ref: BlobRef) -> None:
    """Have the writer make the blob's cache file whole. Raises Corruption when it has no good copy, Unavailable when
    it does not answer."""
    try:
        with dial(directory) as connection, connection.makefile("rb") as stream:
            connection.settimeout(REPAIR_S)
            connection.sendall(frame(Repair(ref)))
            answer = read_message(stream)
    except OSError as error:
        raise Unavailable(f"the writer could not be asked for blob {ref.name}: {error}") from None
    if not isinstance(answer, Repaired):
        raise Unavailable(f"the writer did not say whether blob {ref.name} is whole")
    if answer.error:
        raise Corruption(answer.error)
