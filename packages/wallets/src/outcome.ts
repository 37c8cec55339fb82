/** What the adapters share in saying how a payment went. */
import type { FailureReason, LookupResult, PayRequest, PayResult } from "@l402-tools/core";
import { CALL_TIMEOUT_MS, ServiceError, timerAt } from "./answer.ts";
import type { Reply, Service } from "./http.ts";

/** A look-up of the port; one that is part of a payment ends with it. */
export interface LookupQuery {
  readonly paymentHash: string;
  readonly ref?: string;
  readonly deadline?: number;
  readonly signal?: AbortSignal;
}

export type Failed = Extract<PayResult, { status: "failed" }>;

export function failed(reason: FailureReason, message: string): Failed {
  return { status: "failed", reason, message };
}

/** A wallet's service said something that proves nothing. */
export function unknown(message: string, ref?: string): PayResult {
  return { status: "unknown", cause: new Error(message), ...(ref === undefined ? {} : { ref }) };
}

/** 64 hex digits, in lower case; `null` for anything else, and for the zeros that stand for none. */
export function preimageOf(value: unknown): string | null {
  return typeof value === "string" && /^[0-9a-f]{64}$/i.test(value) && !/^0+$/.test(value) ? value.toLowerCase() : null;
}

/** A whole number, as a number, as decimal digits, or with the unit behind it (`"12msat"`); `null` for anything else. */
export function wholeOf(value: unknown): bigint | null {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : null;
  if (typeof value !== "string") return null;
  const digits = /^(-?\d{1,19})(?:msat)?$/.exec(value)?.[1];
  return digits === undefined ? null : BigInt(digits);
}

/** `value` where it can be a fee. */
export function feeOf(value: bigint | null): bigint | null {
  return value !== null && value >= 0n ? value : null;
}

export function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** `amountMsat` times `permyriad` / 10,000, rounded up to msat. */
export function shareMsat(amountMsat: bigint, permyriad: bigint): bigint {
  return (amountMsat * permyriad + 9_999n) / 10_000n;
}

export function ceilToSat(msat: bigint): bigint {
  return ((msat + 999n) / 1_000n) * 1_000n;
}

export function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** Seconds until the engine stops waiting, between 1 and 60: how long a node may begin new tries. */
export function retrySeconds(deadline: number): number {
  return Math.min(60, Math.max(1, Math.floor((deadline - Date.now()) / 1_000)));
}

/**
 * Refuses what cannot be an invoice before anything is sent, for services that have no clear words for it. Whether it is
 * a good one, the engine has checked.
 */
export function notAnInvoice(request: PayRequest): Failed | undefined {
  // Timestamp, signature and checksum alone are 117 characters.
  return /^ln[a-z0-9]{100,}$/i.test(request.invoice) ? undefined : failed("invalid_invoice", "What was to be paid is not a BOLT 11 invoice; nothing was sent.");
}

/** Statuses that say that a request went nowhere: no key, a wrong key, or nothing under this URL. */
export function refusedByStatus(service: Service, reply: Reply, where: string): Failed | undefined {
  if (reply.status === 401 || reply.status === 403) return failed("unauthorized", `${service.name} refuses the key (HTTP ${reply.status}); ${where}`);
  if (reply.status === 404 || reply.status === 405) return failed("unsupported", `${service.name} has nothing at this URL (HTTP ${reply.status}); check the wallet's URL.`);
  return undefined;
}

/** An answer that is not in any table. */
export function unread(service: Service, reply: Reply, ref?: string): PayResult {
  return unknown(`${service.name} answered HTTP ${reply.status}, which does not say whether it paid`, ref);
}

/** Runs `work`; what never left this process is failed, every other throw is unknown. */
export async function settleThrow(work: () => Promise<PayResult>): Promise<PayResult> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ServiceError && !error.dispatched) return failed("unreachable", `${error.message}.`);
    return { status: "unknown", cause: error };
  }
}

/**
 * Asks for the payment that the service says it already has. Proof that it was paid, or is on its way, is the answer;
 * everything else leaves it unknown, but a failure that `believeFailure` stands for.
 */
export async function askAgain(
  lookup: () => Promise<LookupResult>,
  why: string,
  options: { ref?: string; believeFailure?: Failed } = {},
): Promise<PayResult> {
  try {
    const found = await lookup();
    if (found.status === "settled" || found.status === "in_flight") return { ...found, ...(options.ref === undefined ? {} : { ref: options.ref }) };
    if (options.believeFailure !== undefined && found.status === "failed" && !found.soft) return options.believeFailure;
  } catch {
    // The engine looks again, and later.
  }
  return unknown(why, options.ref);
}

/** Waits for `work`, but not beyond the request's deadline or signal; whether it was done by then. */
export function inTime(work: Promise<unknown>, { deadline, signal }: Pick<PayRequest, "deadline" | "signal">): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (done: boolean): void => {
      timer.stop();
      signal?.removeEventListener("abort", late);
      resolve(done);
    };
    const late = (): void => end(false);
    const timer = timerAt(deadline, late);
    signal?.addEventListener("abort", late, { once: true });
    if (signal?.aborted === true) late();
    work.then(() => end(true), () => end(true));
  });
}

/** A look-up got no usable answer: never "not found". */
export function lookupTrouble(service: Service, reply: Reply, detail = ""): Error {
  return new Error(`${service.name} did not answer the look-up (HTTP ${reply.status})${detail === "" ? "" : `: ${detail}`}`);
}

/** How long a look-up waits: until the payment's deadline, if it is part of one, and never longer than any other call. */
export function patience(deadline: number | undefined, signal: AbortSignal | undefined): { deadline: number; signal: AbortSignal | undefined } {
  return { deadline: Math.min(deadline ?? Number.POSITIVE_INFINITY, Date.now() + CALL_TIMEOUT_MS), signal };
}

/** Fails when an answer names another payment than the one that was asked for. */
export function assertSameHash(service: Pick<Service, "name">, found: unknown, paymentHash: string): void {
  if (typeof found === "string" && found !== "" && found.toLowerCase() !== paymentHash) throw new Error(`${service.name} answered for another payment`);
}
