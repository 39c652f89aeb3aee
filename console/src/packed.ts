/** Vectors as the server packs them. */

interface Packed {
  data?: string | null;
  dtype?: string;
}

/** Write a vector's numbers to `into` at `start`; false where it is none of `dim` numbers. */
export function unpack(vector: unknown, dim: number, into: Float32Array, start: number): boolean {
  if (Array.isArray(vector)) {
    if (vector.length !== dim || typeof vector[0] !== "number") return false;
    into.set(vector as number[], start);
    return true;
  }
  const { data, dtype = "float32" } = (vector ?? {}) as Packed;
  if (!data) return false;
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  if (dtype === "bit") {
    if (bytes.length !== Math.ceil(dim / 8)) return false;
    for (let at = 0; at < dim; at++) into[start + at] = (bytes[at >> 3]! >> (7 - (at & 7))) & 1;
    return true;
  }
  const width = dtype === "float32" ? 4 : 2;
  if (bytes.length !== dim * width) return false;
  for (let at = 0; at < dim; at++) into[start + at] = number(view, at * width, dtype);
  return true;
}

function number(view: DataView, at: number, dtype: string): number {
  if (dtype === "float32") return view.getFloat32(at, true);
  const bits = view.getUint16(at, true);
  if (dtype === "bfloat16") {
    view.setUint16(at, bits, true);
    const wide = new DataView(new ArrayBuffer(4));
    wide.setUint32(0, bits << 16);
    return wide.getFloat32(0);
  }
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * 2 ** -14 * fraction;
  return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * 2 ** (exponent - 15) * (1 + fraction);
}
