/**
 * One payment: dispatch (on record), wallet, check of the preimage, settle. Nothing is inferred from an exception, and
 * a hold is released only by proof.
 */
import { idle, within } from "./clock.ts";
import { PaymentFailedError } from "./errors.ts";
import { noteRelease, type Line, type Outcome } from "./line.ts";
import { resolveByLookup, watch } from "./recovery.ts";
import { book, outcomeOnRecord, provenPreimage, unknownError } from "./settlement.ts";
import type { PayRequest, PayResult, StoredPayment } from "./ports.ts";
import { callWallet } from "./wallet.ts";

/** Least life, ms, that an invoice must have left when it is sent to the wallet. */
export const INVOICE_LIFE_MIN_MS = 10_000;
/** How a row is ended that was reserved and passed over. */
export const NOT_SENT = "it was not sent";
/** Longest time, ms, between asking for the dispatch and calling the wallet. */
const SEND_WITHIN_MS = 2_000;
const SEND_WITHIN_LEAST_MS = 100;
/** First and longest wait, ms, between look-ups of a payment that is still in flight. */
const LOOKUP_FIRST_MS = 250;
const LOOKUP_MAX_MS = 5_000;

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

/** Time, ms, after which a dispatch is too old to be acted on: well before a "not found" could prove anything. */
function sendWithinMs(line: Line): number {
  const final = line.wallet.capabilities.notFoundFinalAfterMs;
  return final === null ? SEND_WITHIN_MS : Math.max(SEND_WITHIN_LEAST_MS, Math.min(SEND_WITHIN_MS, final / 2));
}

/**
 * Sends a reserved payment to the wallet. Returns when it ended, or after `paymentTimeoutMs` as unknown; then it lives
 * on with its hold, and whatever the wallet says later is booked. `proceed` is asked last, when the dispatch is on record.
 */
export async function pay(line: Line, held: StoredPayment, proceed: () => boolean): Promise<Outcome> {
  const { clock, store } = line;
  const asked = clock.now();
  const neverSent = async (why: string): Promise<void> => {
    // Whatever is on record, nothing was sent: only this reservation, here, could have. While the row carries its name it
    // cannot be another's, and its attempt is ours.
    if (await store.void(held.paymentHash, why, held.owner).catch(() => false)) return void noteRelease(line, held);
    const row = await store.payment(held.paymentHash).catch(() => undefined);
    if (row?.owner === held.owner && (await store.fail(held.paymentHash, row.attempt, why).catch(() => false))) noteRelease(line, held);
  };
  const sent = await store.dispatch(held.paymentHash, held.owner, held.expiresAt - INVOICE_LIFE_MIN_MS).catch(async (error: unknown) => {
    await neverSent("it was not sent: the store did not answer");
    throw error;
  });
  if (sent === null) return { status: "not_sent" };
  if (!proceed() || clock.now() - asked > sendWithinMs(line)) {
    // Its caller was told that nothing is paid; or the record is old, so that another process may have looked the payment
    // up meanwhile, found nothing, and released it.
    await neverSent(NOT_SENT);
    return { status: "not_sent" };
  }
  line.emit("dispatched", held.url, { paymentHash: held.paymentHash });
  const payment: StoredPayment = { ...held, state: "sending", attempt: sent.attempt, dispatchedAt: clock.now() };
  const stopWaiting = new AbortController();
  const request = payRequestOf(line, payment, payment.maxFeeMsat, stopWaiting.signal);
  const answered = callWallet(line.wallet, request)
    .then((result) => conclude(line, payment, result, request.deadline))
    // The wallet was called: whatever breaks from here on, the store above all, leaves the outcome open.
    .catch((cause: unknown): Outcome => ({ status: "unknown", error: unknownError(line, payment, "the store did not answer", cause) }));
  const { live, elsewhere } = line.state;
  const ended = Promise.race([answered, new Promise<Outcome>((resolve) => elsewhere.set(payment.paymentHash, resolve))]).finally(() => {
    live.delete(payment.paymentHash);
    elsewhere.delete(payment.paymentHash);
  });
  live.set(payment.paymentHash, ended);
  // The caller waits for itself; here the slot is given back, which keeps nothing alive.
  const waited = await within(clock, request.deadline, undefined, ended, false);
  if (waited.status === "done") return waited.value;
  stopWaiting.abort(new DOMException("The engine stopped waiting; the payment goes on.", "TimeoutError"));
  return await noteUnknown(line, payment, "no answer from the wallet in time");
}

/** Turns the wallet's answer into a booked outcome. Runs also when nobody waits any more. */
async function conclude(line: Line, payment: StoredPayment, result: PayResult, deadline: number): Promise<Outcome> {
  if (result.status === "failed") {
    const failed = await line.store.fail(payment.paymentHash, payment.attempt, `${result.reason}: ${result.message}`.slice(0, 300)).catch(() => "unwritten" as const);
    if (failed !== false) {
      if (failed === true) noteRelease(line, payment);
      else watch(line); // nothing moved, and the hold is released as soon as the store can write it
      line.emit("failed", payment.url, { paymentHash: payment.paymentHash, detail: result.reason });
      const message = `The payment of ${payment.amountMsat} msat to ${payment.host} failed (${result.reason}): ${result.message} Nothing was paid.`;
      return { status: "failed", error: new PaymentFailedError(message, { reason: result.reason, retryable: result.reason === "rate_limited" || result.reason === "unreachable" || result.reason === "no_route" }) };
    }
    // A look-up or a person ended it meanwhile: theirs is the outcome on record.
    return outcomeOnRecord(line, payment);
  }
  if (result.status === "settled") {
    const preimage = provenPreimage(result.preimage, payment.paymentHash);
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
    // A look-up in the background or a person may have ended it meanwhile.
    const row = found === "open" ? await line.store.payment(payment.paymentHash).catch(() => undefined) : undefined;
    if (found !== "open" || row?.state === "settled" || row?.state === "failed") return outcomeOnRecord(line, payment);
    if (line.clock.now() + wait >= deadline) return unknown;
    const closed = await idle(line.clock, wait, line.state.stop.signal).then(() => false, () => true);
    if (closed) return unknown;
  }
}

async function noteUnknown(line: Line, payment: StoredPayment, why: string, cause?: unknown, walletRef?: string): Promise<Outcome> {
  // Best effort: a row that stays `sending` keeps its hold just the same.
  await line.store.unknown(payment.paymentHash, payment.attempt, { resolution: why, ...(walletRef === undefined ? {} : { walletRef }) }).catch(() => false);
  line.emit("unknown", payment.url, { paymentHash: payment.paymentHash, detail: why });
  watch(line);
  return { status: "unknown", error: unknownError(line, payment, why, cause) };
}

