import type { components } from "./schema.js";

export type Problem = components["schemas"]["Problem"];

/** What the server says is wrong (RFC 9457); or, with status 0 and the reason UNREACHABLE, TIMEOUT or ABORTED, what kept
 * it from answering. */
export class VecstoreError extends Error {
  override readonly name = "VecstoreError";
  readonly problem: Problem;

  constructor(problem: Problem, cause?: unknown) {
    super(problem.detail, { cause });
    this.problem = problem;
  }

  get status(): number {
    return this.problem.status;
  }

  /** Such as COLLECTION_NOT_FOUND; the same as over gRPC. */
  get reason(): string {
    return this.problem.reason;
  }

  /** Under which the server logged the call. */
  get requestId(): string {
    return this.problem.request_id ?? "";
  }

  /** What is wrong, by its path in the request, such as points[3].vectors.text. */
  get errors(): NonNullable<Problem["errors"]> {
    return this.problem.errors ?? [];
  }
}

export function unsaid(reason: string, detail: string, cause: unknown, status = 0): VecstoreError {
  return new VecstoreError({ type: "urn:vecstore:error:client", title: "No answer", status, reason, detail }, cause);
}
