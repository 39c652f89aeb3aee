"""Any HTTP endpoint that answers as OpenAI's `POST /v1/embeddings` does: batches, retries, rate, one key."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from vecstore.embed.base import Lazy, Role, bad_settings, failed, library, prefixed
from vecstore.embed.pace import Pace, retry_after_s
from vecstore.embedder_settings import OpenAI
from vecstore.errors import DeadlineExceeded, FailedPrecondition, Unavailable, VecstoreError
from vecstore.schema import VectorKind

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}  # statuses that may be another one the next time
PROBE_S = 30.0
SHOWN = 200  # characters of an endpoint's own words in an error


class _Item(msgspec.Struct):
    embedding: list[float]
    index: int = -1


class _Answer(msgspec.Struct):
    data: list[_Item]


class _Passing(Exception):
    """An error after which to ask again; `wait_s` is what the endpoint asked for."""

    def __init__(self, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.wait_s = wait_s


class OpenAIEmbedder:
    def __init__(self, name: str, settings: OpenAI) -> None:
        """Raises InvalidArgument (BAD_CONFIG) and FailedPrecondition (EXTRA_MISSING)."""
        if not settings.url.startswith(("http://", "https://")):
            raise bad_settings(name, f"url={settings.url!r:.80} must start with http:// or https://")
        self._httpx, self._tenacity = library("httpx", "openai", "openai"), library("tenacity", "openai", "openai")
        headers = {}
        if settings.key_env:
            key = os.environ.get(settings.key_env)
            if not key:
                raise bad_settings(name, f"key_env names the variable {settings.key_env}, which is not set")
            headers["Authorization"] = f"Bearer {key}"
        self._name, self._settings = name, settings
        self._client = self._httpx.Client(
            headers=headers,
            timeout=settings.timeout_s,
            limits=self._httpx.Limits(max_connections=settings.requests_in_flight),
        )
        self._pool = ThreadPoolExecutor(settings.requests_in_flight, thread_name_prefix=f"vecstore-embed-{name}")
        self._pace = Pace(settings.requests_per_minute)
        self._dim = Lazy[int](self._probe)
        self._stopped = threading.Event()

    @property
    def gives(self) -> VectorKind:
        return VectorKind.DENSE

    @property
    def dim(self) -> int:
        return self._settings.dimensions or self._dim.get()

    @property
    def fingerprint(self) -> str:
        """By the model's name: what stands behind a name is the endpoint's word."""
        one = self._settings
        return f"openai:{one.model}:{self.dim}:{one.query_prefix!r}:{one.passage_prefix!r}"

    def _probe(self) -> int:
        return len(self._ask(["vecstore"], time.monotonic() + PROBE_S, None)[0])

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> NDArray[np.float32]:
        one, dim = self._settings, self.dim
        marked = prefixed(texts, one.query_prefix if role is Role.QUERY else one.passage_prefix)
        batches = list(_batches(marked, one.batch_texts, one.batch_bytes))
        if len(batches) == 1:
            return self._ask(batches[0], deadline, dim)
        futures = [self._pool.submit(self._ask, batch, deadline, dim) for batch in batches]
        try:
            return np.concatenate([future.result() for future in futures])
        finally:
            for future in futures:
                future.cancel()  # those that wait, where one has failed

    def _ask(self, texts: list[str], deadline: float, dim: int | None) -> NDArray[np.float32]:
        """One request, sent again after errors that pass."""
        tenacity = self._tenacity

        def wait(state: Any) -> float:
            error = state.outcome.exception()
            asked = error.wait_s if isinstance(error, _Passing) else None
            backoff: float = tenacity.wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)(state)
            return backoff if asked is None else asked + FIRST_WAIT_S * backoff / LONGEST_WAIT_S

        def gives_up(state: Any) -> bool:
            late = time.monotonic() + (state.upcoming_sleep or 0.0) >= deadline
            return late or state.attempt_number > self._settings.retries or self._stopped.is_set()

        sends = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            wait=wait,
            stop=gives_up,
            sleep=self._stopped.wait,
            reraise=True,
        )
        try:
            rows: NDArray[np.float32] = sends(self._send, texts, deadline, dim)
        except _Passing as error:
            message = f"embedder {self._name!r}: {error} after {sends.statistics['attempt_number']} attempts"
            raise Unavailable(message, reason="EMBEDDER_UNAVAILABLE") from None
        return rows

    def _send(self, texts: list[str], deadline: float, dim: int | None) -> NDArray[np.float32]:
        left = deadline - time.monotonic()
        if left <= 0 or not self._pace.wait(left):
            raise DeadlineExceeded(f"embedder {self._name!r}: no time was left to send {len(texts)} texts")
        settings, httpx = self._settings, self._httpx
        body: dict[str, Any] = {"model": settings.model, "input": texts, "encoding_format": "float"}
        if settings.dimensions:
            body["dimensions"] = settings.dimensions
        try:
            answer = self._client.post(
                f"{settings.url.rstrip('/')}/embeddings",
                content=msgspec.json.encode(body),
                headers={"Content-Type": "application/json"},
                timeout=max(0.001, min(settings.timeout_s, deadline - time.monotonic())),
            )
        except httpx.TimeoutException:
            raise _Passing(f"no answer within timeout_s={settings.timeout_s:g}, or the call's own deadline") from None
        except httpx.TransportError as error:
            raise _Passing(f"{type(error).__name__}: {error}") from None
        if answer.status_code in PASSING:
            raise _Passing(f"status {answer.status_code}", retry_after_s(answer.headers.get("Retry-After")))
        if answer.status_code != 200:
            raise self._refused(answer.status_code, answer.text)
        return self._rows(answer.content, len(texts), dim)

    def _refused(self, status: int, text: str) -> VecstoreError:
        message = f"embedder {self._name!r}: status {status}: {' '.join(text.split())[:SHOWN]}"
        return FailedPrecondition(message, reason="EMBEDDER_FAILED")

    def _rows(self, content: bytes, count: int, dim: int | None) -> NDArray[np.float32]:
        try:
            items = msgspec.json.decode(content, type=_Answer).data
        except msgspec.MsgspecError as error:
            raise failed(f"embedder {self._name!r}: the answer is not one of embeddings: {error}") from None
        if len(items) != count:
            raise failed(f"embedder {self._name!r}: {len(items)} embeddings for {count} texts")
        if all(item.index >= 0 for item in items):
            items.sort(key=lambda item: item.index)
        widths = {len(item.embedding) for item in items}
        if len(widths) != 1 or (dim is not None and widths != {dim}) or widths == {0}:
            wanted = "" if dim is None else f", not dim={dim}"
            raise failed(f"embedder {self._name!r}: embeddings have {sorted(widths)} components{wanted}")
        with np.errstate(over="ignore"):
            rows = np.array([item.embedding for item in items], dtype=np.float32)
        if not np.isfinite(rows).all():
            raise failed(f"embedder {self._name!r}: embeddings hold numbers that float32 has not")
        return rows

    def close(self) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
        self._client.close()


def _batches(texts: Sequence[str], count_max: int, bytes_max: int) -> Iterator[list[str]]:
    """In order, of at most `count_max` texts and `bytes_max` bytes, but never less than one text."""
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) >= count_max or size + length > bytes_max):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
