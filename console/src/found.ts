/** A query, and what it found. */

import type { Schemas } from "vecstore-client";

export type Query = Schemas["QueryBody"];

export interface Found {
  query: Query;
  answer: Schemas["QueryAnswer"];
  legs: string[]; // the fields that were asked
  took: number; // milliseconds
}
