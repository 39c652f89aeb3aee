/** Long jobs: index builds, merges, verification. */

import { clock, count } from "./format";
import { ask, useLoaded } from "./server";
import { Problem, Progress, State, useAction } from "./ui";

const EVERY_MS = 2_000;

export function Jobs({ title, collection, most }: { title: string; collection?: string; most: number }) {
  const query = collection === undefined ? {} : { query: { collection } };
  const jobs = useLoaded((db) => db.get("/v1/operations", query), [collection], EVERY_MS);
  const all = [...(jobs.data?.operations ?? [])].sort((a, b) => b.started_at - a.started_at).slice(0, most);
  if (!all.length && !jobs.error) return null;
  return (
    <section class="card scroll">
      <h2>{title}</h2>
      <Problem error={jobs.error} />
      <table>
        <thead>
          <tr><th>Kind</th>{collection === undefined && <th>Collection</th>}<th>State</th><th>Progress</th><th>Started</th><th class="n">Took</th><th /></tr>
        </thead>
        <tbody>
          {all.map((one) => (
            <tr key={one.id}>
              <td>{one.kind.replaceAll("_", " ")}</td>
              {collection === undefined && <td>{one.collection}</td>}
              <td><State state={one.state} /></td>
              <td>
                {one.state === "running" ? (
                  <span class="run">
                    <Progress done={one.done} total={one.total} label={one.phase} />
                    {one.phase} {one.total > 0 && <>{count(one.done)} / {count(one.total)}</>}
                    {one.eta_s !== null && <> · {one.eta_s.toFixed(0)} s left</>}
                  </span>
                ) : (
                  one.error ?? ""
                )}
              </td>
              <td class="t">{clock(one.started_at)}</td>
              <td class="n">{one.finished_at === null ? "" : `${(one.finished_at - one.started_at).toFixed(1)} s`}</td>
              <td class="n">{one.state === "running" && <Stop id={one.id} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Stop({ id }: { id: string }) {
  const stop = useAction(async () => {
    await ask((db) => db.post("/v1/operations/{id}/cancel", { path: { id } }));
  });
  return (
    <>
      <button type="button" disabled={stop.busy} onClick={() => void stop.run()}>Stop</button>
      <Problem error={stop.error} />
    </>
  );
}
