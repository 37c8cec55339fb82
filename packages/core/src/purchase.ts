/** The side roads of a purchase: credentials that make it unnecessary, purchases that exist already, and refusals. */
import { afterItsBuyer, busy } from "./ask.ts";
import { within } from "./clock.ts";
import { credentialOf } from "./credential.ts";
import { InvoiceError, isL402Error, PolicyError, QueueFullError } from "./errors.ts";
import { mayCarryCredential } from "./exchange.ts";
import type { Flight, Line, Offer, Orphan } from "./line.ts";
import { noteRelease } from "./line.ts";
import { INVOICE_LIFE_MIN_MS, NOT_SENT } from "./payment.ts";
import { ceilSats } from "./money.ts";
import { authorizeHost, authorizePrice } from "./policy.ts";
import type { KeptCredential, StoredPayment } from "./ports.ts";
import type { OriginDesk, Permit } from "./queue.ts";
import { mayWorkOn, recover, resolveByLookup, voidAbandoned } from "./recovery.ts";
import { requestKeyOf } from "./identity.ts";
import type { Call, Hop } from "./request.ts";
import type { Wait } from "./reserve.ts";
import { queueTimeout, type Seat } from "./seat.ts";
import { unknownError } from "./settlement.ts";

/** How often one call starts over when its payment was reserved and not dispatched. */
const UNSENT_MAX = 5;
/** Longest wait, ms, for the first recovery before a client's first payment. */
const RECOVERY_MAX_MS = 10_000;
/** First and longest wait, ms, between looks at a payment that another process is making. */
const ELSEWHERE_FIRST_MS = 50;
const ELSEWHERE_MAX_MS = 1_000;

/** What a purchase came to. */
export type Way =
  /** Bought for this call; its seat ends when the server has answered. */
  | { readonly status: "bought"; readonly credential: KeptCredential; readonly payment: StoredPayment; readonly feeMsat: bigint; readonly seat: Seat }
  /** To try without a payment. `own`: bought for this very purchase, so that a refusal is final and is never paid over. */
  | { readonly status: "try"; readonly credential: KeptCredential; readonly own: boolean }
  | { readonly status: "again" };

/** @throws {PolicyError} when the offer must not be paid, whatever the budget says. */
export function authorizeOffer(line: Line, call: Call, offer: Offer): void {
  try {
    check(line, call, offer);
  } catch (error) {
    noteRefusal(line, offer, error);
    throw error;
  }
}

/** Tells of a refusal by a rule. A refusal by a limit is told where it is made, with what was asked for. */
export function noteRefusal(line: Line, offer: Offer, error: unknown): void {
  if (!(error instanceof PolicyError)) return;
  line.emit("refused", offer.hop.url.href, { paymentHash: offer.invoice.paymentHash, amountSats: ceilSats(offer.invoice.amountMsat), detail: error.code });
}

function check(line: Line, call: Call, offer: Offer): void {
  const { host, hop, invoice } = offer;
  if (!mayCarryCredential(hop.url, line.insecureHosts)) {
    throw new PolicyError("policy_domain", `${host} asks for a payment over plain http, where the credential could be stolen. Nothing was paid; use https, or name the host in allowInsecureHosts.`);
  }
  authorizeHost(line.rules, hop.url); // a quote may be another client's, under other rules
  authorizePrice(line.rules, host, invoice.amountMsat, call.maxPriceMsat);
  authorizeOrigin(line, hop.url.origin, host);
}

/** Whether buying at this origin is stopped, since it took payments and refused what was bought. */
export function isSuspended(line: Line, origin: string): boolean {
  return (line.state.suspensions.get(origin)?.until ?? 0) > line.clock.now();
}

/** @throws {PolicyError} `origin_suspended` */
export function authorizeOrigin(line: Line, origin: string, host: string): void {
  const suspended = line.state.suspensions.get(origin);
  if (suspended !== undefined && isSuspended(line, origin)) {
    throw new PolicyError("origin_suspended", `${host} took ${suspended.refusals} payments and refused what was bought. Nothing was paid; buying there is stopped until ${new Date(suspended.until).toISOString()}.`);
  }
}

/**
 * Recovers once, before a client's first payment: what an earlier process left open may be this very purchase. `true`:
 * it was not over when this call came, so that credentials may have turned up since.
 */
export async function firstRecovery(line: Line, call: Call): Promise<boolean> {
  const { state, clock } = line;
  if (state.recovery === "done") return false;
  state.recovery ??= recover(line)
    .catch(() => {})
    .finally(() => (state.recovery = "done"));
  const waited = await within(clock, clock.now() + RECOVERY_MAX_MS, call.signal, state.recovery);
  if (waited.status === "aborted") throw waited.reason;
  return true;
}

