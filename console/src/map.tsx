/** A sample of a collection on a plane, by the principal components of one vector field. */

import { useMemo, useState } from "preact/hooks";
import type { PointId, Schemas } from "vecstore-client";
import { legend } from "./colours";
import { FilterFields, filterOf, keysOf, NO_FILTER } from "./filter";
import { count, share } from "./format";
import { unpack } from "./packed";
import { plane } from "./pca";
import { PointDialog } from "./point";
import { Scatter } from "./scatter";
import { type Collection, kindOf } from "./schema";
import { ask } from "./server";
import { Input, Problem, Select, useAction } from "./ui";

const SAMPLE_MAX = 2_000;
const PART = 500; // points of one call: 2,000 long vectors would be more than one answer may hold

type Scored = Schemas["ScoredPoint"];

interface Mapped {
  points: Scored[];
  x: Float32Array;
  y: Float32Array;
  shares: [number, number];
  took: number;
}

export function MapPage({ collection }: { collection: Collection }) {
  const fields = Object.entries(collection.schema.vectors).filter(([, one]) => ["dense", "binary"].includes(kindOf(one)) && one.dim);
  const indexed = Object.entries(collection.schema.fields ?? {}).sort((a, b) => Number(b[1] === "keyword") - Number(a[1] === "keyword"));
  const [using, setUsing] = useState(fields[0]?.[0] ?? "");
  const [by, setBy] = useState(indexed[0]?.[0] ?? "");
  const [size, setSize] = useState(String(SAMPLE_MAX));
  const [filter, setFilter] = useState(NO_FILTER);
  const [mapped, setMapped] = useState<Mapped | null>(null);
  const [opened, setOpened] = useState<PointId | null>(null);
  const draw = useAction(async () => {
    const started = performance.now();
    const dim = collection.schema.vectors[using]?.dim ?? 0;
    const wanted = Math.min(SAMPLE_MAX, Math.max(3, Number(size) || SAMPLE_MAX));
    const points = await sample(collection.name, using, wanted, filterOf(filter, collection));
    const rows = new Float32Array(points.length * dim);
    const kept = points.filter((_, place) => unpack(points[place]!.vectors?.[using], dim, rows, 0));
    const all = new Float32Array(kept.length * dim);
    kept.forEach((one, place) => unpack(one.vectors?.[using], dim, all, place * dim));
    if (kept.length < 3) throw new Error(`only ${kept.length} points have a vector in ${using}: a map needs 3`);
    setMapped({ points: kept, ...plane(all, dim), took: performance.now() - started });
  });
  const colours = useMemo(() => legend((mapped?.points ?? []).map((one) => valueAt(one.payload, by))), [mapped, by]);
  const keys = keysOf(collection, (mapped?.points ?? []).slice(0, 200).map((one) => one.payload));
  if (!fields.length) return <p class="dim">A map needs a dense or binary vector field.</p>;
  return (
    <>
      <section class="card">
        <form onSubmit={(event) => { event.preventDefault(); void draw.run(); }}>
          <FilterFields form={filter} onForm={setFilter} collection={collection} keys={keys} />
          <div class="row end">
            <Select label="Field" value={using} options={fields.map(([name]) => name)} onValue={setUsing} />
            <Input label="Sample" type="number" value={size} onValue={setSize} width="6em" hint="" />
            <Input label="Colour by" value={by} list={keys} onValue={setBy} width="11em" />
            <span class="gap" />
            <button class="primary" disabled={draw.busy}>{draw.busy ? "Drawing…" : "Draw"}</button>
          </div>
        </form>
      </section>
      <Problem error={draw.error} />
      {mapped && (
        <>
          <p class="summary" role="status">
            <b>{count(mapped.points.length)}</b> points in {(mapped.took / 1000).toFixed(1)} s · the plane holds {share(mapped.shares[0] + mapped.shares[1])} of the variance
            ({share(mapped.shares[0])} across, {share(mapped.shares[1])} up)
          </p>
          <section class="card map">
            <Scatter x={mapped.x} y={mapped.y} colours={colours.colours} points={mapped.points} by={by} onOpen={(place) => setOpened(mapped.points[place]!.id)} />
            <ul class={colours.numeric ? "legend numeric" : "legend"} aria-label={`Colours by ${by}`}>
              {colours.entries.map((one) => (
                <li key={one.label}>
                  <svg viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5" fill={one.colour} /></svg> {one.label}
                  {one.count !== undefined && <span class="dim">{count(one.count)}</span>}
                </li>
              ))}
            </ul>
          </section>
        </>
      )}
      {opened !== null && <PointDialog collection={collection} id={opened} onClose={() => setOpened(null)} />}
    </>
  );
}

/** Any points, each as likely as any other, in several calls with one seed. */
async function sample(collection: string, using: string, wanted: number, where: Record<string, unknown> | undefined): Promise<Scored[]> {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  const has = { has_vector: using };
  const filter = (where ? { must: [{ filter: where }, has] } : { must: [has] }) as Schemas["Filter"];
  const found: Scored[] = [];
  while (found.length < wanted) {
    const limit = Math.min(PART, wanted - found.length);
    const body: Schemas["QueryBody"] = { sample: { seed }, filter, limit, offset: found.length, with_vectors: [using], vector_encoding: "base64" };
    const { points } = await ask((db) => db.post("/v1/collections/{collection}/points/query", { path: { collection }, body }));
    found.push(...points);
    if (points.length < limit) break;
  }
  return found;
}

/** What lies at a key: a name, a name in quotes, or a path of names with dots. */
export function valueAt(payload: Record<string, unknown> | null | undefined, key: string): unknown {
  const plain = key.startsWith('"') ? key.slice(1, -1) : key;
  if (!payload || !plain || plain in payload) return payload?.[plain];
  let value: unknown = payload;
  for (const name of plain.split(".")) value = (value as Record<string, unknown> | null | undefined)?.[name];
  return value;
}
