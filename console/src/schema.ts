/** What a collection's schema allows. */

import type { Schemas } from "vecstore-client";

export type Collection = Schemas["Collection"];
export type VectorField = Schemas["VectorFieldSpec"];
export type Kind = Schemas["VectorKind"];
export type Metric = Schemas["Metric"];
export type FieldKind = Schemas["FieldKind"];

export const KINDS: Kind[] = ["dense", "binary", "sparse", "text", "multi"];
export const FIELD_KINDS: FieldKind[] = ["keyword", "integer", "float", "bool", "datetime", "text"];
export const METRICS: Record<Kind, Metric[]> = {
  dense: ["cosine", "dot", "l2"],
  binary: ["hamming"],
  sparse: ["dot"],
  text: ["bm25"],
  multi: ["maxsim"],
};
export const SIZED = new Set<Kind>(["dense", "binary", "multi"]);

export const kindOf = (field: VectorField | undefined): Kind => field?.kind ?? "dense";

export const takesText = (field: VectorField | undefined): boolean => kindOf(field) === "text" || !!field?.embedder;

export const forDocuments = (collection: Collection): boolean => "document.id" in (collection.schema.fields ?? {});

export function describe(field: VectorField): string {
  const kind = kindOf(field);
  const parts = [kind, SIZED.has(kind) && field.dim ? String(field.dim) : "", field.metric ?? METRICS[kind][0] ?? ""];
  return parts.filter(Boolean).join(" ");
}

/** What `stats` says, as far as the console shows it. */
export interface Stats {
  points: number;
  rows: number;
  deleted: number;
  seq: number;
  state: string;
  log_bytes: number;
  vectors: Record<string, FieldStats>;
  fields: Record<string, string>;
  bytes: Record<string, number>;
  segments: Segment[];
  observed_recall?: Observed[];
}

export interface FieldStats {
  kind: Kind;
  dim: number;
  metric: Metric;
  datatype: string;
  index: string;
  index_state: string;
  rows_indexed: number;
  served_by: Record<string, number>;
  bytes: Record<string, number>;
}

export interface Segment {
  id: number;
  kind: string;
  rows: number;
  alive: number;
  deleted: number;
  bytes: Record<string, number>;
  vector_indexes: Record<string, string>;
}

export interface Observed {
  using: string;
  strategy: string;
  checked: number;
  recall: number;
  low: number;
  high: number;
  est_recall: number | null;
}

export const sum = (parts: Record<string, number>): number => Object.values(parts).reduce((all, one) => all + one, 0);