/** What a call is known to cost before it is made: its quote, or the invoice that a person was asked about. @throws {PolicyError} `quote_invalid` */
export function knownOffer(line: Line, call: Call): Offer | undefined {
  if (call.quoteId !== undefined) return takeQuote(line, call);
  const asked = line.state.asked.get(call.idempotencyKey as string);
  if (asked === undefined) return undefined;
  line.state.asked.delete(call.idempotencyKey as string);
  return asked.callKey === requestKeyOf(call.first) && isPayable(line, asked) ? again(call, asked) : undefined;
}

function isPayable(line: Line, { invoice }: Offer): boolean {
  return invoice.expiresAt - INVOICE_LIFE_MIN_MS >= line.clock.now();
}

/** An offer for another run of its request: the headers are this call's own, and each call asks its own question. */
function again(call: Call, offer: Offer): Offer {
  return { ...offer, hop: offer.requestKey === offer.callKey ? call.first : offer.hop, approved: false };
}

/** @throws {PolicyError} `quote_invalid` when the quote is unknown, of another request, or too old to be paid. */
function takeQuote(line: Line, call: Call): Offer {
  const callKey = requestKeyOf(call.first);
  const quote = line.state.quotes.get(call.quoteId as string);
  if (quote === undefined) throw new PolicyError("quote_invalid", "No such quote: ask for the price again. Nothing was paid.");
  if (quote.callKey !== callKey) throw new PolicyError("quote_invalid", "The quote is for another request (method, URL and body must be the same). Nothing was paid.");
  if (!isPayable(line, quote)) throw new PolicyError("quote_invalid", "The quote has expired: ask for the price again. Nothing was paid.");
  return again(call, quote);
}

function keyMismatch(): PolicyError {
  return new PolicyError("idempotency_mismatch", "This idempotencyKey was used for another request (method, URL and body must be the same). Nothing was paid; use a new key.");
}

/**
 * The credential that an earlier run of this call bought: by its idempotency key, or by its quote.
 *
 * @throws {PolicyError} `idempotency_mismatch` when the key belongs to another request. @throws {PaymentUnknownError} while its outcome is open.
 */
export async function boughtBefore(line: Line, call: Call): Promise<KeptCredential | undefined> {
  if (call.idempotencyKey === undefined && call.quoteId === undefined) return undefined;
  const callKey = requestKeyOf(call.first);
  const wait: Wait = { deadline: line.clock.now() + line.config.paymentTimeoutMs, unsent: 0 };
  for (;;) {
    let payment = call.idempotencyKey === undefined ? undefined : await line.store.purchase(line.config.budgetId, { idempotencyKey: call.idempotencyKey });
    if (payment !== undefined && payment.callKey !== callKey) {
      throw keyMismatch();
    }
    if (payment === undefined && call.quoteId !== undefined) {
      const quote = line.state.quotes.get(call.quoteId);
      const row = quote === undefined || quote.callKey !== callKey ? undefined : await line.store.payment(quote.invoice.paymentHash);
      if (row !== undefined && row.requestKey === quote?.requestKey) payment = row;
    }
    if (payment === undefined || payment.state === "failed" || payment.state === "voided") return undefined;
    const unbooked = line.state.unbooked.get(payment.paymentHash);
    if (unbooked !== undefined && !line.state.redeeming.has(payment.paymentHash)) return unbooked.credential;
    const flight = line.state.flights.get(payment.requestKey);
    const open = payment.state !== "settled" || line.state.redeeming.has(payment.paymentHash);
    if (flight !== undefined && flight.paymentHash === payment.paymentHash && open) {
      const waited = await within(line.clock, wait.deadline, call.signal, flight.result);
      if (waited.status !== "done") throwStopped(line, payment, flight.dispatched, waited);
      continue;
    }
    const found = payment.state === "settled" ? credentialOf(payment) : await ended(line, call, payment, wait);
    return found === "free" || found === undefined ? undefined : afterItsBuyer(line, call, found);
  }
}

/**
 * A credential to try before a payment is sent: one of this origin that was accepted since the challenge, or one whose
 * caller has left. `look` only says whether there is one.
 */
export function newerCredential(line: Line, offer: Offer, tried: ReadonlySet<string>, mode: "take" | "look" = "take"): Way | undefined {
  const { orphans, accepted: newest } = line.state;
  const serves = (credential: KeptCredential): boolean =>
    !tried.has(credential.paymentHash) &&
    (line.config.credentialScope === "origin" || (credential.method === offer.hop.method && credential.path === offer.hop.url.pathname));
  const index = orphans.findIndex(({ credential, turn }) => turn > offer.turn && credential.origin === offer.hop.url.origin && serves(credential));
  if (index >= 0) {
    const { credential, requestKey } = orphans[index] as Orphan;
    if (mode === "take") orphans.splice(index, 1);
    return { status: "try", credential, own: requestKey === offer.requestKey };
  }
  const accepted = newest.get(offer.hop.url.origin);
  return accepted !== undefined && accepted.turn > offer.turn && serves(accepted.credential) ? { status: "try", credential: accepted.credential, own: false } : undefined;
}

