"""The mask of an update: what it names, what it means where it is left out, and what it may not say."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from msgspec import UNSET

from vecstore.errors import InvalidArgument
from vecstore.index_spec import IVF
from vecstore.pb.v1 import collections_pb2 as pb
from vecstore.schema import FieldKind, Metric, VectorKind
from vecstore.schema_update import UpdateCollectionRequest, VectorUpdate
from vecstore.wire.rest import schema_updates as rest
from vecstore.wire.schema_updates import update_from_pb, update_to_pb

REQUESTS = [
    UpdateCollectionRequest("c"),
    UpdateCollectionRequest("c", if_version=0),
    UpdateCollectionRequest("c", metadata=None, metadata_whole=True),
    UpdateCollectionRequest("c", metadata={"a": 1, "b.`c``": None, "": {"x": [True, 2.5, None, "y"]}, "ü": "v"}),
    UpdateCollectionRequest("c", metadata={"a": 1}, metadata_whole=True),
    UpdateCollectionRequest("c", fields={"year": FieldKind.INTEGER}, if_version=(1 << 64) - 1),
    UpdateCollectionRequest("c", {"v": VectorUpdate(index=IVF(8), device=None, embedder="e", search={"ef": 3})}),
    UpdateCollectionRequest("c", {"v": VectorUpdate(index=None, search={"recall": None, "nprobe": 2})}),
    UpdateCollectionRequest("c", {"v": VectorUpdate(device="auto"), "w-1_": VectorUpdate(embedder=None)}),
    UpdateCollectionRequest(
        "c", {"v": VectorUpdate(fixed={"dim": 3, "kind": VectorKind.MULTI, "metric": Metric.MAXSIM})}
    ),
    UpdateCollectionRequest("c", {"v": VectorUpdate(fixed={"analysis.k1": 1.5, "fingerprint": "f"})}),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
def test_what_is_asked_arrives(request_: UpdateCollectionRequest) -> None:
    sent = pb.UpdateCollectionRequest.FromString(update_to_pb(request_).SerializeToString())
    assert update_from_pb(sent) == request_
    if request_.if_version != (1 << 64) - 1:
        found = rest.update_from_json("c", rest.update_to_json(request_))
        found.metadata_whole |= request_.metadata is None
        assert found == request_


def test_a_whole_search_and_no_mask() -> None:
    message = pb.UpdateCollectionRequest(name="c")
    message.schema.vectors["v"].search.ef = 5
    message.schema.vectors["v"].device = "cpu"
    message.schema.metadata["k"].integer_value = 1
    merged = update_from_pb(message)
    assert merged == UpdateCollectionRequest("c", {"v": VectorUpdate(device="cpu", search={"ef": 5})}, {"k": 1})
    message.update_mask.paths.append("vectors.v.search")
    whole = {"recall": None, "ef": 5, "nprobe": None, "oversampling": None, "block_factor": None}
    assert update_from_pb(message) == UpdateCollectionRequest("c", {"v": VectorUpdate(search=whole)})
    assert update_from_pb(message).metadata is UNSET


@pytest.mark.parametrize(
    "path", ["", "name", "vectors", "vectors.v", "vectors.v.color", "vectors.v.search.speed", "vectors.v.index.nlist",
             "vectors.v.dim.x", "metadata.", "metadata.a.b", "metadata.`a", "metadata.a b", "vectors..index", ".",
             "vectors.v.analysis.x", "schema.metadata"],
)  # fmt: skip
def test_a_mask_that_names_nothing_is_refused(path: str) -> None:
    message: Any = pb.UpdateCollectionRequest(name="c", update_mask=FieldMask(paths=[path]))
    message.schema.vectors["v"].analysis.k1 = 1
    with pytest.raises(InvalidArgument) as error:
        update_from_pb(message)
    assert (error.value.reason, error.value.field_violations[0][0]) == ("BAD_ARGUMENT", "update_mask")
