"""The law of `byte_scan`: ByteCodes read word for word, with float64 sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecstore.kernels.base import Bitmap, ByteCodes, Float32Array, Int64Array
from vecstore.kernels.stop import check_stop
from vecstore.kernels.table_numpy import places_to_scan, query_tables

_ENTRIES = 1 << 19  # looked up at once


def scan_query(
    codes: ByteCodes,
    query: Float32Array,
    probes: NDArray[np.int32],
    list_add: Float32Array,
    allowed: Bitmap | None,
    out_rows: Int64Array,
    out_distances: Float32Array,
    out_counters: Int64Array,
) -> None:
    """One query of `byte_scan`."""
    out_rows.fill(-1)
    out_distances.fill(np.inf)
    places, probe = places_to_scan(codes, probes, allowed)
    tables = query_tables(codes, query)
    sums = np.empty(len(places))
    step = max(1, _ENTRIES // max(1, len(tables)))
    for start in range(0, len(places), step):
        check_stop()
        part = slice(start, start + step)
        sums[part] = tables[np.arange(len(tables)), codes.codes[places[part]]].sum(axis=1)
    factors = codes.factors[places].astype(np.float64)
    distances = (list_add[probe] + factors[:, 1] + factors[:, 0] * sums).astype(np.float32)
    distances[np.isnan(distances)] = np.inf
    rows = codes.rows[places].astype(np.int64)
    best = np.lexsort((rows, distances))[: len(out_rows)]
    out_rows[: len(best)] = rows[best]
    out_distances[: len(best)] = distances[best]
    out_counters[:] = len(places), 0, len(best)
