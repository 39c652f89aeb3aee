/** Points from the lines of a file: JSON lines, or CSV. What is wrong with a line is told under its number. */

import { parse, type PointId, type Schemas } from "vecstore-client";
import type { Collection } from "./schema";
import { kindOf } from "./schema";

export type Point = Schemas["PointSpec"];

export interface Line {
  /** From 1, as editors count. */
  number: number;
  point?: Point;
  error?: string;
}

/** Pieces of a file as they are read, so that a large one is never in memory as a whole. */
export async function* linesOf(file: Blob): AsyncGenerator<{ text: string; end: number }> {
  let rest = "";
  let end = 0;
  const reader = file.stream().pipeThrough(new TextDecoderStream()).getReader();
  const encoder = new TextEncoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    end += encoder.encode(value).length;
    const parts = (rest + value).split("\n");
    rest = parts.pop() ?? "";
    for (const text of parts) yield { text: text.replace(/\r$/, ""), end };
  }
  if (rest) yield { text: rest.replace(/\r$/, ""), end };
}

/** A line {"id", "vectors", "payload"}; or flat: the names of vector fields are vectors, everything else is payload. */
export function pointOfJson(text: string, collection: Collection): Point {
  const given = parse(text) as unknown;
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw new Error("is no JSON object");
  const row = given as Record<string, unknown>;
  if ("vectors" in row || "payload" in row) {
    const extra = Object.keys(row).filter((key) => !["id", "vectors", "payload"].includes(key));
    if (extra.length) throw new Error(`has ${extra.join(", ")} beside id, vectors and payload`);
    return row as unknown as Point;
  }
  return flat(row, collection);
}

function flat(row: Record<string, unknown>, collection: Collection): Point {
  const { id, ...rest } = row;
  if (id === undefined || id === null || id === "") throw new Error("has no id");
  const vectors: Record<string, unknown> = {};
  const payload: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(rest)) {
    if (key in collection.schema.vectors) {
      if (value !== null && value !== "") vectors[key] = value;
    } else payload[key] = value;
  }
  return { id: id as PointId, vectors, payload } as Point;
}

/** Lines of CSV: the first names the columns, `id` among them; quotes as in RFC 4180. */
export class Csv {
  #names: string[] | null = null;
  #open: string | null = null;
  #from = 0;
  readonly #collection: Collection;

  constructor(collection: Collection) {
    this.#collection = collection;
  }

  /** A point once its last line is there: a value in quotes may have several. */
  line(number: number, text: string): Line | null {
    const whole = this.#open === null ? text : `${this.#open}\n${text}`;
    if (this.#open === null) this.#from = number;
    if ((whole.match(/"/g)?.length ?? 0) % 2) {
      this.#open = whole;
      return null;
    }
    this.#open = null;
    const cells = cellsOf(whole);
    if (!this.#names) {
      this.#names = cells;
      if (!cells.includes("id")) throw new Error("the first line names no column id");
      return null;
    }
    try {
      return { number: this.#from, point: this.#point(cells) };
    } catch (error) {
      return { number: this.#from, error: error instanceof Error ? error.message : String(error) };
    }
  }

  /** What is left open at the end of the file. */
  end(): Line | null {
    return this.#open === null ? null : { number: this.#from, error: "a quote is not closed" };
  }

  #point(cells: string[]): Point {
    const names = this.#names ?? [];
    if (cells.length !== names.length) throw new Error(`has ${cells.length} values for ${names.length} columns`);
    const row: Record<string, unknown> = {};
    names.forEach((name, place) => {
      const cell = cells[place]!;
      const field = this.#collection.schema.vectors[name];
      if (field) row[name] = kindOf(field) === "text" || !/^\s*[[{]/.test(cell) ? cell : parse(cell);
      else if (name === "id") row[name] = /^\d{1,20}$/.test(cell) ? parse(cell) : cell;
      else if (cell !== "") row[name] = scalar(cell, this.#collection.schema.fields?.[name]);
    });
    return flat(row, this.#collection);
  }
}

function scalar(cell: string, kind: string | undefined): unknown {
  if (kind === "keyword" || kind === "text" || kind === "datetime") return cell;
  if (/^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i.test(cell)) return parse(cell);
  if (cell === "true" || cell === "false") return cell === "true";
  return cell;
}

export function cellsOf(line: string): string[] {
  const cells: string[] = [];
  for (const [, quoted, plain] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    cells.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'));
  }
  return cells;
}
