"""Every call of the services, and the method that answers it."""

from __future__ import annotations

from vecstore.access import Access
from vecstore.engine.coalesce import Coalescer
from vecstore.engine.database import Database
from vecstore.observe.calls import Observer
from vecstore.server.admission import Admission
from vecstore.server.calls import Call, Calls
from vecstore.server.collections import Collections
from vecstore.server.forward import PACKAGE, Writer
from vecstore.server.names import Names
from vecstore.server.operations import Operations
from vecstore.server.points import Points
from vecstore.server.pools import Pools
from vecstore.server.snapshots import Snapshots
from vecstore.server.streams import Streams


def calls_of(
    database: Database,
    coalescer: Coalescer,
    admission: Admission,
    pools: Pools,
    access: Access,
    observer: Observer,
    writer: Writer | None = None,
) -> dict[str, Call]:
    """Every call of the three services by its full name."""
    limits = database.settings.limits
    shown = database.shown if database.settings.storage.feed else None
    names = Names(database, pools.reads, follows=writer is not None)
    calls = Calls(limits, admission, pools.reads, observer, names, shown, writer)
    points = Points(database, coalescer, admission, pools.reads, pools.writes)
    streams = Streams(database, points, admission, limits, pools.reads, access, observer, names)
    collections, operations, snapshots = Collections(database, access), Operations(database), Snapshots(database)
    found = [
        calls.stream("Points/QueryStream", streams.query),
        calls.stream("Points/UpsertStream", streams.upsert),
        calls.stream("Operations/Watch", streams.watch),
    ]
    for name, on_loop in {
        "Points/Upsert": points.upsert,
        "Points/Delete": points.delete,
        "Points/SetPayload": points.set_payload,
        "Points/OverwritePayload": points.overwrite_payload,
        "Points/DeletePayload": points.delete_payload,
        "Points/ClearPayload": points.clear_payload,
        "Points/UpdateVectors": points.update_vectors,
        "Points/DeleteVectors": points.delete_vectors,
        "Points/UpdateBatch": points.update_batch,
        "Points/Query": points.query,
        "Points/QueryBatch": points.query_batch,
        "Points/QueryGroups": points.query_groups,
        "Points/Explain": points.explain,
        "Points/WhyNot": points.why_not,
        "Points/DistanceMatrix": points.distance_matrix,
        "Points/Get": points.get,
        "Points/Scroll": points.scroll,
        "Points/Count": points.count,
        "Points/Facet": points.facet,
    }.items():
        found.append(calls.unary(name, on_loop))
    for name, in_thread in {
        "Collections/Create": collections.create,
        "Collections/Get": collections.get,
        "Collections/Delete": collections.delete,
        "Collections/Exists": collections.exists,
        "Collections/Update": collections.update,
        "Collections/CreateFieldIndex": collections.create_field_index,
        "Collections/UpdateIndex": collections.update_index,
        "Collections/Tune": collections.tune,
        "Collections/DeleteFieldIndex": collections.delete_field_index,
        "Collections/Estimate": collections.estimate,
        "Collections/Compact": collections.compact,
        "Collections/Verify": collections.verify,
        "Snapshots/Create": snapshots.create,
        "Snapshots/List": snapshots.list,
        "Snapshots/Delete": snapshots.delete,
        "Snapshots/Restore": snapshots.restore,
    }.items():
        found.append(calls.blocking(name, in_thread))
    for name, filtering in {
        "Collections/List": collections.list,
        "Collections/Stats": collections.stats,
        "Collections/Info": collections.info,
        "Collections/UpdateAliases": collections.update_aliases,
        "Collections/ListAliases": collections.list_aliases,
        "Operations/Get": operations.get,
        "Operations/List": operations.list,
        "Operations/Cancel": operations.cancel,
    }.items():
        found.append(calls.filtering(name, filtering))
    return {f"/{PACKAGE}.{call.name}": call for call in found}
