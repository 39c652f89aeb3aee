"""Index specs and search parameters over the wire: there and back, and refused with a path."""

from __future__ import annotations

import numpy as np
import pytest

from vecstore.config import Limits
from vecstore.errors import InvalidArgument
from vecstore.index.base import DEFAULT_PARAMS, SearchParams
from vecstore.index_spec import IVF, MIH, PCA, SAQ, Funnel, Graph, Index, RaBitQ
from vecstore.pb.v1 import collections_pb2, points_pb2
from vecstore.schema import Metric, Schema, VectorField, VectorKind
from vecstore.types import QueryRequest, VectorIndexRequest
from vecstore.wire.reads import query_from_pb, query_to_pb
from vecstore.wire.schemas import schema_from_pb, schema_to_pb, vector_index_from_pb, vector_index_to_pb

SPECS = [
    None,
    IVF("auto", RaBitQ(5), (PCA(8),), "float16"),
    Funnel((4, 8), 2.5),
    MIH(4),
    Graph(48, SAQ(1.5), "int8", 64),
]


@pytest.mark.parametrize("spec", SPECS)
def test_specs_round_trip(spec: Index | None) -> None:
    field = VectorField(VectorKind.DENSE, 16, Metric.COSINE, index=spec)
    message = collections_pb2.Schema.FromString(schema_to_pb(Schema({"v": field})).SerializeToString())
    assert schema_from_pb(message).vectors["v"] == field
    request = VectorIndexRequest("c", "v", spec)
    assert vector_index_from_pb(vector_index_to_pb(request)) == request


@pytest.mark.parametrize(
    "params",
    [
        DEFAULT_PARAMS,
        SearchParams(nprobe=7, oversampling=2.5, rescore=False, exact=True, truncate_dim=3, recall_target=0.9, ef=80),
        SearchParams(rescore=False),
        SearchParams(nprobe=-4, oversampling=-1.0),
    ],
)
def test_parameters_round_trip(params: SearchParams) -> None:
    request = QueryRequest("c", np.ones(4, np.float32), params=params)
    message = points_pb2.QueryRequest.FromString(query_to_pb(request).SerializeToString())
    assert query_from_pb(message, Limits()).params == params
    assert message.HasField("params") == (params != DEFAULT_PARAMS)


def test_a_bad_spec_is_refused_at_its_path() -> None:
    message = collections_pb2.Schema()
    message.vectors["v"].dim, message.vectors["v"].index = 16, "ivf(nlist=many)"
    with pytest.raises(InvalidArgument) as error:
        schema_from_pb(message)
    assert error.value.reason == "BAD_INDEX_SPEC"
    assert error.value.field_violations[0][0] == "schema.vectors.v.index"
    with pytest.raises(InvalidArgument, match="BAD_INDEX_SPEC"):
        vector_index_from_pb(collections_pb2.UpdateIndexRequest(index="hnsw"))


def test_parameters_of_no_wire_type_are_refused() -> None:
    with pytest.raises(InvalidArgument) as error:
        query_to_pb(QueryRequest("c", np.ones(4, np.float32), params=SearchParams(nprobe=1 << 70)))
    assert error.value.field_violations[0][0] == "params.nprobe"
