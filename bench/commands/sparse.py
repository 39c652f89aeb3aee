"""Sparse vectors, texts and hybrid search."""

from __future__ import annotations

from typing import Any

from bench.commands.common import add, peers, positive, rounds


def add_to(commands: Any) -> None:
    one = add(
        commands, "sparse-race", "bench.sparse_race:race", "time of a query at an accuracy: sparse vectors, one thread"
    )
    one.add_argument("data", help="a .npz file with the parts train and test, or a .csr file")
    one.add_argument("--queries-file", metavar="FILE", help="of a .csr file: the queries")
    one.add_argument(
        "--ours", dest="specs", nargs="*", default=[], metavar="SPEC", help="as index text; default: each of ours"
    )
    peers(one)
    one.add_argument("--targets", type=float, nargs="+", default=[0.9, 0.95, 0.98, 0.99], help="accuracies")
    rounds(one, 7)
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--rows", type=positive, help="only the first so many rows, for a try")
    one.add_argument("--only", nargs="+", default=[], metavar="NAME", help="families whose name has one of these in it")
    one.add_argument("--keep", metavar="FOLDER", help="keep what was built, and use what is kept there")
    one.add_argument("--out", default="bench/results/sparse-race.jsonl")

    one = add(
        commands,
        "sparse-churn",
        "bench.sparse_churn:sparse_churn",
        "accuracy after deletes and late inserts of sparse vectors",
    )
    one.add_argument("data", help="a .npz file with the parts train and test")
    one.add_argument("--index", default="seismic")
    one.add_argument("--k", type=positive, default=10)
    one.add_argument("--out", default="bench/results/sparse-churn.jsonl")

    one = add(
        commands,
        "sparse-exact",
        "bench.sparse_exact:sparse_exact",
        "exact search of sparse rows and text, by k, filter and backend",
    )
    one.add_argument("data", help="a .npz file with the parts train and test, or a folder of texts with judgements")
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--rounds", type=positive, default=5, help="the best counts")
    one.add_argument("--out", default="bench/results/sparse-exact.jsonl")

    one = add(
        commands,
        "sparse-forms",
        "bench.sparse_forms:sparse_forms",
        "stored sparse rows and copies of them in every form",
    )
    one.add_argument("data", help="a .npz file with the parts train and test")
    one.add_argument("--queries", type=positive, help="only the first so many")
    one.add_argument("--rounds", type=positive, default=5, help="the best counts")
    one.add_argument("--out", default="bench/results/sparse-forms.jsonl")

    one = add(
        commands,
        "make-sparse",
        "bench.sparse_synthetic:make",
        "write made-up sparse vectors like SPLADE's as .csr files",
    )
    one.add_argument("--rows", type=positive, default=1_000_000)
    one.add_argument("--queries", type=positive, default=1_000)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--out", required=True, metavar="FILE", help="the rows; queries go beside it")

    one = add(commands, "bm25", "bench.bm25:bm25", "nDCG@10 of a text field beside reference implementations of BM25")
    one.add_argument(
        "folders", metavar="DATA", nargs="+", help="folders of docs.jsonl.gz, queries.jsonl.gz and qrels.tsv.gz"
    )
    one.add_argument("--index", help="of the text field, as index text; default: the engine's choice")
    one.add_argument("--rounds", type=positive, default=3, help="of timing; medians count")
    one.add_argument("--out", default="bench/results/bm25.jsonl")

    one = add(commands, "hybrid", "bench.hybrid:hybrid", "nDCG of fields alone and fused, on folders with judgements")
    one.add_argument(
        "folders", metavar="DATA", nargs="+", help="folders of docs, queries, qrels, dense and sparse vectors"
    )
    one.add_argument("--out", default="bench/results/hybrid.jsonl")

    one = add(
        commands,
        "limit",
        "bench.limit:limit",
        "LIMIT, where single vectors fail: BM25, random vectors of words, hybrids",
    )
    one.add_argument(
        "folder", metavar="DATA", nargs="?", help="a folder of the published files; default: made up from the recipe"
    )
    one.add_argument("--docs", type=positive, default=50_000, help="46: the small set")
    one.add_argument("--things", type=positive, default=50, help="that a document likes")
    one.add_argument("--dim", type=positive, default=4_096, help="of the sum of random word vectors")
    one.add_argument("--token-dim", type=positive, default=64, help="of each of many")
    one.add_argument("--queries", type=positive, default=800, help="that are judged, at most")
    one.add_argument("--tuned-on", type=positive, default=200, help="other queries, on which the fusion is chosen")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--language", default="none", help="of the text field's stemmer and stop words")
    one.add_argument("--out", default="bench/results/limit.jsonl")

    one = add(
        commands, "intruders", "bench.intruders:intruders", "random vectors above a cosine: the formula beside draws"
    )
    one.add_argument("--dims", type=positive, nargs="+", default=[64, 128])
    one.add_argument("--vectors", type=positive, default=1_000_000)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--out", default="bench/results/intruders.jsonl")
