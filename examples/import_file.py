"""A parquet file of texts and embeddings, imported and asked for neighbours of one of its rows. As commands:

vecstore import FILE words --target ./data --create --id-column id --vector dense --index pos=keyword
vecstore query words --target ./data --id dog.n.01 --filter '{"key": "pos", "match": {"value": "noun"}}'

python examples/import_file.py
"""

from importlib import resources

import vecstore
from vecstore.io.mapping import ColumnMapping
from vecstore.io.source import open_source

file = str(resources.files("vecstore") / "data" / "wordnet-4k.parquet")  # 4,000 WordNet senses
source = open_source(file, ColumnMapping(id_column="id", vectors={"dense": "dense"}))

with vecstore.connect(":memory:") as db:
    words = db.create_collection("words", vectors=source.fields(), indexes={"pos": "keyword"})
    result = words.upload(source.batches(words.schema()), total=source.total)
    print(f"{result.points} points")

    (dog,) = words.get("dog.n.01", with_vectors=True)
    for hit in words.query(dog.vectors["dense"], k=4, filter={"key": "pos", "match": {"value": "noun"}}):
        print(f"{hit.score:.3f}  {hit.payload['text']}")
