"""A model that the library sentence-transformers loads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from vecstore.embed.base import Lazy, Role, bad_settings, library, prefixed
from vecstore.embedder_settings import SentenceTransformers
from vecstore.errors import DeadlineExceeded
from vecstore.schema import VectorKind

EXTRA = "sentence-transformers"


class SentenceEmbedder:
    def __init__(self, name: str, settings: SentenceTransformers) -> None:
        """Raises FailedPrecondition (EXTRA_MISSING)."""
        self._library = Lazy[Any](lambda: library("sentence_transformers", EXTRA, EXTRA))  # takes seconds to import
        self._name, self._settings = name, settings
        self._model = Lazy[Any](self._load)
        self._fingerprint = Lazy[str](self._hashed)

    @property
    def gives(self) -> VectorKind:
        return VectorKind.DENSE

    @property
    def dim(self) -> int:
        model = self._model.get()
        named = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        return int(named())

    @property
    def fingerprint(self) -> str:
        return self._fingerprint.get()

    def _load(self) -> Any:
        settings = self._settings
        try:
            model = self._library.get().SentenceTransformer(settings.model, device=settings.device)
        except (OSError, ValueError, RuntimeError) as error:
            raise bad_settings(self._name, f"model={settings.model!r} cannot be loaded: {error!s:.300}") from None
        if settings.max_tokens:
            model.max_seq_length = settings.max_tokens
        return model

    def _hashed(self) -> str:
        """By the weights themselves, and by what goes before and after them."""
        torch, model, one = library("torch", EXTRA, EXTRA), self._model.get(), self._settings
        prefixes = (one.query_prefix, one.passage_prefix)
        digest = xxhash.xxh3_128(repr((one.normalize, model.max_seq_length, str(model), *prefixes)).encode())
        for key, tensor in sorted(model.state_dict().items()):
            digest.update(key.encode())
            if tensor.numel():
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return f"{EXTRA}:{digest.hexdigest()}"

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> NDArray[np.float32]:
        one, model = self._settings, self._model.get()
        marked = prefixed(texts, one.query_prefix if role is Role.QUERY else one.passage_prefix)
        parts = []
        for start in range(0, len(marked), one.batch_texts):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"embedder {self._name!r}: {start} of {len(marked)} texts were done in time")
            batch = marked[start : start + one.batch_texts]
            parts.append(model.encode(batch, normalize_embeddings=one.normalize, show_progress_bar=False))
        return np.concatenate(parts).astype(np.float32, copy=False)

    def close(self) -> None:
        self._model = Lazy[Any](self._load)
