/** A filter: conditions that must, or must not, hold, or any filter as JSON. */

import { useState } from "preact/hooks";
import { parse, stringify } from "vecstore-client";
import type { Collection } from "./schema";
import { Check, Field, Input, Select } from "./ui";

interface Condition {
  key: string;
  op: string;
  value: string;
  not: boolean;
}

const OPS: [string, string][] = [
  ["value", "="],
  ["any", "is one of"],
  ["gte", "≥"],
  ["lte", "≤"],
  ["text", "has the words"],
  ["prefix", "starts with"],
  ["exists", "exists"],
];

/** What a filter's form holds: conditions, or `json` where that is not null. */
export interface FilterForm {
  conditions: Condition[];
  json: string | null;
}

export const NO_FILTER: FilterForm = { conditions: [], json: null };

/** A number, true, false, or else text; text of indexed keywords stays text. */
function scalar(text: string, kind: string | undefined): unknown {
  if (kind === "keyword" || kind === "text" || kind === "datetime") return text;
  if (/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return parse(text.startsWith(".") ? `0${text}` : text);
  return text === "true" ? true : text === "false" ? false : text;
}

/** Throws where the JSON is none. */
export function filterOf(form: FilterForm, collection: Collection): Record<string, unknown> | undefined {
  if (form.json !== null) return form.json.trim() ? (parse(form.json) as Record<string, unknown>) : undefined;
  const groups: { must: unknown[]; must_not: unknown[] } = { must: [], must_not: [] };
  for (const { key, op, value, not } of form.conditions) {
    if (!key) continue;
    const kind = collection.schema.fields?.[key];
    const list = value.split(",").map((one) => scalar(one.trim(), kind));
    const condition =
      op === "exists"
        ? { exists: { key } }
        : op === "gte" || op === "lte"
          ? { key, range: { [op]: scalar(value, kind) } }
          : { key, match: { [op]: op === "any" ? list : op === "value" ? scalar(value, kind) : value } };
    groups[not ? "must_not" : "must"].push(condition);
  }
  if (!groups.must.length && !groups.must_not.length) return undefined;
  return Object.fromEntries(Object.entries(groups).filter(([, all]) => all.length));
}

interface Props {
  form: FilterForm;
  onForm: (form: FilterForm) => void;
  collection: Collection;
  keys: string[];
}

export function FilterFields({ form, onForm, collection, keys }: Props) {
  const [open, setOpen] = useState(form.conditions.length > 0 || form.json !== null);
  const { conditions, json } = form;
  const change = (place: number, to: Partial<Condition>) =>
    onForm({ ...form, conditions: conditions.map((one, at) => (at === place ? { ...one, ...to } : one)) });
  const add = () => {
    setOpen(true);
    onForm({ ...form, conditions: [...conditions, { key: keys[0] ?? "", op: "value", value: "", not: false }] });
  };
  const toJson = (on: boolean) => {
    setOpen(true);
    onForm({ ...form, json: on ? stringify(filterOf(form, collection) ?? { must: [] }, 2) : null });
  };
  return (
    <fieldset class="filter">
      <legend>Filter</legend>
      {open && json === null && conditions.map((one, place) => (
        <div class="row line" key={place}>
          <Select label="Condition" value={one.not ? "not" : "must"} options={[["must", "must"], ["not", "must not"]]} onValue={(to) => change(place, { not: to === "not" })} />
          <Input label="Key" value={one.key} list={keys} onValue={(to) => change(place, { key: to })} width="10em" />
          <Select label="Test" value={one.op} options={OPS} onValue={(to) => change(place, { op: to })} />
          {one.op !== "exists" && <Input label="Value" value={one.value} onValue={(to) => change(place, { value: to })} hint={one.op === "any" ? "with commas between" : ""} />}
          <button type="button" class="plain" aria-label="Remove condition" onClick={() => onForm({ ...form, conditions: conditions.filter((_, at) => at !== place) })}>✕</button>
        </div>
      ))}
      {json !== null && (
        <Field label="Filter as JSON" grow>
          {(id) => <textarea id={id} rows={6} spellcheck={false} value={json} onInput={(event) => onForm({ ...form, json: event.currentTarget.value })} />}
        </Field>
      )}
      <div class="row">
        {json === null && <button type="button" onClick={add}>Add condition</button>}
        <Check label="As JSON" checked={json !== null} onValue={toJson} />
      </div>
    </fieldset>
  );
}

/** Payload keys that are worth offering: those with an index, and those of some points. */
export function keysOf(collection: Collection, payloads: (Record<string, unknown> | null | undefined)[]): string[] {
  const found = new Set(Object.keys(collection.schema.fields ?? {}));
  for (const payload of payloads) for (const key of Object.keys(payload ?? {})) found.add(/[.[\]"]/.test(key) ? `"${key}"` : key);
  return [...found].sort();
}
