"""`python -m bench grpc-graph`: Points.Query of an indexed collection through gRPC, beside an empty handler.

A server process holds the collection and an empty gRPC handler, a client process sends requests that were serialised
beforehand, over one connection for each of its callers (the parts are those of `bench/grpc_overhead.py`). The requests'
ef is the smallest whose recall, through the same server, is `--target` or more. Each round measures both cases.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import contest, graph_race, grpc_overhead, races, results
from bench.graph_ours import COLLECTION, OurCollection
from bench.payloads import stacked
from vecstore.types import QueryRequest, Selection
from vecstore.wire.reads import query_to_pb

COLUMNS = ["case", "clients", "qps", "p50_ms", "p99_ms", "server_cpu_us", "recall", "of_empty"]
MEASURED = ("qps", "p50_ms", "p99_ms", "server_cpu_us")
WARM_UP_S = 1.0


def grpc_graph(
    data: str, spec: str, target: float, clients: int, rounds: int, seconds: float, k: int, rows: int | None,
    folder: str | None, out: str,
) -> list[dict[str, Any]]:  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=folder) as own:
        place = Path(own)
        count, name = graph_race.prepare(data, k, None, rows, place)
        contest.say(f"{spec}: {count:,} rows ...")
        contest.alone(build, spec, place, threads=2)
        with grpc_overhead.child("--serve", "--folder", str(place / "db")) as server:  # it stops as its input closes
            assert server.stdout is not None
            ports = server.stdout.readline()
            settings, recall = calibrated(data, spec, json.loads(ports)["query"], target, k, rows)
            contest.say(f"recall {recall:.4f} with {settings} ...")
            requests = requests_of(np.load(place / "queries.npy"), k, settings)
            records = race(server.pid, ports, requests, clients, rounds, seconds)
    shared = {"bench": "grpc_graph", "dataset": name, "rows": count, "spec": spec, "k": k, "settings": settings}
    records = [shared | record for record in records]
    records[-1] |= {"recall": round(recall, 5)}
    around = results.surroundings()
    results.append(out, [record | around for record in records])
    print(results.table(records, COLUMNS))
    return records


def build(spec: str, place: Path) -> None:
    library = OurCollection(spec)
    library.build(np.load(place / "rows.npy"), 2, place / "db")
    library.save(place / "db")


def calibrated(
    path: str, spec: str, port: int, target: float, k: int, rows: int | None
) -> tuple[dict[str, int], float]:
    """The least effort that reaches the target through the server, or the most that there is, and its recall."""
    import vecstore

    data = contest.load(path, k, None, rows)
    knob = OurCollection(spec).knob
    with vecstore.connect(f"grpc://127.0.0.1:{port}") as client:
        collection = client.get_collection(COLLECTION)
        for value in races.SWEPT[knob]:
            answers = collection.query_batch(data.queries, k, with_payload=False, **{knob: value})
            recall = data.truth.recall(stacked([[hit.id for hit in hits] for hits in answers], k))
            if recall >= target:
                break
    return {knob: value}, recall


def requests_of(queries: np.ndarray, k: int, settings: dict[str, int]) -> list[str]:
    """Serialised, as hex: they go to the client process as JSON."""
    from vecstore.index.base import SearchParams

    params = SearchParams(**settings)
    select = Selection(payload=False)
    made = [QueryRequest(COLLECTION, query, k=k, select=select, params=params) for query in queries]
    return [query_to_pb(request).SerializeToString().hex() for request in made]


def race(
    server: int, ports: str, requests: list[str], clients: int, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """The empty handler and the query in turns; medians of the rounds."""
    seen: dict[str, list[dict[str, float]]] = {"empty": [], "query": []}
    with grpc_overhead.child("--drive", "--clients", str(clients)) as client:
        assert client.stdin is not None
        client.stdin.write(ports + json.dumps(requests) + "\n")
        for case in seen:
            grpc_overhead.ask(client, server, case, clients, WARM_UP_S)
        for _ in range(rounds):
            for case, found in seen.items():
                found.append(grpc_overhead.ask(client, server, case, clients, seconds))
    shares = [query["qps"] / empty["qps"] for query, empty in zip(seen["query"], seen["empty"], strict=True)]
    records = [
        {"case": case, "clients": clients, "rounds": rounds}
        | {name: round(statistics.median(one[name] for one in found), 3) for name in MEASURED}
        for case, found in seen.items()
    ]
    records[-1]["of_empty"] = round(statistics.median(shares), 3)
    return records
