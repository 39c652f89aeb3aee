"""Queries: recall targets, filters, rank expressions, stops, documents."""

from __future__ import annotations

from typing import Any

from bench.commands.common import add, positive


def add_to(commands: Any) -> None:
    one = add(
        commands,
        "recall-targets",
        "bench.recall_targets:recall_targets",
        "recall targets kept, and their work, on every data file",
    )
    one.add_argument("folder", help="a folder of data files")
    one.add_argument("--only", default="", help="files whose path holds this")
    one.add_argument("--index", dest="kinds", nargs="*", default=[], metavar="SPEC", help="only these, as index text")
    one.add_argument("--k", dest="ks", type=positive, nargs="+", default=[1, 10, 100])
    one.add_argument("--timed", type=positive, default=200, help="queries that are timed")
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    one.add_argument("--no-tune", dest="tune", action="store_false", help="not with calibration on half of the queries")
    one.add_argument("--no-work", dest="work", action="store_false", help="recall only")
    one.add_argument("--l2", action="store_true", help="dense files also by Euclidean distance")
    one.add_argument("--keep", help="a folder to keep the built indexes in, for further runs")
    one.add_argument("--live", type=int, default=0, help="after so many queries of a collection, which tunes itself")
    one.add_argument("--out", default="bench/results/recall-targets.jsonl")

    one = add(
        commands,
        "completeness",
        "bench.completeness:completeness",
        "k answers under random filters, on every kind of index",
    )
    one.add_argument("folder", help="a folder of data files")
    one.add_argument("--only", default="", help="files whose path holds this")
    one.add_argument("--index", dest="kinds", nargs="*", default=[], metavar="SPEC", help="only these, as index text")
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    one.add_argument("--filters", type=positive, default=2_000)
    one.add_argument("--seed", type=int, help="printed where it is not given")
    one.add_argument("--out", default="bench/results/completeness.jsonl")

    one = add(
        commands,
        "filter-choice",
        "bench.filter_choice:filter_choice",
        "the way that filtered queries take, beside the others",
    )
    one.add_argument("paths", metavar="DATA", nargs="+", help="data files")
    one.add_argument(
        "--index", dest="kinds", nargs="+", default=["graph", "ivf | saq(bits=4)", "ivf", "seismic"], metavar="SPEC"
    )
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    one.add_argument("--queries", dest="count", type=positive, default=50)
    one.add_argument("--rounds", type=positive, default=5)
    one.add_argument("--keep", help="a folder to keep the built indexes in, for further runs")
    one.add_argument("--out", default="bench/results/filter-choice.jsonl")

    one = add(commands, "formulas", "bench.formulas:formulas", "what rank expressions over candidates cost")
    one.add_argument("--rows", type=positive, default=20_000)
    one.add_argument("--candidates", type=positive, default=1_000)
    one.add_argument("--rounds", type=positive, default=300)
    one.add_argument("--out", default="bench/results/formulas.jsonl")

    one = add(
        commands,
        "stops",
        "bench.stops:stops",
        "how long searches go on after their time is up or their caller has gone",
    )
    one.add_argument("--rows", type=positive, default=400_000, help="an eighth of these are multi-vectors")
    one.add_argument("--dim", type=positive, default=128)
    one.add_argument("--batch", type=positive, default=64, help="queries in one call")
    one.add_argument(
        "--after", dest="after_ms", type=float, default=5.0, help="milliseconds until the end is asked for"
    )
    one.add_argument("--rounds", type=positive, default=5)
    one.add_argument("--out", default="bench/results/stops.jsonl")

    one = add(
        commands,
        "documents",
        "bench.documents:documents",
        "nDCG of judged text collections through documents: cut, embedded",
    )
    one.add_argument("folders", nargs="+", help="labelled collections, or a folder of them")
    one.add_argument("--model", metavar="FILE", help="an ONNX file; default: the one of the extra `demo`")
    one.add_argument("--max-tokens", type=positive, default=256)
    one.add_argument("--tokens", type=positive, default=200, help="of a chunk")
    one.add_argument("--overlap", type=int, default=30)
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--database", default=":memory:", help="a directory that keeps them: a run cut off goes on")
    one.add_argument("--out", default="bench/results/documents.jsonl")
