"""kill -9 of the server process at random moments, under writers over gRPC, again and again on one directory.

`ROUNDS=500 SEED=7 pytest tests/crash/test_kill_server.py` runs more of them, or the same ones again.
"""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crash_oracle import COLLECTIONS, Ledger, check_database, create_collections
from faults.leftovers import orphans
from faults.server_process import ServerProcess

from vecstore.client._sync.client import Client
from vecstore.client._sync.grpc import GrpcTransport
from vecstore.client.retry import RetryPolicy
from vecstore.config import Settings
from vecstore.errors import Cancelled, Unavailable

# So small that sealing, in place and in a worker process, and merging go on all the time.
TINY = {"STORAGE_SEAL_ROWS": 120, "STORAGE_MERGE_FACTOR": 3, "STORAGE_IN_PLACE_ROWS": 250, "SERVER_LOG_LEVEL": "error"}
WRITERS = {0: "numbers", 1: "numbers", 2: "mixed", 3: "mixed"}


@dataclass
class Seen:
    """What the rounds really met."""

    operations: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> (kind, state)
    cut_off: int = 0  # rounds that left requests without an answer
    in_flight: int = 0
    happened: int = 0  # of these, how many had happened
    recovery_ms: list[float] = field(default_factory=list)

    def count(self, kind: str, state: str) -> int:
        return sum(1 for seen in self.operations.values() if seen == (kind, state))

    def enough(self) -> bool:
        return self.cut_off > 0 and self.count("seal", "done") > 0 and self.count("merge", "done") > 0


def connect(server: ServerProcess) -> Client:
    """A client that never sends anything twice: a request without an answer stays one request."""
    transport = GrpcTransport(server.address, timeout_s=60, settings=Settings(), retry=RetryPolicy(attempts=1))
    return Client(transport, target=server.address, timeout_s=60)


def write_until_killed(server: ServerProcess, ledger: Ledger, seed: int, failures: list[BaseException]) -> None:
    choose = random.Random(seed)
    client = connect(server)
    try:
        collection = client.collection(ledger.collection)
        while True:
            ledger.send(collection, ledger.choose(choose))
    except (Unavailable, Cancelled):
        return
    except BaseException as error:
        failures.append(error)
    finally:
        client.close()


def watch_operations(client: Client, seen: Seen) -> None:
    try:
        while True:
            for one in client.operations():
                seen.operations[one.id] = (one.kind, one.state.value)
            time.sleep(0.02)
    except (Unavailable, Cancelled):
        return


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    tmp_path: Path, rounds_of: Callable[[int], int]
) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    rounds = rounds_of(8)
    print(f"SEED={seed} ROUNDS={rounds}")
    choose = random.Random(seed)
    data = tmp_path / "db"
    ledgers = [Ledger(tmp_path / f"writer{number}", number, name) for number, name in WRITERS.items()]
    seen = Seen()
    for number in range(3 * rounds):
        one_round(data, ledgers, choose, seen, first=number == 0)
        if number + 1 >= rounds and seen.enough():  # where little happens in a round, more of them
            rounds = number + 1
            break
    with ServerProcess(data, **TINY) as server:
        client = connect(server)
        seen.happened += check_database(client, ledgers)
        for name in COLLECTIONS:
            client.collection(name).compact(timeout_s=60)
        check_database(client, ledgers)
        assert client.verify(timeout_s=60).error is None
        client.close()
    assert orphans(data) == []
    recovery = sorted(seen.recovery_ms)
    print(
        f"rounds {rounds}, cut off {seen.cut_off}, acked {sum(ledger.acked for ledger in ledgers)}, "
        f"in flight {seen.in_flight} of which happened {seen.happened}, "
        f"seals {seen.count('seal', 'done')}, merges {seen.count('merge', 'done')}, "
        f"interrupted seals {seen.count('seal', 'running')}, merges {seen.count('merge', 'running')}, "
        f"start to first answer p50 {statistics.median(recovery):.0f} ms, max {recovery[-1]:.0f} ms"
    )
    assert seen.enough()


def one_round(data: Path, ledgers: list[Ledger], choose: random.Random, seen: Seen, *, first: bool) -> None:
    """Start, check everything, write for a while, kill."""
    failures: list[BaseException] = []
    with ServerProcess(data, **TINY) as server:
        seen.recovery_ms.append(1e3 * (time.perf_counter() - server.started))
        client = connect(server)
        if first:
            create_collections(client)
        seen.happened += check_database(client, ledgers)
        threads = [
            threading.Thread(target=write_until_killed, args=(server, ledger, choose.randrange(1 << 32), failures))
            for ledger in ledgers
        ]
        threads.append(threading.Thread(target=watch_operations, args=(client, seen)))
        for thread in threads:
            thread.start()
        time.sleep(choose.uniform(0.02, 0.8))
        server.kill()
        for thread in threads:
            thread.join()
        client.close()
    if failures:
        raise failures[0]
    cut_off = sum(1 for ledger in ledgers if ledger.pending is not None)
    seen.in_flight += cut_off
    seen.cut_off += cut_off > 0
