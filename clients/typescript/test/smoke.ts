/** What a program does with a server, once through; tests/clients runs it and looks at what it tells. */

import { type Schemas, Vecstore, VecstoreError } from "../src/index.js";

const SCHEMA: Schemas["SchemaSpec"] = {
  vectors: { text: { dim: 4 }, body: { kind: "text" } },
  fields: { lang: "keyword" },
};
const LARGEST = 2n ** 64n - 1n;

export async function smoke(url: string, apiKey: string): Promise<unknown> {
  const db = new Vecstore(url, { apiKey, timeoutMs: 20_000 });
  const path = { collection: "typescript" };
  const created = await db.put("/v1/collections/{collection}", { path, body: { schema: SCHEMA } });
  const written = await db.put("/v1/collections/{collection}/points", {
    path,
    body: {
      points: [
        { id: 1, vectors: { text: [1, 0, 0, 0], body: "a whale and a captain" }, payload: { lang: "en" } },
        { id: 2, vectors: { text: [0, 1, 0, 0], body: "ein Wal" }, payload: { lang: "de" } },
        { id: LARGEST, vectors: { text: [0.9, 0.1, 0, 0], body: "a ship" }, payload: { lang: "en", count: LARGEST } },
      ],
    },
  });
  const filter = { must: [{ key: "lang", match: { value: "en" } }] };
  const near = await db.post("/v1/collections/{collection}/points/query", {
    path,
    body: { nearest: [0, 1, 0, 0], using: "text", limit: 2, filter },
  });
  const both = await db.post("/v1/collections/{collection}/points/query", {
    path,
    body: {
      prefetch: [
        { nearest: [1, 0, 0, 0], using: "text", limit: 3 },
        { nearest: "a captain", using: "body", limit: 3 },
      ],
      fusion: { rrf: { k: 60 } },
      limit: 3,
    },
  });
  const large = await db.post("/v1/collections/{collection}/points/get", { path, body: { ids: [LARGEST] } });
  const point = await db.get("/v1/collections/{collection}/points/{id}", {
    path: { ...path, id: String(LARGEST) },
    query: { with_vectors: true },
  });
  const alias = { alias: "live" };
  const aliased = await db.put("/v1/aliases/{alias}", { path: alias, body: { collection: "typescript" } });
  const byAlias = await db.post("/v1/collections/{collection}/points/count", {
    path: { collection: "live" },
    body: { min_seqs: { typescript: written.seq } },
  });
  const unaliased = await db.delete("/v1/aliases/{alias}", { path: alias });
  const deleted = await db.post("/v1/collections/{collection}/points/delete", { path, body: { ids: [1] } });
  const left = await db.post("/v1/collections/{collection}/points/count", { path });
  const metrics = await db.text("get", "/metrics");
  const dropped = await db.delete("/v1/collections/{collection}", { path });
  return {
    created: created.name,
    changed: written.changed,
    near: near.points.map((one) => String(one.id)),
    hybrid: both.points.map((one) => [String(one.id), one.legs?.length]),
    large: large.points.map((one) => one.id === LARGEST && one.payload?.["count"] === LARGEST),
    vector: point.vectors?.["text"],
    aliased: [aliased.collection, byAlias.count, unaliased.deleted],
    deleted: deleted.changed,
    left: left.count,
    metrics: metrics.includes("vecstore_collection_points"),
    dropped: dropped.deleted,
    refusals: [
      await refusal(() => db.get("/v1/collections/{collection}", { path })),
      await refusal(() => new Vecstore(url, { apiKey: "wrong" }).get("/v1/collections")),
      await refusal(() => new Vecstore("http://127.0.0.1:9").get("/v1/collections")),
    ],
  };
}

async function refusal(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    return error instanceof VecstoreError ? [error.status, error.reason, error.requestId !== ""] : String(error);
  }
}
