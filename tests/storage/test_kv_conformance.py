"""What every KV does, against a plain dictionary as the model."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vecstore.errors import FailedPrecondition
from vecstore.storage.interfaces import Delete, DeleteRange, Family, Op, Put
from vecstore.storage.open import Storage

KEYS = st.binary(min_size=1, max_size=3).filter(lambda key: key[0] != 0)
OPS = st.one_of(
    st.builds(Put, st.sampled_from(Family), KEYS, st.binary(max_size=40)),
    st.builds(Delete, st.sampled_from(Family), KEYS),
    st.builds(
        lambda family, ends: DeleteRange(family, min(ends), max(ends)), st.sampled_from(Family), st.tuples(KEYS, KEYS)
    ),
)


def apply(model: dict[tuple[Family, bytes], bytes], batch: Sequence[Op]) -> None:
    for op in batch:
        if isinstance(op, Put):
            model[op.family, op.key] = op.value
        elif isinstance(op, Delete):
            model.pop((op.family, op.key), None)
        else:
            for family, key in [at for at in model if at[0] == op.family and op.low <= at[1] < op.high]:
                del model[family, key]


def contents(store: Storage) -> dict[tuple[Family, bytes], bytes]:
    return {(f, key): value for f in Family for key, value in store.kv.scan(f, b"\x01", b"\xff" * 4)}


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batches=st.lists(st.lists(OPS, max_size=6), max_size=8))
def test_batches_apply_in_order_as_in_a_dictionary(store: Storage, batches: list[list[Op]]) -> None:
    store.kv.write([DeleteRange(family, b"\x01", b"\xff" * 5) for family in Family])
    model: dict[tuple[Family, bytes], bytes] = {}
    position = 0
    for batch in batches:
        after = store.kv.write(batch)
        assert after > position
        position = after
        apply(model, batch)
        assert contents(store) == model
    store.kv.durable(position)


def test_later_operations_of_one_batch_win(store: Storage) -> None:
    store.kv.write(
        [
            Put(Family.META, b"a", b"1"),
            Put(Family.META, b"b", b"1"),
            DeleteRange(Family.META, b"a", b"c"),
            Put(Family.META, b"a", b"2"),
        ]
    )
    assert list(store.kv.scan(Family.META, b"a", b"z")) == [(b"a", b"2")]


def test_scan_takes_its_low_end_leaves_its_high_end_and_is_ordered(store: Storage) -> None:
    keys = [bytes([i, j]) for i in range(1, 4) for j in range(5)]
    store.kv.write([Put(Family.LOG, key, key * 2) for key in reversed(keys)])
    assert list(store.kv.scan(Family.LOG, b"\x01\x01", b"\x03\x00")) == [(key, key * 2) for key in keys[1:10]]
    assert list(store.kv.scan(Family.LOG, b"\x03", b"\x02")) == []
    assert list(store.kv.scan(Family.TOMBSTONES, b"\x01", b"\xff")) == []


def test_long_scans_cross_pages(store: Storage) -> None:
    store.kv.write([Put(Family.LOG, i.to_bytes(4, "big"), b"") for i in range(10_000)])
    store.kv.write([Put(Family.META, b"m" + bytes([i]), bytes(1 << 20)) for i in range(10)])
    assert [int.from_bytes(key, "big") for key, _ in store.kv.scan(Family.LOG, b"", b"\xff")] == list(range(10_000))
    assert [(key, len(value)) for key, value in store.kv.scan(Family.META, b"m", b"n")] == [
        (b"m" + bytes([i]), 1 << 20) for i in range(10)
    ]


def test_snapshot_and_scan_do_not_see_later_writes(store: Storage) -> None:
    store.kv.write([Put(Family.META, b"a", b"1"), Put(Family.LOG, b"a", b"1")])
    snapshot = store.kv.snapshot()
    scan = store.kv.scan(Family.META, b"a", b"z")
    store.kv.write([Put(Family.META, b"a", b"2"), Put(Family.META, b"b", b"2"), Delete(Family.LOG, b"a")])
    assert (snapshot.get(Family.META, b"a"), snapshot.get(Family.META, b"b")) == (b"1", None)
    assert list(snapshot.scan(Family.META, b"a", b"z")) == [(b"a", b"1")]
    assert list(snapshot.scan(Family.LOG, b"a", b"z")) == [(b"a", b"1")]
    assert list(scan) == [(b"a", b"1")]
    assert list(store.kv.scan(Family.META, b"a", b"z")) == [(b"a", b"2"), (b"b", b"2")]


def test_get_of_a_missing_key_is_none_and_an_empty_value_is_not(store: Storage) -> None:
    store.kv.write([Put(Family.META, b"empty", b"")])
    assert store.kv.get(Family.META, b"empty") == b""
    assert store.kv.get(Family.META, b"missing") is None
    assert store.kv.get(Family.LOG, b"empty") is None


def test_an_empty_batch_gets_a_position(store: Storage) -> None:
    store.kv.durable(store.kv.write([]))


def test_writers_in_many_threads_get_distinct_positions_and_all_become_durable(store: Storage) -> None:
    positions: list[int] = []

    def work(thread: int) -> None:
        for i in range(25):
            position = store.kv.write([Put(Family.LOG, bytes([1, thread, i]), b"v")])
            store.kv.durable(position)
            positions.append(position)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(positions)) == 200
    assert len(list(store.kv.scan(Family.LOG, b"\x01", b"\x02"))) == 200


def test_a_closed_store_says_so(store: Storage) -> None:
    snapshot_only_on_disk = store.path is not None
    snapshot = store.kv.snapshot()
    store.close()
    store.close()
    for call in (
        lambda: store.kv.get(Family.META, b"a"),
        lambda: store.kv.write([Put(Family.META, b"a", b"1")]),
        lambda: list(store.kv.scan(Family.META, b"a", b"b")),
        lambda: store.kv.durable(1 << 40),
        store.kv.snapshot,
    ):
        with pytest.raises(FailedPrecondition) as caught:
            call()
        assert caught.value.reason == "CLOSED"
    if snapshot_only_on_disk:
        with pytest.raises(FailedPrecondition):
            snapshot.get(Family.META, b"a")
