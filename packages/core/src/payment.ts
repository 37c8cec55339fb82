/**
 * One payment: dispatch (on record), wallet, check of the preimage, settle. Nothing is inferred from an exception, and
 * a hold is released only by proof.
 */
import { within } from "./clock.ts";
import { credentialOf } from "./credential.ts";
import { PaymentFailedError, PaymentUnknownError } from "./errors.ts";
import { noteRelease, noteSpend, type Line, type Outcome } from "./line.ts";
import { resolveByLookup } from "./recovery.ts";
import { sha256Hex } from "./request.ts";
import type { PayRequest, PayResult, StoredPayment } from "./ports.ts";
import { callWallet, isSimple } from "./wallet.ts";

/** Least life, ms, that an invoice must have left when it is sent to the wallet. */
export const INVOICE_LIFE_MIN_MS = 10_000;
/** Waits, ms, between tries to book a settlement that the store did not take. */
const BOOK_AGAIN_MS: readonly number[] = [50, 250, 1_000, 4_000];
/** First and longest wait, ms, between look-ups of a payment that is still in flight. */
const LOOKUP_FIRST_MS = 250;
const LOOKUP_MAX_MS = 5_000;

/** The preimage in lower case, if it is one of this payment hash (BOLT 11 field `p`: SHA-256 of the preimage). */
export async function provenPreimage(preimage: unknown, paymentHash: string): Promise<string | undefined> {
  if (typeof preimage !== "string" || !/^[0-9a-f]{64}$/i.test(preimage)) return undefined;
  const bytes = new Uint8Array(32);
  for (let index = 0; index < 32; index += 1) bytes[index] = Number.parseInt(preimage.slice(2 * index, 2 * index + 2), 16);
  return (await sha256Hex(bytes)) === paymentHash ? preimage.toLowerCase() : undefined;
}

export function payRequestOf(line: Line, payment: Pick<StoredPayment, "invoice" | "paymentHash" | "amountMsat">, maxFeeMsat: bigint, signal?: AbortSignal): PayRequest {
  return {
    invoice: payment.invoice,
    paymentHash: payment.paymentHash,
    amountMsat: payment.amountMsat,
    maxFeeMsat,
    deadline: line.clock.now() + line.config.paymentTimeoutMs,
    attemptId: crypto.randomUUID(),
    ...(signal === undefined ? {} : { signal }),
  };
}

/**
 * Sends a reserved payment to the wallet. Returns when it ended, or after `paymentTimeoutMs` as unknown; then it lives
 * on with its hold, and whatever the wallet says later is booked.
 */
export async function pay(line: Line, held: StoredPayment, onDispatch: () => void): Promise<Outcome> {
  const { clock, store, state } = line;
  const sent = await store.dispatch(held.paymentHash, held.owner, held.expiresAt - INVOICE_LIFE_MIN_MS).catch(async (error: unknown) => {
    // Whether the dispatch is on record is not known, but that nothing was sent is: only its owner, here, could have.
    const why = "it was not sent: the store did not answer";
    const ended = (await store.void(held.paymentHash, why, held.owner).catch(() => false)) || (await store.fail(held.paymentHash, held.attempt + 1, why).catch(() => false));
    if (ended) noteRelease(line, held.paymentHash);
    throw error;
  });
  if (sent === null) return { status: "not_sent" };
  onDispatch();
  line.emit("dispatched", held.url, { paymentHash: held.paymentHash });
  const payment: StoredPayment = { ...held, state: "sending", attempt: sent.attempt, dispatchedAt: clock.now() };
  const stopWaiting = new AbortController();
  const request = payRequestOf(line, payment, payment.maxFeeMsat, stopWaiting.signal);
  const ended = callWallet(line.wallet, request)
    .then((result) => conclude(line, payment, result, request.deadline))
    .finally(() => state.live.delete(payment.paymentHash));
  state.live.set(payment.paymentHash, ended);
  const waited = await within(clock, request.deadline, undefined, ended);
  if (waited.status === "done") return waited.value;
  stopWaiting.abort(new DOMException("The engine stopped waiting; the payment goes on.", "TimeoutError"));
  return await noteUnknown(line, payment, "no answer from the wallet in time");
}

/** Turns the wallet's answer into a booked outcome. Runs also when nobody waits any more. */
async function conclude(line: Line, payment: StoredPayment, result: PayResult, deadline: number): Promise<Outcome> {
  if (result.status === "failed") {
    const failed = await line.store.fail(payment.paymentHash, payment.attempt, `${result.reason}: ${result.message}`.slice(0, 300));
    if (failed) {
      noteRelease(line, payment.paymentHash);
      line.emit("failed", payment.url, { paymentHash: payment.paymentHash, detail: result.reason });
      const message = `The payment of ${payment.amountMsat} msat to ${payment.host} failed (${result.reason}): ${result.message} Nothing was paid.`;
      return { status: "failed", error: new PaymentFailedError(message, { reason: result.reason, retryable: result.reason === "rate_limited" || result.reason === "unreachable" || result.reason === "no_route" }) };
    }
    // A look-up or a person ended it meanwhile: theirs is the outcome on record.
    return outcomeOnRecord(line, payment);
  }
  if (result.status === "settled") {
    const preimage = await provenPreimage(result.preimage, payment.paymentHash);
    if (preimage !== undefined) return book(line, payment, preimage, result.feeMsat, "the wallet's answer");
  }
  const cause = result.status === "unknown" ? result.cause : undefined;
  const why =
    result.status === "settled" ? "the wallet says paid, without a valid preimage" : result.status === "in_flight" ? "the wallet says it is in flight" : "the wallet's answer does not say whether it paid";
  const unknown = await noteUnknown(line, payment, why, cause, result.ref);
  const walletRef = result.ref ?? payment.walletRef;
  return followUp(line, { ...payment, state: "unknown", ...(walletRef === undefined ? {} : { walletRef }) }, unknown, deadline);
}

