"""`python -m bench run`: one data file, any configurations, vecstore and its peers, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import datasets, load, metrics, peers, results
from bench.configs import CONFIGS, Config, default_for
from bench.memory import trimmed_rss
from bench.systems.base import Setup, System

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
COLUMNS = ["system", "config", "params", "clients", "recall", "recall_strict", "qps", "p50_ms", "p95_ms", "p99_ms",
           "build_s", "resident_mib", "disk_mib"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """One system on one configuration."""

    data: str
    system: str
    config: Config
    k: int
    clients: int
    threads: int  # 0: one for each core
    queries: int | None
    window_s: float
    folder: str | None  # where to put the data; None: the machine's temporary folder


def make(name: str, setup: Setup) -> System:
    if name == "inproc":
        from bench.systems.embedded import Embedded

        return Embedded(setup)
    if name == "grpc":
        from bench.systems.remote import Remote

        return Remote(setup)
    return peers.PEERS[name](setup)


def measure(job: Job) -> list[dict[str, Any]]:
    """Load, build, query with one caller and with many; runs in a process of its own."""
    dataset = datasets.load(job.data, job.queries)
    allowed = job.config.allowed(len(dataset.train))
    truth = dataset.neighbors
    if allowed is not None:
        truth = datasets.nearest(dataset.metric, dataset.train, dataset.test, job.k, allowed)
    elif truth.shape[1] < job.k:
        raise ValueError(f"k={job.k} exceeds the {truth.shape[1]} neighbours that {dataset.name} has for each query")
    records = []
    with tempfile.TemporaryDirectory(prefix="vecstore-bench-", dir=job.folder) as folder:
        system = make(job.system, Setup(dataset.metric, dataset.dim, job.config, job.threads, Path(folder)))
        try:
            train, dataset.train = dataset.train, np.empty((0, dataset.train.shape[1]), dataset.train.dtype)
            before = trimmed_rss() - train.nbytes
            started = time.perf_counter()
            system.fit(train)
            build_s = time.perf_counter() - started
            rows = len(train)
            del train
            resident = system.resident_bytes()
            if resident is None:
                resident = trimmed_rss() - before
            shared = {
                "system": system.name,
                "config": job.config.name,
                "via": job.system if job.system in ("inproc", "grpc") else "library",
                "dataset": dataset.name,
                "metric": dataset.metric,
                "rows": rows,
                "dim": dataset.dim,
                "k": job.k,
                "threads": job.threads,
                "build_s": round(build_s, 3),
                "resident_mib": round(resident / 2**20, 1),
                **system.facts(),
            }
            if (disk := shared.pop("disk_bytes", None)) is not None:
                shared["disk_mib"] = round(disk / 2**20, 1)
            for params in system.variants():
                system.configure(**params)
                answers, rate = load.one_caller(system, dataset.test, job.k, min(job.window_s, 2.0))
                single = shared | {"params": params, "clients": 1, **figures(rate)}
                records.append((single, answers))
                if job.clients > 1:
                    rate = many(job, system, dataset)
                    records.append((shared | {"params": params, "clients": job.clients, **figures(rate)}, answers))
        finally:
            system.close()
    dataset.train = datasets.load(job.data, 1).train
    for record, answers in records:
        for name, epsilon in (("recall", metrics.EPSILON), ("recall_strict", metrics.EPSILON_STRICT)):
            record[name] = round(metrics.recall(dataset, truth, answers, job.k, epsilon), 5)
    return [record for record, _ in records]


def many(job: Job, system: System, dataset: datasets.Dataset) -> load.Rate:
    if job.system != "grpc":
        return load.threads(system, dataset.test, job.k, job.clients, job.window_s)
    from bench.systems.embedded import COLLECTION, filter_of

    work = load.Queries(COLLECTION, filter_of(job.config), dataset.test, job.k, job.clients)
    return load.remote_callers(system.server.url, work, job.clients, job.window_s)  # type: ignore[attr-defined]


def figures(rate: load.Rate) -> dict[str, float]:
    return {"qps": round(rate.qps, 1), **metrics.latency(rate.seconds)}


def run(
    data: str,
    config_names: list[str],
    via: list[str],
    with_peers: bool,
    clients: int,
    k: int,
    out: str,
    queries: int | None,
    threads: int,
    window_s: float,
    folder: str | None,
) -> list[dict[str, Any]]:
    metric = datasets.peek(data)
    configs = [CONFIGS[name] for name in config_names] or [default_for(metric)]
    unfit = [config.name for config in configs if not config.suits(metric)]
    if unfit:
        raise ValueError(f"{', '.join(unfit)}: not for {metric} data; `python -m bench configs` says which are")
    jobs = [(system, config) for config in configs for system in via]
    if with_peers:
        plain = next((config for config in configs if config.filter_share is None), default_for(metric))
        jobs += [(name, plain) for name in peers.available(metric)]
    if threads:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    around = results.surroundings()
    records = []
    for system, config in jobs:
        print(f"{system}: {config.name} ...", file=sys.stderr, flush=True)
        job = Job(data, system, config, k, clients, threads, queries, window_s, folder)
        # A process for each, so that memory is its own and a crash is only its own.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            found = process.submit(measure, job).result()
        results.append(out, [record | around for record in found])
        records += found
    print(results.table(records, COLUMNS))
    print(f"written to {out}")
    return records
