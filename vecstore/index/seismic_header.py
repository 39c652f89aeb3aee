"""What a seismic index says of itself: the spec, the segment it belongs to, the calibration. Stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from vecstore.errors import Corruption
from vecstore.index.header import read_header
from vecstore.index.seismic_calibration import FactorTable
from vecstore.index.seismic_versions import OLD_VERSIONS
from vecstore.index_spec import Seismic
from vecstore.packed_sparse import StoredRows

VERSION = 3


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    n: int
    nnz: int
    spec: Seismic
    coded: int  # entries that have a code: less than nnz where some were left out
    negative: bool  # a stored value is below 0: no blocks, every search is exact
    table: FactorTable
    step: float = 1.0  # of the values of a copy that are bytes


def open_header(rows: StoredRows, arrays: Mapping[str, np.ndarray]) -> Header:
    header = read_header(arrays, Header, "a seismic index")
    got, wanted = (header.version, header.n, header.nnz), (VERSION, len(rows), rows.nnz)
    if got[1:] != wanted[1:] or header.version not in (*OLD_VERSIONS, VERSION):
        raise Corruption(f"a seismic index is of (version, rows, entries) {got}, its segment of {wanted}")
    header.table.check()
    return header
