"""The contract itself: generated code is fresh, requests hold no type that can nest without bound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from vecstore.pb.v1 import collections_pb2, common_pb2, filter_pb2, operations_pb2, points_pb2, ranking_pb2

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    module.DESCRIPTOR for module in (common_pb2, filter_pb2, operations_pb2, collections_pb2, ranking_pb2, points_pb2)
]


def test_generated_code_is_fresh() -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    done = subprocess.run([sys.executable, ROOT / "tools" / "proto.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_requests_hold_neither_any_nor_struct() -> None:
    seen: set[str] = set()

    def walk(message: Descriptor) -> None:
        if message.full_name in seen:
            return
        seen.add(message.full_name)
        for field in message.fields:
            if field.message_type is not None:
                walk(field.message_type)

    for file in FILES:
        for service in file.services_by_name.values():
            for method in service.methods:
                walk(method.input_type)
                walk(method.output_type)
    assert "vecstore.v1.Filter" in seen
    foreign = {name for name in seen if not name.startswith("vecstore.v1.")}
    assert foreign == {"google.protobuf.Timestamp", "google.protobuf.FieldMask"}


@pytest.mark.parametrize("enum", [e for file in FILES for e in file.enum_types_by_name.values()], ids=lambda e: e.name)
def test_enums_are_prefixed_by_their_type(enum: EnumDescriptor) -> None:
    prefix = "".join(f"_{c}" if c.isupper() else c.upper() for c in enum.name).lstrip("_")
    assert all(value.name.startswith(f"{prefix}_") for value in enum.values)
