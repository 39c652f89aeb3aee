/** Points one after another. */

import { useState } from "preact/hooks";
import type { PointId, Schemas } from "vecstore-client";
import { FilterFields, filterOf, keysOf, NO_FILTER } from "./filter";
import { count, idText } from "./format";
import { readId } from "./ids";
import { typed } from "./leg";
import { PointDialog } from "./point";
import { Gist } from "./results";
import type { Collection } from "./schema";
import { ask, useLoaded } from "./server";
import { Input, Problem, useAction } from "./ui";

const PAGE = 50;

export function PointsPage({ collection }: { collection: Collection }) {
  const [form, setForm] = useState(NO_FILTER);
  const [used, setUsed] = useState<Record<string, unknown> | undefined>(undefined);
  const [more, setMore] = useState<{ points: Schemas["StoredPoint"][]; after: PointId | null } | null>(null);
  const [opened, setOpened] = useState<PointId | null>(null);
  const [wanted, setWanted] = useState("");
  const path = { collection: collection.name };
  const page = async (after: PointId | null) =>
    ask((db) => db.post("/v1/collections/{collection}/points/scroll", { path, body: { limit: PAGE, filter: used as Schemas["Filter"], ...(after === null ? {} : { after }) } }));
  const first = useLoaded(
    async (db) => {
      const [points, total] = await Promise.all([page(null), db.post("/v1/collections/{collection}/points/count", { path, body: { filter: used as Schemas["Filter"] } })]);
      setMore(null);
      return { ...points, total: total.count };
    },
    [collection.name, used],
  );
  const points = [...(first.data?.points ?? []), ...(more?.points ?? [])];
  const after = more ? more.after : (first.data?.next_after ?? null);
  const load = useAction(async () => {
    const next = await page(after);
    setMore({ points: [...(more?.points ?? []), ...next.points], after: next.next_after });
  });
  const apply = useAction(async () => setUsed(filterOf(form, collection)));
  return (
    <>
      <section class="card">
        <form onSubmit={(event) => { event.preventDefault(); void apply.run(); }}>
          <FilterFields form={form} onForm={setForm} collection={collection} keys={keysOf(collection, points.map((one) => one.payload))} />
          <div class="row end">
            <Input label="Open by id" value={wanted} onValue={setWanted} width="18em" />
            <button type="button" disabled={!wanted.trim()} onClick={() => setOpened(readId(wanted))}>Open</button>
            <span class="gap" />
            <button class="primary">Apply filter</button>
          </div>
        </form>
      </section>
      <Problem error={apply.error ?? first.error} />
      {first.data && <p class="summary" role="status"><b>{count(first.data.total)}</b> points{used ? " match" : ""}, {count(points.length)} shown</p>}
      {points.length > 0 && (
        <section class="card scroll">
          <table class="results">
            <thead><tr><th>Id</th><th class="n">Seq</th><th>Payload</th></tr></thead>
            <tbody>
              {points.map((one) => (
                <tr key={typed(one.id)}>
                  <td><button type="button" class="link" onClick={() => setOpened(one.id)}>{idText(one.id)}</button></td>
                  <td class="n dim">{count(one.seq)}</td>
                  <td class="wide"><Gist payload={one.payload} id={one.id} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <Problem error={load.error} />
      {after !== null && points.length > 0 && <button type="button" disabled={load.busy} onClick={() => void load.run()}>{PAGE} more</button>}
      {opened !== null && <PointDialog key={typed(opened)} collection={collection} id={opened} onClose={() => setOpened(null)} onDeleted={first.reload} />}
    </>
  );
}
