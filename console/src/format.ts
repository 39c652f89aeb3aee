/** Values as people read them. */

import { stringify } from "vecstore-client";

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value: number): string => grouped.format(value);

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  for (; value >= 1024 && place < units.length - 1; place++) value /= 1024;
  return `${place === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[place]}`;
}

export function significant(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(digits - 1) : value.toPrecision(digits);
}

export const share = (value: number): string => `${(100 * value).toFixed(1)} %`;

export function ms(value: number): string {
  if (value < 1000) return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
  return `${(value / 1000).toFixed(2)} s`;
}

export const clock = (seconds: number): string => new Date(seconds * 1000).toLocaleTimeString("en-GB");

/** An id as the interface's JSON writes it: numbers bare, a string that only looks like a UUID as an object. */
export function idText(id: unknown): string {
  return typeof id === "object" && id !== null && "str" in id ? String(id.str) : String(id);
}

export function short(value: unknown, length = 120): string {
  const text = typeof value === "string" ? value : (stringify(value) ?? "");
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** What of a payload tells most to a reader: its longest text. */
export function gist(payload: Record<string, unknown> | null | undefined): string {
  const texts = Object.values(payload ?? {}).filter((one) => typeof one === "string");
  return texts.reduce((best, one) => (one.length > best.length ? one : best), "") || short(payload ?? {});
}
