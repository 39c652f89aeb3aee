"""The command line of the benchmarks: `python -m bench --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench.configs import CONFIGS
from bench.datasets import DISTANCES


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m bench", description="Measure vecstore beside its peers.")
    commands = top.add_subparsers(dest="command", required=True)

    one = add(commands, "run", do_run, "recall, rate, latency, build time, memory and disk on an HDF5 file")
    one.add_argument("data", help="a file in ann-benchmarks' format")
    one.add_argument("--config", nargs="+", default=[], choices=list(CONFIGS), metavar="NAME", help="see `configs`")
    one.add_argument("--via", nargs="+", default=["inproc"], choices=["inproc", "grpc"], help="default: inproc")
    one.add_argument("--peers", action="store_true", help="the installed peer libraries too, in the same run")
    one.add_argument("--clients", type=positive, default=1, help="also with this many concurrent callers")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many of the file's queries")
    one.add_argument("--threads", type=int, default=1, help="threads for one query; 0 is one for each core")
    one.add_argument("--seconds", type=float, default=10.0, help="how long concurrent callers run")
    one.add_argument("--folder", help="where to keep the data meanwhile; default: the machine's temporary folder")
    one.add_argument("--out", default="bench/results/run.jsonl")

    one = add(commands, "recall-targets", do_recall_targets, "recall targets kept, and their work, on every data file")
    one.add_argument("folder", help="a folder of data files")
    one.add_argument("--only", default="", help="files whose path holds this")
    one.add_argument("--index", nargs="*", default=[], metavar="SPEC", help="only these, as index text")
    one.add_argument("--k", type=positive, nargs="+", default=[1, 10, 100])
    one.add_argument("--timed", type=positive, default=200, help="queries that are timed")
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    one.add_argument("--no-tune", dest="tune", action="store_false", help="not with calibration on half of the queries")
    one.add_argument("--no-work", dest="work", action="store_false", help="recall only")
    one.add_argument("--l2", action="store_true", help="dense files also by Euclidean distance")
    one.add_argument("--keep", help="a folder to keep the built indexes in, for further runs")
    one.add_argument("--out", default="bench/results/recall-targets.jsonl")

    one = add(commands, "completeness", do_completeness, "k answers under random filters, on every kind of index")
    one.add_argument("folder", help="a folder of data files")
    one.add_argument("--only", default="", help="files whose path holds this")
    one.add_argument("--index", nargs="*", default=[], metavar="SPEC", help="only these, as index text")
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    one.add_argument("--filters", type=positive, default=2_000)
    one.add_argument("--seed", type=int, help="printed where it is not given")
    one.add_argument("--out", default="bench/results/completeness.jsonl")

    one = add(commands, "documents", do_documents, "nDCG of judged text collections through documents: cut, embedded")
    one.add_argument("folders", nargs="+", help="labelled collections, or a folder of them")
    one.add_argument("--model", metavar="FILE", help="an ONNX file; default: the one of the extra `demo`")
    one.add_argument("--max-tokens", type=positive, default=256)
    one.add_argument("--tokens", type=positive, default=200, help="of a chunk")
    one.add_argument("--overlap", type=int, default=30)
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--database", default=":memory:", help="a directory that keeps them: a run cut off goes on")
    one.add_argument("--out", default="bench/results/documents.jsonl")

    one = add(commands, "filter-choice", do_filter_choice, "the way that filtered queries take, beside the others")
    one.add_argument("data", nargs="+", help="data files")
    one.add_argument("--index", nargs="+", default=["graph", "ivf | saq(bits=4)", "ivf", "seismic"], metavar="SPEC")
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    one.add_argument("--queries", type=positive, default=50)
    one.add_argument("--rounds", type=positive, default=5)
    one.add_argument("--keep", help="a folder to keep the built indexes in, for further runs")
    one.add_argument("--out", default="bench/results/filter-choice.jsonl")

    one = add(commands, "plot", do_plot, "recall-rate and latency pictures of a results file")
    one.add_argument("results")

    one = add(commands, "frontier", do_frontier, "recall against bytes a vector of every code, without rerank")
    contested(one, "bench/results/frontier.jsonl")

    one = add(commands, "ivf-race", do_ivf_race, "queries a second at a recall: lists, codes and rerank")
    contested(one, "bench/results/ivf-race.jsonl")
    one.add_argument("--nlist", type=positive, nargs="+", default=[256, 512, 1024, 2048])
    one.add_argument("--recall", type=float, nargs="+", default=[0.95, 0.98], help="where rates are read off")
    one.add_argument("--rounds", type=positive, default=7, help="interleaved repeats; medians count")
    one.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use")
    one.add_argument("--singles", type=positive, default=200, help="queries asked one at a time")

    one = add(commands, "graph-race", do_graph_race, "queries a second at a recall: graph indexes, batch and single")
    contested(one, "bench/results/graph-race.jsonl")
    one.add_argument("--targets", type=float, nargs="+", default=[0.95, 0.99], help="recalls where rates are read off")
    one.add_argument("--rounds", type=positive, default=7, help="interleaved repeats; medians count")
    one.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use")
    one.add_argument("--no-single", dest="single", action="store_false", help="batch calls only")
    one.add_argument("--threads", type=positive, nargs="+", default=[1, 2], help="of builds; the last one is searched")
    one.add_argument("--only", nargs="+", default=[], metavar="NAME", help="families whose name has one of these in it")
    one.add_argument("--keep", metavar="FOLDER", help="keep what was built, and use what is kept there")

    one = add(commands, "readers", do_readers, "serve --readers N beside one process: rates, own writes, memory")
    one.add_argument("--readers", type=positive, default=2)
    one.add_argument("--clients", type=positive, default=16, help="connections, each with one query at a time")
    one.add_argument("--client-processes", type=positive, default=1, help="that they are spread over")
    one.add_argument("--rows", type=positive, default=100_000, help="of 384 dimensions")
    one.add_argument("--rounds", type=positive, default=7, help="interleaved repeats; medians count")
    one.add_argument("--seconds", type=float, default=2.0, help="of each server in each round")
    one.add_argument("--out", default="bench/results/readers.jsonl")

    one = add(commands, "sparse-race", do_sparse_race, "time of a query at an accuracy: sparse vectors, one thread")
    one.add_argument("data", help="a .npz file with the parts train and test, or a .csr file")
    one.add_argument("--queries-file", metavar="FILE", help="of a .csr file: the queries")
    one.add_argument("--ours", nargs="*", default=[], metavar="SPEC", help="as index text; default: each of ours")
    one.add_argument("--no-peers", dest="peers", action="store_false", help="ours only")
    one.add_argument("--targets", type=float, nargs="+", default=[0.9, 0.95, 0.98, 0.99], help="accuracies")
    one.add_argument("--rounds", type=positive, default=7, help="interleaved repeats; medians count")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--rows", type=positive, help="only the first so many rows, for a try")
    one.add_argument("--only", nargs="+", default=[], metavar="NAME", help="families whose name has one of these in it")
    one.add_argument("--keep", metavar="FOLDER", help="keep what was built, and use what is kept there")
    one.add_argument("--out", default="bench/results/sparse-race.jsonl")

    one = add(commands, "multi-race", do_multi_race, "time of a query at a recall: multi-vectors, one thread")
    one.add_argument("data", help="a file with train, train_offsets, test, test_offsets and neighbors")
    one.add_argument("--ours", nargs="*", default=[], metavar="SPEC", help="as index text; default: some of ours")
    one.add_argument("--no-peers", dest="peers", action="store_false", help="ours and the BLAS scan only")
    one.add_argument("--rounds", type=positive, default=3, help="repeats; the best counts")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--out", default="bench/results/multi-race.jsonl")

    one = add(commands, "multi-costs", do_multi_costs, "rates of MaxSim kernels, encodings, codes and pooling")
    one.add_argument("data", help="a file with train, train_offsets, test, test_offsets and neighbors")
    one.add_argument("--rows", type=positive, default=20_000, help="at most")
    one.add_argument("--threads", type=positive, default=1)
    one.add_argument("--out", default="bench/results/multi-costs.jsonl")

    one = add(commands, "formulas", do_formulas, "what rank expressions over candidates cost")
    one.add_argument("--rows", type=positive, default=20_000)
    one.add_argument("--candidates", type=positive, default=1_000)
    one.add_argument("--rounds", type=positive, default=300)
    one.add_argument("--out", default="bench/results/formulas.jsonl")

    one = add(commands, "soak", do_soak, "a server under mixed load for minutes: its memory, files and threads")
    one.add_argument("--minutes", type=float, default=20.0)
    one.add_argument("--out", default="bench/results/soak.jsonl")

    one = add(commands, "ceiling", do_ceiling, "a server in a memory cgroup under its largest legal requests")
    one.add_argument("--limit-mib", type=positive, default=512)
    one.add_argument("--seconds", type=float, default=60.0)
    one.add_argument("--out", default="bench/results/ceiling.jsonl")

    one = add(commands, "stops", do_stops, "how long searches go on after their time is up or their caller has gone")
    one.add_argument("--rows", type=positive, default=400_000, help="an eighth of these are multi-vectors")
    one.add_argument("--dim", type=positive, default=128)
    one.add_argument("--batch", type=positive, default=64, help="queries in one call")
    one.add_argument("--after", type=float, default=5.0, help="milliseconds until the end is asked for")
    one.add_argument("--rounds", type=positive, default=5)
    one.add_argument("--out", default="bench/results/stops.jsonl")

    one = add(commands, "sparse-churn", do_sparse_churn, "accuracy after deletes and late inserts of sparse vectors")
    one.add_argument("data", help="a .npz file with the parts train and test")
    one.add_argument("--index", default="seismic")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--out", default="bench/results/sparse-churn.jsonl")

    one = add(
        commands, "sparse-exact", do_sparse_exact, "exact search of sparse rows and text, by k, filter and backend"
    )
    one.add_argument("data", help="a .npz file with the parts train and test, or a folder of texts with judgements")
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--rounds", type=positive, default=5, help="the best counts")
    one.add_argument("--out", default="bench/results/sparse-exact.jsonl")

    one = add(commands, "sparse-forms", do_sparse_forms, "stored sparse rows and copies of them in every form")
    one.add_argument("data", help="a .npz file with the parts train and test")
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--rounds", type=positive, default=5, help="the best counts")
    one.add_argument("--out", default="bench/results/sparse-forms.jsonl")

    one = add(commands, "hybrid", do_hybrid, "nDCG of fields alone and fused, on folders with judgements")
    one.add_argument("data", nargs="+", help="folders of docs, queries, qrels, dense and sparse vectors")
    one.add_argument("--out", default="bench/results/hybrid.jsonl")

    one = add(commands, "limit", do_limit, "LIMIT, where single vectors fail: BM25, random vectors of words, hybrids")
    one.add_argument("data", nargs="?", help="a folder of the published files; default: made up from the recipe")
    one.add_argument("--docs", type=positive, default=50_000, help="46: the small set")
    one.add_argument("--things", type=positive, default=50, help="that a document likes")
    one.add_argument("--dim", type=positive, default=4_096, help="of the sum of random word vectors")
    one.add_argument("--token-dim", type=positive, default=64, help="of each of many")
    one.add_argument("--queries", type=positive, default=800, help="that are judged, at most")
    one.add_argument("--tuned-on", type=positive, default=200, help="other queries, on which the fusion is chosen")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--language", default="none", help="of the text field's stemmer and stop words")
    one.add_argument("--out", default="bench/results/limit.jsonl")

    one = add(commands, "intruders", do_intruders, "random vectors above a cosine: the formula beside draws")
    one.add_argument("--dims", type=positive, nargs="+", default=[64, 128])
    one.add_argument("--vectors", type=positive, default=1_000_000)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--out", default="bench/results/intruders.jsonl")

    one = add(commands, "make-sparse", do_make_sparse, "write made-up sparse vectors like SPLADE's as .csr files")
    one.add_argument("--rows", type=positive, default=1_000_000)
    one.add_argument("--queries", type=positive, default=1_000)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--out", required=True, metavar="FILE", help="the rows; queries go beside it")

    one = add(commands, "bm25", do_bm25, "nDCG@10 of a text field beside reference implementations of BM25")
    one.add_argument("data", nargs="+", help="folders of docs.jsonl.gz, queries.jsonl.gz and qrels.tsv.gz")
    one.add_argument("--index", help="of the text field, as index text; default: the engine's choice")
    one.add_argument("--rounds", type=positive, default=3, help="of timing; medians count")
    one.add_argument("--out", default="bench/results/bm25.jsonl")

    one = add(commands, "graph-build", do_graph_build, "build time, peak memory and the graph's hash by threads")
    grown(one, "bench/results/graph-build.jsonl")
    one.add_argument("--threads", type=positive, nargs="+", default=[1, 2, 8])

    one = add(commands, "graph-filters", do_graph_filters, "filtered queries: random and negatively correlated filters")
    grown(one, "bench/results/graph-filters.jsonl")
    one.add_argument("--no-peers", dest="peers", action="store_false", help="ours only")
    one.add_argument("--target", type=float, default=0.97, help="the recall that settings are chosen for")
    one.add_argument("--rounds", type=positive, default=3, help="interleaved repeats; medians count")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use")

    one = add(
        commands, "graph-churn", do_graph_churn, "a graph after deletes, inserts and compaction, beside a fresh one"
    )
    grown(one, "bench/results/graph-churn.jsonl")
    one.add_argument("--churns", type=positive, default=5, help="rounds of churn")
    one.add_argument("--ef", type=int, default=0, help="constant for all; default: the index's own choice")
    one.add_argument("--rounds", type=positive, default=5, help="interleaved repeats; medians count")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use")

    one = add(
        commands, "grpc-graph", do_grpc_graph, "a graph through gRPC: rate and latency, share of an empty handler"
    )
    grown(one, "bench/results/grpc-graph.jsonl")
    one.add_argument("--target", type=float, default=0.95, help="the recall that ef is chosen for")
    one.add_argument("--clients", type=positive, default=16)
    one.add_argument("--rounds", type=positive, default=5, help="medians count")
    one.add_argument("--seconds", type=float, default=2.0, help="of each case in each round")
    one.add_argument("--k", type=positive, default=10)

    one = add(commands, "flat-codes", do_flat_codes, "scans of codes: share of memory bandwidth, time beside turbovec")
    contested(one, "bench/results/flat-codes.jsonl")
    one.add_argument("--rounds", type=positive, default=9, help="interleaved repeats; medians count")
    one.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use")

    one = add(commands, "big-collection", do_big_collection, "memory, recall and restart of an indexed collection")
    one.add_argument("data", help="a file in ann-benchmarks' format, angular")
    one.add_argument("--index", default="ivf | rabitq(bits=4) | rerank(stored)", help="the collection's index")
    one.add_argument("--rows", type=positive, help="only the first so many rows")
    one.add_argument("--queries", type=positive, default=1_000)
    one.add_argument("--recall", type=float, default=0.97, help="the recall that the settings are chosen for")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--folder")
    one.add_argument("--out", default="bench/results/big-collection.jsonl")

    one = add(commands, "advise", do_advise, "the advisor's picks, judged on queries that it has not seen")
    one.add_argument("data", help="a file in ann-benchmarks' format")
    one.add_argument("--budget-bytes", type=float, nargs="+", default=[48, 64, 96, 192, 384], help="a vector")
    one.add_argument("--rows", type=positive, default=10_000, help="of the sample")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--out", default="bench/results/advise.jsonl")

    add(commands, "configs", do_configs, "list the configurations")

    one = add(commands, "synthesize", do_synthesize, "write a made-up file, to try the commands out")
    one.add_argument("file")
    one.add_argument("--distance", default="angular", choices=list(DISTANCES))
    one.add_argument("--rows", type=positive, default=20_000)
    one.add_argument("--dim", type=positive, default=128)
    one.add_argument("--queries", type=positive, default=200)

    one = add(commands, "ingest", do_ingest, "durable upserts over gRPC: points per second, acknowledgement latency")
    one.add_argument("--points", type=positive, default=50_000)
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--batch", type=positive, default=1_000)
    one.add_argument("--writers", type=positive, nargs="+", default=[1, 16])
    one.add_argument("--seconds", type=float, default=5.0, help="how long single-point upserts run")
    one.add_argument("--folder")
    one.add_argument("--out", default="bench/results/ingest.jsonl")

    one = add(commands, "recovery", do_recovery, "kill -9, then the time from process start to the first answer")
    one.add_argument("--growing", type=int, default=100_000, help="rows that are only in the log")
    one.add_argument("--sealed", type=int, default=1_000_000, help="rows in sealed segments")
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--rounds", type=positive, default=5)
    one.add_argument("--folder")
    one.add_argument("--out", default="bench/results/recovery.jsonl")

    one = add(commands, "seal", do_seal, "search latency while a segment is sealed, against idle")
    one.add_argument("--mib", type=positive, default=200, help="size of the segment")
    one.add_argument("--dim", type=positive, default=384)
    one.add_argument("--rounds", type=positive, default=3)
    one.add_argument("--folder")
    one.add_argument("--out", default="bench/results/seal.jsonl")
    return top


def contested(one: argparse.ArgumentParser, out: str) -> None:
    """What frontiers and races have in common."""
    one.add_argument("data", help="a file in ann-benchmarks' format, angular")
    one.add_argument("--ours", nargs="*", default=[], metavar="SPEC", help="instead of our default grid, as index text")
    one.add_argument("--no-peers", dest="peers", action="store_false", help="ours only")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many of the file's queries")
    one.add_argument("--rows", type=positive, help="only the first so many rows, for a try")
    one.add_argument("--out", default=out)


def grown(one: argparse.ArgumentParser, out: str) -> None:
    """What benchmarks of our graph have in common."""
    one.add_argument("data", help="a file in ann-benchmarks' format, angular")
    one.add_argument("--ours", nargs="+", default=["graph"], metavar="SPEC", help="as index text")
    one.add_argument("--rows", type=positive, help="only the first so many rows, for a try")
    one.add_argument("--folder", help="where to keep the data meanwhile; default: the machine's temporary folder")
    one.add_argument("--out", default=out)


def add(commands: Any, name: str, do: Callable[[argparse.Namespace], object], about: str) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    one.set_defaults(do=do)
    return one


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} must be at least 1")
    return value


def do_run(args: argparse.Namespace) -> None:
    from bench.run import run

    run(args.data, args.config, args.via, args.peers, args.clients, args.k, args.out, args.queries, args.threads,
        args.seconds, args.folder)  # fmt: skip


def do_recall_targets(args: argparse.Namespace) -> None:
    from bench.recall_targets import recall_targets

    recall_targets(args.folder, args.only, args.index, args.k, args.timed, args.tune, args.work, args.l2, args.rows,
                   args.keep, args.out)  # fmt: skip


def do_documents(args: argparse.Namespace) -> None:
    from pathlib import Path

    from bench.documents import measure, onnx_settings
    from bench.labelled import is_labelled
    from vecstore.documents.types import Chunking

    settings = onnx_settings(args.model, args.max_tokens)
    for folder in map(Path, args.folders):
        for one in [folder] if is_labelled(folder) else sorted(filter(is_labelled, folder.iterdir())):
            measure(one, settings, Chunking(args.tokens, args.overlap), args.queries, args.out, args.database)


def do_completeness(args: argparse.Namespace) -> None:
    from bench.completeness import completeness

    completeness(args.folder, args.only, args.index, args.rows, args.filters, args.seed, args.out)


def do_filter_choice(args: argparse.Namespace) -> None:
    from bench.filter_choice import filter_choice

    filter_choice(args.data, args.index, args.rows, args.queries, args.rounds, args.keep, args.out)


def do_plot(args: argparse.Namespace) -> None:
    from bench.plot import plot

    print(*plot(args.results), sep="\n")


def do_configs(args: argparse.Namespace) -> None:
    for config in CONFIGS.values():
        print(
            f"{config.name:24} {'hamming' if config.suits('hamming') else 'angular, euclidean, ip':24} {config.about}"
        )


def do_synthesize(args: argparse.Namespace) -> None:
    from bench.datasets import synthesize

    synthesize(args.file, args.distance, args.rows, args.dim, args.queries)


def do_frontier(args: argparse.Namespace) -> None:
    from bench.frontier import frontier

    frontier(args.data, args.ours, args.k, args.queries, args.rows, args.out, args.peers)


def do_ivf_race(args: argparse.Namespace) -> None:
    from bench.ivf_race import race

    race(args.data, args.ours, args.nlist, args.recall, args.rounds, args.k, args.queries, args.rows, args.clock,
         args.out, args.peers, args.singles)  # fmt: skip


def do_graph_race(args: argparse.Namespace) -> None:
    from bench.graph_ours import DEFAULT
    from bench.graph_race import race

    race(args.data, args.ours or [DEFAULT], args.targets, args.rounds, args.k, args.queries, args.rows, args.clock,
         args.out, args.peers, args.single, args.threads, args.only, args.keep)  # fmt: skip


def do_readers(args: argparse.Namespace) -> None:
    from bench.readers import main as compare

    compare(args)


def do_sparse_race(args: argparse.Namespace) -> None:
    from bench.sparse_ours import DEFAULTS
    from bench.sparse_race import race

    race(args.data, args.queries_file, args.ours or list(DEFAULTS), args.targets, args.rounds, args.k, args.queries,
         args.rows, args.out, args.peers, args.only, args.keep)  # fmt: skip


def do_multi_race(args: argparse.Namespace) -> None:
    from bench.multi_race import race

    race(args.data, args.ours, args.k, args.queries, args.rounds, args.peers, args.out)


def do_multi_costs(args: argparse.Namespace) -> None:
    from bench.multi_costs import costs

    costs(args.data, args.rows, args.threads, args.out)


def do_formulas(args: argparse.Namespace) -> None:
    from bench.formulas import formulas

    formulas(args.rows, args.candidates, args.rounds, args.out)


def do_soak(args: argparse.Namespace) -> None:
    from bench.soak import soak

    soak(args.minutes, args.out)


def do_ceiling(args: argparse.Namespace) -> None:
    from bench.ceiling import ceiling

    ceiling(args.limit_mib, args.seconds, args.out)


def do_stops(args: argparse.Namespace) -> None:
    from bench.stops import stops

    stops(args.rows, args.dim, args.batch, args.after, args.rounds, args.out)


def do_sparse_churn(args: argparse.Namespace) -> None:
    from bench.sparse_churn import sparse_churn

    sparse_churn(args.data, args.index, args.k, args.out)


def do_sparse_exact(args: argparse.Namespace) -> None:
    from bench.sparse_exact import sparse_exact

    sparse_exact(args.data, args.queries, args.rounds, args.out)


def do_sparse_forms(args: argparse.Namespace) -> None:
    from bench.sparse_forms import sparse_forms

    sparse_forms(args.data, args.queries, args.rounds, args.out)


def do_hybrid(args: argparse.Namespace) -> None:
    from bench.hybrid import hybrid

    hybrid(args.data, args.out)


def do_limit(args: argparse.Namespace) -> None:
    from bench.limit import limit

    dims = args.dim, args.token_dim
    limit(args.data, args.docs, args.things, dims, args.queries, args.tuned_on, args.seed, args.language, args.out)


def do_intruders(args: argparse.Namespace) -> None:
    from bench.intruders import intruders

    intruders(args.dims, args.vectors, args.seed, args.out)


def do_make_sparse(args: argparse.Namespace) -> None:
    from bench.sparse_synthetic import make

    make(args.rows, args.queries, args.seed, args.out)


def do_bm25(args: argparse.Namespace) -> None:
    from bench.bm25 import bm25

    bm25(args.data, args.index, args.rounds, args.out)


def do_graph_build(args: argparse.Namespace) -> None:
    from bench.graph_build import graph_build

    graph_build(args.data, args.ours, args.threads, args.rows, args.folder, args.out)


def do_graph_filters(args: argparse.Namespace) -> None:
    from bench.graph_filters import graph_filters

    for spec in args.ours:
        graph_filters(args.data, spec, args.target, args.rounds, args.k, args.rows, args.clock, args.peers,
                      args.folder, args.out)  # fmt: skip


def do_graph_churn(args: argparse.Namespace) -> None:
    from bench.graph_churn import graph_churn

    for spec in args.ours:
        graph_churn(args.data, spec, args.churns, args.ef, args.rounds, args.k, args.rows, args.clock, args.folder,
                    args.out)  # fmt: skip


def do_grpc_graph(args: argparse.Namespace) -> None:
    from bench.grpc_graph import grpc_graph

    for spec in args.ours:
        grpc_graph(args.data, spec, args.target, args.clients, args.rounds, args.seconds, args.k, args.rows,
                   args.folder, args.out)  # fmt: skip


def do_flat_codes(args: argparse.Namespace) -> None:
    from bench.flat_codes import flat_codes

    flat_codes(args.data, args.ours, args.rounds, args.k, args.queries, args.rows, args.clock, args.out, args.peers)


def do_big_collection(args: argparse.Namespace) -> None:
    from bench.big_collection import big_collection

    big_collection(args.data, args.index, args.rows, args.queries, args.recall, args.k, args.folder, args.out)


def do_advise(args: argparse.Namespace) -> None:
    from bench.advise import judge

    judge(args.data, args.budget_bytes, args.rows, args.k, args.out)


def do_ingest(args: argparse.Namespace) -> None:
    from bench.ingest import ingest

    ingest(args.points, args.dim, args.batch, args.writers, args.seconds, args.folder, args.out)


def do_recovery(args: argparse.Namespace) -> None:
    from bench.recovery import recovery

    recovery(args.growing, args.sealed, args.dim, args.rounds, args.folder, args.out)


def do_seal(args: argparse.Namespace) -> None:
    from bench.seal import seal

    seal(args.mib, args.dim, args.rounds, args.folder, args.out)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    try:
        args.do(args)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
