"""Dense, sparse and multi-vectors of the same texts: each alone, fused, and the fusion tuned on half of the questions.

python examples/hybrid.py
"""

from importlib import resources

import numpy as np
import pyarrow.parquet as pq

import vecstore
from vecstore import RRF, Dense, Multi, Sparse

folder = resources.files("vecstore") / "data"  # 4,000 WordNet senses, and 200 questions with one right answer each
rows = pq.read_table(str(folder / "wordnet-4k.parquet"))
asked = pq.read_table(str(folder / "wordnet-4k-queries.parquet"))


def vectors(table):
    return {
        "dense": np.stack(table["dense"].to_numpy()),
        "terms": list(zip(table["sparse_indices"].to_numpy(), table["sparse_values"].to_numpy(), strict=True)),
        "tokens": [np.stack(tokens).astype(np.float32) for tokens in table["tokens"].to_numpy()],
    }


with vecstore.connect(":memory:") as db:
    docs = db.create_collection(
        "senses", vectors={"dense": Dense(384)}, sparse={"terms": Sparse()}, multi={"tokens": Multi(96)}
    )
    docs.upsert(rows["id"].to_pylist(), vectors(rows), [{"text": text} for text in rows["text"].to_pylist()])

    queries, relevant = vectors(asked), asked["relevant"].to_pylist()

    def found(answers):
        return np.mean([right in hits.ids for hits, right in zip(answers, relevant, strict=True)])

    for name in queries:
        print(f"{name:15} finds {found(docs.query_batch(queries[name], using=name)):.3f} among the first ten")

    def hybrid(place, fusion, rerank=None):
        legs = {name: queries[name][place] for name in ("dense", "terms")}
        return docs.hybrid(legs, fusion=fusion, rerank=rerank, with_payload=False)

    places = range(len(relevant))
    print(f"{'fused':15} finds {found([hybrid(place, RRF()) for place in places]):.3f}")

    half = {name: queries[name][::2] for name in ("dense", "terms")}
    advice = docs.tune_fusion(half, [{right: 1.0} for right in relevant[::2]])
    print(f"{'tuned':15} finds {found([hybrid(place, advice.pick.fusion) for place in places]):.3f}  ({advice.reason})")

    hit = docs.hybrid({"dense": queries["dense"][3], "terms": queries["terms"][3]}, 1)[0]
    print(f"{asked['text'][3]} -> {hit.payload['text']}; score {hit.score:.4f} of legs {hit.legs}")
