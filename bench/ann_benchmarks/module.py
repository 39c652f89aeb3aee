"""vecstore in ann-benchmarks' algorithm interface: embedded, one collection, sealed after loading."""

from __future__ import annotations

import shutil
import tempfile

import numpy as np

import vecstore
from vecstore.config import Search, Settings

from ..base.module import BaseANN

METRICS = {"angular": "cosine", "euclidean": "l2", "ip": "dot", "hamming": "hamming"}


class Vecstore(BaseANN):
    """`metric`: angular, euclidean, ip or hamming. `datatype`: float32, float16, bfloat16, or bits for hamming."""

    def __init__(self, metric: str, datatype: str) -> None:
        if metric not in METRICS:
            raise ValueError(f"metric {metric!r} is none of {', '.join(METRICS)}")
        self.metric = METRICS[metric]
        self.datatype = datatype
        self.name = f"vecstore({datatype})"

    def fit(self, X: np.ndarray) -> None:
        self.folder = tempfile.mkdtemp(prefix="vecstore-")
        # One thread: ann-benchmarks gives single queries one core, and makes its own threads for batches.
        self.database = vecstore.connect(self.folder, settings=Settings(search=Search(threads=1)), timeout_s=3_600)
        if self.metric == "hamming":
            X = self.bits(X)
            field = vecstore.Binary(X.shape[1] * 8)
            self.collection = self.database.create_collection("ann", binary=field)
        else:
            field = vecstore.Dense(X.shape[1], metric=self.metric, datatype=self.datatype, index="flat")
            self.collection = self.database.create_collection("ann", field)
        self.collection.upload(ids=np.arange(len(X)), vectors=X, progress=False)
        self.collection.compact()

    def query(self, q: np.ndarray, n: int) -> list[int]:
        if self.metric == "hamming":
            q = self.bits(q)
        return [hit.id for hit in self.collection.query(q, n, with_payload=False)]

    def batch_query(self, X: np.ndarray, n: int) -> None:
        rows = self.bits(X) if self.metric == "hamming" else X
        self.answers = self.collection.query_batch(rows, n, with_payload=False)

    def get_batch_results(self) -> list[list[int]]:
        return [[hit.id for hit in hits] for hits in self.answers]

    def set_query_arguments(self) -> None:
        """Exact search has none."""

    @staticmethod
    def bits(rows: np.ndarray) -> np.ndarray:
        """The project's hamming files hold booleans; packed bytes are taken as they are."""
        rows = np.asarray(rows)
        return rows if rows.dtype == np.uint8 else np.packbits(rows.astype(bool), axis=-1)

    def done(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    def __str__(self) -> str:
        return self.name
