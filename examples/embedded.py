"""A database in a directory of this program: no server, one process at a time.

python examples/embedded.py
"""

import tempfile

import numpy as np

import vecstore
from vecstore import Binary, Dense

rng = np.random.default_rng(1)
rows = rng.standard_normal((1_000, 128)).astype(np.float32)

with tempfile.TemporaryDirectory() as directory, vecstore.connect(f"{directory}/db") as db:
    docs = db.create_collection(
        "docs",
        vectors={"text": Dense(128, metric="cosine", datatype="float16")},
        binary={"bits": Binary(128)},
    )
    docs.upsert(
        ids=range(1_000),
        vectors={"text": rows, "bits": rows > 0},
        payloads=[{"title": f"document {row}", "year": 2000 + row % 25} for row in range(1_000)],
    )  # durable and visible when it returns

    hits = docs.query(rows[42], k=3, using="text")
    for hit in hits:
        print(f"{hit.score:.3f}  {hit.id}  {hit.payload}")
    print(hits.ids, hits.scores)

    print(docs.query(rows[42] > 0, k=3, using="bits").scores, "differing bits")

    docs.set_payload({"seen": True}, ids=[42])
    docs.delete([7])
    print(docs.get([42, 7])[0].payload, docs.count())
