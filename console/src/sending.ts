/** Files on their way to the server, in batches, with what went wrong line by line. */

import { type Schemas, VecstoreError } from "vecstore-client";
import { Csv, type Line, linesOf, type Point, pointOfJson } from "./lines";
import type { Collection } from "./schema";
import { ask } from "./server";

const BATCH_POINTS = 500;
const BATCH_BYTES = 4 << 20;
export const ERRORS_MAX = 200; // of a file: with so many it is the wrong file

export interface Fault {
  line: number | null;
  message: string;
}

export interface Job {
  file: string;
  kind: "points" | "document";
  bytes: number;
  sent: number;
  points: number;
  faults: Fault[];
  state: "waiting" | "running" | "done" | "failed" | "stopped";
  note: string;
}

const DOCUMENT = /\.(txt|md|markdown|html?|pdf)$/i;
const POINTS = /\.(jsonl|ndjson|json|csv)$/i;

export function kindOfFile(name: string): Job["kind"] | null {
  return DOCUMENT.test(name) ? "document" : POINTS.test(name) ? "points" : null;
}

type Tell = (change: Partial<Job>) => void;

export async function sendPoints(file: File, collection: Collection, tell: Tell, signal: AbortSignal): Promise<void> {
  const csv = /\.csv$/i.test(file.name) ? new Csv(collection) : null;
  const faults: Fault[] = [];
  let [batch, size, number, written]: [Line[], number, number, number] = [[], 0, 0, 0];
  const fault = (line: number | null, message: string) => {
    faults.push({ line, message });
    tell({ faults: [...faults] });
    if (faults.length >= ERRORS_MAX) throw new Error(`more than ${ERRORS_MAX - 1} lines are wrong: given up`);
  };
  const flush = async (sent: number) => {
    if (batch.length) written += await sendBatch(batch, collection.name, fault, signal);
    [batch, size] = [[], 0];
    tell({ sent, points: written });
  };
  const add = (line: Line | null) => {
    if (line?.error) fault(line.number, line.error);
    else if (line) batch.push(line);
  };
  for await (const { text, end } of linesOf(file)) {
    number += 1;
    size += text.length;
    if (csv) {
      if (text || number > 1) add(csv.line(number, text));
    } else if (text.trim()) {
      add(jsonLine(number, text, collection));
    }
    if (batch.length >= BATCH_POINTS || size >= BATCH_BYTES) await flush(end);
  }
  add(csv?.end() ?? null);
  await flush(file.size);
}

function jsonLine(number: number, text: string, collection: Collection): Line {
  try {
    return { number, point: pointOfJson(text, collection) };
  } catch (error) {
    return { number, error: error instanceof SyntaxError ? `is no JSON: ${error.message}` : String((error as Error).message) };
  }
}

/** A batch is written whole or not at all: the point that the server names is taken out, and the rest is sent again. */
async function sendBatch(batch: Line[], collection: string, fault: (line: number, message: string) => void, signal: AbortSignal): Promise<number> {
  let left = batch;
  while (left.length) {
    const body = { points: left.map((one) => one.point as Point) };
    try {
      const written = await ask((db) => db.put("/v1/collections/{collection}/points", { path: { collection }, body, signal }));
      return written.changed;
    } catch (error) {
      if (!(error instanceof VecstoreError) || error.status !== 400) throw error;
      const named = new Map<number, string>();
      for (const one of error.errors) {
        const place = /^\$?\.?points\[(\d+)\]/.exec(one.path);
        if (place) named.set(Number(place[1]), one.message);
      }
      if (!named.size) throw error;
      for (const [place, message] of named) fault(left[place]!.number, message.replace(/^\$?\.?points\[\d+\]\.?/, ""));
      left = left.filter((_, place) => !named.has(place));
    }
  }
  return 0;
}

export async function sendDocument(file: File, collection: Collection, tell: Tell, signal: AbortSignal): Promise<void> {
  const id = file.webkitRelativePath || file.name;
  const document: Schemas["DocumentSpec"] = { id, uri: id, data: await base64(file) };
  tell({ note: "embedding" });
  const body = { documents: [document] };
  const path = { collection: collection.name };
  const events = await ask((db) => db.text("post", "/v1/collections/{collection}/documents/ingest", { path, body, signal }));
  for (const [, name, data] of events.matchAll(/event: (\w+)\ndata: (.*)\n/g)) {
    const said = JSON.parse(data!) as { state?: string; chunks?: number; error?: string; detail?: string };
    if (name === "error") throw new Error(said.detail);
    if (name === "document" && said.state === "failed") throw new Error(said.error);
    if (name === "document") tell({ sent: file.size, points: said.chunks ?? 0, note: said.state ?? "" });
  }
}

async function base64(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let start = 0; start < bytes.length; start += 32_768) text += String.fromCharCode(...bytes.subarray(start, start + 32_768));
  return btoa(text);
}

