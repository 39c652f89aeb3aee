"""Filters, as expressions and as dictionaries.

python examples/filters.py
"""

import numpy as np

import vecstore
from vecstore import Dense, F

LANGUAGES = ["en", "fr", "de"]

with vecstore.connect(":memory:") as db:
    docs = db.create_collection("docs", vectors=Dense(8), indexes={"lang": "keyword", "year": "integer"})
    rows = np.random.default_rng(2).standard_normal((300, 8))
    docs.upsert(
        ids=range(300),
        vectors=rows,
        payloads=[{"lang": LANGUAGES[row % 3], "year": 2000 + row % 30, "title": f"about {row}"} for row in range(300)],
    )

    recent = F("lang").eq("en") & F("year").between(2020, 2026)
    print(docs.count(recent), "recent English documents")
    for hit in docs.query(rows[0], k=3, filter=recent):
        print(f"{hit.score:.3f}  {hit.payload}")

    # The same as a dictionary, which is also what --filter of the command line takes.
    as_dictionary = {
        "must": [
            {"key": "lang", "match": {"value": "en"}},
            {"key": "year", "range": {"gte": 2020, "lte": 2026}},
        ]
    }
    assert docs.count(as_dictionary) == docs.count(recent)

    docs.create_field_index("title", "text")  # filters work without an index too, by scanning
    print(docs.delete(filter={"must_not": [{"key": "lang", "match": {"any": ["en", "fr"]}}]}).changed, "deleted")
