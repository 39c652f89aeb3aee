"""vecstore documents create, add, search, list, get, delete: files in, passages with their sources out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from vecstore.cli.create import named
from vecstore.cli.inspect import Collection
from vecstore.cli.query_given import read_filter
from vecstore.cli.query_values import read_json
from vecstore.cli.render import as_payload, show_json, show_note, show_table
from vecstore.cli.target import Json, Target, Yes, confirm, open_client
from vecstore.client._sync.documents import Documents
from vecstore.documents.types import Chunking, Document, Found, Ingested, State
from vecstore.errors import InvalidArgument, NotFound

ID = Annotated[str, typer.Argument(help="The document's id, as `list` shows it.")]
Embedder = Annotated[str | None, typer.Option(help="What makes vectors of its texts; without: words only.")]
Language = Annotated[str, typer.Option(help='Stemmer and stop words; "none" for neither.')]
Filter = Annotated[str | None, typer.Option(help='JSON: {"key": "metadata.lang", "match": {"value": "en"}}')]

app = typer.Typer(help="Documents: files in, answers with their sources out.", no_args_is_help=True)


@app.command("create")
def create(
    collection: Collection,
    target: Target,
    embedder: Embedder = None,
    language: Language = "english",
    index: Annotated[list[str] | None, typer.Option(help="KEY=KIND, such as metadata.lang=keyword.")] = None,
) -> None:
    """Create a collection for documents. Embedders are in the settings (VECSTORE_EMBEDDERS_NAME_KIND=onnx, ...)."""
    indexes = dict(named(one, "--index") for one in index or ())
    with open_client(target, create=True) as db:
        db.create_documents(collection, embedder=embedder, language=language, indexes=indexes)
    typer.echo(f"{collection}: documents, by words{f' and by {embedder}' if embedder else ''}")


@app.command("add")
def add(
    collection: Collection,
    paths: Annotated[list[str], typer.Argument(help="Folders and files, or - for a text on standard input.")],
    target: Target,
    pattern: Annotated[str, typer.Option(help="Which files of folders.")] = "**/*",
    id: Annotated[str | None, typer.Option("--id", help="Of the text on standard input, or of a single file.")] = None,
    metadata: Annotated[str | None, typer.Option(help="JSON, kept with each and to filter by.")] = None,
    tokens: Annotated[int, typer.Option(help="At most so many in a chunk.")] = Chunking().tokens,
    overlap: Annotated[int, typer.Option(help="Of them, from the chunk before.")] = Chunking().overlap,
    make: Annotated[bool, typer.Option("--create", help="Create the collection when it does not exist.")] = False,
    embedder: Embedder = None,
    as_json: Json = False,
) -> None:
    """Keep text, Markdown, HTML and PDF files; one that is the same costs nothing, one that changed is replaced. Exit
    code 1 when a file could not be read."""
    if embedder is not None and not make:
        raise typer.BadParameter("shapes a new collection, so it goes with --create", param_hint="--embedder")
    if id is not None and (len(paths) > 1 or Path(paths[0]).is_dir()):
        raise typer.BadParameter("is of one document", param_hint="--id")
    about = None if metadata is None else _object(metadata)
    chunking = Chunking(tokens, overlap)
    with open_client(target, create=make) as db:
        if make:
            db.create_documents(collection, embedder=embedder, exist_ok=True)
        docs = db.documents(db.get_collection(collection).name)
        done = [one for path in paths for one in _added(docs, path, pattern, id, about, chunking)]
    if as_json:
        show_json(done)
    else:
        _show_ingested(done)
    if any(one.state is State.FAILED for one in done):
        raise typer.Exit(1)


def _object(metadata: str) -> dict[str, Any]:
    found = read_json(metadata, "--metadata", "BAD_ARGUMENT")
    if not isinstance(found, dict):
        raise InvalidArgument("--metadata is no JSON object", reason="BAD_ARGUMENT")
    return found


def _added(
    docs: Documents, path: str, pattern: str, id: str | None, metadata: dict[str, Any] | None, chunking: Chunking
) -> Iterator[Ingested]:
    if path == "-":
        content = sys.stdin.read()
        yield from docs.ingest([Document(content, id=id, metadata=metadata or {})], chunking=chunking)
    elif Path(path).is_dir():
        yield from docs.add_folder(path, pattern, metadata=metadata, chunking=chunking)
    elif Path(path).is_file():
        yield docs.add(Path(path), id=id, metadata=metadata, chunking=chunking)
    else:
        raise NotFound(f"{path} is neither a file nor a folder", reason="FILE_NOT_FOUND")


def _show_ingested(done: Sequence[Ingested]) -> None:
    for one in done:
        if one.state is State.FAILED:
            show_note(f"failed: {one.id}: {one.error}")
    counts = Counter(one.state for one in done)
    chunks = sum(one.chunks for one in done)
    typer.echo(", ".join(f"{counts[state]:,} {state}" for state in State if counts[state]) or "no files to read")
    if chunks:
        typer.echo(f"{chunks:,} chunks written")


@app.command("search")
def search(
    collection: Collection,
    question: Annotated[str, typer.Argument(help="In words.")],
    target: Target,
    k: Annotated[int, typer.Option("-k", help="How many passages.")] = 5,
    filter: Filter = None,
    budget: Annotated[int, typer.Option(help="Tokens of all of them.")] = 2_000,
    neighbours: Annotated[int, typer.Option(help="Chunks before and after, each.")] = 0,
    per_document: Annotated[int | None, typer.Option(help="At most so many of one document.")] = None,
    context: Annotated[bool, typer.Option("--context", help="Only what a language model is given.")] = False,
    as_json: Json = False,
) -> None:
    """Print the passages that answer a question best, with their sources."""
    with open_client(target) as db:
        docs = db.documents(db.get_collection(collection).name)
        options: dict[str, Any] = {"budget": budget, "neighbours": neighbours, "per_document": per_document}
        found = docs.search(question, k, filter=read_filter(filter), **options)
    if context:
        typer.echo(found.context)
    elif as_json:
        show_json(found)
    else:
        _show_found(found)


def _show_found(found: Found) -> None:
    for one in found.passages:
        place = " > ".join(dict.fromkeys(filter(None, (one.document.title, *one.headings))))
        page = "" if one.page is None else f", page {one.page}"
        source = one.document.uri or one.document.id
        typer.secho(f"[{one.citation}] {place or source}", bold=True, nl=False)
        typer.echo(f"  {source}{page}, characters {one.start}-{one.end}, score {one.score:.4f}")
        typer.echo(one.text.strip() + "\n")
    left = f"; {found.omitted} more did not fit" if found.omitted else ""
    show_note(f"{len(found.passages)} passages, {found.tokens:,} tokens{left}")


@app.command("list")
def list_documents(
    collection: Collection,
    target: Target,
    filter: Filter = None,
    limit: Annotated[int, typer.Option(help="How many to show.")] = 100,
    as_json: Json = False,
) -> None:
    """The documents, with what is known of each."""
    with open_client(target) as db:
        docs = db.documents(db.get_collection(collection).name)
        where = read_filter(filter)
        listed, more = docs.list(limit, filter=where)
        total = docs.count(filter=where)
    if as_json:
        show_json(listed)
        return
    rows = [(one.id, one.title or "-", one.media_type, one.chunks, as_payload(one.metadata)) for one in listed]
    show_table(("document", "title", "type", "chunks", "metadata"), rows)
    if more is not None:
        show_note(f"{len(listed):,} of {total:,}; more with --limit")


@app.command("get")
def get(collection: Collection, id: ID, target: Target, as_json: Json = False) -> None:
    """Print a document's chunks."""
    with open_client(target) as db:
        found = db.documents(db.get_collection(collection).name).get(id)
    if as_json:
        show_json(found)
        return
    about: Mapping[str, Any] = {"type": found.info.media_type, "chunks": found.info.chunks, **found.info.metadata}
    typer.secho(f"{found.info.title or found.info.id}", bold=True, nl=False)
    typer.echo(f"  {as_payload(about)}")
    for chunk in found.chunks:
        typer.echo(f"--- {chunk.number}: {' > '.join(chunk.headings)}\n{chunk.text.strip()}")


@app.command("delete")
def delete(
    collection: Collection,
    ids: Annotated[list[str], typer.Argument(help="Ids of documents, as `list` shows them.")],
    target: Target,
    yes: Yes = False,
) -> None:
    """Delete documents with all their chunks."""
    with open_client(target) as db:
        docs = db.documents(db.get_collection(collection).name)
        confirm(f"delete {len(ids):,} documents of {collection}?", yes=yes)
        typer.echo(f"deleted {docs.delete(ids):,} chunks")
