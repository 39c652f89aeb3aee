"""Collections and aliases against a dictionary: any sequence of changes, refusals, full disks, power losses, restarts,
with every name read after each step. Names of collections and aliases are of one pool, so that they collide."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from faults.faulty_kv import Fault, FaultyKV, PowerLossKV
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from model_runs import follow

from vecstore.aliases import Alias, AliasAction, CreateAlias, DeleteAlias, RenameAlias, SwapAliases
from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.errors import IoFailed, NotFound, ResourceExhausted, VecstoreError
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.storage.interfaces import Family, Put
from vecstore.storage.memory import MemoryBlobs
from vecstore.storage.open import Storage as OpenStorage
from vecstore.types import PointBatch, ScrollRequest, UpsertRequest, VectorBatch

SCHEMA = Schema({"v": VectorField(VectorKind.DENSE, 2, Metric.L2)})
NAMES = ["p", "q", "r", "s", "t"]
REACHED: Counter[str] = Counter()

names = st.sampled_from(NAMES)
actions: st.SearchStrategy[AliasAction] = st.one_of(
    st.builds(CreateAlias, names, names),
    st.builds(CreateAlias, names, names),
    st.builds(DeleteAlias, names),
    st.builds(RenameAlias, names, names),
    st.builds(SwapAliases, names, names),
)


class Refused(Exception):
    """With the reason."""


def after(table: dict[str, str], collections: Any, done: list[AliasAction]) -> dict[str, str]:
    """What the actions make of the table, by their description alone."""
    table = dict(table)

    def free(name: str) -> None:
        if name in collections:
            raise Refused("COLLECTION_EXISTS")

    def known(*found: str) -> None:
        if any(name not in table for name in found):
            raise Refused("ALIAS_NOT_FOUND")

    for action in done:
        match action:
            case CreateAlias(alias, collection):
                free(alias)
                if collection in table or collection == alias:
                    raise Refused("ALIAS_OF_ALIAS")
                if collection not in collections:
                    raise Refused("COLLECTION_NOT_FOUND")
                table[alias] = collection
            case DeleteAlias(alias):
                known(alias)
                del table[alias]
            case RenameAlias(alias, new_alias):
                known(alias)
                free(new_alias)
                if new_alias in table and new_alias != alias:
                    raise Refused("ALIAS_EXISTS")
                table[new_alias] = table.pop(alias)
            case SwapAliases(alias, other):
                known(alias, other)
                table[alias], table[other] = table[other], table[alias]
    return table


class Machine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.kv, self.blobs = PowerLossKV(), MemoryBlobs()
        self.table: dict[str, str] = {}
        self.points: dict[str, set[int]] = {}
        self.open()
        for name in ("p", "q"):
            self.create_collection(name)
        self.create_collection("t")
        self.delete_collection("t")
        self.update_aliases([CreateAlias("r", "p"), CreateAlias("s", "q")])
        self.write("r", 0)

    def open(self) -> None:
        chosen = Settings(storage=Storage(maintenance=False))
        self.db = Database(OpenStorage(self.kv, self.blobs, None, None), chosen)

    def teardown(self) -> None:
        self.db.close()

    @rule(name=names)
    def create_collection(self, name: str) -> None:
        reason = "COLLECTION_EXISTS" if name in self.points else "ALIAS_EXISTS" if name in self.table else None
        if self.happens(reason, lambda: self.db.create_collection(name, SCHEMA)):
            self.points[name] = set()

    @rule(name=names)
    def delete_collection(self, name: str) -> None:
        reason = "NAME_IS_ALIAS" if name in self.table else None
        reason = "COLLECTION_HAS_ALIASES" if name in self.table.values() else reason
        if self.happens(reason, lambda: self.db.delete_collection(name)):
            REACHED["dropped"] += name in self.points
            self.points.pop(name, None)

    @rule(name=names, point=st.integers(0, 9))
    def write(self, name: str, point: int) -> None:
        own = self.table.get(name, name)
        batch = PointBatch([point], {"v": VectorBatch(np.zeros((1, 2), np.float32))})
        reason = None if own in self.points else "COLLECTION_NOT_FOUND"
        if self.happens(reason, lambda: self.db.write(UpsertRequest(name, batch))):
            self.points[own].add(point)
            REACHED["by alias"] += own != name

    @rule(done=st.lists(actions, min_size=1, max_size=4))
    def update_aliases(self, done: list[AliasAction]) -> None:
        try:
            table, reason = after(self.table, self.points, done), None
        except Refused as refused:
            table, reason = self.table, str(refused)
        self.happens(reason, lambda: self.db.update_aliases(done))
        REACHED[f"several: {reason}"] += len(done) > 1
        REACHED["switched"] += any(self.table.get(name, own) != own for name, own in table.items())
        self.table = table

    @precondition(lambda self: self.table and len(self.points) > 1)
    @rule(pick=st.integers(0, 99))
    def switch(self, pick: int) -> None:
        """An alias that there is, to another collection: chance alone seldom does."""
        alias = sorted(self.table)[pick % len(self.table)]
        others = sorted(name for name in self.points if name != self.table[alias])
        self.update_aliases([CreateAlias(alias, others[pick % len(others)])])

    @rule(done=actions, fault=st.sampled_from([Fault.REFUSE_WRITE, Fault.FAIL_DURABLE]), surviving=st.integers(0, 1))
    def fail(self, done: AliasAction, fault: Fault, surviving: int) -> None:
        """The disk is full, or fails: nothing shows; after a power loss it is there, or not, as a whole."""
        try:
            table = after(self.table, self.points, [done])
        except Refused:
            table = self.table
        if table == self.table:  # something else, which would change it
            changes = [
                CreateAlias(alias, own)
                for alias in NAMES
                for own in sorted(self.points)
                if alias not in self.points and self.table.get(alias) != own
            ]
            if not changes:
                return
            done = changes[surviving % len(changes)]
            table = after(self.table, self.points, [done])
        for operation in self.db.list_operations():  # a drop writes in the background, and would meet the fault
            self.db.wait_operation(operation.id)
        self.db._committer._kv = FaultyKV(self.kv, fault, 1)
        try:
            self.db.update_aliases([done])
            raise AssertionError("the fault was not noticed")
        except ResourceExhausted:
            self.db._committer._kv = self.kv
        except IoFailed:
            assert self.listed() == self.table
            self.lose_power(surviving)
            assert self.listed() in (self.table, table)
            self.table = self.listed()
        REACHED[fault] += 1

    @rule(surviving=st.integers(0, 2))
    def lose_power(self, surviving: int = 0) -> None:
        self.db._committer.close()
        disk, self.kv = self.kv.lose_power(surviving), PowerLossKV()
        pairs = [(family, *pair) for family in Family for pair in disk.scan(family, b"", b"\xff" * 64)]
        self.kv.durable(self.kv.write([Put(*pair) for pair in pairs]))
        self.open()
        REACHED["power lost"] += bool(self.table)

    def happens(self, reason: str | None, call: Any) -> bool:
        try:
            call()
        except VecstoreError as error:
            if error.reason != reason:
                raise
            return False
        assert reason is None, "it was not refused"
        return True

    def listed(self) -> dict[str, str]:
        return {one.alias: one.collection for one in self.db.list_aliases()}

    @invariant()
    def every_name_reads_its_collection(self) -> None:
        assert self.listed() == self.table
        for name in NAMES:
            own = self.table.get(name, name)
            assert self.db.has_collection(name) == (own in self.points)
            try:
                found = self.db.scroll(ScrollRequest(name, limit=100))
            except NotFound:
                assert own not in self.points
                continue
            assert ({point.id for point in found.points}, found.collection) == (self.points[own], own)
            here = [Alias(alias, own) for alias, of in sorted(self.table.items()) if of == own]
            assert self.db.list_aliases(name) == here


def test_aliases_equal_the_model() -> None:
    expected = ["dropped", "by alias", "switched", "power lost", *(Fault.REFUSE_WRITE, Fault.FAIL_DURABLE)]
    follow(Machine, 40, 25, REACHED, expected)
