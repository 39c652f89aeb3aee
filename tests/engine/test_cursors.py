"""Pages while others write: what is there from the first page to the last, unchanged, comes once and in order."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import pytest

import vecstore
from vecstore import F, OrderBy
from vecstore.types import ScrollRequest

N, PAGE = 300, 17


@pytest.mark.parametrize("way", ["scroll", "order_by", "order_by filtered"])
def test_pages_are_stable_under_writes(way: str) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    choose = random.Random(seed)
    where = F("even").eq(True) if way == "order_by filtered" else None
    with vecstore.connect(":memory:") as db:
        docs = db.create_collection("c", vecstore.Dense(2), indexes={"n": "integer"})

        def put(ids: list[int]) -> None:
            payloads = [{"n": choose.randrange(20), "even": id % 2 == 0} for id in ids]
            docs.upsert(ids, np.ones((len(ids), 2), np.float32), payloads)

        put(list(range(0, 2 * N, 2)))
        there: dict[int, Any] = {one.id: one.payload for one in docs.scroll()}
        paged: list[int] = []
        last = None
        for step in range(1, 20 * N // PAGE):
            page = next_page(docs, way, where, last)
            paged += [one.id for one in page]
            if len(page) < PAGE:
                break
            last = page[-1]
            gone = choose.sample(sorted(there), 3)
            if choose.random() < 0.5:  # another value, perhaps behind the cursor or before it
                put(gone)
            else:
                docs.delete(gone)
            for id in gone:
                del there[id]
            put([2 * choose.randrange(N) + 1 for _ in range(9)])
            if step % 4 == 0:
                docs.compact()
        assert step > N / PAGE / 2, f"SEED={seed}"
        seen = [id for id in paged if id in there]
        key = (lambda id: id) if way == "scroll" else (lambda id: (there[id]["n"], id))
        assert seen == sorted(there, key=key), f"SEED={seed}"


def next_page(docs: Any, way: str, where: Any, last: Any) -> list[Any]:
    if way == "scroll":
        after = None if last is None else last.id
        return list(docs._transport.scroll(ScrollRequest("c", limit=PAGE, after=after)).points)
    order = OrderBy("n") if last is None else OrderBy("n", start_from=last.payload["n"], after=last.id)
    return list(docs.query(order, PAGE, filter=where))
