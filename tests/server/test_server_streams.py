"""QueryStream and UpsertStream: order, tags, windows, errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from server_support import Client, failure, point, query, serving

from vecstore.pb.v1 import points_pb2 as pb


@pytest.fixture
def fresh() -> Iterator[Client]:
    with serving() as (handle, _):
        client = Client(handle.port)
        client.create()
        client.upsert(5)
        yield client
        client.channel.close()


def test_answers_carry_their_tags_and_errors_stay_with_their_query(fresh: Client) -> None:
    bad = {
        3: query(using="nothing"),
        4: query(collection="none"),
        5: pb.QueryRequest(collection="docs"),
        6: query(limit=0),
    }
    requests = [pb.QueryStreamRequest(tag=tag, query=bad.get(tag, query(limit=tag % 5 + 1))) for tag in range(100)]
    answers = {answer.tag: answer for answer in fresh.points.QueryStream(iter(requests), timeout=60)}
    assert sorted(answers) == list(range(100))
    for tag, answer in answers.items():
        if tag in bad:
            assert answer.error.code in ("INVALID_ARGUMENT", "NOT_FOUND")
        else:
            assert len(answer.result.points) == tag % 5 + 1
    assert answers[3].error.reason == "VECTOR_NAME_UNKNOWN"
    assert answers[4].error.reason == "COLLECTION_NOT_FOUND"


def test_a_message_that_is_no_query_ends_the_stream(fresh: Client) -> None:
    stream = fresh.channel.stream_stream("/vecstore.v1.Points/QueryStream")
    assert failure(stream, iter([b"\xff\xff\xff"]))[0] == "INVALID_ARGUMENT"


def test_it_is_ended_at_once_and_not_with_the_next_message(fresh: Client) -> None:
    told = threading.Event()

    def messages() -> Iterator[bytes]:
        yield b"\xff\xff\xff"
        told.wait(30)

    stream = fresh.channel.stream_stream("/vecstore.v1.Points/QueryStream")
    code, _ = failure(stream, messages(), timeout=10)
    told.set()
    assert code == "INVALID_ARGUMENT"


def test_batches_are_acknowledged_in_order(fresh: Client) -> None:
    batches = [pb.UpsertRequest(collection="docs", points=[point(10 * n + i) for i in range(10)]) for n in range(1, 31)]
    acks = list(fresh.points.UpsertStream(iter(batches), timeout=60))
    assert [ack.batch for ack in acks] == list(range(30))
    assert all(ack.result.changed == 10 for ack in acks)
    seqs = [ack.result.seq for ack in acks]
    assert seqs == sorted(seqs)
    assert fresh.state()[1] == 305


def test_a_bad_batch_ends_the_stream_and_is_named(fresh: Client) -> None:
    good = pb.UpsertRequest(collection="docs", points=[point(50)])
    bad = pb.UpsertRequest(collection="docs", points=[point(51, vectors={"text": {"dense": {"values": [1]}}})])
    seen: list[int] = []

    def run() -> None:
        seen.extend(ack.batch for ack in fresh.points.UpsertStream(iter([good, bad]), timeout=60))

    code, error = failure(lambda timeout: run())
    assert (code, error.reason) == ("INVALID_ARGUMENT", "DIMENSION_MISMATCH")
    assert error.metadata["batch"] == "1"
    assert seen == [0]
    assert fresh.state()[1] == 6


def test_a_stream_that_sends_nothing_ends_at_once(fresh: Client) -> None:
    assert list(fresh.points.QueryStream(iter([]), timeout=60)) == []
    assert list(fresh.points.UpsertStream(iter([]), timeout=60)) == []
