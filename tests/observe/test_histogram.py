"""Our histogram against the one of prometheus_client, and from many threads."""

from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor

import prometheus_client
from prometheus_client.exposition import generate_latest

from vecstore.observe.histogram import SECONDS, Histogram


def test_it_says_what_the_reference_says() -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    ours, theirs = prometheus_client.CollectorRegistry(), prometheus_client.CollectorRegistry()
    mine = Histogram("x_seconds", "X", SECONDS, ("code",))
    ours.register(mine)
    reference = prometheus_client.Histogram("x_seconds", "X", ["code"], registry=theirs, buckets=SECONDS)
    for _ in range(2_000):
        code, value = chance.choice("ab"), chance.choice([0.0, *SECONDS, 99.0, chance.expovariate(10)])
        mine.series(code).observe(value)
        reference.labels(code).observe(value)

    def lines(registry: prometheus_client.CollectorRegistry) -> dict[str, float]:
        text = generate_latest(registry).decode().replace('.0"', '"')  # le="1.0" is le="1"
        samples = re.findall(r"^(x_seconds_(?:bucket|count|sum)\S*) (\S+)$", text, flags=re.MULTILINE)
        return {key: float(value) for key, value in samples}

    expected = lines(theirs)
    assert len(expected) == 2 * (len(SECONDS) + 3)
    assert expected.keys() == lines(ours).keys(), f"seed {seed}"
    for key, value in lines(ours).items():
        assert abs(value - expected[key]) < 1e-6 * max(1, abs(value)), f"seed {seed}: {key}"


def test_nothing_is_lost_between_threads() -> None:
    series = Histogram("y", "Y", (1.0, 2.0)).series()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [series.observe(1.5) for _ in range(5_000)], range(8)))
    assert series.counts == [0, 40_000, 0]
    assert series.total == 60_000
