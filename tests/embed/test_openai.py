"""The OpenAI kind against an endpoint of this process: batches, rates, retries, refusals, and who sees the key."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from embed_support import Letters

pytest.importorskip("httpx", reason="needs the openai extra")
pytest.importorskip("tenacity", reason="needs the openai extra")

import vecstore
from vecstore import Dense
from vecstore.embed import openai as kind
from vecstore.embed.base import Role
from vecstore.embed.openai import OpenAIEmbedder
from vecstore.embed.pace import Pace, retry_after_s
from vecstore.embedder_settings import OpenAI
from vecstore.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, Unavailable

FOREVER = float("inf")
Answer = tuple[int, dict[str, str], Any]


class Endpoint:
    """Answers as `Letters` would; `plan` holds what to do instead, one for each request, before that."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.plan: list[Callable[[dict[str, Any]], Answer]] = []
        self.busy = self.busiest = 0
        self.delay_s = 0.0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, headers, answer = outer.answer(body, self.headers.get("Authorization"), self.path)
                raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, body: dict[str, Any], key: str | None, path: str) -> Answer:
        with self._lock:
            self.bodies.append(body)
            self.keys.append(key)
            self.paths.append(path)
            self.times.append(time.monotonic())
            planned = self.plan.pop(0) if self.plan else good
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
        time.sleep(self.delay_s)
        answer = planned(body)
        with self._lock:
            self.busy -= 1
        return answer

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def good(body: dict[str, Any]) -> Answer:
    rows = [Letters().row(text, Role.PASSAGE).tolist() for text in body["input"]]
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    return 200, {}, {"object": "list", "data": data[::-1], "model": body["model"], "usage": {"total_tokens": 1}}


def status(number: int, headers: dict[str, str] | None = None, text: str = "no") -> Callable[[dict[str, Any]], Answer]:
    return lambda _body: (number, headers or {}, {"error": {"message": text}})


def wrong(answer: Any) -> Callable[[dict[str, Any]], Answer]:
    return lambda _body: (200, {}, answer)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(kind, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def embedder(endpoint: Endpoint) -> Iterator[Callable[..., OpenAIEmbedder]]:
    made: list[OpenAIEmbedder] = []

    def make(**settings: Any) -> OpenAIEmbedder:
        made.append(OpenAIEmbedder("far", OpenAI(url=endpoint.url, model="letters-1", **settings)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_rows_come_in_the_order_of_the_texts(endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder]) -> None:
    far = embedder(batch_texts=4, batch_bytes=20)
    texts = [f"text {chr(97 + n)}" for n in range(8)] + ["a text with more bytes than a batch may have"]
    rows = far.embed(texts, Role.PASSAGE, FOREVER)
    np.testing.assert_array_equal(rows, np.stack([Letters().row(text, Role.PASSAGE) for text in texts]))
    assert rows.dtype == np.float32
    sent = [body["input"] for body in endpoint.bodies[1:]]  # the first asked for the dimension
    assert sorted(text for batch in sent for text in batch) == sorted(texts)
    assert all(len(batch) == 1 or sum(map(len, batch)) <= 20 for batch in sent)
    assert max(map(len, sent)) == 3
    assert set(endpoint.paths) == {"/v1/embeddings"}
    assert {body["model"] for body in endpoint.bodies} == {"letters-1"}


def test_so_many_requests_at_a_time_and_no_more(endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder]) -> None:
    far = embedder(batch_texts=1, requests_in_flight=3, dimensions=27)
    three = threading.Barrier(3)
    endpoint.plan = [lambda body: (three.wait(60), good(body))[1]] * 9
    far.embed([f"{n}" for n in range(9)], Role.QUERY, FOREVER)
    assert endpoint.busiest == 3


def test_the_key_comes_from_the_variable_that_is_named_and_is_in_no_message(
    endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidArgument, match="FAR_KEY, which is not set"):
        embedder(key_env="FAR_KEY")
    monkeypatch.setenv("FAR_KEY", "s3cret-value")
    far = embedder(key_env="FAR_KEY", dimensions=27)
    far.embed(["x"], Role.QUERY, FOREVER)
    assert endpoint.keys == ["Bearer s3cret-value"]
    assert endpoint.bodies[0]["dimensions"] == 27
    endpoint.plan = [status(401, text="bad key")]
    with pytest.raises(FailedPrecondition, match=r"status 401.*bad key") as caught:
        far.embed(["x"], Role.QUERY, FOREVER)
    assert "s3cret" not in str(caught.value)
    assert caught.value.reason == "EMBEDDER_FAILED"
    assert "Authorization" not in embedder()._client.headers


@pytest.mark.parametrize("number", [408, 429, 500, 503])
def test_errors_that_pass_are_tried_again(
    endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder], number: int
) -> None:
    endpoint.plan = [status(number), status(number)]
    assert embedder(dimensions=27).embed(["x"], Role.QUERY, FOREVER).shape == (1, 27)
    assert len(endpoint.bodies) == 3


def test_an_endpoint_that_stays_away_is_given_up(endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder]) -> None:
    endpoint.plan = [status(503)] * 10
    with pytest.raises(Unavailable, match="'far': status 503 after 3 attempts") as caught:
        embedder(dimensions=27, retries=2).embed(["x"], Role.QUERY, FOREVER)
    assert caught.value.reason == "EMBEDDER_UNAVAILABLE"
    assert len(endpoint.bodies) == 3


