"""What an index over codes learns from a sample of the stored rows: transforms, lists, quantizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vecstore.errors import Corruption, Unimplemented
from vecstore.index.balance import balanced
from vecstore.index.base import Progress
from vecstore.index.coarse import Coarse, open_coarse
from vecstore.index.kmeans import POINTS_PER_CENTROID, kmeans, normalize
from vecstore.index.stored_rows import StoredRows
from vecstore.index_spec import IVF, Flat
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.kernels.places import by_batches
from vecstore.quantize.base import Quantizer
from vecstore.quantize.registry import QUANTIZERS
from vecstore.schema import Metric
from vecstore.transform.chain import Chain

POINTS_PER_LIST = 39  # fewer make a poor centroid
SAMPLE_MIN = 16384  # rows that transforms and quantizers are fitted to, where there are as many
GROWTH_MAX = 4
SEED = 0


@dataclass(frozen=True, slots=True)
class Learned:
    chain: Chain
    coarse: Coarse
    quantizer: Quantizer | None

    def arrays(self) -> dict[str, np.ndarray]:
        named = {f"transform.{name}": array for name, array in self.chain.arrays().items()} | self.coarse.arrays()
        if self.quantizer is not None:
            named |= {f"quantizer.{name}": array for name, array in self.quantizer.arrays().items()}
        return named


def learn(
    spec: Flat | IVF, source: StoredRows, sample: Int64Array, unit: bool, kernels: Kernels, progress: Progress
) -> Learned:
    """`sample` holds the row numbers to learn from. Raises InvalidArgument (BAD_INDEX_SPEC), Cancelled."""
    progress("read sample", 0, 1)
    vectors = source.take(sample)
    chain = Chain.fit(spec.transforms, vectors, source.metric, unit)
    vectors = by_batches(vectors, chain.apply) if chain.steps and len(vectors) else chain.apply(vectors)
    nlist = list_count(spec, len(source))
    if nlist == 1:
        coarse, homes = around_mean(source.metric, vectors), np.zeros(len(vectors), np.int64)
    else:
        coarse, homes = _lists(source.metric, vectors, nlist, kernels, progress)
    quantizer = None
    if spec.quantizer is not None:
        progress("train codes", 0, 1)
        kind = quantizer_kind(spec)
        origins = coarse.origins(homes)
        quantizer = kind.train(spec.quantizer, source.metric, vectors, origins, SEED)
    return Learned(chain, coarse, quantizer)


def open_learned(spec: Flat | IVF, metric: Metric, dim: int, arrays: Mapping[str, np.ndarray]) -> Learned:
    """Raises Corruption when the arrays do not fit the spec, the field's dimension, or each other."""
    chain = Chain.from_arrays(within(arrays, "transform."))
    if chain.dim_in != dim:
        raise Corruption(f"the transforms of an index take {chain.dim_in} dimensions, the field has {dim}")
    coarse = open_coarse(metric, arrays.get("centroids"), arrays.get("scales"), chain.dim_out)
    if spec.quantizer is None:
        return Learned(chain, coarse, None)
    quantizer = quantizer_kind(spec).from_arrays(metric, within(arrays, "quantizer."))
    if quantizer.dim != chain.dim_out:
        raise Corruption(f"the quantizer of an index takes {quantizer.dim} dimensions, transforms give {chain.dim_out}")
    return Learned(chain, coarse, quantizer)


def within(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose name starts with the prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def quantizer_kind(spec: Flat | IVF) -> type[Quantizer]:
    assert spec.quantizer is not None  # who asks knows
    tag = str(type(spec.quantizer).__struct_config__.tag)
    if tag not in QUANTIZERS:
        raise Unimplemented(f"quantizer {tag!r} is not built in this version")
    return QUANTIZERS[tag]


def list_count(spec: Flat | IVF, n: int) -> int:
    """The lists of an index over n rows: the power of two nearest to 4 sqrt(n), with enough rows for each."""
    if isinstance(spec, Flat) or n == 0:
        return 1
    if spec.nlist != "auto":
        return max(1, min(spec.nlist, n))
    wanted = 4.0 * math.sqrt(n)
    most = max(1, n // POINTS_PER_LIST)
    return min(1 << round(math.log2(wanted)), 1 << (most.bit_length() - 1))


def outgrown(spec: Flat | IVF, learned: Learned, before: int, n: int) -> bool:
    """Whether what was learned from `before` rows is too little for n: few lists, or codes fitted to a small sample."""
    return list_count(spec, n) > GROWTH_MAX * learned.coarse.nlist or (before < SAMPLE_MIN and n > GROWTH_MAX * before)


def sample_size(spec: Flat | IVF, n: int) -> int:
    return min(n, max(SAMPLE_MIN, POINTS_PER_CENTROID * list_count(spec, n)))


def around_mean(metric: Metric, vectors: Float32Array) -> Coarse:
    """One list, its codes relative to the mean of the sample."""
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)[None, :]
    if metric is Metric.L2:
        return Coarse(metric, mean, np.ones(1, np.float32))
    length = np.linalg.norm(mean, axis=1).astype(np.float32)
    normalize(mean)
    return Coarse(metric, mean, length)


def _lists(
    metric: Metric, vectors: Float32Array, nlist: int, kernels: Kernels, progress: Progress
) -> tuple[Coarse, Int64Array]:
    """And the list of each row (n,)."""
    centroids = kmeans(metric, vectors, nlist, kernels, progress, SEED)
    centroids = balanced(metric, vectors, centroids, kernels, progress)
    flat = Coarse(metric, centroids, np.ones(len(centroids), np.float32))
    homes = flat.home(vectors, kernels)
    if metric is Metric.L2:
        return flat, homes
    return Coarse(metric, centroids, direction_scales(flat, vectors, homes)), homes


def direction_scales(coarse: Coarse, vectors: Float32Array, homes: Int64Array) -> Float32Array:
    """For each list the mean of <row, direction>; of all lists where a list has no row."""
    along = np.einsum("nd,nd->n", vectors, coarse.centroids[homes])
    counts = np.bincount(homes, minlength=coarse.nlist)
    sums = np.bincount(homes, along, minlength=coarse.nlist)
    overall = float(along.mean()) if len(along) else 0.0
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall).astype(np.float32)
