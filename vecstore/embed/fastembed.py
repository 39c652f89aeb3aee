"""A model of the library fastembed's list."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecstore.embed.base import Lazy, Role, bad_settings, library, prefixed
from vecstore.embed.files import existing, fingerprint
from vecstore.embedder_settings import FastEmbed
from vecstore.errors import DeadlineExceeded
from vecstore.rows import Rows
from vecstore.schema import VectorKind
from vecstore.sparse import SparseVector, sparse_rows
from vecstore.tokens import TokenRows

CLASSES = {"dense": "TextEmbedding", "sparse": "SparseTextEmbedding", "multi": "LateInteractionTextEmbedding"}


class FastEmbedder:
    def __init__(self, name: str, settings: FastEmbed) -> None:
        """Raises InvalidArgument (BAD_CONFIG) and FailedPrecondition (EXTRA_MISSING)."""
        self._library = library("fastembed", "fastembed", "fastembed")
        self._class = getattr(self._library, CLASSES[settings.gives])
        known = {one["model"]: one for one in self._class.list_supported_models()}
        if settings.model not in known:
            raise bad_settings(name, f"model={settings.model!r} is not on fastembed's list of {settings.gives} models")
        if settings.path:
            existing(name, "path", settings.path)
        self._about, self._name, self._settings = known[settings.model], name, settings
        self._model = Lazy[Any](self._load)
        self._fingerprint = Lazy[str](self._hashed)

    @property
    def gives(self) -> VectorKind:
        return VectorKind(self._settings.gives)

    @property
    def dim(self) -> int:
        return 0 if self.gives is VectorKind.SPARSE else int(self._about["dim"])

    @property
    def fingerprint(self) -> str:
        return self._fingerprint.get()

    def _load(self) -> Any:
        one = self._settings
        try:
            return self._class(one.model, threads=one.threads or None, specific_model_path=one.path or None)
        except Exception as error:  # the library lets through what its downloads and readers raise
            raise bad_settings(self._name, f"model={one.model!r} cannot be loaded: {error!s:.300}") from None

    def _hashed(self) -> str:
        one = self._settings
        directory = Path(one.path or self._model.get().model._model_dir)
        files = (directory / self._about["model_file"], directory / "tokenizer.json")
        present = [path for path in files if path.exists()]
        return fingerprint("fastembed", present, one.model, one.query_prefix, one.passage_prefix)

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> Rows:
        """Questions and passages by the library's own two calls, which mark them where a model asks for it."""
        one, model = self._settings, self._model.get()
        marked = prefixed(texts, one.query_prefix if role is Role.QUERY else one.passage_prefix)
        found: list[Any] = []
        for start in range(0, len(marked), one.batch_texts):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"embedder {self._name!r}: {start} of {len(marked)} texts were done in time")
            batch = marked[start : start + one.batch_texts]
            found += model.query_embed(batch) if role is Role.QUERY else model.passage_embed(batch)
        if self.gives is VectorKind.SPARSE:
            return sparse_rows([SparseVector(one.indices, one.values) for one in found])
        if self.gives is VectorKind.MULTI:
            return TokenRows.of(found, self.dim, np.float32)
        return np.stack(found).astype(np.float32, copy=False)

    def close(self) -> None:
        self._model = Lazy[Any](self._load)
