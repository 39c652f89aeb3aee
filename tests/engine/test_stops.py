"""Every kind of search ends where it is asked to, on every backend, and leaves nothing behind that the next one trips
over. Looks at whether to stop are counted, so that no test waits for a clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import MIH, PQ, RRF, Flat, Graph, HammingIVF, Int8, Inverted, Muvera, Plaid, Prefetch, RaBitQ, Seismic
from vecstore.config import Limits, Search, Settings, Storage
from vecstore.errors import Cancelled, DeadlineExceeded
from vecstore.index_spec import IVF
from vecstore.kernels.select import available_backends, get_kernels
from vecstore.kernels.stop import Stop
from vecstore.query.builder import F
from vecstore.ranking import OrderBy

ROWS, DIM = 3_000, 32
PLENTY = 1 << 30
SETTINGS = Settings(
    limits=Limits(deadline_default_s=300.0),  # a first call compiles, which on a busy machine outlasts the usual one
    storage=Storage(in_place_rows=100_000, index_rows_min=500, disk_reserve_bytes=0),
    search=Search(number_cache_bytes=1),  # each order reads payloads
)
SPECS = {
    "flat": Flat(),
    "tables": IVF(16, RaBitQ(bits=4)),
    "one_list": Flat(RaBitQ(bits=1)),
    "rows": IVF(16, Int8()),
    "bytes": IVF(16, PQ(8, 8)),
    "graph": Graph(),
    "bits": Flat(),
    "bit_lists": HammingIVF(),
    "bit_tables": MIH(),
    "scanned": Flat(),
    "inverted": Inverted(),
    "blocks": Seismic(),
    "tokens": Flat(),
    "centroids": Plaid(),
    "encoded": Muvera(repetitions=4, k_sim=3),
}
DENSE = ["flat", "tables", "one_list", "rows", "bytes", "graph"]
BINARY = ["bits", "bit_lists", "bit_tables"]
SPARSE = ["scanned", "inverted", "blocks"]
MULTI = ["tokens", "centroids", "encoded"]


def _points(rng: np.random.Generator, n: int) -> dict[str, Any]:
    dense = rng.standard_normal((n, DIM)).astype(np.float32)
    terms = [
        (np.sort(rng.choice(200, 12, replace=False)).astype(np.uint32), rng.random(12).astype(np.float32) + 0.1)
        for _ in range(n)
    ]
    tokens = [rng.standard_normal((4, DIM)).astype(np.float32) for _ in range(n)]
    by_kind: list[tuple[list[str], Any]] = [
        (DENSE, dense),
        (BINARY, np.packbits(dense > 0, axis=1)),
        (SPARSE, terms),
        (MULTI, tokens),
    ]
    return {name: rows for names, rows in by_kind for name in names}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stops")
    with vecstore.connect(path, settings=SETTINGS) as db:
        made = db.create_collection(
            "c",
            vectors={name: vecstore.Dense(DIM, metric="l2", index=SPECS[name]) for name in DENSE},
            binary={name: vecstore.Binary(DIM, index=SPECS[name]) for name in BINARY},
            sparse={name: vecstore.Sparse(index=SPECS[name]) for name in SPARSE},
            multi={name: vecstore.Multi(DIM, index=SPECS[name]) for name in MULTI},
        )
        points = _points(np.random.default_rng(1), ROWS)
        made.upsert(range(ROWS), points, [{"n": n} for n in range(ROWS)])
        made.compact()
    return path


@pytest.fixture(scope="module", params=["native", "numba", "numpy"])
def opened(directory: Path, request: pytest.FixtureRequest) -> Iterator[vecstore.Collection]:
    if request.param not in available_backends():
        pytest.skip(f"{request.param} is not installed")
    patch = pytest.MonkeyPatch()
    patch.setenv("VECSTORE_KERNELS", request.param)
    get_kernels.cache_clear()
    with vecstore.connect(directory, settings=SETTINGS) as db:
        get_kernels().set_threads(1)  # so that looks come in the same order each time
        yield db.get_collection("c")
    get_kernels().set_threads(0)
    patch.undo()
    get_kernels.cache_clear()


def _ask(made: vecstore.Collection, name: str) -> Callable[[], Any]:
    query = _points(np.random.default_rng(7), 1)[name][0]
    return lambda: made.query(query, 10, using=name, nprobe=16 if name in ("tables", "rows", "bytes") else None)


def _looks(ask: Callable[[], Any]) -> tuple[Any, int]:
    """The answer, and how often it was asked whether to stop."""
    with Stop() as stop:
        stop.flag[0] = PLENTY
        answer = ask()
        return answer, PLENTY - int(stop.flag[0])


def _ask_until(ask: Callable[[], Any], looks: int) -> Any:
    """The answer, unless it is stopped at this look."""
    with Stop() as stop:
        stop.flag[0] = looks
        return ask()


def _check(ask: Callable[[], Any], at_least: int) -> None:
    answer, looks = _looks(ask)
    assert looks >= at_least
    for left in sorted({1, 2, (looks + 1) // 2, looks}):
        with pytest.raises(Cancelled, match="stopped after"):
            _ask_until(ask, left)
    again, looks_again = _looks(ask)
    assert looks_again == looks
    assert [(hit.id, hit.score) for hit in again] == [(hit.id, hit.score) for hit in answer]


@pytest.mark.parametrize("name", SPECS)
def test_every_kind_of_search_ends_where_it_is_asked_to(opened: vecstore.Collection, name: str) -> None:
    ask = _ask(opened, name)
    ask()  # opens the index
    explained = opened.query(_points(np.random.default_rng(7), 1)[name][0], 10, using=name, explain=True).explain
    assert explained is not None
    if name != "bit_tables":  # which give up for a scan where they would take longer
        assert (explained["segments"][0]["strategy"] == "exact_scan") == (SPECS[name] == Flat())
    # One look is the engine's, before the segment; the others are the kernels'.
    _check(ask, 2)


@pytest.mark.parametrize("name", SPECS)
def test_an_expired_search_says_how_long_it_took(opened: vecstore.Collection, name: str) -> None:
    query = _points(np.random.default_rng(7), 1)[name][0]
    with pytest.raises(DeadlineExceeded) as caught:
        opened.query(query, 10, using=name, timeout_s=1e-9)
    assert caught.value.reason == "QUERY_TIMEOUT"
    assert float(caught.value.metadata["elapsed_ms"]) >= 0
    assert caught.value.metadata["timeout_s"] == "1e-09"


def test_queries_of_several_stages_end_within_each(opened: vecstore.Collection) -> None:
    query = _points(np.random.default_rng(7), 1)
    legs = [Prefetch(vector=query[name][0], using=name, k=50) for name in ("flat", "inverted", "tokens")]
    _check(lambda: opened.query(prefetch=legs, fusion=RRF()), 6)
    _check(lambda: opened.query(query["tokens"][0], using="tokens", prefetch=legs), 7)
    _check(lambda: opened.query(vecstore.Recommend([1, 2], [3]), using="flat"), 2)


def test_filters_groups_and_orders_end_while_they_read_payloads(opened: vecstore.Collection) -> None:
    query = _points(np.random.default_rng(7), 1)["flat"][0]
    numbers = itertools.count(ROWS)

    def fresh() -> Any:
        """Every point, by a filter that no cache knows."""
        return F("n").lt(next(numbers))

    _check(lambda: opened.query(query, using="flat", filter=fresh()), ROWS // 256)
    _check(lambda: opened.query(OrderBy("n"), 10), ROWS // 256)
    others: dict[str, Callable[[], Any]] = {
        "count": lambda: opened.count(fresh()),
        "facet": lambda: opened.facet("n"),
        "groups": lambda: opened.query_groups(query, 3, group_by="n", using="flat"),
        "scroll": lambda: list(opened.scroll(fresh())),
        "why_not": lambda: opened.why_not(5, query, using="flat"),
        "matrix": lambda: opened.distance_matrix(sample=20, seed=1, using="flat"),
    }
    for name, ask in others.items():
        ask()
        _, looks = _looks(ask)
        assert looks >= 1, name
        with pytest.raises(Cancelled):
            _ask_until(ask, looks)
