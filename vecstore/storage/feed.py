"""The writer's end of the feed: every durable batch goes to each follower, in order, after the state that it joins.

A follower is another process of this machine that maps the same cache files (`follower_blobs`). It reports what it has
shown, so that blobs which a batch took away stay until no follower looks for them (`settle`). A follower that is not
heard of for LEASE_S, or is behind for LAG_MAX_S or by QUEUE_BYTES_MAX, is cut off: it connects again and begins anew.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecstore.errors import VecstoreError
from vecstore.storage.feed_frames import (
    PROTOCOL,
    Ack,
    Hello,
    Intro,
    Live,
    Note,
    Repair,
    Repaired,
    batch_of,
    frame,
    listen,
    read_message,
)
from vecstore.storage.format import FEED_SOCKET, RESERVED_PREFIX
from vecstore.storage.interfaces import BlobRef, Family, KVRead, Op, Put

LEASE_S = 10.0
LAG_MAX_S = 60.0
QUEUE_BYTES_MAX = 256 << 20
STATE_BATCH_BYTES = 4 << 20

log = logging.getLogger("vecstore.feed")


@dataclass(slots=True)
class Joined:
    """What a follower begins with: the store as of the batch `number`."""

    epoch: int
    state: KVRead


class _Follower:
    """One connection: a thread that sends, a thread that hears. `begin` comes before both."""

    def __init__(self, feeds: Feeds, connection: socket.socket, intro: Intro) -> None:
        self.pid, self.name = intro.pid, intro.name
        self.connected_at = time.time()
        self.heard_at = time.monotonic()
        self.unseen: deque[tuple[int, float]] = deque()  # batches without an ack, and when they were published
        self._feeds = feeds
        self._connection = connection
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._wake = threading.Condition()
        self.ended = False

    def put(self, encoded: bytes) -> None:
        with self._wake:
            self._queued += len(encoded)
            if self._queued <= QUEUE_BYTES_MAX:
                self._queue.append(encoded)
                self._wake.notify()
                return
        self.cut(f"is {self._queued} bytes behind")

    def cut(self, why: str) -> None:
        if not self.ended:
            log.warning("follower %s (pid %d) %s: it has to begin anew", self.name, self.pid, why)
        self.end()

    def end(self) -> None:
        self.ended = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with self._wake:
            self._wake.notify()
        self._feeds._left(self)

    def send(self, joined: list[Joined], number: int) -> None:
        """Takes what it sends first out of `joined`: the state must not be held for longer than it is read."""
        try:
            self._connection.sendall(frame(Hello(joined[0].epoch)))
            for ops in _batches(joined.pop().state):
                self._connection.sendall(frame(batch_of(0, ops)))
            self._connection.sendall(frame(Live(number)))
            while (encoded := self._next()) is not None:
                self._connection.sendall(encoded)
        except (OSError, VecstoreError) as error:  # it has gone, or the store was reopened beneath the state
            log.info("follower %s (pid %d) left: %s", self.name, self.pid, error)
        finally:
            self.end()

    def _next(self) -> bytes | None:
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self.ended)
            if self.ended:
                return None
            encoded = self._queue.popleft()
            self._queued -= len(encoded)
            return encoded


class Feeds:
    """The followers of one store. `publish` and `join` are called from the thread that commits."""

    def __init__(
        self,
        directory: Path,
        join: Callable[[Callable[[], None]], None],
        begin: Callable[[], Joined],
        repair: Callable[[BlobRef], None],
        on_note: Callable[[bytes], None],
    ) -> None:
        """`join` runs a function between two batches, on the thread that commits; `begin`, called there, gives the
        durable state; `repair` makes a blob's cache file whole or raises; `on_note` is what followers' notes are for.
        Raises OSError."""
        self._join, self._begin, self._repair, self._on_note = join, begin, repair, on_note
        self._followers: list[_Follower] = []
        self._number = 0
        self._changed = threading.Condition()
        self._closed = False
        self._path = directory / FEED_SOCKET
        self._listener = listen(directory)
        threading.Thread(target=self._accept, name="vecstore-feed", daemon=True).start()

    def publish(self, ops: Sequence[Op], freezes: int | None = None) -> None:
        """Tell every follower of a batch that is durable. Raises nothing: the batch has happened."""
        if not self._followers:
            return
        with self._changed:
            self._number += 1
            followers = list(self._followers)
            for follower in followers:
                follower.unseen.append((self._number, time.monotonic()))
        try:
            encoded = frame(batch_of(self._number, ops, freezes))
        except (MemoryError, OverflowError) as error:
            for follower in followers:
                follower.cut(f"cannot be told of a batch: {error}")
            return
        for follower in followers:
            follower.put(encoded)

    def settle(self, timeout_s: float | None = None) -> bool:
        """Wait until every follower shows what was published so far, and cut off those that have gone silent; False
        when `timeout_s` passes first."""
        limit = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            target = self._number
        while True:
            with self._changed:
                behind = [one for one in self._followers if one.unseen and one.unseen[0][0] <= target]
                if not behind or self._closed:
                    return True
                if limit is not None and time.monotonic() >= limit:
                    return False
                self._changed.wait(LEASE_S / 10 if limit is None else max(0.0, limit - time.monotonic()))
            for one in behind:
                if time.monotonic() - one.heard_at > LEASE_S:
                    one.cut(f"was not heard of for {LEASE_S:g} s")
                elif self._seconds_behind(one) > LAG_MAX_S:
                    one.cut(f"was behind for {LAG_MAX_S:g} s")

    def describe(self) -> list[dict[str, Any]]:
        """Who follows, how many batches it is behind, and for how long. JSON-able."""
        return [
            {
                "name": one.name,
                "pid": one.pid,
                "connected_at": one.connected_at,
                "batches_behind": len(one.unseen),
                "seconds_behind": round(self._seconds_behind(one), 4),
            }
            for one in list(self._followers)
        ]

    def _seconds_behind(self, follower: _Follower) -> float:
        with self._changed:
            return time.monotonic() - follower.unseen[0][1] if follower.unseen else 0.0

    def close(self) -> None:
        with self._changed:
            self._closed = True
            followers = list(self._followers)
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for follower in followers:
            follower.end()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="vecstore-feed-ear", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Take a follower in and hear what it says until it goes; or answer a question."""
        try:
            with connection, connection.makefile("rb") as stream:
                first = read_message(stream)
                if isinstance(first, Repair):
                    connection.sendall(frame(Repaired(first.ref.name, self._repaired(first.ref))))
                elif isinstance(first, Intro) and first.version == PROTOCOL:
                    follower = _Follower(self, connection, first)
                    try:
                        self._take_in(follower)
                        while isinstance(message := read_message(stream), Ack | Note):
                            if isinstance(message, Note):
                                self._on_note(message.content)
                            else:
                                self._hear(follower, message)
                    finally:
                        follower.end()
        except (OSError, VecstoreError, ValueError) as error:
            log.info("a follower could not be served: %s", error)

    def _repaired(self, ref: BlobRef) -> str:
        try:
            self._repair(ref)
        except VecstoreError as error:
            return error.message
        return ""

    def _take_in(self, follower: _Follower) -> None:
        def enter() -> None:
            joined = self._begin()
            with self._changed:
                number = self._number
                follower.unseen.append((number, time.monotonic()))
                self._followers.append(follower)
                ended = self._closed
            if ended:
                follower.end()
                return
            threading.Thread(
                target=follower.send, args=([joined], number), name="vecstore-feed-mouth", daemon=True
            ).start()

        self._join(enter)

    def _hear(self, follower: _Follower, ack: Ack) -> None:
        follower.heard_at = time.monotonic()
        with self._changed:
            while follower.unseen and follower.unseen[0][0] <= ack.number:
                follower.unseen.popleft()
            self._changed.notify_all()

    def _left(self, follower: _Follower) -> None:
        with self._changed:
            if follower in self._followers:
                self._followers.remove(follower)
            self._changed.notify_all()


def _batches(state: KVRead) -> Iterator[list[Op]]:
    """The whole state, the engine's part of it, as batches of bounded size."""
    ops: list[Op] = []
    size = 0
    for family in Family:
        low = bytes([RESERVED_PREFIX[0] + 1]) if family is Family.META else b""
        for key, value in state.scan(family, low, b"\xff" * 32):
            ops.append(Put(family, key, value))
            size += len(key) + len(value)
            if size >= STATE_BATCH_BYTES:
                yield ops
                ops, size = [], 0
    yield ops
