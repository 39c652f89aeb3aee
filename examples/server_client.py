"""The same calls on a server. Start one first, then run this:

vecstore serve ./data
python examples/server_client.py grpc://127.0.0.1:7334
"""

import sys

import numpy as np

import vecstore
from vecstore import Dense

target = sys.argv[1] if len(sys.argv) > 1 else "grpc://127.0.0.1:7334"
rows = np.random.default_rng(3).standard_normal((5_000, 256)).astype(np.float32)

with vecstore.connect(target, timeout_s=10) as db:  # api_key="..." where the server asks for one
    docs = db.create_collection("example", vectors=Dense(256), exist_ok=True)

    # In requests of a few MiB; if it fails, the error says how many points are stored, to be passed as `skip`.
    result = docs.upload(ids=range(5_000), vectors=rows, payloads=[{"n": row} for row in range(5_000)])
    print(f"{result.points} points in {result.requests} requests, seq {result.seq}")

    for hits in docs.query_batch(rows[:3], k=2):
        print(hits.ids, hits.scores)

    try:
        docs.query(np.ones(3), k=2)
    except vecstore.InvalidArgument as error:
        print(error.reason, "-", error.message)

    db.delete_collection("example")
