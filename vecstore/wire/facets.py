"""Facets and distance matrices."""

from __future__ import annotations

import numpy as np

from vecstore.config import Limits
from vecstore.facets import FacetRequest, Facets, Matrix, MatrixRequest
from vecstore.hits import id_array
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.wire.filters import filter_to_pb, given_filter
from vecstore.wire.ids import column_from_pb, column_to_pb
from vecstore.wire.parts import set_int
from vecstore.wire.reads import seqs_from_pb
from vecstore.wire.values import set_value, value_from_pb

_F32 = np.dtype("<f4")


def facet_to_pb(request: FacetRequest) -> pb.FacetRequest:
    message = pb.FacetRequest(
        collection=request.collection, key=request.key, min_seq=request.min_seq, min_seqs=request.min_seqs
    )
    set_int(message, "limit", request.limit)
    if request.filter is not None:
        message.filter.CopyFrom(filter_to_pb(request.filter))
    return message


def facet_from_pb(message: pb.FacetRequest, limits: Limits) -> FacetRequest:
    where = given_filter(message, limits)
    limit = message.limit if message.HasField("limit") else 10
    return FacetRequest(message.collection, message.key, where, limit, message.min_seq, seqs_from_pb(message))


def facets_to_pb(facets: Facets) -> pb.FacetResponse:
    message = pb.FacetResponse(seq=facets.seq)
    for value, count in facets.counts:
        set_value(message.counts.add(count=count).value, value)
    return message


def facets_from_pb(message: pb.FacetResponse) -> Facets:
    return Facets([(value_from_pb(one.value, "value", 1), one.count) for one in message.counts], message.seq)


def matrix_request_to_pb(request: MatrixRequest) -> pb.DistanceMatrixRequest:
    message = pb.DistanceMatrixRequest(
        collection=request.collection,
        using=request.using or "",
        min_seq=request.min_seq,
        min_seqs=request.min_seqs,
    )
    set_int(message, "sample", request.sample)
    if request.seed is not None:
        set_int(message, "seed", request.seed)
    if request.ids is not None:
        message.ids.CopyFrom(column_to_pb(request.ids))
    if request.filter is not None:
        message.filter.CopyFrom(filter_to_pb(request.filter))
    if request.timeout_s is not None:
        message.timeout_ms = max(1, round(request.timeout_s * 1000))
    return message


def matrix_request_from_pb(message: pb.DistanceMatrixRequest, limits: Limits) -> MatrixRequest:
    has = message.HasField
    return MatrixRequest(
        message.collection,
        message.using or None,
        column_from_pb(message.ids) if has("ids") else None,
        given_filter(message, limits),
        message.sample if has("sample") else 100,
        message.seed if has("seed") else None,
        message.min_seq,
        message.timeout_ms / 1000 if has("timeout_ms") else None,
        seqs_from_pb(message),
    )


def matrix_to_pb(matrix: Matrix) -> pb.DistanceMatrixResponse:
    scores = matrix.scores.astype(_F32, copy=False).tobytes()
    return pb.DistanceMatrixResponse(ids=column_to_pb(matrix.ids.tolist()), scores=scores, seq=matrix.seq)


def matrix_from_pb(message: pb.DistanceMatrixResponse) -> Matrix:
    ids = id_array(column_from_pb(message.ids))
    scores = np.frombuffer(message.scores, _F32).reshape(len(ids), len(ids)).astype(np.float32)
    return Matrix(ids, scores, message.seq)
