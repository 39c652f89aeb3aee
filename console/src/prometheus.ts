/** Numbers in Prometheus' text format, and what follows from two readings of them. */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export function read(text: string): Sample[] {
  const found: Sample[] = [];
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const labels: Record<string, string> = {};
    for (const [, key, value] of (match[2] ?? "").matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
      labels[key!] = value!.replace(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one));
    }
    found.push({ name: match[1]!, labels, value: Number(match[3]!.replace("Inf", "Infinity")) });
  }
  return found;
}

/** A histogram's counts by the upper ends of its buckets, not cumulated, and the number of all. */
export interface Histogram {
  ends: number[];
  counts: number[];
  count: number;
}

export function histogram(samples: Sample[], name: string, which: (labels: Record<string, string>) => boolean): Histogram {
  const cumulated = new Map<number, number>();
  for (const one of samples) {
    if (one.name !== `${name}_bucket` || !which(one.labels)) continue;
    const end = Number((one.labels["le"] ?? "").replace("+Inf", "Infinity"));
    cumulated.set(end, (cumulated.get(end) ?? 0) + one.value);
  }
  const sorted = [...cumulated].sort((a, b) => a[0] - b[0]);
  const counts = sorted.map(([, all], place) => all - (sorted[place - 1]?.[1] ?? 0));
  return { ends: sorted.map(([end]) => end), counts, count: sorted.at(-1)?.[1] ?? 0 };
}

/** What came between two readings; a restart in between counts from zero. */
export function between(before: Histogram | undefined, now: Histogram): Histogram {
  if (!before || now.count < before.count) return now;
  const known = new Map(before.ends.map((end, place) => [end, before.counts[place] ?? 0]));
  return {
    ends: now.ends,
    counts: now.ends.map((end, place) => Math.max(0, now.counts[place]! - (known.get(end) ?? 0))),
    count: now.count - before.count,
  };
}

/** The value below which `share` of all lie, as if those of a bucket were spread evenly in it; null of none. */
export function quantile({ ends, counts, count }: Histogram, share: number): number | null {
  if (count <= 0) return null;
  const wanted = share * count;
  let passed = 0;
  for (const [place, inside] of counts.entries()) {
    if (passed + inside >= wanted && inside > 0) {
      const low = ends[place - 1] ?? 0;
      const high = ends[place]!;
      return Number.isFinite(high) ? low + ((wanted - passed) / inside) * (high - low) : low;
    }
    passed += inside;
  }
  return ends.at(-2) ?? null;
}
