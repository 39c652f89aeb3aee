/** Colours for the values of a payload field. */

// Told apart with all common kinds of colour blindness, on light and on dark ground (after Okabe and Ito).
export const PALETTE = ["#2a83c4", "#e69f00", "#0a9e74", "#d55e00", "#cc79a7", "#56b4e9", "#a68a00", "#7f7fd5"];
export const OTHER = "#8a8f98";

export interface Legend {
  /** Of each point, by its place. */
  colours: string[];
  /** Values and their colours; for numbers the two ends of the range. */
  entries: { label: string; colour: string; count?: number }[];
  numeric: boolean;
}

export function legend(values: unknown[]): Legend {
  const numbers = values.filter((one): one is number => typeof one === "number" && Number.isFinite(one));
  const known = values.filter((one) => one !== undefined && one !== null);
  if (numbers.length === known.length && new Set(numbers).size > PALETTE.length) {
    const sorted = numbers.toSorted((a, b) => a - b);
    const low = sorted[Math.floor(sorted.length * 0.02)]!;
    const high = sorted[Math.ceil(sorted.length * 0.98) - 1]!;
    const at = (value: unknown) => (typeof value === "number" ? ramp((value - low) / (high - low || 1)) : OTHER);
    return { colours: values.map(at), entries: [low, (low + high) / 2, high].map((one) => ({ label: String(Math.round(one * 100) / 100), colour: at(one) })), numeric: true };
  }
  const counts = new Map<string, number>();
  const label = (value: unknown) => (value === undefined || value === null ? "(none)" : typeof value === "object" ? JSON.stringify(value) : String(value));
  for (const value of values) counts.set(label(value), (counts.get(label(value)) ?? 0) + 1);
  const order = [...counts].sort((a, b) => b[1] - a[1]);
  const colour = new Map(order.slice(0, PALETTE.length).map(([name], place) => [name, PALETTE[place]!]));
  const entries = order.slice(0, PALETTE.length).map(([name, count]) => ({ label: name, colour: colour.get(name)!, count }));
  const rest = order.slice(PALETTE.length).reduce((all, [, count]) => all + count, 0);
  if (rest) entries.push({ label: `${order.length - PALETTE.length} others`, colour: OTHER, count: rest });
  return { colours: values.map((one) => colour.get(label(one)) ?? OTHER), entries, numeric: false };
}

/** From blue over green to yellow, each step as far as the next to the eye (after viridis). */
function ramp(share: number): string {
  const stops = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const from = stops[Math.floor(at)]!;
  const to = stops[Math.ceil(at)]!;
  return `rgb(${from.map((one, place) => Math.round(one + (to[place]! - one) * (at % 1))).join(" ")})`;
}
