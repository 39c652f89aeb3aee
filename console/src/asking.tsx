/** A question to a collection of documents: passages with their sources, and the context that they make. */

import { useState } from "preact/hooks";
import type { Schemas } from "vecstore-client";
import { FilterFields, filterOf, keysOf, NO_FILTER } from "./filter";
import { count, ms, significant } from "./format";
import type { Collection } from "./schema";
import { ask, useLoaded } from "./server";
import { Check, Copy, Input, Problem, useAction } from "./ui";

interface Found {
  answer: Schemas["SearchDocumentsAnswer"];
  took: number;
}

export function AskDocuments({ collection }: { collection: Collection }) {
  const [question, setQuestion] = useState("");
  const [k, setK] = useState("5");
  const [neighbours, setNeighbours] = useState("0");
  const [budget, setBudget] = useState("");
  const [byDocument, setByDocument] = useState(false);
  const [filter, setFilter] = useState(NO_FILTER);
  const [found, setFound] = useState<Found | null>(null);
  const path = { collection: collection.name };
  const listed = useLoaded((db) => db.get("/v1/collections/{collection}/documents", { path, query: { limit: 20 } }), [collection.name]);
  const search = useAction(async () => {
    const started = performance.now();
    const where = filterOf(filter, collection);
    const body = {
      question,
      k: Number(k),
      neighbours: Number(neighbours),
      by_document: byDocument,
      ...(budget ? { budget: Number(budget) } : {}),
      ...(where ? { filter: where as Schemas["Filter"] } : {}),
    };
    const answer = await ask((db) => db.post("/v1/collections/{collection}/documents/search", { path, body }));
    setFound({ answer, took: performance.now() - started });
  });
  return (
    <>
      <section class="card">
        <form onSubmit={(event) => { event.preventDefault(); void search.run(); }}>
          <div class="row"><Input label="Question" value={question} onValue={setQuestion} grow /></div>
          <FilterFields form={filter} onForm={setFilter} collection={collection} keys={keysOf(collection, [])} />
          <div class="row end">
            <Input label="Passages" type="number" value={k} onValue={setK} width="5em" />
            <Input label="Neighbours" type="number" value={neighbours} onValue={setNeighbours} width="5em" />
            <Input label="Token budget" type="number" value={budget} placeholder="auto" onValue={setBudget} width="7em" />
            <Check label="By document" checked={byDocument} onValue={setByDocument} />
            <span class="gap" />
            <button class="primary" disabled={!question.trim() || search.busy}>Ask</button>
          </div>
        </form>
      </section>
      <Problem error={search.error} />
      {found && !search.error && (
        <>
          <p class="summary" role="status">
            <b>{count(found.answer.passages.length)}</b> passages, {count(found.answer.tokens)} tokens, in {ms(found.took)}
            {found.answer.omitted > 0 && <> · {count(found.answer.omitted)} did not fit the budget</>}
            <span class="gap" />
            <Copy label="Copy context" text={found.answer.context} />
          </p>
          {found.answer.passages.map((one) => (
            <article class="card passage" key={`${one.document.id} ${one.number}`}>
              <header>
                <span class="cite">[{one.citation}]</span> <b>{one.document.title ?? one.document.id}</b>
                <span class="dim">{one.headings.join(" › ")}{one.page !== null && <> · page {one.page}</>}</span>
                <span class="gap" />
                <span class="pairs">
                  <span>score <b>{significant(one.score)}</b></span>
                  {Object.entries(one.legs).map(([leg, score]) => <span key={leg}>{leg} <b>{significant(score)}</b></span>)}
                </span>
              </header>
              <p>{one.text}</p>
              <footer class="dim">
                {one.document.uri ?? one.document.id} · characters {count(one.start)} to {count(one.end)} · chunk {one.number + 1} of {count(one.document.chunks)}
              </footer>
            </article>
          ))}
        </>
      )}
      {!found && (listed.data?.documents.length ?? 0) > 0 && (
        <section class="card scroll">
          <h2>Documents</h2>
          <table>
            <thead><tr><th>Id</th><th>Title</th><th>Type</th><th class="n">Chunks</th></tr></thead>
            <tbody>
              {listed.data?.documents.map((one) => (
                <tr key={one.id}><td>{one.id}</td><td>{one.title}</td><td>{one.media_type}</td><td class="n">{count(one.chunks)}</td></tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {!found && listed.data?.documents.length === 0 && <p class="dim">No documents yet: <a href={`#/c/${encodeURIComponent(collection.name)}/import`}>import some</a>.</p>}
    </>
  );
}
