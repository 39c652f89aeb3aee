"""Where the seqs of dropped collections ended, by name: a new one of the name goes on from there.

Clients remember by name the seq of their last write and have reads wait for it. Were the seqs of a new collection to
begin at 0, the reads of a client that knew the old one would wait for a write that never comes.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from vecstore.engine import keys
from vecstore.engine.header import CollectionRecord, decode_meta, encode_meta
from vecstore.errors import Corruption
from vecstore.storage.interfaces import KV, Delete, Family, Op, Put

ENDED_MAX = 10_000  # names that are remembered, those of the collections made last


class EndedRecord(msgspec.Struct, frozen=True):
    name: str
    number: int  # of the collection that ended
    seq: int


class Ended:
    """Changed between groups of writes, as the collections are; by recovery before."""

    def __init__(self, kv: KV) -> None:
        """Raises Corruption for a damaged record."""
        self._of: dict[str, EndedRecord] = {}
        for key, value in kv.scan(Family.META, keys.ENDED_LOW, keys.ENDED_HIGH):
            record = decode_meta(value, EndedRecord)
            if key != keys.ended(record.name) or record.seq < 0:
                raise Corruption(f"the record under {key!r} is of a collection {record.name!r:.80}, seq {record.seq}")
            self._of[record.name] = record
        self.leapt = int(kv.get(Family.META, keys.LEAPT) or 0)  # what all went past together

    def seq(self, name: str) -> int:
        """0 where nothing is known of a collection of this name, and no seqs leapt."""
        return max(self.leapt, self._of[name].seq if name in self._of else 0)

    @property
    def last(self) -> int:
        return max((self.leapt, *(one.seq for one in self._of.values())))

    def dropped(self, record: CollectionRecord, seq: int) -> list[Op]:
        """What stores that a collection ended at `seq`."""
        if not seq:
            return []
        ended = self._of[record.name] = EndedRecord(record.name, record.number, seq)
        return [Put(Family.META, keys.ended(record.name), encode_meta(ended)), *self._oldest()]

    def _oldest(self) -> Iterator[Op]:
        while len(self._of) > ENDED_MAX:
            oldest = min(self._of.values(), key=lambda one: one.number)
            del self._of[oldest.name]
            yield Delete(Family.META, keys.ended(oldest.name))
