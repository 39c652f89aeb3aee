"""From a sample and a budget to a pick with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from vecstore.advise.choose import intervals, pareto, pick
from vecstore.advise.measure import Built, Measured
from vecstore.advise.options import Option
from vecstore.advise.sample import Sample
from vecstore.errors import InvalidArgument, Unimplemented
from vecstore.index_text import format_index
from vecstore.kernels.base import Kernels

Progress = Callable[[str, int, int], None]  # the option's spec, done, total


class Scored(msgspec.Struct, frozen=True):
    """One option, measured. `low` and `high` bound its recall (95 %, bootstrap over queries)."""

    spec: str
    bytes_per_vector: float
    recall: float
    low: float
    high: float
    micros: float  # CPU time of one query over the sample, one thread
    reads_stored: bool  # the rerank reads stored vectors, which the bytes do not count


class Advice(msgspec.Struct, frozen=True):
    """`undecided` are options that the sample cannot tell from the pick, which is the smallest of them. `pick` is None
    when nothing fits, or nothing was asked for."""

    metric: str
    dim: int
    rows: int
    queries: int
    k: int
    oversampling: float
    points: list[Scored]
    front: list[Scored]
    left_out: dict[str, str]  # spec to reason
    budget_bytes: float | None = None  # a vector
    min_recall: float | None = None
    pick: Scored | None = None
    undecided: list[Scored] = []
    reason: str = ""


def advise(
    sample: Sample,
    options: Sequence[Option],
    kernels: Kernels,
    budget_bytes: float | None = None,
    min_recall: float | None = None,
    progress: Progress | None = None,
) -> Advice:
    """Measure every option and pick. Options that do not suit the vectors are left out, with the reason."""
    measured, left_out = measure_all(sample, options, kernels, progress)
    return choose_again(conclude(sample, measured, left_out), budget_bytes, min_recall)


def conclude(sample: Sample, measured: Sequence[tuple[Option, Measured]], left_out: dict[str, str]) -> Advice:
    """Points and front, nothing picked yet."""
    points = score(measured)
    return Advice(
        metric=str(sample.metric),
        dim=sample.rows.shape[1],
        rows=len(sample.rows),
        queries=len(measured[0][1].recalls) if measured else 0,
        k=sample.k,
        oversampling=max((option.oversampling for option, _ in measured), default=1.0),
        points=points,
        front=pareto(points),
        left_out=left_out,
    )


def choose_again(advice: Advice, budget_bytes: float | None = None, min_recall: float | None = None) -> Advice:
    """The same measurements under another budget."""
    chosen, equal = pick(advice.points, budget_bytes, min_recall)
    return msgspec.structs.replace(
        advice,
        budget_bytes=budget_bytes,
        min_recall=min_recall,
        pick=chosen,
        undecided=equal,
        reason=_reason(chosen, equal, budget_bytes, min_recall),
    )


def score(measured: Iterable[tuple[Option, Measured]]) -> list[Scored]:
    pairs = list(measured)
    if not pairs:
        return []
    bounds = intervals(np.stack([one.recalls for _, one in pairs]))
    return [
        Scored(
            spec=format_index(option.spec),
            bytes_per_vector=round(one.bytes_per_vector, 2),
            recall=round(float(one.recalls.mean()), 5),
            low=round(float(low), 5),
            high=round(float(high), 5),
            micros=round(one.micros, 2),
            reads_stored=option.spec.rerank == "stored" and not option.exact,
        )
        for (option, one), (low, high) in zip(pairs, bounds, strict=True)
    ]


def measure_all(
    sample: Sample, options: Sequence[Option], kernels: Kernels, progress: Progress | None = None
) -> tuple[list[tuple[Option, Measured]], dict[str, str]]:
    """What was measured, and what was left out for which reason. Times are of one thread, and small scans gain nothing
    from more, so the kernels use one meanwhile."""
    threads = kernels.threads
    kernels.set_threads(1)
    try:
        return _measure(sample, options, kernels, progress)
    finally:
        kernels.set_threads(threads)


def _measure(
    sample: Sample, options: Sequence[Option], kernels: Kernels, progress: Progress | None
) -> tuple[list[tuple[Option, Measured]], dict[str, str]]:
    """Options next to each other that share codes are built once."""
    measured: list[tuple[Option, Measured]] = []
    left_out: dict[str, str] = {}
    shared: tuple[object, Built] | None = None
    for done, option in enumerate(options):
        if progress is not None:
            progress(format_index(option.spec), done, len(options))
        held = option.spec.rerank if option.spec.rerank not in ("none", "stored") else ""
        key = (option.spec.transforms, option.spec.quantizer, held)
        try:
            if shared is None or shared[0] != key:
                shared = None  # let go of the last one before the next is built
                shared = key, Built(sample, _with_rescoring(option), kernels)
            measured.append((option, shared[1].measure(option)))
        except (InvalidArgument, Unimplemented) as error:
            left_out[format_index(option.spec)] = error.message
    return measured, left_out


def _with_rescoring(option: Option) -> Option:
    """The option that an index is built for: it can rescore even where this one does not ask for it."""
    if option.exact or option.spec.rerank != "none":
        return option
    return Option(msgspec.structs.replace(option.spec, rerank="stored"), option.oversampling)


def _reason(chosen: Scored | None, equal: list[Scored], budget: float | None, min_recall: float | None) -> str:
    wanted = " and ".join(
        ([f"at most {budget:g} bytes a vector"] if budget is not None else [])
        + ([f"recall of at least {min_recall:g}"] if min_recall is not None else [])
    )
    if not wanted:
        return "name a budget or a recall to reach, and one option is picked"
    if chosen is None:
        return f"no option has {wanted}"
    if equal:
        low, high = min(one.low for one in [chosen, *equal]), max(one.high for one in [chosen, *equal])
        return (
            f"{chosen.spec} takes the fewest bytes of the {len(equal) + 1} best options with {wanted}: "
            f"the sample cannot tell them apart (recall {low:.4f} to {high:.4f})"
        )
    kind = "takes the fewest bytes" if min_recall is not None else "has the best recall"
    return f"{chosen.spec} {kind} with {wanted}"
