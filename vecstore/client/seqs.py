"""What a client has written, by collection, so that its reads see that: also by aliases, which others may switch."""

from __future__ import annotations

from itertools import islice

SENT_MAX = 64  # writes that a read by a name of unknown meaning asks to see, the newest


class Seqs:
    """Threads may share one object."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}  # of the last write to each collection, the newest last
        self._own: dict[str, str] = {}  # what a name stood for when it was last heard
        self._asked: dict[str, int] = {}  # seqs that were set by hand, by the name that they were set for

    def heard(self, name: str, collection: str) -> None:
        """`name` stands for `collection`, or is its own."""
        if collection:
            self._own[name] = collection

    def wrote(self, name: str, collection: str, seq: int) -> None:
        """A write by `name` went to `collection`."""
        own = collection or name
        self._own[name] = own
        self._of[own] = max(self._of.pop(own, 0), seq)

    def ask(self, name: str, seq: int) -> None:
        """Have reads by `name` wait for a write that the client knows of."""
        self._asked[name] = max(self._asked.get(name, 0), seq)

    def last(self, name: str) -> int:
        return max(self._of.get(self._own.get(name, name), 0), self._asked.get(name, 0))

    def asked(self, name: str) -> int:
        """The `min_seq` of reads by `name`."""
        return self._asked.get(name, 0)

    def seen(self, name: str) -> dict[str, int] | None:
        """The `min_seqs` of reads by `name`: its own, and for an alias, or a name of which nothing is known, all."""
        known = self._of
        if self._own.get(name) == name:
            return {name: known[name]} if name in known else None
        if not known:
            return None
        every = dict(known)  # at once: another thread may write meanwhile
        return dict(islice(reversed(every.items()), SENT_MAX))

    def wanted(self, name: str) -> tuple[int, dict[str, int] | None]:
        """Both, of a read by `name`."""
        return self._asked.get(name, 0), self.seen(name) if self._of else None

    def made(self, name: str, seq: int) -> None:
        """The collection was created, or was there: it may be a new one of an old name."""
        self._own[name] = name
        for seqs in (self._of, self._asked):
            if name in seqs:
                seqs[name] = min(seqs[name], seq)

    def forget(self, name: str) -> None:
        for names in (self._of, self._own, self._asked):
            names.pop(name, None)
