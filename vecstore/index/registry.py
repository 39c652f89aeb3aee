"""Every index by name. A new one is one file, one line here, and what it takes in `sizes.py`."""

from __future__ import annotations

from vecstore.errors import Unimplemented
from vecstore.index.base import BuiltIndex, Index
from vecstore.index.coded import FlatCodesIndex, IVFIndex
from vecstore.index.flat import BinaryFlatIndex, FlatIndex
from vecstore.index.funnel import FunnelIndex
from vecstore.index.graph import GraphIndex
from vecstore.index.hamming_ivf import HammingIvfIndex
from vecstore.index.inverted import InvertedIndex
from vecstore.index.maxsim_flat import MaxSimFlatIndex
from vecstore.index.mih import MihIndex
from vecstore.index.muvera import MuveraIndex
from vecstore.index.plaid import PlaidIndex
from vecstore.index.seismic import SeismicIndex
from vecstore.index.sparse_flat import SparseFlatIndex
from vecstore.index_spec import Index as IndexSpec
from vecstore.schema import VectorField, VectorKind

INDEXES: dict[str, type[Index]] = {
    FlatIndex.name: FlatIndex,
    BinaryFlatIndex.name: BinaryFlatIndex,
    SparseFlatIndex.name: SparseFlatIndex,
    MaxSimFlatIndex.name: MaxSimFlatIndex,
}
_FLAT: dict[VectorKind, type[Index]] = {
    VectorKind.DENSE: FlatIndex,
    VectorKind.BINARY: BinaryFlatIndex,
    VectorKind.SPARSE: SparseFlatIndex,
    VectorKind.TEXT: SparseFlatIndex,
    VectorKind.MULTI: MaxSimFlatIndex,
}

# By the tag of the spec ("flat" is flat codes: a flat spec without a quantizer needs no built index).
BUILT: dict[str, type[BuiltIndex]] = {
    "ivf": IVFIndex,
    "flat": FlatCodesIndex,
    "graph": GraphIndex,
    "funnel": FunnelIndex,
    HammingIvfIndex.name: HammingIvfIndex,
    MihIndex.name: MihIndex,
    SeismicIndex.name: SeismicIndex,
    InvertedIndex.name: InvertedIndex,
    PlaidIndex.name: PlaidIndex,
    MuveraIndex.name: MuveraIndex,
}


def flat_class(field: VectorField) -> type[Index]:
    """The exact index for a field's kind, which needs no build."""
    return _FLAT[field.kind]


def built_index(spec: IndexSpec) -> type[BuiltIndex]:
    """The class that builds and opens indexes of this spec. Raises Unimplemented."""
    tag = str(type(spec).__struct_config__.tag)
    if tag not in BUILT:
        raise Unimplemented(f"an index of type {tag!r} is not built in this version; known: {', '.join(BUILT) or '-'}")
    return BUILT[tag]
