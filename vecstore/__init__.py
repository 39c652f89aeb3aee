"""vecstore: a vector database, embedded in a process or behind gRPC.

    db = vecstore.connect("./data")
    docs = db.create_collection("docs", vectors=vecstore.Dense(384))
    docs.upsert(ids, vectors, payloads)
    hits = docs.query(vector, k=10, filter=vecstore.F("lang").eq("en"))

Names are imported when they are first used, so that the engine's worker processes and the server, which need parts of
this package, do not pay for all of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vecstore.aliases import Alias, CreateAlias, DeleteAlias, RenameAlias, SwapAliases
    from vecstore.client._async.client import AsyncClient
    from vecstore.client._async.collection import AsyncCollection
    from vecstore.client._async.documents import AsyncDocuments
    from vecstore.client._sync.client import Client
    from vecstore.client._sync.collection import Collection
    from vecstore.client._sync.documents import Documents
    from vecstore.client.atomic import Batch
    from vecstore.client.connect import connect, connect_async
    from vecstore.client.fields import Binary, Dense, Multi, Sparse, Text
    from vecstore.client.query_batches import Query
    from vecstore.client.rankings import Discover, Recommend
    from vecstore.client.restoring import restore
    from vecstore.client.results import UploadResult
    from vecstore.client.stages import DBSF, MMR, RRF, Prefetch, RelativeScore
    from vecstore.config import Limits, Settings, load_settings
    from vecstore.documents.types import Chunking, Document
    from vecstore.errors import (
        AlreadyExists,
        Cancelled,
        Corruption,
        DeadlineExceeded,
        FailedPrecondition,
        InvalidArgument,
        IoFailed,
        NotFound,
        PermissionDenied,
        ResourceExhausted,
        Unauthenticated,
        Unavailable,
        Unimplemented,
        VecstoreError,
    )
    from vecstore.hits import Hits
    from vecstore.index_spec import (
        IVF,
        MIH,
        OPQ,
        PCA,
        PQ,
        SAQ,
        Auto,
        BFloat16,
        Center,
        Flat,
        Float8,
        Float16,
        Funnel,
        Graph,
        HammingIVF,
        Int4,
        Int8,
        Inverted,
        LloydMax,
        Muvera,
        Normalize,
        Plaid,
        RaBitQ,
        Rotate,
        Seismic,
        Truncate,
    )
    from vecstore.index_text import format_index, parse_index
    from vecstore.query.builder import F, has_id, has_vector
    from vecstore.query.filter import Filter
    from vecstore.query.metrics import register_metric
    from vecstore.ranking import ByMetric, NearestId, OrderBy, Sample
    from vecstore.schema import DataType, FieldKind, Metric, Schema, SearchDefaults, VectorField, VectorKind
    from vecstore.sparse import SparseVector
    from vecstore.types import (
        CollectionInfo,
        Hit,
        OperationInfo,
        OperationState,
        Point,
        PointBatch,
        SnapshotInfo,
        WriteMode,
        WriteResult,
    )
    from vecstore.version import __version__

__all__ = [
    "DBSF",
    "IVF",
    "MIH",
    "MMR",
    "OPQ",
    "PCA",
    "PQ",
    "RRF",
    "SAQ",
    "Alias",
    "AlreadyExists",
    "AsyncClient",
    "AsyncCollection",
    "AsyncDocuments",
    "Auto",
    "BFloat16",
    "Batch",
    "Binary",
    "ByMetric",
    "Cancelled",
    "Center",
    "Chunking",
    "Client",
    "Collection",
    "CollectionInfo",
    "Corruption",
    "CreateAlias",
    "DataType",
    "DeadlineExceeded",
    "DeleteAlias",
    "Dense",
    "Discover",
    "Document",
    "Documents",
    "F",
    "FailedPrecondition",
    "FieldKind",
    "Filter",
    "Flat",
    "Float8",
    "Float16",
    "Funnel",
    "Graph",
    "HammingIVF",
    "Hit",
    "Hits",
    "Int4",
    "Int8",
    "InvalidArgument",
    "Inverted",
    "IoFailed",
    "Limits",
    "LloydMax",
    "Metric",
    "Multi",
    "Muvera",
    "NearestId",
    "Normalize",
    "NotFound",
    "OperationInfo",
    "OperationState",
    "OrderBy",
    "PermissionDenied",
    "Plaid",
    "Point",
    "PointBatch",
    "Prefetch",
    "Query",
    "RaBitQ",
    "Recommend",
    "RelativeScore",
    "RenameAlias",
    "ResourceExhausted",
    "Rotate",
    "Sample",
    "Schema",
    "SearchDefaults",
    "Seismic",
    "Settings",
    "SnapshotInfo",
    "Sparse",
    "SparseVector",
    "SwapAliases",
    "Text",
    "Truncate",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UploadResult",
    "VecstoreError",
    "VectorField",
    "VectorKind",
    "WriteMode",
    "WriteResult",
    "__version__",
    "connect",
    "connect_async",
    "format_index",
    "has_id",
    "has_vector",
    "load_settings",
    "parse_index",
    "register_metric",
    "restore",
]

_MODULES = {
    "vecstore.aliases": ("Alias", "CreateAlias", "DeleteAlias", "RenameAlias", "SwapAliases"),
    "vecstore.client._async.client": ("AsyncClient",),
    "vecstore.client._async.collection": ("AsyncCollection",),
    "vecstore.client._async.documents": ("AsyncDocuments",),
    "vecstore.client._sync.client": ("Client",),
    "vecstore.client._sync.documents": ("Documents",),
    "vecstore.documents.types": ("Chunking", "Document"),
    "vecstore.client._sync.collection": ("Collection",),
    "vecstore.client.atomic": ("Batch",),
    "vecstore.client.connect": (
        "connect",
        "connect_async",
    ),
    "vecstore.client.fields": (
        "Binary",
        "Dense",
        "Multi",
        "Sparse",
        "Text",
    ),
    "vecstore.client.query_batches": ("Query",),
    "vecstore.client.rankings": ("Discover", "Recommend"),
    "vecstore.client.restoring": ("restore",),
    "vecstore.client.results": ("UploadResult",),
    "vecstore.client.stages": (
        "DBSF",
        "MMR",
        "Prefetch",
        "RRF",
        "RelativeScore",
    ),
    "vecstore.config": (
        "Limits",
        "Settings",
        "load_settings",
    ),
    "vecstore.errors": (
        "AlreadyExists",
        "Cancelled",
        "Corruption",
        "DeadlineExceeded",
        "FailedPrecondition",
        "InvalidArgument",
        "IoFailed",
        "NotFound",
        "PermissionDenied",
        "ResourceExhausted",
        "Unauthenticated",
        "Unavailable",
        "Unimplemented",
        "VecstoreError",
    ),
    "vecstore.hits": ("Hits",),
    "vecstore.index_spec": (
        "Auto",
        "BFloat16",
        "Center",
        "Flat",
        "Float16",
        "Float8",
        "Funnel",
        "Graph",
        "HammingIVF",
        "IVF",
        "Int4",
        "Int8",
        "Inverted",
        "LloydMax",
        "MIH",
        "Muvera",
        "Normalize",
        "OPQ",
        "PCA",
        "PQ",
        "Plaid",
        "RaBitQ",
        "Rotate",
        "SAQ",
        "Seismic",
        "Truncate",
    ),
    "vecstore.index_text": (
        "format_index",
        "parse_index",
    ),
    "vecstore.query.builder": (
        "F",
        "has_id",
        "has_vector",
    ),
    "vecstore.query.filter": ("Filter",),
    "vecstore.query.metrics": ("register_metric",),
    "vecstore.ranking": ("ByMetric", "NearestId", "OrderBy", "Sample"),
    "vecstore.schema": (
        "DataType",
        "FieldKind",
        "Metric",
        "Schema",
        "SearchDefaults",
        "VectorField",
        "VectorKind",
    ),
    "vecstore.sparse": ("SparseVector",),
    "vecstore.types": (
        "CollectionInfo",
        "Hit",
        "OperationInfo",
        "OperationState",
        "Point",
        "PointBatch",
        "SnapshotInfo",
        "WriteMode",
        "WriteResult",
    ),
    "vecstore.version": ("__version__",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vecstore' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
