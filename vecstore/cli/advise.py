"""vecstore advise: which compression suits these vectors, measured on a sample of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from vecstore.advise import Advice, Scored, advise, default_options, take_sample
from vecstore.advise.report import write_html, write_png
from vecstore.advise.sample import QUERIES, ROWS, SampleReader
from vecstore.cli.render import show_json, show_note, show_table
from vecstore.cli.target import Json, open_client
from vecstore.client.progress import progress_bar
from vecstore.client.vectors import only_vector
from vecstore.errors import InvalidArgument, NotFound
from vecstore.io.mapping import ColumnMapping, need_module
from vecstore.io.source import open_source
from vecstore.kernels.base import Float32Array
from vecstore.kernels.select import get_kernels
from vecstore.schema import Metric, Schema, VectorField, VectorKind

PAGE_POINTS = 1_000
TEST = "test"  # the queries of an ann-benchmarks file
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}


def advise_command(
    data: Annotated[str, typer.Argument(help="A file (.hdf5, .npy, .parquet, .jsonl), or a collection of --target.")],
    target: Annotated[
        str, typer.Option("--target", "-t", envvar="VECSTORE_TARGET", help="Where the collection is.")
    ] = "",
    using: Annotated[str | None, typer.Option(help="The vector field, when there are several.")] = None,
    budget_bytes: Annotated[str | None, typer.Option(help="Bytes a vector may take, such as 96.")] = None,
    budget_total: Annotated[str | None, typer.Option(help="Bytes that all may take, such as 2GiB.")] = None,
    points: Annotated[int | None, typer.Option(min=1, help="How many will be stored; default: what there is.")] = None,
    min_recall: Annotated[float | None, typer.Option(min=0, max=1, help="Recall to reach, with confidence.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Recall of the k nearest.")] = 10,
    queries: Annotated[
        Path | None, typer.Option(help=f".npy, or an .hdf5 file's `{TEST}`; default: held-out vectors.")
    ] = None,
    sample: Annotated[int, typer.Option(min=100, help="Vectors to measure on.")] = ROWS,
    metric: Annotated[str | None, typer.Option(help="For a file: cosine, dot or l2.")] = None,
    prefix: Annotated[list[int] | None, typer.Option(help="A length that a Matryoshka model was trained for.")] = None,
    codes_only: Annotated[
        bool, typer.Option("--codes-only", help="Leave out options whose rerank reads the stored vectors.")
    ] = False,
    thorough: Annotated[bool, typer.Option("--thorough", help="Try learned rotations too, which take long.")] = False,
    png: Annotated[Path | None, typer.Option(help="Write a picture.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
    as_json: Json = False,
) -> None:
    """Measure transforms, quantizers and rerank on a sample; pick the best within a budget. With no option that fits,
    the exit code is 1."""
    reader = SampleReader(sample + (0 if queries else min(QUERIES, sample // 4)))
    field = _read_file(Path(data), using, reader) if Path(data).is_file() else _read_points(target, data, using, reader)
    rows = reader.rows()
    chosen = _metric(metric) if metric else field.metric
    measured = take_sample(chosen, rows, k, None if queries is None else read_queries(queries))
    budget = _budget(budget_bytes, budget_total, points or reader.seen)
    options = default_options(field.dim, tuple(prefix or ()), thorough)
    if codes_only:
        options = [option for option in options if option.exact or option.spec.rerank != "stored"]
    with progress_bar("advise", len(options), None) as advance:
        last = 0

        def step(spec: str, done: int, total: int) -> None:
            nonlocal last
            advance(done - last)
            last = done

        advice = advise(measured, options, get_kernels(), budget, min_recall, step)
    if png is not None:
        write_png(advice, png)
    if html is not None:
        write_html(advice, html)
    if as_json:
        show_json(advice)
    else:
        _show(advice, points or reader.seen)
    if advice.pick is None and (budget is not None or min_recall is not None):
        raise typer.Exit(1)


def _show(advice: Advice, points: int) -> None:
    columns = ("index", "bytes", f"recall@{advice.k}", "95 % interval", "µs a query", "GiB in all", "note")
    title = (
        f"Recall for each byte: {advice.rows:,} vectors of {advice.dim} dimensions by {advice.metric}, "
        f"{advice.queries:,} queries; the front"
    )
    show_table(columns, [_row(one, advice, points) for one in advice.front], title)
    if advice.pick is not None and advice.pick not in advice.front:
        show_table(columns, [_row(advice.pick, advice, points)], "the pick")
    if advice.undecided:
        show_table(columns, [_row(one, advice, points) for one in advice.undecided], "as good, as far as can be told")
    for spec, reason in advice.left_out.items():
        show_note(f"left out: {spec}: {reason}")
    show_note(advice.reason)
    show_note("Recall falls as a collection grows: near neighbours stand closer. Measure on a larger --sample to see.")


def _row(one: Scored, advice: Advice, points: int) -> tuple[object, ...]:
    notes = [*(["pick"] if one == advice.pick else []), *(["reads stored vectors"] if one.reads_stored else [])]
    interval = f"{one.low:.4f} to {one.high:.4f}"
    total = f"{one.bytes_per_vector * points / 2**30:.3f}"
    return one.spec, f"{one.bytes_per_vector:g}", f"{one.recall:.4f}", interval, one.micros, total, ", ".join(notes)


def _read_file(path: Path, using: str | None, reader: SampleReader) -> VectorField:
    source = open_source(path, ColumnMapping(vectors={using: using}) if using else None)
    schema = Schema(source.fields())
    name = only_vector(schema, using)
    field = _dense(schema.vectors[name], name)
    for batch in source.batches(Schema({name: field})):
        found = batch.vectors[name]
        assert isinstance(found.rows, np.ndarray)  # of a dense field
        reader.add(found.rows if found.present is None else found.rows[found.present])
    return field


def _read_points(target: str, collection: str, using: str | None, reader: SampleReader) -> VectorField:
    if not target:
        raise NotFound(f"{collection} is no file; a collection needs --target", reason="FILE_NOT_FOUND")
    with open_client(target) as db:
        handle = db.get_collection(collection)
        name = only_vector(handle.schema(), using)
        field = _dense(handle.schema().vectors[name], name)
        stored = handle.scroll(page=PAGE_POINTS, with_vectors=[name], with_payload=False)
        vectors: Iterator[Float32Array] = (
            np.asarray(point.vectors[name], np.float32) for point in stored if point.vectors and name in point.vectors
        )
        while page := list(itertools.islice(vectors, PAGE_POINTS)):
            reader.add(np.stack(page))
    return field


def _dense(field: VectorField, name: str) -> VectorField:
    if field.kind is not VectorKind.DENSE:
        message = f"vector field {name!r} is {field.kind}; advice is for dense vectors"
        raise InvalidArgument(message, reason="VECTOR_KIND_MISMATCH")
    return field


def read_queries(path: Path) -> Float32Array:
    """Rows of a .npy matrix, or the data set `test` of an HDF5 file, as float32."""
    if not path.is_file():
        raise NotFound(f"{path} does not exist", reason="FILE_NOT_FOUND")
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, mmap_mode="r"), np.float32)
        with need_module("h5py").File(path, "r") as file:
            return np.asarray(file[TEST][:], np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise InvalidArgument(f"{path} has no queries: {error}", reason="BAD_FILE") from None


def _metric(name: str) -> Metric:
    known = [Metric.COSINE, Metric.DOT, Metric.L2]
    if name not in [str(one) for one in known]:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint="--metric")
    return Metric(name)


def _budget(per_vector: str | None, total: str | None, points: int) -> float | None:
    """Bytes a vector may take."""
    if per_vector is not None and total is not None:
        raise typer.BadParameter("give --budget-bytes or --budget-total, one of the two", param_hint="--budget-total")
    if per_vector is not None:
        return read_size(per_vector, "--budget-bytes")
    return None if total is None else read_size(total, "--budget-total") / points


def read_size(text: str, option: str) -> float:
    """`96`, `1.5kB`, `2GiB` as bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(|[kmg]i?)b?", text.strip().lower())
    if found is None or float(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is no size such as 96, 500MB or 2GiB", param_hint=option)
    return float(found[1]) * _UNITS[found[2]]
