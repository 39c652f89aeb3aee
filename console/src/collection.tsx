/** One collection: its pages, and the first of them, an overview. */

import { useState } from "preact/hooks";
import { DeleteCollection } from "./deleting";
import { bytes, count, share } from "./format";
import { ImportPage } from "./importing";
import { Jobs } from "./jobs";
import { MapPage } from "./map";
import { PointsPage } from "./points";
import { type Collection, forDocuments, type Stats, sum } from "./schema";
import { SearchPage } from "./search";
import { ask, useLoaded } from "./server";
import { Bar, Problem, State, useAction } from "./ui";

const EVERY_MS = 5_000;
const TABS = { overview: "Overview", search: "Search", points: "Points", map: "Map", import: "Import" };

export function CollectionPage({ name, tab }: { name: string; tab: string }) {
  const path = { collection: name };
  const found = useLoaded((db) => db.get("/v1/collections/{collection}", { path }), [name]);
  const collection = found.data;
  return (
    <>
      <div class="head">
        <h1>{name}</h1>
        {collection && <span class="dim">{count(collection.points)} points{forDocuments(collection) && ", documents"}</span>}
        <nav class="tabs" aria-label={`Pages of ${name}`}>
          {Object.entries(TABS).map(([key, label]) => (
            <a key={key} href={`#/c/${encodeURIComponent(name)}/${key}`} aria-current={tab === key ? "page" : undefined}>{label}</a>
          ))}
        </nav>
      </div>
      <Problem error={found.error} />
      {collection && tab === "overview" && <Overview collection={collection} />}
      {collection && tab === "search" && <SearchPage collection={collection} />}
      {collection && tab === "points" && <PointsPage collection={collection} />}
      {collection && tab === "map" && <MapPage collection={collection} />}
      {collection && tab === "import" && <ImportPage collection={collection} onDone={found.reload} />}
    </>
  );
}

function Overview({ collection }: { collection: Collection }) {
  const name = collection.name;
  const [deleting, setDeleting] = useState(false);
  const loaded = useLoaded(
    async (db) => (await db.get("/v1/collections/{collection}/stats", { path: { collection: name } })).stats as unknown as Stats,
    [name],
    EVERY_MS,
  );
  const compact = useAction(async () => {
    await ask((db) => db.post("/v1/collections/{collection}/compact", { path: { collection: name } }));
    loaded.reload();
  });
  const stats = loaded.data;
  return (
    <>
      <Problem error={loaded.error} />
      <Problem error={compact.error} />
      {stats && (
        <>
          <dl class="facts">
            <div><dt>Points</dt><dd>{count(stats.points)}</dd></div>
            <div><dt>Dead rows</dt><dd>{count(stats.deleted)}</dd></div>
            <div><dt>Bytes</dt><dd>{bytes(sum(stats.bytes))}</dd></div>
            <div><dt>Log</dt><dd>{bytes(stats.log_bytes)}</dd></div>
            <div><dt>Segments</dt><dd>{count(stats.segments.length)}</dd></div>
            <div><dt>Writes</dt><dd>{count(stats.seq)}</dd></div>
            <div><dt>State</dt><dd><State state={stats.state} /></dd></div>
            <div class="actions">
              <button type="button" onClick={loaded.reload}>Refresh</button>
              <button type="button" disabled={compact.busy} onClick={() => void compact.run()}>Compact</button>
              <button type="button" class="danger" onClick={() => setDeleting(true)}>Delete</button>
            </div>
          </dl>
          <section class="card scroll">
            <h2>Vector fields</h2>
            <table>
              <thead>
                <tr><th>Field</th><th>Kind</th><th class="n">Dim</th><th>Metric</th><th>Datatype</th><th>Index</th><th>State</th><th>Rows served by</th><th class="n">Bytes</th></tr>
              </thead>
              <tbody>
                {Object.entries(stats.vectors).map(([field, one]) => (
                  <tr key={field}>
                    <td><b>{field}</b></td>
                    <td>
                      {one.kind}
                      {collection.schema.vectors[field]?.embedder && <span class="dim"> by {collection.schema.vectors[field]?.embedder}</span>}
                    </td>
                    <td class="n">{one.dim || ""}</td>
                    <td>{one.metric}</td>
                    <td>{one.kind === "dense" || one.kind === "multi" ? one.datatype : ""}</td>
                    <td><code>{one.index}</code></td>
                    <td><State state={one.index_state} /></td>
                    <td>{Object.entries(one.served_by).map(([by, rows]) => <span class="chip" key={by}><code>{by}</code> {count(rows)}</span>)}</td>
                    <td class="n" title={Object.entries(one.bytes).map(([part, size]) => `${part}: ${bytes(size)}`).join("\n")}>{bytes(sum(one.bytes))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
          <div class="columns">
            <Sizes stats={stats} />
            <section class="card">
              <h2>Payload indexes</h2>
              {Object.keys(stats.fields).length === 0 && <p class="dim">None: filters read the payloads.</p>}
              {Object.entries(stats.fields).map(([key, kind]) => <span class="chip" key={key}><b>{key}</b> {kind}</span>)}
              {(stats.observed_recall?.length ?? 0) > 0 && (
                <>
                  <h2>Recall of live queries</h2>
                  <table>
                    <thead><tr><th>Field</th><th>Strategy</th><th class="n">Queries</th><th class="n">Recall</th><th class="n">95 % interval</th><th class="n">Promised</th></tr></thead>
                    <tbody>
                      {stats.observed_recall?.map((one) => (
                        <tr key={`${one.using} ${one.strategy}`}>
                          <td>{one.using}</td><td><code>{one.strategy}</code></td><td class="n">{count(one.checked)}</td>
                          <td class="n">{share(one.recall)}</td><td class="n">{share(one.low)} – {share(one.high)}</td>
                          <td class="n">{one.est_recall === null ? "–" : share(one.est_recall)}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </>
              )}
            </section>
          </div>
          <Jobs title="Operations" collection={name} most={8} />
          <section class="card scroll">
            <h2>Segments</h2>
            <table>
              <thead><tr><th class="n">Id</th><th>Kind</th><th class="n">Rows</th><th class="n">Dead</th><th>Indexes</th><th class="n">Bytes</th></tr></thead>
              <tbody>
                {stats.segments.map((one) => (
                  <tr key={one.id}>
                    <td class="n">{one.id}</td><td>{one.kind}</td><td class="n">{count(one.rows)}</td><td class="n">{count(one.deleted)}</td>
                    <td>{Object.entries(one.vector_indexes ?? {}).map(([field, index]) => <span class="chip" key={field}><b>{field}</b> <code>{index}</code></span>)}</td>
                    <td class="n">{bytes(sum(one.bytes))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </>
      )}
      {deleting && <DeleteCollection name={name} onClose={() => setDeleting(false)} onDone={() => { location.hash = "#/"; }} />}
    </>
  );
}

function Sizes({ stats }: { stats: Stats }) {
  const parts = Object.entries(stats.bytes).filter(([, size]) => size > 0).sort((a, b) => b[1] - a[1]);
  const largest = parts[0]?.[1] ?? 1;
  return (
    <section class="card">
      <h2>Bytes by component</h2>
      <table class="bars">
        <tbody>
          {parts.map(([part, size]) => (
            <tr key={part}>
              <th scope="row">{part}</th>
              <td class="bar"><Bar share={size / largest} /></td>
              <td class="n">{bytes(size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