/**
 * What paid for this very request and was shown to nobody yet: an earlier payment that was open when this call asked,
 * and was settled before its own was reserved. Asked when it is reserved, so that none can be missed.
 */
export async function settledMeanwhile(line: Line, call: Call, offer: Offer, tried: ReadonlySet<string>): Promise<Way | undefined> {
  if (call.quoteId !== undefined) return undefined;
  const { config, store } = line;
  const { hop } = offer;
  const found = await store.credential({ budgetId: config.budgetId, origin: hop.url.origin, method: hop.method, path: hop.url.pathname, anyPath: false, except: busy(line, tried) });
  if (found === undefined || found.acceptedAt !== undefined || !(await isOwnPurchase(line, found, hop))) return undefined;
  const credential = await afterItsBuyer(line, call, found);
  return { status: "try", credential, own: credential.acceptedAt === undefined };
}

/** Waits for the right to buy at this origin; `undefined` when a credential is to be tried instead. */
export async function enterDesk(line: Line, call: Call, desk: OriginDesk, wait: Wait): Promise<Permit | undefined> {
  const stop = new AbortController();
  const entered = desk.enter(stop.signal);
  const waited = await within(line.clock, wait.deadline, call.signal, entered);
  if (waited.status === "done") return waited.value;
  stop.abort();
  (await entered)?.release(); // it may have been granted in the very moment
  throw waited.status === "aborted" ? waited.reason : queueTimeout(line, call.first.url.host);
}

function throwStopped(line: Line, payment: Pick<StoredPayment, "paymentHash" | "amountMsat" | "host">, dispatched: boolean, waited: { status: "timeout" } | { status: "aborted"; reason: unknown }): never {
  const cause = waited.status === "aborted" ? waited.reason : undefined;
  if (dispatched) throw unknownError(line, payment, waited.status === "aborted" ? "the caller stopped waiting for the wallet" : "no answer from the wallet in time", cause);
  throw waited.status === "aborted" ? cause : queueTimeout(line, payment.host);
}

/** Shares an identical purchase of this process. */
export async function follow(line: Line, call: Call, offer: Offer, flight: Flight, tried: ReadonlySet<string>, wait: Wait): Promise<Way> {
  const waited = await within(line.clock, wait.deadline, call.signal, flight.result);
  if (waited.status !== "done") {
    throwStopped(line, { paymentHash: flight.paymentHash ?? offer.invoice.paymentHash, amountMsat: offer.invoice.amountMsat, host: offer.host }, flight.dispatched, waited);
  }
  const result = waited.value;
  if (result.status === "error") {
    // A no under the rules of a child is none under its parent's.
    if (isRefusal(result.error) && result.rules !== line.rules) return { status: "again" };
    throw result.error;
  }
  if (result.status === "none" || tried.has(result.credential.paymentHash)) return { status: "again" };
  return { status: "try", credential: result.credential, own: !result.answered };
}

/**
 * The purchase is on record already, made by another process or by an earlier call of this one.
 *
 * @throws {PolicyError} `idempotency_mismatch` when it is that of another request with the same key.
 */
export async function joinRecorded(line: Line, call: Call, offer: Offer, payment: StoredPayment, wait: Wait): Promise<Way> {
  if (isKeyed(call, payment) && payment.callKey !== offer.callKey) throw keyMismatch();
  if (payment.state === "settled") {
    const credential = credentialOf(payment);
    if (credential !== undefined) return { status: "try", credential, own: true };
    throw new InvoiceError("invoice_mismatch", `${offer.host} sent an invoice that was paid before. It was not paid again; ask the server for a new one.`);
  }
  const found = await ended(line, call, payment, wait);
  if (found === "free") return { status: "again" };
  const credential = await afterItsBuyer(line, call, found);
  // What another call bought, and was answered for, is tried; what nobody was answered for is this very purchase.
  return { status: "try", credential, own: credential.acceptedAt === undefined || isKeyed(call, payment) };
}

/** Whether a payment was made under the idempotency key of this call. */
export function isKeyed(call: Call, payment: StoredPayment): boolean {
  return call.idempotencyKey !== undefined && call.idempotencyKey === payment.idempotencyKey;
}

/**
 * Brings a payment that no call of this process makes a step further, if nobody else does: voids it if it was not sent,
 * looks it up if it was. `true`: it has changed.
 */
