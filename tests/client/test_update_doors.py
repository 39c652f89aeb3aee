"""Changes of a living collection through every client: the same answers and the same refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecstore import Auto, Dense, FailedPrecondition, InvalidArgument, SearchDefaults, Text, parse_index

RNG = np.random.default_rng(20261127)
ROWS = RNG.standard_normal((100, 16)).astype(np.float32)


def made(db: Any) -> Any:
    vectors = {"a": Dense(16, metric="l2", search={"recall": 0.9}), "b": Text()}
    docs = db.create_collection("docs", vectors=vectors, indexes={"year": "integer"}, metadata={"owner": "x", "n": 1})
    docs.upsert(range(100), {"a": ROWS, "b": ["word"] * 100})
    return docs


def test_what_is_named_changes_and_the_rest_stays(db: Any) -> None:
    docs = made(db)
    before = docs.info()
    assert before.version == 1
    assert before.schema.vectors["a"].search == SearchDefaults(recall=0.9)
    assert before.schema.metadata == {"owner": "x", "n": 1}
    changes = {"a": {"search": {"ef": 50}, "device": "auto"}}
    updated = docs.update(vectors=changes, metadata={"n": None, "a.b": {"c`d": [1, 2.5, None]}})
    assert updated.operation is None
    assert updated.info.version == 2
    after = docs.info()
    assert (after.schema, after.version) == (updated.info.schema, 2)
    assert after.schema.metadata == {"owner": "x", "a.b": {"c`d": [1, 2.5, None]}}
    field = after.schema.vectors["a"]
    assert (field.search, field.device) == (SearchDefaults(recall=0.9, ef=50), "auto")
    assert (field.index, field.dim, after.schema.vectors["b"]) == (Auto(), 16, before.schema.vectors["b"])
    docs.update(vectors={"a": {"search": {"recall": None}, "device": None}}, metadata={"a.b": None})
    field = docs.info().schema.vectors["a"]
    assert (field.search, field.device) == (SearchDefaults(ef=50), None)
    docs.update(vectors={"a": {"search": None}}, metadata=None)
    assert docs.info().schema == db.get_collection("docs").schema()
    assert docs.info().schema.vectors["a"].search is None
    assert docs.info().schema.metadata == {}
    assert docs.info().version == 4
    docs.update(vectors={"a": {"search": None}}, metadata={})
    docs.update()
    assert docs.info().version == 4, "what changes nothing is no change"
    same = {"kind": "dense", "dim": 16, "metric": "l2", "datatype": "float32", "index": "auto"}
    text = {"kind": "text", "dim": 0, "metric": "bm25", "analysis": {"language": "english", "k1": 1.2}}
    docs.update(vectors={"a": {**same, "search": {"ef": 7}}, "b": text})
    assert docs.schema().vectors["a"].search == SearchDefaults(ef=7), "a schema that was read can be sent back"


FIXED: list[tuple[Any, str, str]] = [
    ({"a": {"dim": 17}}, "vectors.a.dim", "vectors.a.dim=16 is fixed and cannot become 17"),
    ({"a": {"metric": "dot"}}, "vectors.a.metric", "metric=l2 is fixed and cannot become 'dot'"),
    ({"a": {"kind": "multi"}}, "vectors.a.kind", "kind=dense is fixed"),
    ({"a": {"datatype": "float16"}}, "vectors.a.datatype", "an alias"),
    ({"b": {"analysis": {"k1": 1.5}}}, "vectors.b.analysis.k1", "k1=1.2 is fixed and cannot become 1.5"),
    ({"b": {"analysis": {"language": "german"}}}, "vectors.b.analysis.language", "cannot become 'german'"),
    ({"a": {"fingerprint": "abc"}}, "vectors.a.fingerprint", "is fixed"),
]


def test_what_stored_vectors_depend_on_is_fixed(db: Any) -> None:
    docs = made(db)
    for changes, path, words in FIXED:
        with pytest.raises(InvalidArgument) as error:
            docs.update(vectors=changes, metadata={"new": 1})
        assert error.value.reason == "SETTING_FIXED"
        assert error.value.field_violations[0][0] == path
        assert error.value.metadata["setting"] == path
        assert words in error.value.message
    assert docs.info().version == 1
    assert "new" not in docs.info().schema.metadata, "all or nothing"


SENSELESS: list[tuple[Any, str, str]] = [
    ({"c": {"device": None}}, "VECTOR_NAME_UNKNOWN", "no vector field named 'c'"),
    ({"a": {"index": "mih"}}, "BAD_INDEX_SPEC", "vectors.a.index is mih"),
    ({"a": {"index": "graph("}}, "BAD_INDEX_SPEC", "position"),
    ({"a": {"device": "tpu"}}, "BAD_SCHEMA", "vectors.a.device='tpu'"),
    ({"a": {"device": 3}}, "BAD_SCHEMA", "vectors.a.device"),
    ({"b": {"device": "auto"}}, "BAD_SCHEMA", "does not apply to a text field"),
    ({"a": {"color": 3}}, "BAD_SCHEMA", "no setting 'color'"),
    ({"a": {"search": {"speed": 3}}}, "BAD_SCHEMA", "speed"),
    ({"a": {"search": {"ef": 0}}}, "BAD_SCHEMA", "vectors.a.search.ef=0 must be an integer above 0"),
    ({"a": {"search": {"ef": 10_001}}}, "BAD_SCHEMA", "vectors.a.search.ef=10001 must be in 1..10000"),
    ({"a": {"search": {"recall": 1.5}}}, "BAD_SCHEMA", "vectors.a.search.recall=1.5"),
    ({"a": {"search": {"oversampling": 0.5}}}, "BAD_SCHEMA", "vectors.a.search.oversampling=0.5"),
    ({"a": {"search": {"ef": "many"}}}, "BAD_SCHEMA", "ef"),
    ({"a": {"search": 3}}, "BAD_SCHEMA", "search"),
    ({"a": {"embedder": "nobody"}}, "EMBEDDER_UNKNOWN", "nobody"),
    ({"a": 3}, "BAD_SCHEMA", "vectors.a"),
]


def test_what_makes_no_sense_is_refused(db: Any) -> None:
    docs = made(db)
    for changes, reason, words in SENSELESS:
        with pytest.raises((InvalidArgument, FailedPrecondition)) as error:
            docs.update(vectors=changes, metadata={"new": 1})
        assert (error.value.reason, words in error.value.message) == (reason, True), error.value.message
    assert docs.info().version == 1
    too_much = {"x": "y" * 70_000}, {"x": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}
    for metadata in too_much:
        with pytest.raises(InvalidArgument, match="LIMIT_EXCEEDED"):
            docs.update(metadata=metadata)
    with pytest.raises(InvalidArgument):
        db.create_collection("other", vectors=Dense(4), metadata=too_much[0])
    assert not db.has_collection("other")


def test_another_version_ends_the_update(db: Any) -> None:
    docs = made(db)
    docs.update(metadata={"a": 1}, if_version=1)
    with pytest.raises(FailedPrecondition) as error:
        docs.update(metadata={"a": 2}, if_version=1)
    assert error.value.reason == "VERSION_MISMATCH"
    assert error.value.metadata["version"] == "2"
    assert docs.info().schema.metadata["a"] == 1
    docs.create_field_index("lang", "keyword")
    assert docs.info().version == 3, "every change of the schema counts"
    docs.update_index("a", "ivf | int8")
    assert docs.info().version == 4
    for version in (-1, "x", 1.5):
        with pytest.raises(InvalidArgument):
            docs.update(if_version=version)  # type: ignore[arg-type]


def test_another_index_is_built_by_an_operation(db: Any) -> None:
    docs = made(db)
    updated = docs.update(vectors={"a": {"index": "ivf | int8", "search": {"recall": 0.8}}})
    assert (updated.operation.kind, updated.operation.state.value) == ("update_index", "done")
    assert docs.schema().vectors["a"].index == parse_index("ivf | int8")
    assert docs.schema().vectors["a"].search == SearchDefaults(recall=0.8)
    assert docs.stats()["vectors"]["a"]["index"] == "ivf | int8"
    later = docs.update(vectors={"a": {"index": None}}, wait=False)
    assert db.wait_operation(later.operation.id).state.value == "done"
    assert docs.schema().vectors["a"].index == Auto()
    db.create_collection("docs", vectors={"a": Dense(16, metric="l2"), "b": Text()}, exist_ok=True)
    assert docs.info().schema.vectors["a"].search == SearchDefaults(recall=0.8), "content with what was changed since"
