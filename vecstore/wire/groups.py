"""Grouped queries and their answers."""

from __future__ import annotations

from vecstore.config import Limits
from vecstore.grouping import Group, Groups, GroupsRequest
from vecstore.hits import Hits
from vecstore.pb.v1 import points_pb2 as pb
from vecstore.types import Selection
from vecstore.wire.answers import how_from_pb, how_to_pb, scored_from_pb, scored_to_pb
from vecstore.wire.parts import set_int
from vecstore.wire.reads import query_from_pb, query_to_pb
from vecstore.wire.values import set_value, value_from_pb

SIZE_DEFAULT = 3


def groups_request_to_pb(request: GroupsRequest) -> pb.QueryGroupsRequest:
    message = pb.QueryGroupsRequest(query=query_to_pb(request.query), group_by=request.by)
    set_int(message, "group_size", request.size)
    return message


def groups_request_from_pb(message: pb.QueryGroupsRequest, limits: Limits) -> GroupsRequest:
    size = message.group_size if message.HasField("group_size") else SIZE_DEFAULT
    return GroupsRequest(query_from_pb(message.query, limits), message.group_by, size)


def groups_to_pb(groups: Groups, encoding: int) -> pb.QueryGroupsResponse:
    message = pb.QueryGroupsResponse(seq=groups.seq)
    for group in groups.groups:
        one = message.groups.add()
        set_value(one.value, group.value)
        scored_to_pb(group.hits, encoding, one.points)
    how_to_pb(groups, message)
    return message


def groups_from_pb(message: pb.QueryGroupsResponse, select: Selection | None = None) -> Groups:
    groups = [
        Group(value_from_pb(one.value, "value", 1), Hits.of(scored_from_pb(one.points, select), message.seq))
        for one in message.groups
    ]
    return Groups(groups, message.seq, *how_from_pb(message))
