"""The ONNX kind against a real model's stored vectors, and pooling against plain computations."""

from __future__ import annotations

import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from embed_support import DATA, TOKENIZER, model_path

from vecstore.embed.base import Role
from vecstore.embed.onnx import OnnxEmbedder
from vecstore.embed.pooling import POOLINGS
from vecstore.embedder_settings import Onnx
from vecstore.errors import DeadlineExceeded, InvalidArgument
from vecstore.schema import VectorKind

FOREVER = float("inf")


def embedder(**settings: object) -> OnnxEmbedder:
    return OnnxEmbedder("minilm", Onnx(model=str(model_path()), tokenizer=str(TOKENIZER), threads=1, **settings))


@pytest.fixture(scope="module")
def minilm() -> OnnxEmbedder:
    return embedder(batch_texts=7)


def test_the_model_gives_the_vectors_that_the_library_of_its_makers_gave(minilm: OnnxEmbedder) -> None:
    table = pq.read_table(DATA / "wordnet-4k.parquet", columns=["text", "dense"]).slice(0, 60)
    wanted = np.stack([np.array(row, np.float32) for row in table["dense"].to_pylist()])
    rows = minilm.embed(table["text"].to_pylist(), Role.PASSAGE, FOREVER)
    assert rows.dtype == np.float32
    assert minilm.dim == rows.shape[1] == 384
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    cosines = (rows * wanted).sum(axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() > 0.99  # int8 weights here, bfloat16 there
    assert cosines.mean() > 0.997


def test_what_a_text_is_embedded_with_does_not_matter(minilm: OnnxEmbedder) -> None:
    texts = ["short", "a much longer text that stands beside it " * 4, "middle of the road", "x"] * 4
    together = minilm.embed(texts, Role.PASSAGE, FOREVER)
    for place in (0, 1, 6, 15):
        alone = minilm.embed([texts[place]], Role.PASSAGE, FOREVER)
        np.testing.assert_allclose(alone[0], together[place], atol=2e-3)


def test_prefixes_stand_before_questions_and_passages(minilm: OnnxEmbedder) -> None:
    marked = embedder(query_prefix="query: ", passage_prefix="passage: ")
    for role in Role:
        wanted = minilm.embed([f"{role.value}: a cat"], Role.PASSAGE, FOREVER)
        np.testing.assert_allclose(marked.embed(["a cat"], role, FOREVER), wanted, atol=1e-5)
    assert marked.fingerprint != minilm.fingerprint


def test_the_fingerprint_is_of_what_changes_vectors(minilm: OnnxEmbedder) -> None:
    assert embedder(batch_texts=9, batch_tokens=100, cache_bytes=0).fingerprint == minilm.fingerprint
    for change in ({"pooling": "cls"}, {"normalize": False}, {"max_tokens": 64}):
        assert embedder(**change).fingerprint != minilm.fingerprint


def test_tokens_after_the_bound_are_not_read(minilm: OnnxEmbedder) -> None:
    short = embedder(max_tokens=8)
    cut, whole = "one two three four five six", "one two three four five six seven eight nine"
    one, other = short.embed([cut, whole], Role.PASSAGE, FOREVER)
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(np.subtract(*minilm.embed([cut, whole], Role.PASSAGE, FOREVER))).max() > 0.01


def test_all_tokens_make_a_multi_vector() -> None:
    late = embedder(pooling="tokens")
    assert late.gives is VectorKind.MULTI
    assert late.dim == 384
    rows = late.embed(["two words", "one", "here are four words"], Role.PASSAGE, FOREVER)
    assert np.diff(rows.offsets).tolist() == [2, 1, 4]
    np.testing.assert_allclose(np.linalg.norm(rows.tokens, axis=1), 1.0, atol=1e-5)


def test_the_deadline_is_looked_at_between_batches(minilm: OnnxEmbedder) -> None:
    with pytest.raises(DeadlineExceeded, match="0 of 2 texts"):
        minilm.embed(["a", "b"], Role.QUERY, time.monotonic() - 1)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"model": "/nowhere/model.onnx"}, "model='/nowhere/model.onnx' does not exist"),
     ({"tokenizer": "/nowhere/tokenizer.json"}, "tokenizer='/nowhere/tokenizer.json' does not exist")],
)  # fmt: skip
def test_bad_settings_are_refused_before_anything_is_loaded(change: dict, named: str) -> None:
    settings = {"model": str(model_path()), "tokenizer": str(TOKENIZER), **change}
    with pytest.raises(InvalidArgument, match=named) as caught:
        OnnxEmbedder("x", Onnx(**settings))
    assert caught.value.reason == "BAD_CONFIG"


def test_files_that_are_no_model_are_named() -> None:
    for settings in (
        {"model": str(TOKENIZER), "tokenizer": str(TOKENIZER)},
        {"model": str(model_path()), "tokenizer": __file__},
    ):
        with pytest.raises(InvalidArgument, match=r"embedders\.x") as caught:
            OnnxEmbedder("x", Onnx(**settings)).embed(["a"], Role.QUERY, FOREVER)
        assert caught.value.reason == "BAD_CONFIG"


# ---- pooling, against loops


@pytest.fixture
def layer() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    special = np.array([[1, 0, 0, 1], [1, 0, 1, 0], [1, 0, 0, 0]], bool)
    return random.normal(size=(3, 4, 5)).astype(np.float32), mask, special


def test_mean_and_cls(layer: tuple) -> None:
    last, mask, special = layer
    means = np.stack([last[i, : mask[i].sum()].mean(axis=0) for i in range(3)])
    np.testing.assert_allclose(POOLINGS["mean"](last, mask, special, False), means, rtol=1e-5)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(POOLINGS["mean"](last, mask, special, True), unit, rtol=1e-5)
    np.testing.assert_allclose(POOLINGS["cls"](last, mask, special, False), last[:, 0])
    np.testing.assert_allclose(POOLINGS["mean"](means, mask, special, False), means)  # pooled already


def test_tokens_leaves_out_special_ones_unless_there_is_no_other(layer: tuple) -> None:
    rows = POOLINGS["tokens"](*layer, False)
    assert np.diff(rows.offsets).tolist() == [2, 1, 1]
    np.testing.assert_allclose(rows.tokens, layer[0][[0, 0, 1, 2], [1, 2, 1, 0]])


def test_splade_is_the_largest_log_of_one_and_the_positive_logit(layer: tuple) -> None:
    last, mask, _ = layer
    rows = POOLINGS["splade"](*layer, True)
    for i in range(3):
        row = rows.row(i)
        for word in range(5):
            weight = max(np.log1p(max(last[i, t, word], 0.0)) for t in range(mask[i].sum()))
            found = dict(zip(row.indices.tolist(), row.values.tolist(), strict=True)).get(word, 0.0)
            assert found == pytest.approx(weight, rel=1e-5)
