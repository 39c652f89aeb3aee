/** All collections, with what they hold and what is going on in them. */

import { useState } from "preact/hooks";
import type { Schemas } from "vecstore-client";
import { CreateDialog } from "./create";
import { DeleteCollection } from "./deleting";
import { bytes, count } from "./format";
import { Jobs } from "./jobs";
import { useLoaded } from "./server";
import { describe, type Stats, sum } from "./schema";
import { Problem, State } from "./ui";

const WITH_STATS_MAX = 100; // collections: each takes a call of its own
const EVERY_MS = 5_000;

interface Row {
  collection: Schemas["Collection"];
  stats: Stats | undefined;
}

export function Collections() {
  const [creating, setCreating] = useState(false);
  const [deleting, setDeleting] = useState("");
  const [wanted, setWanted] = useState("");
  const list = useLoaded(
    async (db) => {
      const { collections } = await db.get("/v1/collections");
      const stats = await Promise.all(
        collections.slice(0, WITH_STATS_MAX).map((one) =>
          db
            .get("/v1/collections/{collection}/stats", { path: { collection: one.name } })
            .then((answer) => answer.stats as unknown as Stats, () => undefined),
        ),
      );
      return collections.map((collection, place): Row => ({ collection, stats: stats[place] }));
    },
    [],
    EVERY_MS,
  );
  const rows = (list.data ?? []).filter((row) => row.collection.name.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <>
      <div class="head">
        <h1>Collections</h1>
        <input type="search" aria-label="Search collections by name" placeholder="Filter by name" value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)} />
        <span class="gap" />
        <button type="button" onClick={list.reload}>Refresh</button>
        <button type="button" class="primary" onClick={() => setCreating(true)}>New collection</button>
      </div>
      <Problem error={list.error} />
      {list.data && list.data.length === 0 && (
        <section class="card empty">
          <p>There are no collections yet.</p>
          <button type="button" class="primary" onClick={() => setCreating(true)}>New collection</button>
        </section>
      )}
      {rows.length > 0 && (
        <section class="card scroll">
          <table>
            <thead>
              <tr><th>Name</th><th class="n">Points</th><th>Vector fields</th><th>State</th><th class="n">Bytes</th><th class="n">Segments</th><th /></tr>
            </thead>
            <tbody>
              {rows.map(({ collection, stats }) => (
                <tr key={collection.name}>
                  <td><a href={`#/c/${encodeURIComponent(collection.name)}`}><b>{collection.name}</b></a></td>
                  <td class="n">{count(collection.points)}</td>
                  <td>
                    {Object.entries(collection.schema.vectors).map(([name, field]) => (
                      <span class="chip" key={name}>
                        <b>{name}</b> {describe(field)}
                        {field.embedder && <> · {field.embedder}</>}
                      </span>
                    ))}
                  </td>
                  <td>{stats ? <State state={indexState(stats)} /> : "–"}</td>
                  <td class="n">{stats ? bytes(sum(stats.bytes)) : "–"}</td>
                  <td class="n">{stats ? count(stats.segments.length) : "–"}</td>
                  <td class="n">
                    <button type="button" class="plain" aria-label={`Delete ${collection.name}`} title="Delete"
                      onClick={() => setDeleting(collection.name)}>✕</button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <Jobs title="Operations" most={12} />
      {creating && <CreateDialog onClose={() => setCreating(false)} />}
      {deleting && <DeleteCollection name={deleting} onClose={() => setDeleting("")} onDone={list.reload} />}
    </>
  );
}

/** The state that most needs to be known. */
function indexState(stats: Stats): string {
  if (stats.state !== "ok") return stats.state;
  const states = Object.values(stats.vectors).map((one) => one.index_state);
  return states.find((one) => one !== "ready" && one !== "none") ?? "ready";
}
