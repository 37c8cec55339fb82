/** Answers that were fetched, kept for a while, so that reading on and a call that is run again cost nothing. */

/** How long an answer is kept, and how many of one client. */
const KEPT_MS = 600_000;
const KEPT_MAX = 20;

/** An answer: what it cost, and its body as text or as a description. */
export interface Answer {
  readonly url: string;
  readonly finalUrl: string | null;
  readonly status: number;
  readonly contentType: string | null;
  readonly paidSats: number;
  readonly feeSats: number;
  readonly reused: boolean;
  readonly paymentHash: string | null;
  /** `null`: the body is not text. */
  readonly text: string | null;
  readonly binary: { readonly bytes: number; readonly sha256: string | null } | null;
  readonly truncated: boolean;
  /** The body broke off: why. */
  readonly broken: { readonly code: string; readonly why: string } | null;
}

interface Kept {
  readonly requestKey: string;
  readonly callKey: string | undefined;
  readonly until: number;
  readonly answer: Answer;
}

export class Shelf {
  #kept: Kept[] = [];
  /** Calls under way, by their key; they never reject. */
  readonly running: Map<string, Promise<unknown>> = new Map();

  /** `callKey`: only for an answer that is to be given again when its call is run again. */
  keep(now: number, requestKey: string, callKey: string | undefined, answer: Answer): void {
    this.#kept = this.#kept.filter(({ until }) => until > now).slice(1 - KEPT_MAX);
    this.#kept.push({ requestKey, callKey, until: now + KEPT_MS, answer });
  }

  /** The newest answer to this request. */
  byRequest(now: number, requestKey: string): Answer | undefined {
    return this.#kept.findLast((kept) => kept.requestKey === requestKey && kept.until > now)?.answer;
  }

  byCall(now: number, callKey: string): Answer | undefined {
    return this.#kept.findLast((kept) => kept.callKey === callKey && kept.until > now)?.answer;
  }
}
