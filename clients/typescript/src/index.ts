/** A typed client of vecstore's REST interface: `fetch` with the types of the OpenAPI document, the server's problems as
 * one kind of exception, a key, a deadline, and integers of 64 bits kept exact. */

import { type Problem, unsaid, VecstoreError } from "./errors.js";
import { parse, stringify } from "./json.js";
import type { components, paths } from "./schema.js";

export { type Problem, VecstoreError } from "./errors.js";
export { parse, stringify } from "./json.js";
export type { components, operations, paths } from "./schema.js";

export type Schemas = components["schemas"];
export type PointId = Schemas["PointSpec"]["id"];

export type Method = "get" | "put" | "post" | "delete";
export type PathOf<M extends Method> = { [P in keyof paths]: paths[P][M] extends object ? P : never }[keyof paths];
type Json<T> = T extends { content: { "application/json": infer B } } ? B : never;
type Answers<O> = O extends { responses: infer R } ? R : never;
export type Answer<O> = Json<Answers<O>[keyof Answers<O> & (200 | 202)]>;
type Given<K extends string, T> = [T] extends [undefined] ? object : undefined extends T ? { [N in K]?: T } : { [N in K]: T };
type PathParams<O> = O extends { parameters: { path: infer P } } ? P : undefined;
type QueryParams<O> = O extends { parameters: { query?: infer Q } } ? ([Q] extends [never] ? undefined : Q | undefined) : undefined;
type Body<O> = O extends { requestBody: infer B } ? Json<B> : O extends { requestBody?: infer B } ? Json<NonNullable<B>> | undefined : undefined;
/** What a call takes: `path` and `query` are its parameters, `body` its JSON. */
export type Input<O> = Given<"path", PathParams<O>> & Given<"query", QueryParams<O>> & Given<"body", Body<O>> & { signal?: AbortSignal };
type Rest<T> = object extends T ? [input?: T] : [input: T];

export interface Options {
  apiKey?: string | undefined;
  /** Of each call: on the server, where it ends with QUERY_TIMEOUT, and a second later here. */
  timeoutMs?: number | undefined;
  /** In place of the global one. */
  fetch?: typeof fetch;
}

interface AnyInput {
  path?: Record<string, unknown>;
  query?: Record<string, unknown> | undefined;
  body?: unknown;
  signal?: AbortSignal;
}

const GRACE_MS = 1_000;

/** A client of the server at `baseUrl`, such as "http://127.0.0.1:7333". Each call resolves to the answer or throws
 * VecstoreError. */
export class Vecstore {
  readonly #base: string;
  readonly #headers: Record<string, string> = {};
  readonly #timeoutMs: number | undefined;
  readonly #fetch: typeof fetch;

  constructor(baseUrl: string, options: Options = {}) {
    this.#base = baseUrl.replace(/\/+$/, "");
    this.#timeoutMs = options.timeoutMs;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    if (options.apiKey) this.#headers["api-key"] = options.apiKey;
    if (options.timeoutMs !== undefined) this.#headers["x-timeout-ms"] = String(options.timeoutMs);
  }

  get<P extends PathOf<"get">>(path: P, ...[input]: Rest<Input<paths[P]["get"]>>): Promise<Answer<paths[P]["get"]>> {
    return this.#json("get", path, input as AnyInput);
  }

  put<P extends PathOf<"put">>(path: P, ...[input]: Rest<Input<paths[P]["put"]>>): Promise<Answer<paths[P]["put"]>> {
    return this.#json("put", path, input as AnyInput);
  }

  post<P extends PathOf<"post">>(path: P, ...[input]: Rest<Input<paths[P]["post"]>>): Promise<Answer<paths[P]["post"]>> {
    return this.#json("post", path, input as AnyInput);
  }

  delete<P extends PathOf<"delete">>(path: P, ...[input]: Rest<Input<paths[P]["delete"]>>): Promise<Answer<paths[P]["delete"]>> {
    return this.#json("delete", path, input as AnyInput);
  }

  /** The answer as text, of what is not JSON: metrics, or a stream of events once it has ended. */
  text(method: Method, path: keyof paths, input: AnyInput = {}): Promise<string> {
    return this.#send(method, path, input, (response) => response.text());
  }

  #json<T>(method: Method, path: string, input: AnyInput = {}): Promise<T> {
    return this.#send(method, path, input, async (response) => parse(await response.text()) as T);
  }

  async #send<T>(method: Method, path: string, input: AnyInput, read: (response: Response) => Promise<T>): Promise<T> {
    const headers: Record<string, string> = { ...this.#headers };
    if (input.body !== undefined) headers["content-type"] = "application/json";
    const clock = this.#timeoutMs === undefined ? undefined : AbortSignal.timeout(this.#timeoutMs + GRACE_MS);
    const signals = [input.signal, clock].filter((one) => one !== undefined);
    const init: RequestInit = { method: method.toUpperCase(), headers, signal: AbortSignal.any(signals) };
    if (input.body !== undefined) init.body = stringify(input.body);
    try {
      const response = await this.#fetch(this.#base + filled(path, input), init);
      if (!response.ok) throw new VecstoreError(await problemOf(response));
      return await read(response);
    } catch (error) {
      if (error instanceof VecstoreError) throw error;
      if (clock?.aborted) throw unsaid("TIMEOUT", `no answer within ${this.#timeoutMs} ms`, error);
      if (input.signal?.aborted) throw unsaid("ABORTED", "the call was given up", error);
      throw unsaid("UNREACHABLE", `${this.#base || "the server"} cannot be reached`, error);
    }
  }
}

function filled(path: string, { path: values = {}, query = {} }: AnyInput): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const asked = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  const named = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])));
  return asked ? `${named}?${asked}` : named;
}

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  if (response.headers.get("content-type")?.startsWith("application/problem+json")) return JSON.parse(text) as Problem;
  return unsaid("UNKNOWN", `status ${response.status}: ${text.slice(0, 200)}`, undefined, response.status).problem;
}
