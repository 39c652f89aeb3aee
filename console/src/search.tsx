/** Searching: one field or several, filtered, explained. */

import { useState } from "preact/hooks";
import type { Schemas } from "vecstore-client";
import { AskDocuments } from "./asking";
import type { Found, Query } from "./found";
import { FilterFields, type FilterForm, filterOf, keysOf, NO_FILTER } from "./filter";
import { firstField, type Leg, LegFields, newLeg, rankedOf } from "./leg";
import { Results } from "./results";
import { type Collection, forDocuments } from "./schema";
import { ask, useLoaded } from "./server";
import { Check, Input, Problem, Select, useAction } from "./ui";

type Fusion = Schemas["FusionName"];

const FUSIONS: [Fusion, string][] = [
  ["rrf", "ranks (RRF)"],
  ["dbsf", "scores by their distribution (DBSF)"],
  ["relative", "relative scores"],
];
const LEG_LIMIT_MIN = 100; // candidates of each field of several: what is best of all may be far down in each

interface Form {
  legs: Leg[];
  fusion: Fusion;
  limit: string;
  recall: string;
  exact: boolean;
  explain: boolean;
  filter: FilterForm;
}

function queryOf(form: Form, collection: Collection): Query {
  const limit = Number(form.limit);
  const filter = filterOf(form.filter, collection);
  const params: Schemas["SearchParamsSpec"] = {
    ...(form.exact ? { exact: true } : {}),
    ...(form.recall && !form.exact ? { recall_target: Number(form.recall) } : {}),
  };
  const how = { ...(filter ? { filter } : {}), ...(Object.keys(params).length ? { params } : {}) } as Pick<Query, "filter" | "params">;
  const [first, ...more] = form.legs;
  if (!first) throw new Error("choose a field");
  const common = { limit, with_payload: true, explain: form.explain };
  if (!more.length) return { ...rankedOf(first), ...how, ...common };
  const weights = form.legs.map((leg) => Number(leg.weight));
  return {
    prefetch: form.legs.map((leg) => ({ ...rankedOf(leg), ...how, limit: Math.max(limit, LEG_LIMIT_MIN) })),
    fusion: { [form.fusion]: {}, ...(weights.some((one) => one !== 1) ? { weights } : {}) },
    ...common,
  };
}

export function SearchPage({ collection }: { collection: Collection }) {
  const [questions, setQuestions] = useState(forDocuments(collection));
  return (
    <>
      {forDocuments(collection) && (
        <div class="switch" role="group" aria-label="What to search">
          <button type="button" aria-pressed={questions} onClick={() => setQuestions(true)}>Documents</button>
          <button type="button" aria-pressed={!questions} onClick={() => setQuestions(false)}>Points</button>
        </div>
      )}
      {questions ? <AskDocuments collection={collection} /> : <SearchPoints collection={collection} />}
    </>
  );
}

function SearchPoints({ collection }: { collection: Collection }) {
  const [form, setForm] = useState<Form>({
    legs: [newLeg(collection, firstField(collection))],
    fusion: "rrf",
    limit: "10",
    recall: "",
    exact: false,
    explain: true,
    filter: NO_FILTER,
  });
  const [found, setFound] = useState<Found | null>(null);
  const some = useLoaded(
    (db) => db.post("/v1/collections/{collection}/points/scroll", { path: { collection: collection.name }, body: { limit: 20 } }),
    [collection.name],
  );
  const change = (to: Partial<Form>) => setForm({ ...form, ...to });
  const unused = Object.keys(collection.schema.vectors).find((name) => !form.legs.some((leg) => leg.using === name));
  const search = useAction(async () => {
    const query = queryOf(form, collection);
    const started = performance.now();
    const answer = await ask((db) =>
      db.post("/v1/collections/{collection}/points/query", { path: { collection: collection.name }, body: query }),
    );
    setFound({ query, answer, legs: form.legs.map((leg) => leg.using), took: performance.now() - started });
  });
  return (
    <>
      <section class="card">
        <form onSubmit={(event) => { event.preventDefault(); void search.run(); }}>
          {form.legs.map((leg, place) => (
            <LegFields key={place} leg={leg} collection={collection} weighted={form.legs.length > 1}
              onLeg={(to) => change({ legs: form.legs.map((one, at) => (at === place ? to : one)) })}
              {...(form.legs.length > 1 ? { onRemove: () => change({ legs: form.legs.filter((_, at) => at !== place) }) } : {})} />
          ))}
          <FilterFields form={form.filter} onForm={(filter) => change({ filter })} collection={collection}
            keys={keysOf(collection, (some.data?.points ?? []).map((one) => one.payload))} />
          <div class="row end">
            <Input label="Results" type="number" value={form.limit} onValue={(limit) => change({ limit })} width="5em" />
            <Input label="Recall target" type="number" value={form.recall} placeholder="auto" onValue={(recall) => change({ recall })} width="6.5em" />
            {form.legs.length > 1 && <Select label="Fuse by" value={form.fusion} options={FUSIONS} onValue={(fusion) => change({ fusion: fusion as Fusion })} />}
            <Check label="Exact" checked={form.exact} onValue={(exact) => change({ exact })} />
            <Check label="Explain" checked={form.explain} onValue={(explain) => change({ explain })} />
            <span class="gap" />
            {unused && (
              <button type="button" onClick={() => change({ legs: [...form.legs, { ...newLeg(collection, unused), text: form.legs[0]?.text ?? "" }] })}>
                Add field (hybrid)
              </button>
            )}
            <button class="primary" disabled={search.busy}>Search</button>
          </div>
        </form>
      </section>
      <Problem error={search.error} />
      {found && !search.error && <Results found={found} collection={collection} />}
    </>
  );
}
