/** Ids that people type. */

import { type PointId, parse } from "vecstore-client";

/** Digits are a number, JSON is itself (so "12" in quotes is a string), anything else a string. */
export function readId(text: string): PointId {
  const given = text.trim();
  if (/^\d{1,20}$/.test(given)) return parse(given) as PointId;
  if (/^["{]/.test(given)) {
    try {
      return parse(given) as PointId;
    } catch {
      return given;
    }
  }
  return given;
}
