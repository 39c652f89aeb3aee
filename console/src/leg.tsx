/** One field that is searched, and what with. */

import { useState } from "preact/hooks";
import { parse, type PointId, type Schemas } from "vecstore-client";
import { idText, short } from "./format";
import { readId } from "./ids";
import { type Collection, describe, kindOf, takesText } from "./schema";
import { ask } from "./server";
import { Field, Input, Problem, Select, useAction } from "./ui";

export type Way = "text" | "id" | "vector";

export interface Leg {
  using: string;
  way: Way;
  text: string;
  id: string;
  vector: string;
  weight: string;
}

export function newLeg(collection: Collection, using: string): Leg {
  const way = takesText(collection.schema.vectors[using]) ? "text" : "id";
  return { using, way, text: "", id: "", vector: "", weight: "1" };
}

/** The field to begin with: one that takes texts, where there is one. */
export function firstField(collection: Collection): string {
  const fields = Object.entries(collection.schema.vectors);
  return (fields.find(([, field]) => takesText(field)) ?? fields[0] ?? [""])[0];
}

type Ranked = Pick<Schemas["PrefetchSpec"], "nearest" | "nearest_id" | "using">;

/** What a leg asks. Throws Error where something is missing or no JSON. */
export function rankedOf(leg: Leg): Ranked {
  if (leg.way === "text") {
    if (!leg.text.trim()) throw new Error(`${leg.using}: type a text to search for`);
    return { nearest: leg.text, using: leg.using };
  }
  if (leg.way === "id") {
    if (!leg.id.trim()) throw new Error(`${leg.using}: type the id of a point, or take a random one`);
    return { nearest_id: readId(leg.id), using: leg.using };
  }
  try {
    return { nearest: parse(leg.vector) as Schemas["PrefetchSpec"]["nearest"], using: leg.using };
  } catch {
    throw new Error(`${leg.using}: the vector is not JSON such as [0.1, 0.2]`);
  }
}

interface Props {
  leg: Leg;
  onLeg: (leg: Leg) => void;
  collection: Collection;
  weighted: boolean;
  onRemove?: () => void;
}

export function LegFields({ leg, onLeg, collection, weighted, onRemove }: Props) {
  const field = collection.schema.vectors[leg.using];
  const fields = Object.entries(collection.schema.vectors);
  const ways: [Way, string][] = [
    ...(takesText(field) ? ([["text", "text"]] as [Way, string][]) : []),
    ...(kindOf(field) === "text" ? [] : ([["id", "like a point"], ["vector", "vector"]] as [Way, string][])),
  ];
  const [picked, setPicked] = useState("");
  const pick = useAction(async () => {
    const found = await ask((db) =>
      db.post("/v1/collections/{collection}/points/query", {
        path: { collection: collection.name },
        body: { sample: {}, limit: 1, filter: { must: [{ has_vector: leg.using }] } },
      }),
    );
    const one = found.points[0];
    if (!one) throw new Error("the collection has no points");
    setPicked(short(one.payload ?? {}));
    onLeg({ ...leg, way: "id", id: typed(one.id) });
  });
  return (
    <div class="row line">
      <Select label="Field" value={leg.using} options={fields.map(([name, one]) => [name, `${name} (${describe(one)})`])}
        onValue={(using) => onLeg({ ...newLeg(collection, using), weight: leg.weight, text: leg.text })} />
      {ways.length > 1 && <Select label="By" value={leg.way} options={ways} onValue={(way) => onLeg({ ...leg, way: way as Way })} />}
      {leg.way === "text" && <Input label="Text" value={leg.text} onValue={(text) => onLeg({ ...leg, text })} grow />}
      {leg.way === "id" && (
        <>
          <Input label="Id" value={leg.id} onValue={(id) => { setPicked(""); onLeg({ ...leg, id }); }} grow hint={picked} />
          <button type="button" disabled={pick.busy} onClick={() => void pick.run()}>Random</button>
        </>
      )}
      {leg.way === "vector" && (
        <Field label="Vector" grow hint={shape(kindOf(field), field?.dim ?? 0)}>
          {(id) => <textarea id={id} rows={2} spellcheck={false} value={leg.vector} onInput={(event) => onLeg({ ...leg, vector: event.currentTarget.value })} />}
        </Field>
      )}
      {weighted && <Input label="Weight" type="number" value={leg.weight} onValue={(weight) => onLeg({ ...leg, weight })} width="5em" />}
      {onRemove && <button type="button" class="plain" aria-label={`Remove ${leg.using}`} onClick={onRemove}>✕</button>}
      <Problem error={pick.error} />
    </div>
  );
}

/** An id so that `readId` gives it back. */
export function typed(id: PointId): string {
  if (typeof id === "object") return JSON.stringify(id);
  return typeof id === "string" && (/^\d{1,20}$/.test(id) || /^["{]/.test(id)) ? JSON.stringify(id) : idText(id);
}

function shape(kind: string, dim: number): string {
  if (kind === "sparse") return 'Such as {"indices": [3, 17], "values": [0.5, 1.25]}';
  if (kind === "binary") return `${dim} bits, such as {"data": "<base64>", "dtype": "bit"}`;
  if (kind === "multi") return `A list of ${dim} numbers for each token`;
  return `${dim} numbers, such as [0.1, 0.2, …]`;
}
