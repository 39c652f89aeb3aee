"""Lists that follow their rows: what an index has learned, adapted to rows that have come and gone since.

The steps are LIRE's (SPFresh, 2410.14452, section 3; specs, ivf section 5), for all lists at once: overlong lists are
halved, short ones dissolved, drifted ones re-centred, and the rows of these lists and of their neighbours go to the
centroid that is now nearest. Every row ends in the list of its nearest centroid, as far as the neighbours reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vecstore.index.balance import halves
from vecstore.index.base import Progress
from vecstore.index.coarse import Coarse
from vecstore.index.kmeans import assign, normalize, row_weights
from vecstore.index.learned import Learned, direction_scales
from vecstore.index.stored_rows import BATCH, StoredRows
from vecstore.kernels.base import Float32Array, Int64Array, Kernels
from vecstore.schema import Metric

ROUNDS = 4
LONG = 3.0  # times the mean length: such a list is halved
SHORT = 0.2  # times the mean length: such a list is dissolved
SPARE = 1.25  # times the lists that an index of so many rows would have: more are too many
NEIGHBOURS = 64  # lists around a changed one whose rows may now stand elsewhere
DRIFT = 0.1  # of the radius that a list's mean may move, beyond what chance moves it

Take = Callable[[Int64Array], Float32Array]  # rows by number, as codes see them


def adapt(
    learned: Learned, source: StoredRows, sample: Int64Array, nlist: int, kernels: Kernels, progress: Progress
) -> tuple[Learned, Int64Array]:
    """The same transforms and quantizer, about `nlist` lists, and the list of each row."""

    def take(numbers: Int64Array) -> Float32Array:
        return learned.chain.apply(source.take(numbers))

    coarse, n = learned.coarse, len(source)
    if coarse.nlist == 1:
        return learned, np.zeros(n, np.int64)
    homes = np.empty(n, np.int64)
    everything = np.arange(n)
    progress("assign", 0, n)
    assign_rows(coarse, homes, everything, take, kernels)
    near = np.empty(0, np.int64)
    for number in range(ROUNDS):
        progress("adapt lists", number, ROUNDS)
        coarse, changed = change_lists(coarse, homes, near, nlist, take, kernels)
        if not changed.size:
            break
        near = around(coarse, changed, kernels)
        assign_rows(coarse, homes, np.flatnonzero(np.isin(homes, near) | (homes < 0)), take, kernels)
    if coarse is not learned.coarse and coarse.metric is Metric.DOT:
        unscaled = replace(coarse, scales=np.ones(coarse.nlist, np.float32))
        coarse = replace(coarse, scales=direction_scales(unscaled, take(sample), homes[sample]))
    return replace(learned, coarse=coarse), homes


def assign_rows(coarse: Coarse, homes: Int64Array, numbers: Int64Array, take: Take, kernels: Kernels) -> None:
    """Put these rows into the lists of their nearest centroids."""
    for part in _parts(numbers):
        homes[part] = coarse.home(take(part), kernels)


def change_lists(
    coarse: Coarse, homes: Int64Array, unsettled: Int64Array, nlist: int, take: Take, kernels: Kernels
) -> tuple[Coarse, Int64Array]:
    """Halve, dissolve and re-centre; lists that are `unsettled`, next to those of the last round, whenever their mean
    has moved at all. Returns the lists, and the numbers of those that are new or moved or next to one
    that went; `homes` holds the new numbers, -1 for rows of dissolved lists."""
    counts = np.bincount(homes, minlength=coarse.nlist)
    mean = len(homes) / coarse.nlist
    by_length = np.argsort(counts, kind="stable")
    short = np.flatnonzero(counts < SHORT * mean)
    if coarse.nlist > SPARE * nlist:  # rows have gone: lists of a few rows scan slowly
        short = np.union1d(short, by_length[: coarse.nlist - nlist])
    long = np.flatnonzero(counts > max(LONG * mean, 4))
    if coarse.nlist < nlist:  # there may be more lists: the longest of the rest, too
        long = np.union1d(long, by_length[coarse.nlist - min(nlist - coarse.nlist, coarse.nlist) :])
        long = long[counts[long] > max(mean, 4)]
    room = max(0, max(nlist, min(coarse.nlist, int(SPARE * nlist))) - coarse.nlist + len(short))
    long = long[np.argsort(-counts[long], kind="stable")][:room]
    centroids, moved = _recentred(coarse, homes, counts, unsettled, take)
    order, ends = np.argsort(homes, kind="stable"), np.cumsum(counts)
    new = []
    for split in long:
        members = np.sort(order[ends[split] - counts[split] : ends[split]])
        pair = halves(coarse.metric, take(members), kernels)
        centroids[split] = pair[0]
        new.append(pair[1])
    moved[long] = True
    if not moved.any() and not short.size:
        return coarse, np.empty(0, np.int64)
    moved[around(coarse, short, kernels, 8)] = True
    centroids = np.concatenate((centroids, *[row[None, :] for row in new]))
    stays = np.ones(len(centroids), bool)
    stays[short] = False
    numbers = np.where(stays, np.cumsum(stays) - 1, -1)
    homes[:] = numbers[homes]
    scales = np.concatenate((coarse.scales, coarse.scales[long[: len(new)]]))
    changed = np.concatenate((np.flatnonzero(moved & stays[: len(moved)]), np.arange(coarse.nlist, len(centroids))))
    return Coarse(coarse.metric, np.ascontiguousarray(centroids[stays]), scales[stays]), numbers[changed]


def around(coarse: Coarse, lists: Int64Array, kernels: Kernels, n: int = NEIGHBOURS) -> Int64Array:
    """These lists and the n nearest to each."""
    if not lists.size:
        return lists
    near, _ = assign(coarse.metric, coarse.centroids[lists], coarse.centroids, kernels, min(n + 1, coarse.nlist))
    return np.unique(near)


def _recentred(
    coarse: Coarse, homes: Int64Array, counts: NDArray[np.integer], unsettled: Int64Array, take: Take
) -> tuple[Float32Array, NDArray[np.bool_]]:
    """Centroids, those replaced by their rows' mean that it has left, and which these are."""
    sums, spread = np.zeros(coarse.centroids.shape), np.zeros(coarse.nlist)
    for part in _parts(np.arange(len(homes))):
        rows, lists = take(part), homes[part]
        weights = row_weights(coarse.metric, rows)
        if weights is not None:
            rows = rows * weights[:, None]
        order = np.argsort(lists, kind="stable")
        starts = np.flatnonzero(np.diff(lists[order], prepend=-1))
        sums[lists[order[starts]]] += np.add.reduceat(rows[order], starts, axis=0, dtype=np.float64)
        away = rows - coarse.centroids[lists]
        spread += np.bincount(lists, np.einsum("nd,nd->n", away, away), coarse.nlist)
    held = np.maximum(counts, 1)
    means = (sums / held[:, None]).astype(np.float32)
    if coarse.metric is Metric.DOT:
        normalize(means)
    radius = np.sqrt(spread / held)
    shift = np.linalg.norm(means - coarse.centroids, axis=1)
    tolerated = (DRIFT + 2 / np.sqrt(held)) * radius
    tolerated[unsettled] = 0
    moved = (counts > 0) & (shift > tolerated)
    return np.where(moved[:, None], means, coarse.centroids), moved


def _parts(numbers: Int64Array) -> Iterator[Int64Array]:
    for low in range(0, len(numbers), BATCH):
        yield numbers[low : low + BATCH]
