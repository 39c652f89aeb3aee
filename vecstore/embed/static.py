"""A table of word vectors (Model2Vec), which the library model2vec reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.embed.base import Lazy, Role, bad_settings, library, prefixed
from vecstore.embed.files import existing, fingerprint
from vecstore.embedder_settings import Static
from vecstore.schema import VectorKind


class StaticEmbedder:
    def __init__(self, name: str, settings: Static) -> None:
        """Raises InvalidArgument (BAD_CONFIG) and FailedPrecondition (EXTRA_MISSING)."""
        self._library = library("model2vec", "static", "static")
        self._path = existing(name, "model", settings.model)
        self._name, self._settings = name, settings
        self._model = Lazy[Any](self._load)

    @property
    def gives(self) -> VectorKind:
        return VectorKind.DENSE

    @property
    def dim(self) -> int:
        return int(self._model.get().dim)

    @property
    def fingerprint(self) -> str:
        one = self._settings
        files = sorted(path for path in self._path.iterdir() if path.suffix in (".safetensors", ".json"))
        return fingerprint("static", files, one.normalize, one.query_prefix, one.passage_prefix)

    def _load(self) -> Any:
        try:
            return self._library.StaticModel.from_pretrained(self._path, normalize=self._settings.normalize)
        except Exception as error:  # the library lets through what its readers of files raise
            raise bad_settings(self._name, f"model={self._settings.model!r} cannot be loaded: {error!s:.300}") from None

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> NDArray[np.float32]:
        one = self._settings
        marked = prefixed(texts, one.query_prefix if role is Role.QUERY else one.passage_prefix)
        rows: NDArray[np.float32] = np.asarray(self._model.get().encode(marked), dtype=np.float32)
        return rows

    def close(self) -> None:
        self._model = Lazy[Any](self._load)
