"""Many queries at a time with asyncio; queries that wait together are answered together.

python examples/async_client.py
"""

import asyncio

import numpy as np

import vecstore
from vecstore import Dense


async def main() -> None:
    rows = np.random.default_rng(4).standard_normal((2_000, 64)).astype(np.float32)
    async with await vecstore.connect_async(":memory:") as db:  # or "./data", or "grpc://host:7334"
        docs = await db.create_collection("docs", vectors=Dense(64))
        await docs.upsert(ids=range(2_000), vectors=rows)
        answers = await asyncio.gather(*(docs.query(row, k=1) for row in rows[:100]))
        print(sum(hits[0].id == number for number, hits in enumerate(answers)), "of 100 found themselves")
        print(sum([1 async for _ in docs.scroll(with_payload=False)]), "points walked")


asyncio.run(main())
