"""Which fusion suits these queries: formulas and weights measured against judgements. The simple choice, which is the
best of the default and of each leg alone, is kept unless another is better beyond chance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from vecstore.errors import invalid
from vecstore.query.fusion import Fusion, FusionMethod, Listed, fuse

QUERIES_MIN = 20
RRF_KS = (1, 2, 5, 20, 60)
RESAMPLES = 2_000
DEFAULT = Fusion()
_SEED = 20261127
_STEPS = {2: 10, 3: 5}  # weights of so many legs go in such parts of one; more legs have equal weights


class FusionScore(msgspec.Struct, frozen=True):
    """A fusion's nDCG@k, and how much better than the simple choice it is: mean, and 95 % interval by a paired
    bootstrap."""

    fusion: Fusion
    ndcg: float
    gain: float
    low: float
    high: float


class FusionAdvice(msgspec.Struct, frozen=True):
    """`pick` is the best fusion when its interval excludes zero, else the simple choice. `legs` are the nDCG@k of each
    leg alone, `tried` every fusion, best first."""

    pick: FusionScore
    legs: dict[str, float]
    tried: list[FusionScore]
    queries: int
    reason: str


def advise_fusion(
    names: Sequence[str], lists: Sequence[Sequence[Listed]], gains: Sequence[Mapping[int, float]], k: int
) -> FusionAdvice:
    """`lists` has for each query the answer of each leg, `gains` the gain of each relevant key. Raises InvalidArgument
    (TOO_FEW_QUERIES)."""
    judged = [place for place, gain in enumerate(gains) if gain]
    if len(judged) < QUERIES_MIN:
        message = f"{len(judged)} judged queries tell too little; give at least {QUERIES_MIN}"
        raise invalid("TOO_FEW_QUERIES", message, "relevant")
    lists, gains = [lists[place] for place in judged], [gains[place] for place in judged]
    alone = {
        name: float(np.mean([ndcg(own[leg].keys, gain, k) for own, gain in zip(lists, gains, strict=True)]))
        for leg, name in enumerate(names)
    }
    by_query = {fusion: _scores(fusion, lists, gains, k) for fusion in fusions(len(names))}
    simple = max([DEFAULT, *_alone(len(names))], key=lambda fusion: float(by_query[fusion].mean()))
    base = by_query[simple]
    tried = sorted((_scored(fusion, own, base) for fusion, own in by_query.items()), key=lambda one: -one.ndcg)
    best = tried[0]
    if best.low > 0:
        reason = f"better than {_named(simple, names)} by {best.gain:.4f} ({best.low:.4f} to {best.high:.4f})"
        return FusionAdvice(best, alone, tried, len(judged), reason)
    chance = f"the best, by {best.gain:.4f} ({best.low:.4f} to {best.high:.4f}), may be so by chance"
    kept = next(one for one in tried if one.fusion == simple)
    return FusionAdvice(kept, alone, tried, len(judged), f"{chance}: keep {_named(simple, names)}")


def fusions(legs: int) -> Iterator[Fusion]:
    """What is tried for so many legs; the default is among them."""
    yield from _alone(legs)
    for weights in _weights(legs):
        for k in RRF_KS:
            yield Fusion(FusionMethod.RRF, k, weights)
        yield Fusion(FusionMethod.DBSF, weights=weights)
        yield Fusion(FusionMethod.RELATIVE, weights=weights)


def _alone(legs: int) -> list[Fusion]:
    """One leg each, which alone has a weight."""
    return [Fusion(weights=tuple(float(leg == own) for leg in range(legs))) for own in range(legs)]


def _named(simple: Fusion, names: Sequence[str]) -> str:
    return f"{names[simple.weights.index(1.0)]} alone" if simple.weights else "the default"


def _weights(legs: int) -> Iterator[tuple[float, ...]]:
    yield ()
    steps = _STEPS.get(legs, 0)
    for parts in itertools.product(range(1, steps), repeat=legs):
        if sum(parts) == steps and len(set(parts)) > 1:
            yield tuple(part / steps for part in parts)


def ndcg(keys: np.ndarray, gains: Mapping[int, float], k: int) -> float:
    """Gains discounted by 1 / log2(1 + rank), over the best possible; 0 where nothing is relevant."""
    ideal = sorted(gains.values(), reverse=True)[:k]
    found = [gains.get(key, 0.0) for key in keys[:k].tolist()]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = float(discounts[: len(ideal)] @ ideal) if ideal else 0.0
    return float(discounts[: len(found)] @ found) / best if best > 0 else 0.0


def _scores(
    fusion: Fusion, lists: Sequence[Sequence[Listed]], gains: Sequence[Mapping[int, float]], k: int
) -> np.ndarray:
    return np.array([ndcg(fuse(own, fusion)[0].keys, gain, k) for own, gain in zip(lists, gains, strict=True)])


def _scored(fusion: Fusion, own: np.ndarray, base: np.ndarray) -> FusionScore:
    difference = own - base
    if not difference.any():
        return FusionScore(fusion, float(own.mean()), 0.0, 0.0, 0.0)
    rng = np.random.default_rng(_SEED)
    means = difference[rng.integers(0, len(difference), (RESAMPLES, len(difference)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return FusionScore(fusion, float(own.mean()), float(difference.mean()), float(low), float(high))
