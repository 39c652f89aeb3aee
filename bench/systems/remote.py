"""vecstore over gRPC: a server of our own in a child process, reached through the SDK."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import vecstore
from bench.systems.base import System, folder_bytes
from bench.systems.embedded import COLLECTION, batches, filter_of, schema
from bench.systems.server import Server


class Remote(System):
    name = "vecstore-grpc"

    def fit(self, train: np.ndarray) -> None:
        setup = self.setup
        self.server = self.opened.enter_context(Server(setup.folder / "data", SEARCH_THREADS=setup.threads))
        empty = self.server.resident_bytes()
        self.client = self.opened.enter_context(vecstore.connect(self.server.url))
        wanted = schema(setup.metric, setup.dim, setup.config)
        self.collection = self.client.create_collection(COLLECTION, wanted.vectors, indexes=wanted.fields)
        started = time.perf_counter()
        self.collection.upload(batches(train, setup.config), progress=False)
        self.load_s = time.perf_counter() - started
        if setup.config.sealed:
            self.collection.compact(timeout_s=3_600)
        self.filter = filter_of(setup.config)
        self.grown = self.server.resident_bytes() - empty

    def query(self, vector: np.ndarray, k: int) -> list[Any]:
        return [hit.id for hit in self.collection.query(vector, k, filter=self.filter, with_payload=False)]

    def facts(self) -> dict[str, Any]:
        info: Any = self.client.info()
        return {
            "load_s": round(self.load_s, 3),
            "disk_bytes": folder_bytes(self.setup.folder),
            "kernels": info["kernels"]["backend"],
            "isa": info["kernels"]["isa"],
        }

    def resident_bytes(self) -> int:
        return self.grown
