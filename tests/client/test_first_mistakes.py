"""What people write who come from elsewhere is refused with what was meant, or understood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import Dense, F

MISTAKES = [
    (lambda docs: docs.query([1, 0, 0, 0], limit=5), TypeError, "no option 'limit': did you mean k?"),
    (lambda docs: docs.query([1, 0, 0, 0], top_k=5), TypeError, "did you mean k?"),
    (lambda docs: docs.query([1, 0, 0, 0], with_vector=True), TypeError, "did you mean with_vectors?"),
    (lambda docs: docs.query([1, 0, 0, 0], xyz=1), TypeError, "there are allow_partial, "),
    (lambda docs: docs.query_batch(np.eye(4), timeout=1), TypeError, "did you mean timeout_s?"),
    (lambda docs: docs.query_batch(np.eye(4), explain=True), TypeError, "one of Query objects may have it"),
    (lambda docs: docs.upsert([1], [[1, 0, 0, 0]], idempotency="a"), TypeError, "did you mean idempotency_key?"),
    (lambda docs: docs.query(np.eye(4)[:1]), vecstore.InvalidArgument, "query_batch takes several"),
    (lambda docs: docs.query([1, 0, 0, 0], recall=95), vecstore.InvalidArgument, "at most 1"),
    (lambda docs: docs.upsert([1, 2], np.eye(4)[:2], [{}]), vecstore.InvalidArgument, "not 1 for 2 ids"),
    (lambda docs: docs.upsert([1], np.eye(4)[:1], {"a": 1}), vecstore.InvalidArgument, "not a dict"),
    (lambda docs: docs.query([1, 0, 0, 0], filter=F("a").eq(1) and F("b").eq(2)), TypeError, "with & | ~"),
    (lambda docs: not F("a").eq(1), TypeError, "with & | ~"),
    (lambda docs: Dense(4, metric="euclidean"), vecstore.InvalidArgument, "not one of cosine, dot, l2"),
    (lambda docs: Dense(4, datatype="float8"), vecstore.InvalidArgument, "is not one of float32, float16"),
    (lambda docs: Dense(4, index="hnsw(m=16)"), vecstore.InvalidArgument, "expected graph(degree=..., ef=...), or"),
    (lambda docs: docs.update_index("default", "ivf_pq"), vecstore.InvalidArgument, "expected ivf | pq, or one of"),
    (lambda docs: vecstore.connect("localhost:7334"), vecstore.InvalidArgument, "write grpc://localhost:7334"),
    (lambda docs: vecstore.connect(":memory:", embedders={"a": {"kind": "x"}}), vecstore.InvalidArgument, "openai"),
]  # fmt: skip


@pytest.fixture(scope="module")
def docs() -> Any:
    with vecstore.connect(":memory:") as db:
        yield db.create_collection("docs", Dense(4))


@pytest.mark.parametrize(("call", "error", "said"), MISTAKES)
def test_the_message_says_what_was_meant(
    docs: Any, call: Callable[[Any], object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as refused:
        call(docs)
    assert said in str(refused.value)


def test_a_field_alone_or_by_its_name(docs: Any) -> None:
    with (
        vecstore.connect(":memory:") as db,
        pytest.raises(vecstore.InvalidArgument, match=r"a field such as Dense\(384\), or fields by name, not 384"),
    ):
        db.create_collection("other", 384)


def test_hits_and_points_show_their_payload(docs: Any) -> None:
    docs.upsert([1], [[1, 0, 0, 0]], [{"lang": "en"}])
    assert repr(docs.query([1, 0, 0, 0])) == "[Hit(id=1, score=1.0, payload={'lang': 'en'})]"
    assert repr(docs.get([1])) == "[Point(id=1, payload={'lang': 'en'})]"
    assert repr(docs.get([1], with_payload=False, with_vectors=True)).startswith(
        "[Point(id=1, vectors={'default': array("
    )
