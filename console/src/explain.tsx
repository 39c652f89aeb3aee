/** How a query was answered, and why a point is not among the answers: trees that the server gives, made readable. */

import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { count, ms, share, significant } from "./format";
import type { Query } from "./found";
import { readId } from "./ids";
import type { Collection } from "./schema";
import { ask } from "./server";
import { Input, Problem, useAction } from "./ui";

type Tree = Record<string, unknown>;

/** What a branch is called by, in order of preference; the rest are its facts. */
const TITLES = ["stage", "using", "strategy", "kind"];
const PROSE: Record<string, string> = {
  answer: "It is among the answers.",
  absent: "There is no such point.",
  deleted: "It was deleted.",
  filtered: "The filter leaves it out.",
  no_vector: "It has no vector in the field.",
  no_match: "It has nothing in common with the query, or is the example itself.",
  threshold: "Its score is worse than the threshold.",
  prefetch: "None of the fields found it.",
  rank: "Others are nearer: its rank is past the limit.",
  offset: "Its rank is within the offset.",
  index: "Its true rank is within the limit, but the index missed it: ask for more recall.",
  diversity: "More diverse points were chosen.",
};

export function Explain({ tree }: { tree: Tree }) {
  return (
    <section class="card">
      <h2>How it was answered</h2>
      <ul class="tree"><Branch tree={tree} name="query" /></ul>
    </section>
  );
}

function Branch({ tree, name }: { tree: Tree; name: string }) {
  const titled = TITLES.filter((key) => typeof tree[key] === "string");
  const facts: [string, unknown][] = [];
  const branches: [string, Tree][] = [];
  for (const [key, value] of Object.entries(tree)) {
    if (titled.includes(key) || value === null) continue;
    if (Array.isArray(value) && value.length > 0 && value.every(isTree)) {
      branches.push(...value.map((one, place): [string, Tree] => [value.length > 1 ? `${single(key)} ${place + 1}` : single(key), one]));
    } else if (isTree(value)) {
      branches.push([key, value]);
    } else {
      facts.push([key, value]);
    }
  }
  return (
    <li>
      <span class="twig">
        <b>{name.replaceAll("_", " ")}</b>
        {titled.map((key) => <code key={key} class={key}>{String(tree[key])}</code>)}
        {facts.map(([key, value]) => <span key={key} class={key.endsWith("_ms") ? "fact time" : "fact"}>{key.replace(/_ms$/, "").replaceAll("_", " ")} <b>{fact(key, value)}</b></span>)}
      </span>
      {branches.length > 0 && <ul>{branches.map(([key, one]) => <Branch key={key} name={key} tree={one} />)}</ul>}
    </li>
  );
}

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);
const single = (key: string): string => (key === "prefetch" ? "prefetch" : key.replace(/s$/, ""));

function fact(key: string, value: unknown): ComponentChildren {
  if (typeof value === "number") {
    if (key.endsWith("_ms")) return ms(value);
    if (key.includes("recall")) return share(value);
    return Number.isInteger(value) ? count(value) : significant(value);
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function WhyNot({ query, collection }: { query: Query; collection: Collection }) {
  const [id, setId] = useState("");
  const [report, setReport] = useState<Tree | null>(null);
  const look = useAction(async () => {
    setReport(null);
    const body = { query: { ...query, explain: false }, id: readId(id) };
    const answer = await ask((db) =>
      db.post("/v1/collections/{collection}/points/query/why_not", { path: { collection: collection.name }, body }),
    );
    setReport(answer.report);
  });
  const verdict = String(report?.["verdict"] ?? "");
  return (
    <section class="card">
      <h2>Why is a point not among them?</h2>
      <form class="row end" onSubmit={(event) => { event.preventDefault(); void look.run(); }}>
        <Input label="Id of the point" value={id} onValue={setId} grow />
        <button disabled={!id.trim() || look.busy}>Ask</button>
      </form>
      <Problem error={look.error} />
      {report && (
        <div role="status">
          <p><b>{PROSE[verdict] ?? verdict}</b></p>
          <ul class="tree"><Branch tree={report} name="report" /></ul>
        </div>
      )}
    </section>
  );
}
