"""Copies of the rows that rescore candidates in place of the stored ones: smaller, so that they may stay in memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vecstore.errors import Corruption, Unimplemented
from vecstore.index.base import Progress
from vecstore.index.learned import SEED, within
from vecstore.index.rerank import CodeRescorer, Rescorer, RowRescorer, narrow
from vecstore.index.stored_rows import StoredRows, as_float32
from vecstore.index_spec import IVF, Flat, Int8, Rerank
from vecstore.kernels.base import Int64Array
from vecstore.kernels.places import ahead, in_parts
from vecstore.quantize.base import Quantizer
from vecstore.quantize.registry import QUANTIZERS

_DTYPES = {"float16": np.float16, "bfloat16": np.uint16}
_BATCH = 16384


def make_copy(spec: Flat | IVF, source: StoredRows, sample: Int64Array, progress: Progress) -> dict[str, np.ndarray]:
    """Arrays of the copy; those with a value per row are named `row.*`. None where the stored rows serve."""
    if spec.quantizer is None or not _copies(spec.rerank, source):
        return {}
    progress("copy rows", 0, 1)
    if spec.rerank != "int8":
        rows = np.empty(source.rows.shape, _DTYPES[spec.rerank])
        for low in range(0, len(rows), _BATCH):
            rows[low : low + _BATCH] = narrow(as_float32(source.rows[low : low + _BATCH]), spec.rerank)
        return {"row.values": rows}
    quantizer = _int8().train(Int8(), source.metric, source.take(sample), None, SEED)
    encoded: dict[str, np.ndarray] = {}
    for low, rows in ahead(source.batches()):
        for part, made in in_parts(rows, None, quantizer.encode):
            for name, array in made.items():
                whole = encoded.setdefault(name, np.empty((len(source), *array.shape[1:]), array.dtype))
                whole[low + part.start : low + part.stop] = array
    trained = {f"quantizer.{name}": array for name, array in quantizer.arrays().items()}
    return trained | {f"row.{name}": array for name, array in encoded.items()}


def open_copy(spec: Flat | IVF, source: StoredRows, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of `make_copy`, checked. Raises Corruption."""
    if spec.quantizer is None or not _copies(spec.rerank, source):
        return {}
    per_row = within(arrays, "row.")
    if not per_row or any(len(array) != len(source) for array in per_row.values() if array.ndim):
        raise Corruption(f"the {spec.rerank} copy for the rerank does not hold {len(source)} rows")
    if spec.rerank != "int8":
        values = per_row.get("values")
        if values is None or values.dtype != _DTYPES[spec.rerank] or values.shape != source.rows.shape:
            raise Corruption(f"the copy for the rerank is not {spec.rerank} of shape {source.rows.shape}")
    return dict(arrays)


def rescorer(rerank: Rerank, source: StoredRows, copy: Mapping[str, np.ndarray]) -> Rescorer | None:
    """What scores candidates anew; None for estimates only."""
    metric = source.field.metric
    if rerank == "none":
        return None
    if not _copies(rerank, source):
        return RowRescorer(metric, source.rows, source.inverse_norms)
    if rerank != "int8":
        return RowRescorer(metric, copy["row.values"], source.inverse_norms)
    quantizer = _int8().from_arrays(source.metric, within(copy, "quantizer."))
    encoded = within(copy, "row.")
    try:  # arrays that hold for one row hold for all
        decoded = quantizer.decode({name: array[:1] for name, array in encoded.items()}, None)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise Corruption(f"the int8 copy for the rerank cannot be decoded: {error}") from None
    if decoded.shape[1:] != (source.field.dim,):
        raise Corruption(f"the int8 copy for the rerank has {decoded.shape[1:]} dimensions, not {source.field.dim}")
    return CodeRescorer(metric, quantizer, encoded)


def _copies(rerank: Rerank, source: StoredRows) -> bool:
    """Whether a copy is smaller than the stored rows; a wider one would hold the same values."""
    if rerank in ("none", "stored", "float32"):
        return False
    return rerank == "int8" or source.rows.dtype == np.float32


def _int8() -> type[Quantizer]:
    if "int8" not in QUANTIZERS:
        raise Unimplemented("a rerank by int8 needs the quantizer int8, which is not built in this version")
    return QUANTIZERS["int8"]
