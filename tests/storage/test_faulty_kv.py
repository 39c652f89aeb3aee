"""The fault layer does what engine tests rely on."""

from __future__ import annotations

import pytest
from faults.faulty_kv import Fault, FaultyKV, PowerLossKV

from vecstore.errors import IoFailed, ResourceExhausted
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.memory import MemoryKV


def put(key: bytes) -> list[Put]:
    return [Put(Family.META, key, b"v")]


def test_refused_write_applies_nothing_and_the_next_one_works() -> None:
    kv = FaultyKV(MemoryKV(), Fault.REFUSE_WRITE, at=2)
    kv.write(put(b"a"))
    with pytest.raises(ResourceExhausted):
        kv.write(put(b"b"))
    kv.durable(kv.write(put(b"c")))
    assert [key for key, _ in kv.scan(Family.META, b"", b"z")] == [b"a", b"c"]
    assert kv.fired == 1


@pytest.mark.parametrize("fault", [Fault.FAIL_DURABLE, Fault.FAIL_WRITE])
def test_failures_are_final_but_what_was_acknowledged_stays_so(fault: Fault) -> None:
    kv = FaultyKV(MemoryKV(), fault, at=2)
    first = kv.write(put(b"a"))
    kv.durable(first)
    with pytest.raises(IoFailed):
        kv.durable(kv.write(put(b"b")))
    with pytest.raises(IoFailed):
        kv.write(put(b"c"))
    kv.durable(first)
    assert (kv.acknowledged, kv.fired) == (first, 1)
    assert kv.get(Family.META, b"a") == b"v"


@pytest.mark.parametrize(("surviving", "found"), [(0, [b"a"]), (1, [b"a", b"b"]), (9, [b"a", b"b", b"c"])])
def test_power_loss_keeps_the_durable_prefix(surviving: int, found: list[bytes]) -> None:
    kv = PowerLossKV()
    kv.durable(kv.write(put(b"a")))
    kv.write(put(b"b"))
    kv.write(put(b"c"))
    disk = kv.lose_power(surviving)
    assert [key for key, _ in disk.scan(Family.META, b"", b"z")] == found
