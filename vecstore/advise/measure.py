"""One option over the sample: built, asked, and what it costs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.advise.options import Option
from vecstore.advise.sample import Sample
from vecstore.index.base import BuiltIndex, Index, SearchParams
from vecstore.index.flat import FlatIndex
from vecstore.index.registry import built_index
from vecstore.kernels.base import Float32Array, Kernels
from vecstore.schema import Metric, VectorField, VectorKind

BATCH = 256  # queries of one call


@dataclass(frozen=True, slots=True)
class Measured:
    recalls: NDArray[np.float64]  # (nq,)
    bytes_per_vector: float
    micros: float  # CPU time of one query over the sample, one thread


class Built:
    """An option's index over a sample. Options that differ in nothing but rescoring by stored vectors share it."""

    def __init__(self, sample: Sample, option: Option, kernels: Kernels) -> None:
        """Raises InvalidArgument (BAD_INDEX_SPEC) when the option does not suit the vectors."""
        self.sample, self.kernels = sample, kernels
        self.field = VectorField(VectorKind.DENSE, sample.rows.shape[1], sample.metric, index=option.spec)
        norms = _inverse_norms(sample.rows, kernels) if sample.metric is Metric.COSINE else None
        self.index: Index
        if option.exact:
            self.index = FlatIndex(self.field, sample.rows, norms)
        else:
            kind = built_index(option.spec)
            self.index = kind.build(self.field, option.spec, sample.rows, norms, kernels, lambda *_: None)

    def measure(self, option: Option, sample: Sample | None = None) -> Measured:
        """`sample` brings other queries to the same rows."""
        asked = sample or self.sample
        rescored = option.spec.rerank != "none"
        params = SearchParams(oversampling=option.oversampling if rescored else 0.0, rescore=rescored)
        answers = np.empty((len(asked.queries), asked.k), np.int64)
        began = time.thread_time()
        for low in range(0, len(answers), BATCH):
            part = slice(low, low + BATCH)
            answers[part] = self.index.search(self.kernels, asked.queries[part], asked.k, None, params).rows
        micros = (time.thread_time() - began) / len(answers) * 1e6
        size = self.field.row_bytes if option.exact else bytes_per_vector(self.index)
        return Measured(asked.recalls(answers), size, micros)


def bytes_per_vector(index: Index) -> float:
    """Codes, factors and rerank codes of one row. Row numbers and what was trained are left out."""
    assert isinstance(index, BuiltIndex)
    return float(index.code_bytes)


def _inverse_norms(rows: Float32Array, kernels: Kernels) -> Float32Array:
    norms = np.empty(len(rows), np.float32)
    kernels.inverse_norms(rows, norms)
    return norms