@pytest.mark.parametrize("number", [400, 401, 403, 404, 422])
def test_a_refusal_is_final(endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder], number: int) -> None:
    endpoint.plan = [status(number, text="no such model")]
    with pytest.raises(FailedPrecondition, match=f"status {number}.*no such model"):
        embedder(dimensions=27).embed(["x"], Role.QUERY, FOREVER)
    assert len(endpoint.bodies) == 1


def test_retry_after_is_waited_for(endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder]) -> None:
    endpoint.plan = [status(429, {"Retry-After": "0.4"})]
    embedder(dimensions=27).embed(["x"], Role.QUERY, FOREVER)
    assert endpoint.times[1] - endpoint.times[0] >= 0.4


def test_no_wait_goes_past_the_deadline(endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder]) -> None:
    endpoint.plan = [status(429, {"Retry-After": "600"})]  # for which the test's own time would not do
    started = time.monotonic()
    with pytest.raises(Unavailable, match="status 429 after 1 attempt"):
        embedder(dimensions=27).embed(["x"], Role.QUERY, started + 300)
    with pytest.raises(DeadlineExceeded):
        embedder(dimensions=27).embed(["x"], Role.QUERY, started)


def test_a_slow_answer_is_cut_off(endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder]) -> None:
    endpoint.delay_s = 1_000
    for wait_s in (0.2, 2, 20):  # a busy machine may not come to send in the first
        with pytest.raises((Unavailable, DeadlineExceeded)) as late:
            embedder(dimensions=27, retries=0).embed(["x"], Role.QUERY, time.monotonic() + wait_s)
        if isinstance(late.value, Unavailable):
            break
    assert "no answer within timeout_s" in str(late.value)
    with pytest.raises(Unavailable, match=r"timeout_s=0\.1"):
        embedder(dimensions=27, timeout_s=0.1, retries=0).embed(["x"], Role.QUERY, FOREVER)


def test_nobody_there_is_told(embedder: Callable[..., OpenAIEmbedder], endpoint: Endpoint) -> None:
    endpoint.close()
    with pytest.raises(Unavailable, match="ConnectError"):
        embedder(dimensions=27, retries=1).embed(["x"], Role.QUERY, FOREVER)


@pytest.mark.parametrize(
    ("answer", "named"),
    [(b"<html>", "not one of embeddings"),
     ({"data": []}, "0 embeddings for 2 texts"),
     ({"data": [{"embedding": [1.0] * 5}] * 2}, r"have \[5\] components, not dim=27"),
     ({"data": [{"embedding": [1.0] * 27}, {"embedding": [1.0]}]}, r"have \[1, 27\] components"),
     ({"data": [{"embedding": [1e300] * 27}] * 2}, "numbers that float32 has not"),
     ({"data": [{"embedding": ["x"] * 27}] * 2}, "not one of embeddings")],
)  # fmt: skip
def test_answers_that_cannot_be_used_are_refused(
    endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder], answer: Any, named: str
) -> None:
    endpoint.plan = [wrong(answer)]
    with pytest.raises(FailedPrecondition, match=named) as caught:
        embedder(dimensions=27).embed(["x", "y"], Role.QUERY, FOREVER)
    assert caught.value.reason == "EMBEDDER_FAILED"


def test_a_failed_batch_fails_the_call_and_ends_the_others(
    endpoint: Endpoint, embedder: Callable[..., OpenAIEmbedder]
) -> None:
    endpoint.plan = [status(400)]
    far = embedder(dimensions=27, batch_texts=1, requests_in_flight=1)
    with pytest.raises(FailedPrecondition):
        far.embed([f"{n}" for n in range(20)], Role.QUERY, FOREVER)
    assert len(endpoint.bodies) < 20


def test_a_collection_by_an_endpoint(endpoint: Endpoint) -> None:
    settings = {"kind": "openai", "url": endpoint.url, "model": "letters-1", "query_prefix": "q: "}
    with vecstore.connect(":memory:", embedders={"far": settings}) as db:
        docs = db.create_collection("docs", vectors={"v": Dense(embedder="far")})
        assert docs.info().schema.vectors["v"].fingerprint == "openai:letters-1:27:'q: ':''"
        docs.upsert([1, 2], {"v": ["alpha", "omega"]})
        assert docs.query("alpha")[0].id == 1
        assert endpoint.bodies[-1]["input"] == ["q: alpha"]
        asked = len(endpoint.bodies)
        docs.query("alpha")
        docs.upsert([3, 4], {"v": ["omega", "new"]})
        assert [body["input"] for body in endpoint.bodies[asked:]] == [["new"]]
        endpoint.plan = [status(500)] * 20
        with pytest.raises(Unavailable):
            docs.upsert([5], {"v": ["another"]})
        assert docs.count() == 4


def test_the_pace_spaces_requests_after_a_second_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda s: (slept.append(s), now.__setitem__(0, now[0] + s)))
    pace = Pace(120)  # two a second
    for _ in range(6):
        assert pace.wait(60)
    assert slept == pytest.approx([0, 0, 0.5, 0.5, 0.5, 0.5])
    assert not pace.wait(0.1)
    assert pace.wait(0.6)
    assert Pace(0).wait(0)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s("2.5") == 2.5
    assert retry_after_s("-3") == 0
    assert retry_after_s("1e9") == 3600
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    assert 200 < retry_after_s(moment) <= 300
    assert [retry_after_s(header) for header in (None, "soon", "nan", "")] == [None] * 4
