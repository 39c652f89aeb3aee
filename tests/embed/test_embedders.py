"""Names, fingerprints and dimensions against schemas; the cache; settings."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from embed_support import Letters, Words

from vecstore.config import load_settings
from vecstore.embed.base import Role
from vecstore.embed.cache import Cached
from vecstore.embed.embedders import Embedders
from vecstore.embedder_settings import Onnx, OpenAI
from vecstore.errors import FailedPrecondition, InvalidArgument
from vecstore.schema import VectorKind

FOREVER = float("inf")


# ---- the cache


def test_a_text_is_embedded_once_for_each_role() -> None:
    inner = Letters()
    cached = Cached(inner, 1 << 20)
    first = cached.embed(["one", "two", "one"], Role.PASSAGE, FOREVER)
    again = cached.embed(["two", "three", "one"], Role.PASSAGE, FOREVER)
    np.testing.assert_array_equal(again[[2, 0]], first[[0, 1]])
    np.testing.assert_array_equal(again[1], inner.row("three", Role.PASSAGE))
    assert [texts for _, texts in inner.asked][1:] == [["three"]]
    assert cached.embed(["one"], Role.QUERY, FOREVER)[0, -1] == 0.25  # not the passage's
    assert (cached.hits, cached.misses) == (3, 4)


def test_the_cache_keeps_within_its_bytes_and_drops_the_oldest() -> None:
    inner = Letters()
    cached = Cached(inner, 10 * (27 * 4 + 256))
    for number in range(40):
        cached.embed([f"text {number}"], Role.PASSAGE, FOREVER)
    assert cached.cached_bytes <= 10 * (27 * 4 + 256)
    before = len(inner.asked)
    cached.embed(["text 39", "text 31"], Role.PASSAGE, FOREVER)
    assert len(inner.asked) == before
    cached.embed(["text 2"], Role.PASSAGE, FOREVER)
    assert len(inner.asked) == before + 1


@pytest.mark.parametrize("kind", [VectorKind.SPARSE, VectorKind.MULTI])
def test_the_cache_keeps_rows_of_any_length(kind: VectorKind) -> None:
    inner = Words(kind)
    cached = Cached(inner, 1 << 20)
    cached.embed(["a bb", "ccc"], Role.PASSAGE, FOREVER)
    texts = ["ccc", "dd ee ffff", "a bb"]
    for name, array in cached.embed(texts, Role.PASSAGE, FOREVER).arrays().items():
        np.testing.assert_array_equal(array, inner.embed(texts, Role.PASSAGE, FOREVER).arrays()[name])


def test_a_row_that_is_kept_is_not_the_callers_array() -> None:
    cached = Cached(Letters(), 1 << 20)
    cached.embed(["abc"], Role.PASSAGE, FOREVER)[:] = 9
    assert cached.embed(["abc"], Role.PASSAGE, FOREVER).max() == 1


# ---- settings


def test_settings_name_embedders_in_files_and_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "vecstore.toml"
    file.write_text(
        '[embedders.minilm]\nkind = "onnx"\nmodel = "a.onnx"\n[embedders.far]\nkind = "openai"\n'
        'url = "https://example.org/v1"\nmodel = "m"\nkey_env = "FAR_KEY"\n'
    )
    environ = {
        "VECSTORE_EMBEDDERS_MINILM_BATCH_TOKENS": "64",
        "VECSTORE_EMBEDDERS_SECOND_ONE_KIND": "onnx",
        "VECSTORE_EMBEDDERS_SECOND_ONE_MODEL": "b.onnx",
    }
    found = load_settings(file, environ).embedders
    assert found["minilm"] == Onnx(model="a.onnx", batch_tokens=64)
    assert found["far"] == OpenAI(url="https://example.org/v1", model="m", key_env="FAR_KEY")
    assert found["second_one"] == Onnx(model="b.onnx")


@pytest.mark.parametrize(
    "table",
    [{"kind": "onnx"}, {"model": "a"}, {"kind": "telepathy", "model": "a"}, {"kind": "onnx", "model": "a", "pool": 1},
     {"kind": "onnx", "model": "a", "pooling": "max"}, {"kind": "onnx", "model": "a", "max_tokens": 2}, "minilm",
     {"kind": "openai", "url": "http://a", "model": "m", "batch_texts": 0},
     {"kind": "openai", "url": "http://a", "model": "m", "timeout_s": 0}, {"kind": "openai", "url": "a", "model": "m"}],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(table: object) -> None:
    with pytest.raises(InvalidArgument, match=r"embedders\.bad") as caught:
        Embedders({"bad": table})
    assert caught.value.reason == "BAD_CONFIG"


def test_a_negative_setting_is_refused() -> None:
    environ = {
        "VECSTORE_EMBEDDERS_A_KIND": "onnx", "VECSTORE_EMBEDDERS_A_MODEL": "m", "VECSTORE_EMBEDDERS_A_CACHE_BYTES": "-1"
    }  # fmt: skip
    with pytest.raises(InvalidArgument, match=r"embedders\.a\.cache_bytes=-1"):
        load_settings(None, environ)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.import_module", missing)
    for kind, extra in (("onnx", "onnx"), ("static", "static"), ("fastembed", "fastembed")):
        with pytest.raises(FailedPrecondition, match=rf"pip install 'vecstore\[{extra}\]'") as caught:
            Embedders({"a": {"kind": kind, "model": "m"}})
        assert caught.value.reason == "EXTRA_MISSING"


# ---- threads


def test_a_slow_embedder_holds_up_no_other() -> None:
    from vecstore.schema import Metric, VectorField

    gate = threading.Event()
    embedders = Embedders({"slow": Letters(gate=gate), "quick": Letters()})
    fields = {
        name: VectorField(VectorKind.DENSE, 27, Metric.COSINE, embedder=name, fingerprint="letters")
        for name in ("slow", "quick")
    }
    waiting = [embedders.submit("v", fields["slow"], [f"{n}"], Role.QUERY, FOREVER) for n in range(20)]
    assert embedders.submit("v", fields["quick"], ["a"], Role.QUERY, FOREVER).result(60).shape == (1, 27)
    assert not any(one.done() for one in waiting)
    gate.set()
    assert all(one.result(60).shape == (1, 27) for one in waiting)
    embedders.close()
