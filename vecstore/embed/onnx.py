"""A model in a local ONNX file, run by onnxruntime, with its tokenizer from the library tokenizers."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecstore.embed.base import Lazy, Role, bad_settings, failed, library, prefixed
from vecstore.embed.files import existing, fingerprint
from vecstore.embed.pooling import POOLINGS, joined
from vecstore.embedder_settings import Onnx
from vecstore.errors import DeadlineExceeded
from vecstore.rows import Rows
from vecstore.schema import VectorKind

GIVES = {"tokens": VectorKind.MULTI, "splade": VectorKind.SPARSE}


@dataclass(frozen=True, slots=True)
class _Model:
    session: Any
    inputs: tuple[str, ...]
    output: str
    tokenizer: Any
    padding: int
    special: frozenset[int]  # token numbers that stand for no text


class OnnxEmbedder:
    def __init__(self, name: str, settings: Onnx) -> None:
        """Raises InvalidArgument (BAD_CONFIG) and FailedPrecondition (EXTRA_MISSING)."""
        self._runtime, self._tokenizers = library("onnxruntime", "onnx", "onnx"), library("tokenizers", "onnx", "onnx")
        self._path = existing(name, "model", settings.model)
        self._tokenizer = existing(name, "tokenizer", settings.tokenizer or self._path.parent / "tokenizer.json")
        self._name, self._settings = name, settings
        self._model = Lazy[_Model](self._load)
        self._dim = Lazy[int](lambda: self._run(["vecstore"])[1])
        self._fingerprint = Lazy[str](self._hashed)

    @property
    def gives(self) -> VectorKind:
        return GIVES.get(self._settings.pooling, VectorKind.DENSE)

    @property
    def dim(self) -> int:
        return 0 if self.gives is VectorKind.SPARSE else self._dim.get()

    @property
    def fingerprint(self) -> str:
        return self._fingerprint.get()

    def _hashed(self) -> str:
        one = self._settings
        prefixes = (one.query_prefix, one.passage_prefix)
        return fingerprint("onnx", (self._path, self._tokenizer), one.pooling, one.normalize, one.max_tokens, *prefixes)

    def _load(self) -> _Model:
        runtime, settings = self._runtime, self._settings
        options = runtime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other work wants the cores, too
        try:
            session = runtime.InferenceSession(str(self._path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library has no error class of its own that is documented
            raise bad_settings(self._name, f"model={settings.model!r} is no ONNX model: {error}") from None
        raw = self._tokenizer.read_bytes()
        try:
            text = (gzip.decompress(raw) if self._tokenizer.suffix == ".gz" else raw).decode()
            tokenizer = self._tokenizers.Tokenizer.from_str(text)
        except Exception as error:
            raise bad_settings(self._name, f"tokenizer={str(self._tokenizer)!r} is none: {error}") from None
        padding = (tokenizer.padding or {}).get("pad_id", 0)
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=settings.max_tokens)
        marked = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        inputs = tuple(one.name for one in session.get_inputs())
        if unknown := set(inputs) - {"input_ids", "attention_mask", "token_type_ids"}:
            raise bad_settings(self._name, f"the model wants {sorted(unknown)}, which no tokenizer gives")
        return _Model(session, inputs, session.get_outputs()[0].name, tokenizer, padding, frozenset(marked))

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> Rows:
        one = self._settings
        marked = prefixed(texts, one.query_prefix if role is Role.QUERY else one.passage_prefix)
        return self._run(marked, deadline)[0]

    def _run(self, texts: list[str], deadline: float = float("inf")) -> tuple[Rows, int]:
        """A row for each text, and the components of a row or token."""
        model, pool = self._model.get(), POOLINGS[self._settings.pooling]
        encoded = model.tokenizer.encode_batch(texts)
        lengths = np.array([len(one.ids) for one in encoded])
        parts: list[Rows] = []
        order: list[np.ndarray] = []
        for batch in _batches(lengths, self._settings.batch_texts, self._settings.batch_tokens):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"embedder {self._name!r}: {len(order)} of {len(texts)} texts were done in time")
            ids = np.full((len(batch), int(lengths[batch].max())), model.padding, np.int64)
            mask = np.zeros(ids.shape, np.int64)
            for row, place in enumerate(batch.tolist()):
                ids[row, : lengths[place]], mask[row, : lengths[place]] = encoded[place].ids, 1
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            last = model.session.run([model.output], {name: given[name] for name in model.inputs})[0]
            if not np.isfinite(last).all():
                raise failed(f"embedder {self._name!r}: the model gave numbers that are not finite")
            special = np.isin(ids, list(model.special))
            parts.append(pool(last.astype(np.float32, copy=False), mask, special, self._settings.normalize))
            order.append(batch)
        return joined(parts, np.argsort(np.concatenate(order))), int(last.shape[-1])

    def close(self) -> None:
        self._model = Lazy[_Model](self._load)


def _batches(lengths: np.ndarray, count_max: int, tokens_max: int) -> Iterator[np.ndarray]:
    """Places of texts, the shortest first, so that little is padding: as many at a time as the bounds allow."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while (
            stop < len(order) and stop - start < count_max and lengths[order[stop]] * (stop + 1 - start) <= tokens_max
        ):
            stop += 1
        yield order[start:stop]
        start = stop
