"""Fields on a device: the same answers as without, arrays uploaded once, and a machine that has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import Binary, Dense, F, Multi
from vecstore.config import Search, Settings, Storage
from vecstore.engine import placement
from vecstore.engine.placement import Placement
from vecstore.errors import InvalidArgument
from vecstore.kernels.device import choice, devices
from vecstore.kernels.device.array_device import ArrayDevice
from vecstore.kernels.device.choice import Always
from vecstore.kernels.select import get_kernels

STORAGE = Storage(seal_rows=600, in_place_rows=100_000, disk_reserve_bytes=0, index_rows_min=500)
N, DIM = 1_400, 32


class Counting(ArrayDevice):
    def __init__(self, name: str) -> None:
        self.name, self.products_made, self.coded = name, 0, 0

    def products(self, rows: Any, queries: Any) -> Any:
        self.products_made += 1
        return super().products(rows, queries)

    def row_dots(self, a: Any, b: Any) -> Any:
        self.coded += 1
        return super().row_dots(a, b)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[Counting]:
    """A machine with two devices, which always answer."""
    made = [Counting(f"cuda:{number}") for number in range(2)]
    monkeypatch.setattr(devices, "count", lambda: len(made))
    monkeypatch.setattr(devices, "open_device", lambda name: {one.name: one for one in made}.get(name))
    monkeypatch.setattr(Placement, "choice", Always)
    return made


def fields(device: str | None) -> dict[str, Any]:
    return {
        "flat": Dense(DIM, index="flat", device=device),
        "half": Dense(DIM, metric="l2", datatype="float16", index="flat", device=device),
        "lists": Dense(DIM, index="ivf(nlist=8) | saq(bits=4)", device=device),
        "bytes": Dense(DIM, metric="dot", index="ivf(nlist=4) | int8", device=device),
    }


def rows(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((N, DIM)).astype(np.float32)
    tokens = [rng.standard_normal((1 + i % 5, 8)).astype(np.float32) for i in range(N)]
    dense = dict.fromkeys(("flat", "half", "lists", "bytes"), vectors)
    return {**dense, "bits": np.packbits(vectors > 0, axis=1), "tokens": tokens}


def filled(path: Path | str, device: str | None, search: Search = Search()) -> Any:  # noqa: B008
    db = vecstore.connect(path, settings=Settings(storage=STORAGE, search=search))
    docs = db.create_collection(
        "c", fields(device), binary={"bits": Binary(DIM, index="flat", device=device)},
        multi={"tokens": Multi(8, index="flat", device=device)}, indexes={"n": "integer"},
    )  # fmt: skip
    docs.upsert(np.arange(N), rows(), [{"n": i % 10} for i in range(N)])
    docs.delete(ids=list(range(0, N, 7)))
    docs.compact()
    return db


def answers(db: Any) -> dict[str, list[Any]]:
    docs, asked = db.collection("c"), rows(1)
    found: dict[str, list[Any]] = {}
    for name in asked:
        for number, where in enumerate((None, F("n").lt(4), F("n").eq(3))):
            for query in range(3):
                # k-means sums in the order that threads come in: what is found must not depend on where lists end
                nprobe = {"nprobe": 4} if name == "bytes" else {}
                hits = docs.query(asked[name][query], k=7, using=name, filter=where, **nprobe)
                found[f"{name} {number} {query}"] = [hits.ids.tolist(), hits.scores.tolist()]
    return found


def alike(found: list[Any], wanted: list[Any]) -> bool:
    """The same ids, and scores up to the last bits of sums."""
    return found[0] == wanted[0] and found[1] == pytest.approx(wanted[1], rel=1e-5, abs=1e-5)


def test_answers_are_those_of_the_host(gpus: list[Counting]) -> None:
    with filled(":memory:", None) as host, filled(":memory:", "cuda:1") as db:
        wanted, found = answers(host), answers(db)
        for case, (ids, scores) in wanted.items():
            if not case.startswith("lists"):
                assert alike(found[case], [ids, scores]), case
            else:  # estimates are rounded otherwise: the candidates of the rerank may differ at its edge
                assert len(set(ids) & set(found[case][0])) >= 6, case
        assert gpus[1].products_made > 0
        kept = db.info()["devices"]["cuda:1"]
        assert kept["arrays"] >= 6
        assert 0 < kept["bytes"] <= kept["limit_bytes"]
        answers(db)
        assert db.info()["devices"]["cuda:1"]["uploads"] == kept["uploads"]
        assert "cuda:0" not in db.info()["devices"]


def test_first_batches_of_every_kind_are_the_host_s_and_tried_behind(
    monkeypatch: pytest.MonkeyPatch, gpus: list[Counting]
) -> None:
    made: list[choice.Choice] = []

    class Kept(choice.Choice):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(Placement, "choice", Kept)
    monkeypatch.setattr(choice, "SIZES", (1, 4))
    failed: list[str] = []
    monkeypatch.setattr(choice.log, "exception", lambda message, *args: failed.append(message % args))
    with filled(":memory:", None) as host, filled(":memory:", "cuda:1") as db:
        by_host, by_any = answers(host), answers(db)
        made[0].wait()
        again = answers(db)
    for case, wanted in by_host.items():
        for found in (by_any[case], again[case]):
            assert alike(found, wanted) or (case.startswith("lists") and len(set(found[0]) & set(wanted[0])) >= 6), case
    assert failed == []
    assert len(made) == 1
    tried = {(work.name, work.filtered) for work in made[0].sooner}
    assert tried >= {(name, True) for name in ("scan", "hamming", "maxsim")}
    assert tried >= {(name, False) for name in ("scan", "hamming", "maxsim", "table", "rows")}
    assert all(set(sizes) == {1, 4} for sizes in made[0].sooner.values())


def test_auto_spreads_segments_over_the_devices(gpus: list[Counting]) -> None:
    with vecstore.connect(":memory:", settings=Settings(storage=STORAGE)) as db:
        docs = db.create_collection("c", {"v": Dense(DIM, index="flat", device="auto")})
        for part in range(6):
            docs.upsert(np.arange(600) + 600 * part, rows(part)["flat"][:600])
        everything = np.concatenate([rows(part)["flat"][:600] for part in range(6)])
        asked = everything[1_234]
        cosines = everything @ asked / np.linalg.norm(everything, axis=1)
        assert docs.query(asked, k=5).ids.tolist() == np.argsort(-cosines)[:5].tolist()
        assert any(gpu.products_made for gpu in gpus)
    spread = Placement(get_kernels(), Search())
    assert {spread.kernels("auto", f"segment {number}").name[-6:] for number in range(40)} == {"cuda:0", "cuda:1"}


def test_a_small_budget_uploads_again(gpus: list[Counting]) -> None:
    with filled(":memory:", "cuda:0", Search(device_bytes=160_000)) as db, filled(":memory:", None) as host:
        assert alike(answers(db)["flat 0 0"], answers(host)["flat 0 0"])
        kept = db.info()["devices"]["cuda:0"]
        assert kept["evictions"] > 0
        assert kept["bytes"] <= 160_000


def test_builds_train_and_encode_on_the_device(gpus: list[Counting]) -> None:
    with vecstore.connect(":memory:", settings=Settings(storage=STORAGE)) as db:
        docs = db.create_collection("c", {"v": Dense(DIM, index="ivf(nlist=8) | int8", device="cuda:0")})
        docs.upsert(np.arange(N), rows()["flat"])
        before = gpus[0].products_made, gpus[0].coded
        docs.compact()
        assert gpus[0].products_made > before[0]
        assert gpus[0].coded > before[1]
        assert not gpus[1].coded


def test_without_the_device_everything_goes_on(monkeypatch: pytest.MonkeyPatch, gpus: list[Counting]) -> None:
    said: list[str] = []
    monkeypatch.setattr(placement.log, "warning", lambda message, *args: said.append(message % args))
    with filled(":memory:", "cuda:5") as db, filled(":memory:", None) as host:
        found, wanted = answers(db), answers(host)
        for case in wanted:
            if not case.startswith("lists"):
                assert alike(found[case], wanted[case]), case
    assert said == ["this machine has no device cuda:5: its fields are searched by the processor"]


def test_a_machine_without_devices_is_as_before() -> None:
    with filled(":memory:", "auto") as db, filled(":memory:", None) as host:
        assert alike(answers(db)["flat 0 0"], answers(host)["flat 0 0"])
        assert ("devices" in db.info()) == bool(devices.count())


def test_names_are_checked_and_kept(tmp_path: Path) -> None:
    with vecstore.connect(tmp_path) as db:
        for device in ("gpu", "cuda", "cuda:-1", "cuda:x", "cuda:0 ", ""):
            with pytest.raises(InvalidArgument, match=r'vectors\.v\.device=.* must be "cpu", "auto" or "cuda:N"'):
                db.create_collection("c", {"v": Dense(4, device=device)})
        with pytest.raises(InvalidArgument, match=r"vectors\.s\.device=auto does not apply to a sparse field"):
            db.create_collection("c", sparse={"s": {"device": "auto"}})
        db.create_collection("c", {"v": Dense(4, device="cuda:3")})
    with vecstore.connect(tmp_path) as db:
        assert db.collection("c").info().schema.vectors["v"].device == "cuda:3"