async function workOn(line: Line, call: Call, payment: StoredPayment, wait: Wait): Promise<boolean> {
  if (payment.state === "reserved") return voidAbandoned(line, payment);
  if (!(await mayWorkOn(line, payment))) return false;
  const found = await within(line.clock, wait.deadline, call.signal, resolveByLookup(line, payment).catch(() => "open" as const));
  return found.status === "done" && found.value !== "open";
}

/** Whether a credential was bought by this very request, and was not refused for good when it was fresh. */
export async function isOwnPurchase(line: Line, credential: KeptCredential, hop: Hop): Promise<boolean> {
  if (line.state.rejected.has(credential.paymentHash)) return false;
  return (await line.store.payment(credential.paymentHash))?.requestKey === requestKeyOf(hop);
}

/**
 * Waits until a recorded payment has ended: its credential, or `free` when nothing was paid.
 *
 * @throws {PaymentUnknownError} when its outcome stays open.
 */
async function ended(line: Line, call: Call, first: StoredPayment, wait: Wait): Promise<KeptCredential | "free"> {
  let payment = first;
  for (let pause = ELSEWHERE_FIRST_MS; ; pause = Math.min(2 * pause, ELSEWHERE_MAX_MS)) {
    const credential = line.state.unbooked.get(payment.paymentHash)?.credential ?? credentialOf(payment);
    if (credential !== undefined) return credential;
    if (payment.state === "failed" || payment.state === "voided" || payment.state === "settled") return "free";
    const dispatched = payment.state !== "reserved";
    const live = line.state.live.get(payment.paymentHash);
    if (payment.state === "unknown") {
      const waited = await within(line.clock, wait.deadline, call.signal, resolveByLookup(line, payment).catch(() => "open" as const));
      if (waited.status === "aborted") throwStopped(line, payment, dispatched, waited);
      if (waited.status === "timeout" || waited.value === "open") throw unknownError(line, payment, payment.resolution ?? "an earlier payment for this purchase is not resolved");
    } else if (live !== undefined) {
      const waited = await within(line.clock, wait.deadline, call.signal, live);
      if (waited.status !== "done") throwStopped(line, payment, dispatched, waited);
      if (waited.value.status === "settled") return waited.value.credential;
      if (waited.value.status === "unknown") throw waited.value.error;
    } else if (!(await workOn(line, call, payment, wait))) {
      const waited = await within(line.clock, Math.min(wait.deadline, line.clock.now() + pause), call.signal, new Promise<never>(() => {}));
      if (waited.status === "aborted" || line.clock.now() >= wait.deadline) throwStopped(line, payment, dispatched, waited.status === "done" ? { status: "timeout" } : waited);
    }
    payment = (await line.store.payment(payment.paymentHash)) ?? payment;
  }
}

/** Why a payment was not dispatched. @throws {L402Error} that says it. */
export async function notSent(line: Line, payment: StoredPayment, wait: Wait): Promise<Way> {
  noteRelease(line, payment);
  const why = await line.store.paused(payment.budgetId);
  if (why !== null) throw new PolicyError("paused_after_overrun", `Paying is stopped: ${why}. Look at the payments and the wallet, then call client.resume({ why }).`);
  if (line.clock.now() > payment.expiresAt - INVOICE_LIFE_MIN_MS) {
    throw new InvoiceError("invoice_expired", `The invoice of ${payment.host} ran out while it waited. Nothing was paid; try again.`, { retryable: true });
  }
  authorizeOrigin(line, payment.origin, payment.host);
  const row = await line.store.payment(payment.paymentHash);
  const credential = row === undefined ? undefined : credentialOf(row);
  if (credential !== undefined) return { status: "try", credential, own: true };
  // The store may have reasons of its own, such as another clock; it is asked again, but not for ever.
  if (row?.resolution === NOT_SENT && (wait.unsent += 1) <= UNSENT_MAX) return { status: "again" };
  throw new QueueFullError("queue_timeout", `The payment to ${payment.host} was called off before it was sent. Nothing was paid; try again.`);
}

/** Whether identical purchases share this failure; what only concerns its own caller, they do not. */
export function sharesError(line: Line, call: Call, error: unknown): boolean {
  if (!isL402Error(error) || ["budget_exceeded", "queue_full", "queue_timeout", "invoice_expired", "store_unavailable"].includes(error.code)) return false;
  // The client's own no is everyone's; that of a call's approver, or an open question, is not.
  const isOwnAnswer = error.cause !== undefined || call.hooks.approve !== undefined || line.rules.approvals.some(({ approve }) => approve === undefined);
  return !(isRefusal(error) && isOwnAnswer);
}

/** Whether a person, or whoever asks for one, refused a payment. */
function isRefusal(error: unknown): boolean {
  return isL402Error(error) && (error.code === "approval_denied" || error.code === "approval_timeout");
}
