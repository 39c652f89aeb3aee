"""From a folder of documents to the context of an answer: put in, asked, cited, put in again for nothing."""

import sys
import tempfile
from pathlib import Path

import vecstore

# With a model, meanings are searched beside words: python examples/rag.py model.onnx (its tokenizer.json beside it)
model = sys.argv[1] if len(sys.argv) > 1 else None
embedders = {"local": {"kind": "onnx", "model": model, "max_tokens": 256}} if model else None

folder = Path(tempfile.mkdtemp())
(folder / "tides.md").write_text(
    "# Tides\n\nHigh water comes twice a day, about 50 minutes later each day.\n\n"
    "## Causes\n\nThe moon pulls the sea towards it. The sun does so, too, with less than half the force.\n"
)
(folder / "fog.html").write_text(
    "<title>Fog</title><h1>Sea fog</h1><p>Warm air over cold water gives fog. Ships sound a horn every two minutes.</p>"
)

with vecstore.connect(":memory:", embedders=embedders) as db:
    docs = db.create_documents("handbook", embedder="local" if model else None)
    for one in docs.add_folder(folder, metadata={"source": "handbook"}):
        print(one.id, one.state, f"{one.chunks} chunks")

    for question in ("What pulls the sea?", "What do ships do in fog?", "When is high water?"):
        found = docs.search(question, k=2, budget=300, neighbours=1)
        print(f"\n{question}\n{found.context}")
        for passage in found.passages:
            print(f"  [{passage.citation}] {passage.document.uri}, characters {passage.start} to {passage.end}")

    print("\nagain:", {one.id: str(one.state) for one in docs.add_folder(folder, metadata={"source": "handbook"})})
    docs.delete("fog.html")
    print("left:", docs.count())
