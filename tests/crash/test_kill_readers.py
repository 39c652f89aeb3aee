"""kill -9 of readers and of the writer at random moments, under writers and queries over one port, against the model.

`ROUNDS=50 SEED=7 pytest tests/crash/test_kill_readers.py` kills more often, or the same ones again.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crash_oracle import COLLECTIONS, DIM, Ledger, check_database, create_collections, vector_a
from faults.leftovers import orphans
from faults.server_process import ServerProcess
from test_kill_server import TINY, WRITERS, connect

import vecstore
from vecstore.client._sync.client import Client
from vecstore.errors import Cancelled, Unavailable

READERS = 2


class Writing:
    """One writer. A request that a crash leaves without an answer is looked for before the next one is sent."""

    def __init__(self, server: ServerProcess, ledger: Ledger, seed: int) -> None:
        self.pause, self.paused, self.stop = threading.Event(), threading.Event(), threading.Event()
        self.failure: BaseException | None = None
        self._server, self._ledger, self._choose = server, ledger, random.Random(seed)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        client = connect(self._server)
        try:
            while not self.stop.is_set():
                if self.pause.is_set() or self._ledger.pending is not None:
                    self.paused.set()
                    time.sleep(0.01)
                    continue
                self.paused.clear()
                try:
                    self._ledger.send(client.collection(self._ledger.collection), self._ledger.choose(self._choose))
                except (Unavailable, Cancelled):
                    continue  # the ledger has it as pending: this one waits for the next check
        except BaseException as error:
            self.failure = error
            self.paused.set()
        finally:
            client.close()


def query_all(stop: threading.Event, server: ServerProcess, seen: Counter[str], failures: list[BaseException]) -> None:
    """Whole points only, and none twice; no error but Unavailable."""
    with vecstore.connect(f"grpc://{server.address}", timeout_s=60) as client:
        collection = client.collection("numbers")
        while not stop.is_set():
            try:
                points = list(collection.scroll(page=2_000, with_vectors=True))
                assert len({point.id for point in points}) == len(points)
                for point in points:
                    payload: Any = point.payload
                    assert point.vectors is not None
                    assert np.array_equal(point.vectors["a"], vector_a(payload["key"], payload["version"])), point
                collection.query_batch(np.ones((3, DIM)), k=3, using="a")
                seen["reads"] += 1
            except Unavailable:
                seen["unavailable"] += 1
            except BaseException as error:
                failures.append(error)
                return


def processes(client: Client) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in client.info()["processes"]}


def settled(server: ServerProcess) -> dict[str, int]:
    """Wait until every process is there and every reader shows everything; their pids."""
    limit = time.monotonic() + 200
    while True:
        client = connect(server)
        try:
            found = processes(client)
            if len(found) == READERS + 1 and not any(one.get("batches_behind", 0) for one in found.values()):
                return {name: int(one["pid"]) for name, one in found.items()}
        except (Unavailable, Cancelled):
            pass
        finally:
            client.close()
        assert time.monotonic() < limit, "not all processes came back"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_readers_and_writer_are_killed_under_load(tmp_path: Path, rounds_of: Callable[[int], int]) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    rounds = rounds_of(4)
    print(f"SEED={seed} ROUNDS={rounds}")
    choose = random.Random(seed)
    data = tmp_path / "db"
    ledgers = [Ledger(tmp_path / f"writer{number}", number, name) for number, name in WRITERS.items()]
    seen: Counter[str] = Counter()
    failures: list[BaseException] = []
    stop = threading.Event()
    with ServerProcess(data, SERVER_READERS=READERS, **TINY) as server:
        pids = settled(server)
        client = connect(server)
        create_collections(client)
        writing = [Writing(server, ledger, choose.randrange(1 << 32)) for ledger in ledgers]
        querying = [threading.Thread(target=query_all, args=(stop, server, seen, failures)) for _ in range(3)]
        for thread in querying:
            thread.start()
        try:
            for number in range(3 * rounds):
                if number >= rounds and seen["cut off"] and seen["reads"]:
                    break  # where little happens in a round, more of them
                time.sleep(choose.uniform(0.2, 1.0))
                # The writer, one reader, all readers, or everything at once.
                victims = [["writer"], ["reader-1"], ["reader-1", "reader-2"], list(pids)][number % 4]
                for name in victims:
                    os.kill(pids[name], signal.SIGKILL)
                seen[f"kill {len(victims)}"] += 1
                time.sleep(choose.uniform(0.0, 0.5))
                for one in writing:
                    one.pause.set()
                for one in writing:
                    assert one.paused.wait(200)
                pids = settled(server)
                seen["cut off"] += sum(ledger.pending is not None for ledger in ledgers)
                check = connect(server)
                check_database(check, ledgers)
                check.close()
                for one in writing:
                    one.pause.clear()
        finally:
            stop.set()
            for one in writing:
                one.stop.set()
                one.thread.join()
            for thread in querying:
                thread.join()
        for one in writing:
            if one.failure is not None:
                raise one.failure
        if failures:
            raise failures[0]
        settled(server)
        for name in COLLECTIONS:
            client.collection(name).compact(timeout_s=60)
        settled(server)
        check_database(client, ledgers)
        client.close()
    assert orphans(data) == []
    print(dict(seen), "acked", sum(ledger.acked for ledger in ledgers))
    assert seen["reads"] > 0
    assert seen["cut off"] > 0
