/** Principal components: where rows lie along the two directions in which they differ most. */

const ROUNDS_MAX = 200;
const CLOSE = 1e-7; // of a direction, from round to round

export interface Plane {
  x: Float32Array;
  y: Float32Array;
  /** Share of the variance along x and along y. */
  shares: [number, number];
}

/** `rows` is n vectors of `dim` numbers, one after another; it is centred in place. */
export function plane(rows: Float32Array, dim: number): Plane {
  const n = rows.length / dim;
  const mean = new Float64Array(dim);
  for (let row = 0; row < n; row++) for (let at = 0; at < dim; at++) mean[at]! += rows[row * dim + at]! / n;
  let total = 0;
  for (let row = 0; row < n; row++) {
    for (let at = 0; at < dim; at++) {
      const value = rows[row * dim + at]! - mean[at]!;
      rows[row * dim + at] = value;
      total += value * value;
    }
  }
  const first = direction(rows, dim, null, 1);
  const second = direction(rows, dim, first, 2);
  const x = along(rows, dim, first);
  const y = along(rows, dim, second);
  const share = (part: Float32Array) => (total > 0 ? part.reduce((all, one) => all + one * one, 0) / total : 0);
  return { x, y, shares: [share(x), share(y)] };
}

/** By power iteration on the covariance, which is never written down; at right angles to `not`. */
function direction(rows: Float32Array, dim: number, not: Float64Array | null, seed: number): Float64Array {
  let now = new Float64Array(dim);
  let state = seed * 2654435761;
  for (let at = 0; at < dim; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    now[at] = state / 2 ** 32 - 0.5;
  }
  for (let round = 0; round < ROUNDS_MAX; round++) {
    unit(now, not);
    const next = new Float64Array(dim);
    for (let start = 0; start < rows.length; start += dim) {
      let dot = 0;
      for (let at = 0; at < dim; at++) dot += rows[start + at]! * now[at]!;
      for (let at = 0; at < dim; at++) next[at]! += dot * rows[start + at]!;
    }
    unit(next, not);
    let cosine = 0;
    for (let at = 0; at < dim; at++) cosine += next[at]! * now[at]!;
    now = next;
    if (1 - Math.abs(cosine) < CLOSE) break;
  }
  return now;
}

function unit(vector: Float64Array, not: Float64Array | null): void {
  if (not) {
    let dot = 0;
    for (let at = 0; at < vector.length; at++) dot += vector[at]! * not[at]!;
    for (let at = 0; at < vector.length; at++) vector[at]! -= dot * not[at]!;
  }
  const length = Math.hypot(...vector) || 1;
  for (let at = 0; at < vector.length; at++) vector[at]! /= length;
}

function along(rows: Float32Array, dim: number, axis: Float64Array): Float32Array {
  const found = new Float32Array(rows.length / dim);
  for (let row = 0; row < found.length; row++) {
    let dot = 0;
    for (let at = 0; at < dim; at++) dot += rows[row * dim + at]! * axis[at]!;
    found[row] = dot;
  }
  return found;
}
