"""The documents of a collection: put in, searched, listed, taken out."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vecstore.client._async.collection import AsyncCollection
from vecstore.client.document_files import as_document, files_of
from vecstore.client.filters import FilterLike, as_filter
from vecstore.client.progress import Advance, progress_bar
from vecstore.client.requests import as_count, as_timeout
from vecstore.client.seqs import Seqs
from vecstore.client.transport import AsyncTransport
from vecstore.documents.asking import Wanted, check_wanted, groups_for, query_for, vectors_field
from vecstore.documents.choosing import Candidate, candidates_of, chosen
from vecstore.documents.chunking import check_chunking
from vecstore.documents.layout import (
    Laid,
    chunk_id,
    first_chunks,
    hash_with,
    identified,
    lay,
    of_documents,
    operations,
    read_point,
)
from vecstore.documents.packing import neighbours_of, packed
from vecstore.documents.types import Chunking, Document, DocumentInfo, Found, Ingested, State, StoredDocument
from vecstore.errors import InvalidArgument, NotFound
from vecstore.query.filter import Filter, PointId
from vecstore.query.fusion import Fusion
from vecstore.schema import Schema
from vecstore.types import (
    CollectionInfo,
    CountRequest,
    DeleteRequest,
    GetRequest,
    ScrollRequest,
    UpdateBatchRequest,
    WriteResult,
)

GROUP_CHUNKS = 64  # documents are written together until they have so many: a model's batch
GROUP_DOCUMENTS = 64


class AsyncDocuments:
    """A handle on the documents of one collection. It remembers its last write, and later reads through it see that
    write."""

    def __init__(
        self,
        transport: AsyncTransport,
        name: str,
        *,
        timeout_s: float,
        schema: Schema | None = None,
        seq: int = 0,
        seqs: Mapping[str, int] | None = None,
    ) -> None:
        """Reads wait for the write `seq`, and for those of other handles, `seqs` by collection."""
        self.name = name
        self._seqs = Seqs()
        self.collection = AsyncCollection(transport, name, timeout_s=timeout_s, schema=schema, seqs=self._seqs)
        self._transport = transport
        self._limits = transport.settings.limits
        self._timeout_s = timeout_s
        if seq:
            self._seqs.ask(name, seq)
        for collection, written in (seqs or {}).items():
            self._seqs.wrote(collection, collection, written)

    def __repr__(self) -> str:
        return f"AsyncDocuments({self.name!r})"

    # Putting in

    async def add(
        self,
        content: str | bytes | Path | Document,
        *,
        id: str | None = None,
        title: str | None = None,
        uri: str | None = None,
        media_type: str | None = None,
        metadata: dict[str, Any] | None = None,
        chunking: Chunking = Chunking(),  # noqa: B008
    ) -> Ingested:
        """Keep a document: text, the bytes of a file, a path, or a `Document`. One with the same `id` is replaced, all
        of its chunks at once; if it is the same, nothing is embedded or written.

        Raises InvalidArgument (BAD_DOCUMENT, BAD_ARGUMENT, LIMIT_EXCEEDED), FailedPrecondition (NOT_FOR_DOCUMENTS,
        EXTRA_MISSING, and of embedders), with nothing changed."""
        document = as_document(content, id, title, uri, media_type, metadata)
        result: Ingested | None = None
        async for one in self.ingest([document], chunking=chunking, strict=True):
            result = one
        assert result is not None
        return result

    async def add_folder(
        self,
        folder: str | Path,
        pattern: str = "**/*",
        *,
        metadata: dict[str, Any] | None = None,
        chunking: Chunking = Chunking(),  # noqa: B008
        progress: bool | Advance | None = None,
    ) -> list[Ingested]:
        """Keep the files of a folder that match `pattern` and are of a type that is read. A document's id and uri are
        its path below the folder. A file that cannot be read as its type is FAILED and the others are kept. `progress`
        as in `Collection.upload`."""
        files = files_of(Path(folder), pattern)
        results = []
        with progress_bar(f"documents to {self.name}", len(files), progress) as advance:
            documents = (as_document(path, name, None, name, None, metadata) for name, path in files)
            async for one in self.ingest(documents, chunking=chunking):
                results.append(one)
                advance(1)
        return results

    async def ingest(
        self,
        documents: Iterable[Document],
        *,
        chunking: Chunking = Chunking(),  # noqa: B008
        strict: bool = False,
    ) -> AsyncIterator[Ingested]:
        """Keep many documents, read as they are needed, and tell what became of each, in order, once it is durable.
        Several are written at a time; each of them is there as a whole or not at all whenever this ends. One that
        cannot be read is FAILED, and raises if `strict`; what fails otherwise raises."""
        check_chunking(chunking)
        into = await self.collection.info()  # all of them are kept in one collection
        group: list[Document] = []
        for document in documents:
            group.append(document)
            if len(group) >= GROUP_DOCUMENTS:
                async for one in self._ingest_group(group, into, chunking, strict):
                    yield one
                group = []
        if group:
            async for one in self._ingest_group(group, into, chunking, strict):
                yield one

    async def _ingest_group(
        self, documents: Sequence[Document], into: CollectionInfo, chunking: Chunking, strict: bool
    ) -> AsyncIterator[Ingested]:
        stored = await self._stored_hashes(documents, into.name)
        results: list[Ingested | None] = []
        waiting: list[Laid] = []
        for document in documents:
            prepared = await self._prepare(document, into, chunking, stored, strict)
            if isinstance(prepared, Laid) and any(one.info.id == prepared.info.id for one in waiting):
                async for done in self._flush(waiting, results, into, stored):
                    yield done
                waiting, results = [], []
                prepared = await self._prepare(document, into, chunking, stored, strict)
            if isinstance(prepared, Ingested):
                results.append(prepared)
                continue
            results.append(None)
            waiting.append(prepared)
            if sum(len(one.chunks) for one in waiting) >= GROUP_CHUNKS:
                async for done in self._flush(waiting, results, into, stored):
                    yield done
                waiting, results = [], []
        async for done in self._flush(waiting, results, into, stored):
            yield done

    async def _prepare(
        self, document: Document, into: CollectionInfo, chunking: Chunking, stored: dict[str, str], strict: bool
    ) -> Ingested | Laid:
        try:
            name, content_hash = identified(document)
            if stored.get(name) == hash_with(content_hash, chunking):
                return Ingested(name, State.UNCHANGED)
            return await to_thread(lay, document, into.schema, chunking, self._limits)
        except InvalidArgument as error:
            if strict or error.reason not in ("BAD_DOCUMENT", "BAD_PAYLOAD", "LIMIT_EXCEEDED"):
                raise
            return Ingested(str(document.id or document.uri or ""), State.FAILED, error=str(error))

    async def _flush(
        self, waiting: list[Laid], results: list[Ingested | None], into: CollectionInfo, stored: dict[str, str]
    ) -> AsyncIterator[Ingested]:
        """Write what waits as one batch and tell what became of it and of what is between."""
        seq = self._seqs.last(self.name)
        if waiting:
            request = UpdateBatchRequest(into.name, operations(waiting, into.name, into.schema))
            seq = (await self._write(request)).seq
        written = iter(waiting)
        for result in results:
            if result is not None:
                yield result
                continue
            info = next(written).info
            state = State.REPLACED if info.id in stored else State.ADDED
            stored[info.id] = info.hash
            yield Ingested(info.id, state, info.chunks, seq)

    async def _stored_hashes(self, documents: Sequence[Document], collection: str) -> dict[str, str]:
        names = []
        for document in documents:
            try:
                names.append(identified(document)[0])
            except InvalidArgument:
                continue  # told when its turn comes
        if not names:
            return {}
        ids = [chunk_id(name, 0) for name in dict.fromkeys(names)]
        points, _ = await self._transport.get(self._get(ids, collection))
        return {info.id: info.hash for info, _ in map(read_point, points)}

    # Asking

    async def search(
        self,
        question: str,
        k: int = 8,
        *,
        filter: FilterLike | None = None,
        budget: int = 2_000,
        neighbours: int = 0,
        candidates: int = 50,
        duplicates: float = 0.9,
        diversity: float = 0.0,
        per_document: int | None = None,
        by_document: bool = False,
        fusion: Fusion | None = None,
        tokenizer: str = "",
        timeout_s: float | None = None,
    ) -> Found:
        """The passages that answer a question best, searched by words and by every embedder's vectors at once, and the
        context that they make in at most `budget` tokens, each under a number to cite it by.

        `neighbours` chunks before and after belong to a passage; `candidates` of each field are fused by `fusion`
        (`RRF()`). Passages that share `duplicates` of their words with a better one are left out; `diversity` above 0
        prefers passages that are unlike each other (maximal marginal relevance). At most `per_document` passages are of
        one document; with `by_document`, the `k` best documents are found, and a document's passages stand together.
        `filter` is on payloads, such as F("metadata.lang").eq("en") and F("document.id").any([...])."""
        count = as_count("k", k)
        wanted = Wanted(
            count, candidates, budget, neighbours, duplicates, diversity, per_document, by_document, tokenizer
        )
        check_wanted(wanted, self._limits)
        where = as_filter(filter, self._limits)
        time_s = as_timeout(timeout_s, self._timeout_s)
        # Neighbours are looked for in the collection where the passages were found.
        name = (await self.collection.info()).name if neighbours else self.name

        async def ask(schema: Schema) -> Found:
            query, names = query_for(question, name, schema, wanted, where, fusion, time_s)
            query.min_seq, query.min_seqs = self._seqs.asked(self.name), self._seqs.seen(self.name)
            dense = vectors_field(schema)
            if by_document:
                groups = await self._transport.query_groups(groups_for(query, wanted))
                hits, seq = [hit for group in groups.groups for hit in group.hits], groups.seq
            else:
                answer = await self._transport.query(query)
                hits, seq = list(answer), answer.seq
            best = await to_thread(_choose, hits, names, dense, wanted)
            around = {}
            if ids := neighbours_of(best, wanted):
                points, _ = await self._transport.get(GetRequest(name, ids, min_seq=seq))
                around = {(info.id, chunk.number): chunk for info, chunk in map(read_point, points)}
            return await to_thread(packed, best, around, wanted, seq)

        return await self.collection._by_schema(ask)

    # What there is

    async def get(self, id: str) -> StoredDocument:
        """A document with all its chunks. Raises NotFound (DOCUMENT_NOT_FOUND)."""
        collection = (await self.collection.info()).name
        first, _ = await self._transport.get(self._get([chunk_id(id, 0)], collection))
        if not first:
            raise NotFound(f"there is no document {id!r:.200} in {self.name}", reason="DOCUMENT_NOT_FOUND")
        info, chunk = read_point(first[0])
        chunks = [chunk]
        if info.chunks > 1:
            ids = [chunk_id(id, number) for number in range(1, info.chunks)]
            points, _ = await self._transport.get(self._get(ids, collection))
            chunks += [one for _, one in map(read_point, points)]
        return StoredDocument(info, chunks)

    async def list(
        self, limit: int = 100, *, after: Any = None, filter: FilterLike | None = None
    ) -> tuple[list[DocumentInfo], Any]:
        """Up to `limit` documents in an order of no meaning, and what to pass as `after` to go on, or None."""
        where = _both(first_chunks(), as_filter(filter, self._limits))
        asked, seen = self._seqs.asked(self.name), self._seqs.seen(self.name)
        request = ScrollRequest(self.name, where, as_count("limit", limit), after, min_seq=asked, min_seqs=seen)
        found = await self._transport.scroll(request)
        return [read_point(point)[0] for point in found.points], found.next_after

    async def count(self, *, filter: FilterLike | None = None) -> int:
        """How many documents there are."""
        where = _both(first_chunks(), as_filter(filter, self._limits))
        asked, seen = self._seqs.asked(self.name), self._seqs.seen(self.name)
        return (await self._transport.count(CountRequest(self.name, where, asked, seen)))[0]

    async def delete(self, ids: str | Sequence[str]) -> int:
        """Delete documents by id; how many chunks there were."""
        names = [ids] if isinstance(ids, str) else list(ids)
        return (await self._write(DeleteRequest(self.name, filter=of_documents(names)))).changed

    async def _write(self, request: UpdateBatchRequest | DeleteRequest) -> WriteResult:
        result = await self._transport.write(request)
        self._seqs.wrote(self.name, result.collection, result.seq)
        return result

    def _get(self, ids: Sequence[PointId], collection: str) -> GetRequest:
        asked, seen = self._seqs.asked(self.name), self._seqs.seen(self.name)
        return GetRequest(collection, ids, min_seq=asked, min_seqs=seen)


def _choose(hits: Sequence[Any], names: Sequence[str], dense: str | None, wanted: Wanted) -> list[Candidate]:
    return chosen(candidates_of(hits, names, dense), wanted)


def _both(one: Filter, other: Filter | None) -> Filter:
    return one if other is None else one & other
