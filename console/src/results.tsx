/** What a query found, and how. */

import { useState } from "preact/hooks";
import { Explain, WhyNot } from "./explain";
import { count, gist, idText, ms, share, significant } from "./format";
import type { Found } from "./found";
import { PointDialog } from "./point";
import type { Collection } from "./schema";
import { Copy } from "./ui";
import { stringify } from "vecstore-client";

export function Results({ found, collection }: { found: Found; collection: Collection }) {
  const [opened, setOpened] = useState<number | null>(null);
  const { answer, legs, took } = found;
  const several = legs.length > 1;
  const quality = answer.quality;
  const point = opened === null ? undefined : answer.points[opened];
  return (
    <>
      <p class="summary" role="status">
        <b>{count(answer.points.length)}</b> points in {ms(took)}
        {typeof answer.explain?.["total_ms"] === "number" && <>, of which {ms(answer.explain["total_ms"])} in the engine</>}
        {quality && (
          <>
            {" · "}<code>{quality.strategy}</code>
            {" · "}{quality.est_recall === null ? "recall not known" : quality.est_recall === 1 ? "exact" : `expected recall ${share(quality.est_recall)}`}
            {!quality.complete && <b class="bad"> · not complete</b>}
          </>
        )}
        <span class="gap" />
        <Copy label="Copy query as JSON" text={stringify(found.query, 2)} />
      </p>
      {answer.points.length > 0 && (
        <section class="card scroll">
          <table class="results">
            <thead>
              <tr>
                <th class="n">#</th><th>Id</th><th class="n">Score</th>
                {several && legs.map((leg) => <th class="n" key={leg}>{leg}</th>)}
                <th>Payload</th>
              </tr>
            </thead>
            <tbody>
              {answer.points.map((one, place) => (
                <tr key={place}>
                  <td class="n dim">{place + 1}</td>
                  <td><button type="button" class="link" onClick={() => setOpened(place)}>{idText(one.id)}</button></td>
                  <td class="n">{significant(one.score)}</td>
                  {several && legs.map((leg, at) => {
                    const part = one.legs?.find((given) => given.prefetch === at);
                    return <td class="n" key={leg}>{part ? significant(part.score) : <span class="dim">–</span>}</td>;
                  })}
                  <td class="wide" title={gist(one.payload)}><Gist payload={one.payload} id={one.id} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {answer.explain && <Explain tree={answer.explain} />}
      <WhyNot query={found.query} collection={collection} />
      {point && <PointDialog collection={collection} id={point.id} onClose={() => setOpened(null)} />}
    </>
  );
}

/** The longest text, and the other values small. */
export function Gist({ payload, id }: { payload: Record<string, unknown> | null | undefined; id: unknown }) {
  const text = gist(payload);
  const rest = Object.entries(payload ?? {}).filter(([, value]) => value !== text && value !== id && (typeof value !== "object" || value === null));
  return (
    <>
      <span class="gist">{text}</span>
      <span class="pairs">{rest.slice(0, 6).map(([key, value]) => <span key={key}>{key} <b>{String(value)}</b></span>)}</span>
    </>
  );
}
