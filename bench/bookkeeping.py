"""What a call costs beside its work: its key, its count, its parts, its span.

    taskset -c 1 python -m bench.bookkeeping [--calls 100000]

Processor time of one thread, the least of five rounds, without the loop around it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vecstore.access import Access
from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.engine.database import Database
from vecstore.observe.calls import Observer
from vecstore.observe.metrics import Metrics
from vecstore.observe.tracing import Tracing

ROUNDS = 5


def least_us(call: Callable[[], object], calls: int) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(calls):
            call()
        best = min(best, time.process_time() - started)
    return best / calls * 1e6


def observed(observer: Observer) -> Callable[[], None]:
    """A query's bookkeeping, with as many parts as it has."""
    method = observer.method("Points/Query")

    def call() -> None:
        one = method.begin(lambda: ())
        now = time.perf_counter()
        for name in ("queue", "wait", "search", "payload", "encode"):
            one.parts.add(name, now, now)
        one.end()

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    calls = parser.parse_args().calls
    with Database.open(None) as database, tempfile.TemporaryDirectory() as folder:
        metrics = Metrics(database, 100)
        meter = metrics.meter("grpc", "Points/Query")
        path = Path(folder) / "keys.json"
        key, record = new_key("bench", "read")
        change_keys(path, lambda keys: (*keys, record))
        admin, listed = Access("k" * 32), Access(keys_file=path)
        pairs = [(("user-agent", "bench"), ("authorization", f"Bearer {text}")) for text in ("k" * 32, key)]
        cases: dict[str, Callable[[], object]] = {
            "count and time a call": lambda: meter.done("OK", 0.001),
            "count a batch of queries": lambda: database.probes.on_batch(1, 0.001),
            "a call's whole bookkeeping, no traces": observed(Observer("grpc", metrics, None, 1.0)),
            "check server.api_key": lambda: admin.authenticate(pairs[0]),
            "check a key of the file": lambda: listed.authenticate(pairs[1]),
        }
        loop = least_us(lambda: None, calls)
        for name, call in cases.items():
            print(f"{name:40} {least_us(call, calls) - loop:7.2f} us")
        try:
            from opentelemetry.sdk.trace import TracerProvider
        except ModuleNotFoundError:
            return
        traced = observed(Observer("grpc", metrics, Tracing(TracerProvider()), 1.0))
        print(f"{'the same with a span and its children':40} {least_us(traced, calls // 20) - loop:7.2f} us")


if __name__ == "__main__":
    main()
