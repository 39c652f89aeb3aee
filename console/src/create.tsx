/** A new collection: its fields in a form, or its schema as JSON. */

import { useState } from "preact/hooks";
import { parse, type Schemas, stringify } from "vecstore-client";
import { ask } from "./server";
import { FIELD_KINDS, type FieldKind, KINDS, type Kind, METRICS, type Metric, SIZED } from "./schema";
import { Check, Dialog, Field, Input, Problem, Select, useAction } from "./ui";

interface VectorRow {
  name: string;
  kind: Kind;
  dim: string;
  metric: Metric | "";
  index: string;
  embedder: string;
}

interface KeyRow {
  key: string;
  kind: FieldKind;
}

const NEW: VectorRow = { name: "", kind: "dense", dim: "", metric: "", index: "", embedder: "" };
const OF_DOCUMENTS: KeyRow[] = [
  { key: "document.id", kind: "keyword" },
  { key: "chunk.number", kind: "integer" },
];
const INDEXES = ["flat", "graph", "ivf | saq(bits=4)", "ivf | saq(bits=2) | rerank(stored)"];

function schemaOf(vectors: VectorRow[], keys: KeyRow[]): Schemas["SchemaSpec"] {
  const fields: Schemas["SchemaSpec"]["vectors"] = {};
  for (const row of vectors) {
    if (!row.name) continue;
    const dim = Number(row.dim);
    fields[row.name] = {
      ...(row.kind === "dense" ? {} : { kind: row.kind }),
      ...(SIZED.has(row.kind) && row.dim ? { dim } : {}),
      ...(row.metric ? { metric: row.metric } : {}),
      ...(row.index ? { index: row.index } : {}),
      ...(row.embedder ? { embedder: row.embedder } : {}),
    };
  }
  return { vectors: fields, fields: Object.fromEntries(keys.filter((one) => one.key).map((one) => [one.key, one.kind])) };
}

export function CreateDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [vectors, setVectors] = useState<VectorRow[]>([{ ...NEW, name: "dense" }]);
  const [keys, setKeys] = useState<KeyRow[]>([]);
  const [json, setJson] = useState<string | null>(null);
  const documents = keys.some((one) => one.key === "document.id");
  const change = (place: number, to: Partial<VectorRow>) =>
    setVectors(vectors.map((row, one) => (one === place ? { ...row, ...to } : row)));
  const create = useAction(async () => {
    const schema = json === null ? schemaOf(vectors, keys) : (parse(json) as Schemas["SchemaSpec"]);
    await ask((db) => db.put("/v1/collections/{collection}", { path: { collection: name }, body: { schema } }));
    location.hash = `#/c/${encodeURIComponent(name)}`;
    onClose();
  });
  return (
    <Dialog title="New collection" onClose={onClose} wide>
      <form onSubmit={(event) => { event.preventDefault(); void create.run(); }}>
        <div class="row">
          <Input label="Name" value={name} onValue={setName} grow first hint="Letters, digits, _ and -" />
          <Check label="As JSON" checked={json !== null} onValue={(on) => setJson(on ? stringify(schemaOf(vectors, keys), 2) : null)} />
        </div>
        {json !== null ? (
          <Field label="Schema">
            {(id) => <textarea id={id} rows={14} spellcheck={false} value={json} onInput={(event) => setJson(event.currentTarget.value)} />}
          </Field>
        ) : (
          <>
            <fieldset>
              <legend>Vector fields</legend>
              {vectors.map((row, place) => (
                <div class="row line" key={place}>
                  <Input label="Field" value={row.name} onValue={(to) => change(place, { name: to })} width="9em" />
                  <Select label="Kind" value={row.kind} options={KINDS} onValue={(to) => change(place, { kind: to as Kind, metric: "" })} />
                  {SIZED.has(row.kind) && (
                    <Input label={row.kind === "binary" ? "Bits" : "Dimensions"} type="number" value={row.dim} width="7em"
                      placeholder={row.embedder ? "of the model" : ""} onValue={(to) => change(place, { dim: to })} />
                  )}
                  <Select label="Metric" value={row.metric || (METRICS[row.kind][0] ?? "")} options={METRICS[row.kind]}
                    onValue={(to) => change(place, { metric: to as Metric })} />
                  <Input label="Index" value={row.index} list={INDEXES} placeholder="auto" width="11em" onValue={(to) => change(place, { index: to })} />
                  {row.kind !== "text" && row.kind !== "binary" && (
                    <Input label="Embedder" value={row.embedder} placeholder="none" width="8em" onValue={(to) => change(place, { embedder: to })} />
                  )}
                  <button type="button" class="plain" aria-label={`Remove field ${row.name}`} onClick={() => setVectors(vectors.filter((_, one) => one !== place))}>✕</button>
                </div>
              ))}
              <button type="button" onClick={() => setVectors([...vectors, { ...NEW }])}>Add vector field</button>
            </fieldset>
            <fieldset>
              <legend>Payload indexes</legend>
              {keys.map((row, place) => (
                <div class="row line" key={place}>
                  <Input label="Key" value={row.key} onValue={(to) => setKeys(keys.map((one, at) => (at === place ? { ...one, key: to } : one)))} />
                  <Select label="Kind" value={row.kind} options={FIELD_KINDS}
                    onValue={(to) => setKeys(keys.map((one, at) => (at === place ? { ...one, kind: to as FieldKind } : one)))} />
                  <button type="button" class="plain" aria-label={`Remove index ${row.key}`} onClick={() => setKeys(keys.filter((_, one) => one !== place))}>✕</button>
                </div>
              ))}
              <div class="row">
                <button type="button" onClick={() => setKeys([...keys, { key: "", kind: "keyword" }])}>Add payload index</button>
                <Check label="For documents (text and Markdown, HTML and PDF files)" checked={documents}
                  onValue={(on) => {
                    setKeys(on ? [...keys, ...OF_DOCUMENTS] : keys.filter((one) => !OF_DOCUMENTS.some((own) => own.key === one.key)));
                    if (on && !vectors.some((row) => row.kind === "text")) setVectors([...vectors.filter((row) => row.dim || row.embedder), { ...NEW, name: "body", kind: "text" }]);
                  }} />
              </div>
            </fieldset>
          </>
        )}
        <Problem error={create.error} />
        <footer>
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="primary" disabled={!name || create.busy}>Create</button>
        </footer>
      </form>
    </Dialog>
  );
}
