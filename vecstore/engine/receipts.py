"""Answers of writes that came with an idempotency key, so that the same write sent again is not done again.

A receipt is stored in the batch of its write, so both are there after a crash or neither. The newest are remembered, of
each collection `idempotency_keys_max`; one that falls out is deleted with a later write.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from vecstore.engine import keys
from vecstore.engine.header import decode_meta, encode_meta
from vecstore.engine.writes import Resolved
from vecstore.errors import Corruption, InvalidArgument
from vecstore.storage.interfaces import Delete, Family, Op, Put
from vecstore.types import WriteResult


class Receipt(msgspec.Struct, frozen=True):
    key: str
    fingerprint: int  # `writes.fingerprint`
    seq: int
    changed: int
    skipped: int
    operations: tuple[tuple[int, int], ...] = ()  # of a batch: changed, skipped of each

    def result(self, collection: str) -> WriteResult:
        operations = tuple(WriteResult(self.seq, changed, skipped) for changed, skipped in self.operations)
        return WriteResult(self.seq, self.changed, self.skipped, operations, collection)


def receipt_of(key: str, fingerprint: int, resolved: Resolved, seq: int) -> Receipt:
    return Receipt(key, fingerprint, seq, resolved.changed, resolved.skipped, tuple(resolved.operations))


class Receipts:
    """Of one collection. Changed by the committer's thread, and by recovery before it runs."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._known: OrderedDict[str, Receipt] = OrderedDict()  # oldest first
        self._fallen: list[int] = []  # seqs of receipts that are still stored
        self._removing: frozenset[int] = frozenset()  # those of them that the next batch removes

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: str, fingerprint: int, bound: int) -> Receipt | None:
        """What the key stands for, if it is among the newest `bound` of them. Raises InvalidArgument
        (IDEMPOTENCY_KEY_REUSED) when that is another write."""
        self._trim(bound)  # a restart finds those, too, that had fallen out and were not removed yet
        found = self._known.get(key)
        if found is not None and found.fingerprint != fingerprint:
            message = f"idempotency_key={key!r:.80} was used for another write, seq {found.seq}"
            violations = [("idempotency_key", message)]
            raise InvalidArgument(message, reason="IDEMPOTENCY_KEY_REUSED", field_violations=violations)
        return found

    def ops(self, receipt: Receipt) -> list[Op]:
        """What stores it, and removes what has fallen out."""
        self._removing = frozenset(self._fallen)
        gone: list[Op] = [Delete(Family.META, keys.receipt(self._number, seq)) for seq in self._fallen]
        return [Put(Family.META, keys.receipt(self._number, receipt.seq), encode_meta(receipt)), *gone]

    def load(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """All that are stored, in the order of their keys. Raises Corruption."""
        for key, value in pairs:
            receipt = decode_meta(value, Receipt)
            if key != keys.receipt(self._number, receipt.seq):
                raise Corruption(f"the record under {key!r} is that of write {receipt.seq}")
            self._remember(receipt)

    def add(self, receipt: Receipt, bound: int) -> None:
        """Remember what has been stored with what `ops` gave."""
        self._fallen = [seq for seq in self._fallen if seq not in self._removing]
        self._remember(receipt)
        self._trim(bound)

    def _remember(self, receipt: Receipt) -> None:
        """As the newest, also where the key had another before."""
        before = self._known.pop(receipt.key, None)
        if before is not None:
            self._fallen.append(before.seq)
        self._known[receipt.key] = receipt

    def _trim(self, bound: int) -> None:
        while len(self._known) > bound:
            self._fallen.append(self._known.popitem(last=False)[1].seq)
