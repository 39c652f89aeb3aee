/** One point with all it has. */

import { useState } from "preact/hooks";
import { type PointId, stringify } from "vecstore-client";
import { count, idText, significant } from "./format";
import { typed } from "./leg";
import type { Collection } from "./schema";
import { ask, useLoaded } from "./server";
import { Confirm, Copy, Dialog, Json, Problem } from "./ui";

const SHOWN = 12; // components of a vector

export function PointDialog({ collection, id, onClose, onDeleted }: { collection: Collection; id: PointId; onClose: () => void; onDeleted?: () => void }) {
  const [deleting, setDeleting] = useState(false);
  const path = { collection: collection.name };
  const found = useLoaded(
    (db) => db.post("/v1/collections/{collection}/points/get", { path, body: { ids: [id], with_payload: true, with_vectors: true } }),
    [typed(id)],
  );
  const point = found.data?.points[0];
  if (deleting) {
    const remove = async () => {
      await ask((db) => db.post("/v1/collections/{collection}/points/delete", { path, body: { ids: [id] } }));
      onDeleted?.();
      onClose();
    };
    return (
      <Confirm title="Delete point" action="Delete" onYes={remove} onClose={() => setDeleting(false)}>
        Deletes point <b>{idText(id)}</b> of {collection.name}. This cannot be undone.
      </Confirm>
    );
  }
  return (
    <Dialog title={`Point ${idText(id)}`} onClose={onClose} wide>
      <Problem error={found.error} />
      {found.data && !point && <p>There is no such point any more.</p>}
      {point && (
        <>
          <p class="dim">seq {count(point.seq)}</p>
          <Json value={point.payload ?? null} />
          <table>
            <tbody>
              {Object.entries(point.vectors ?? {}).map(([name, vector]) => (
                <tr key={name}><th scope="row">{name}</th><td class="wide"><code>{vectorText(vector)}</code></td><td class="n"><Copy text={stringify(vector)} /></td></tr>
              ))}
            </tbody>
          </table>
          <footer>
            <Copy label="Copy payload" text={stringify(point.payload ?? null, 2)} />
            <button type="button" class="danger" onClick={() => setDeleting(true)}>Delete</button>
          </footer>
        </>
      )}
    </Dialog>
  );
}

function vectorText(vector: unknown): string {
  if (typeof vector === "string") return vector;
  if (Array.isArray(vector)) {
    const rows = Array.isArray(vector[0]);
    const flat = (rows ? vector[0] : vector) as number[];
    const head = flat.slice(0, SHOWN).map((one) => significant(one)).join(", ");
    return `${rows ? `${vector.length} × ` : ""}${flat.length}: [${head}${flat.length > SHOWN ? ", …" : ""}]`;
  }
  const { indices, values, data, dtype } = vector as { indices?: number[]; values?: number[]; data?: string; dtype?: string };
  if (indices && values) {
    const head = indices.slice(0, SHOWN).map((index, place) => `${index}: ${significant(values[place] ?? 0)}`).join(", ");
    return `${indices.length} terms: {${head}${indices.length > SHOWN ? ", …" : ""}}`;
  }
  return `${dtype ?? "float32"} ${data ?? ""}`;
}
