"""The model of `test_model`, read through a follower: what one process writes, another one answers, with each write
seen as soon as its seq is asked for, over seals, merges, index changes and restarts of the writer."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import time
from typing import Any

import msgspec
import pytest
import test_model
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from model_runs import follow
from model_writes import SCHEMA, points, upsert
from test_model import KEYS_MAX, MEMORY, EngineMachine

from vecstore.config import Limits, Settings, Storage
from vecstore.engine.database import Database
from vecstore.engine.follower import Follower
from vecstore.types import CollectionInfo, CountRequest, WriteMode

FED = Settings(
    storage=Storage(seal_rows=10, merge_factor=3, in_place_rows=1_000_000, disk_reserve_bytes=0, feed=True),
    limits=Limits(idempotency_keys_max=KEYS_MAX),
)
READS = ("query", "get", "scroll", "count")


class Pair:
    """Writes go to the writer, reads to its follower."""

    def __init__(self, writer: Database, follower: Follower) -> None:
        self._writer, self._follower = writer, follower

    def __getattr__(self, name: str) -> Any:
        if name not in READS:
            return getattr(self._writer, name)

        def read(request: Any) -> Any:
            self._writer.shown()  # indexes, too
            seq = self._writer.collection("c").view.seq
            return getattr(self._follower, name)(dataclasses.replace(request, min_seq=seq))

        return read

    def collection_info(self, name: str) -> CollectionInfo:
        info = self._writer.collection_info(name)
        assert self._follower.count(CountRequest(name, min_seq=info.seq)) == (info.points, info.seq)
        self._writer.shown()
        assert self._follower.collection_info(name).schema == info.schema
        return info

    def close(self) -> None:
        self._writer.close()


class FollowedMachine(EngineMachine):
    @initialize(batch=st.lists(points, min_size=0, max_size=3))
    def start(self, batch: list[Any]) -> None:
        self.directory = tempfile.mkdtemp(prefix="vecstore-model-", dir=MEMORY if os.path.isdir(MEMORY) else None)
        self.model, self.seq, self.fields, self.keys = {}, 0, dict(SCHEMA.fields), {}
        self.settings = FED
        writer = Database.open(self.directory, FED)
        writer.create_collection("c", SCHEMA)
        self.follower = Follower.open(self.directory, msgspec.structs.replace(FED, storage=Storage()))
        self.db: Any = Pair(writer, self.follower)
        for one in batch:
            self.write(upsert(one, WriteMode.UPSERT))

    @rule()
    def restart(self) -> None:
        self.db.close()
        assert not self.follower.count(CountRequest("c"))[1] > self.seq
        self.db = Pair(Database.open(self.directory, self.settings), self.follower)
        while len(self.db.processes()) < 2:  # a change of the schema is shown at once by those who follow
            time.sleep(0.002)
        assert self.db.collection_info("c").seq == self.seq
        test_model.REACHED["restart"] += 1

    @rule()
    def follow_anew(self) -> None:
        self.follower.close()
        self.follower = Follower.open(self.directory, msgspec.structs.replace(FED, storage=Storage()))
        self.db._follower = self.follower

    def teardown(self) -> None:
        self.follower.close()
        self.db.close()
        shutil.rmtree(self.directory)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_follower_equals_the_model() -> None:
    expected = ["delete ids", "delete filter", "batch", "index field", "compact", "restart", "query l2", "query dot"]
    follow(FollowedMachine, 20, 30, test_model.REACHED, expected)