/** Looks a payment up, with growing pauses, while somebody waits for it. */
async function followUp(line: Line, payment: StoredPayment, unknown: Outcome, deadline: number): Promise<Outcome> {
  if (line.wallet.lookup === undefined || line.wallet.capabilities.lookup === "none") return unknown;
  for (let wait = LOOKUP_FIRST_MS; ; wait = Math.min(2 * wait, LOOKUP_MAX_MS)) {
    const found = await resolveByLookup(line, payment).catch(() => "open" as const);
    if (found !== "open") return outcomeOnRecord(line, payment);
    if (line.clock.now() + wait >= deadline) return unknown;
    await line.clock.sleep(wait);
  }
}

async function noteUnknown(line: Line, payment: StoredPayment, why: string, cause?: unknown, walletRef?: string): Promise<Outcome> {
  // Best effort: a row that stays `sending` keeps its hold just the same.
  await line.store.unknown(payment.paymentHash, payment.attempt, { resolution: why, ...(walletRef === undefined ? {} : { walletRef }) }).catch(() => false);
  line.emit("unknown", payment.url, { paymentHash: payment.paymentHash, detail: why });
  return { status: "unknown", error: unknownError(line, payment, why, cause) };
}

/** The error for a payment whose outcome is not known, with the way out of it. */
export function unknownError(line: Line, payment: Pick<StoredPayment, "paymentHash" | "amountMsat" | "host">, why: string, cause?: unknown): PaymentUnknownError {
  const next = isSimple(line.wallet)
    ? 'If the wallet did not pay, settle it by hand with client.resolve(paymentHash, "failed", { why }); a { payInvoice } wallet says that nothing moved by throwing PaymentFailedError.'
    : "Do not pay again; client.recover() looks it up.";
  return new PaymentUnknownError(`It is not known whether ${payment.amountMsat} msat were paid to ${payment.host}: ${why}. The money stays held. ${next}`, payment.paymentHash, { cause });
}

/**
 * Books a proven payment. The preimage is in hand, so the credential is good even if the store cannot take it now: it
 * is tried again, and the row stays held until then.
 */
export async function book(line: Line, payment: StoredPayment, preimage: string, feeMsat: bigint | null, resolution: string): Promise<Outcome> {
  // A fee that the wallet does not tell is booked at its allowance: what is spent is never under-counted.
  const fee = feeMsat !== null && feeMsat >= 0n ? feeMsat : payment.maxFeeMsat;
  const settle = async (): Promise<void> => {
    const booked = await line.store.settle(payment.paymentHash, { preimage, feeMsat: fee, resolution });
    if (booked.status === "already") {
      noteRelease(line, payment.paymentHash);
      return;
    }
    noteSpend(line, payment, fee);
    if (booked.status === "overrun" || booked.status === "late") {
      const detail = booked.status === "late" ? "a payment booked as not paid was paid" : `the fee of ${fee} msat is above the ${payment.maxFeeMsat} msat held`;
      line.emit("overrun", payment.url, { paymentHash: payment.paymentHash, detail });
    }
  };
  try {
    await settle();
  } catch (first) {
    line.emit("unknown", payment.url, { paymentHash: payment.paymentHash, detail: "paid, but the store did not take it yet" });
    void (async () => {
      for (const wait of BOOK_AGAIN_MS) {
        await line.clock.sleep(wait);
        if (await settle().then(() => true, () => false)) return;
      }
    })().catch(() => {});
    void first;
  }
  const credential = credentialOf({ ...payment, state: "settled", preimage, resolvedAt: line.clock.now() });
  return { status: "settled", credential: credential as NonNullable<typeof credential>, feeMsat: fee };
}

/** The outcome that the store has for a payment. */
export async function outcomeOnRecord(line: Line, payment: StoredPayment): Promise<Outcome> {
  const row = await line.store.payment(payment.paymentHash);
  const credential = row === undefined ? undefined : credentialOf(row);
  if (row !== undefined && credential !== undefined) return { status: "settled", credential, feeMsat: row.feeMsat };
  if (row?.state === "failed" || row?.state === "voided") {
    return { status: "failed", error: new PaymentFailedError(`The payment of ${payment.amountMsat} msat to ${payment.host} failed (${row.resolution ?? "no detail"}). Nothing was paid.`) };
  }
  return { status: "unknown", error: unknownError(line, payment, row?.resolution ?? "it is not on record") };
}
