/**
 * Ends payments whose outcome is open, by proof only: a look-up at the wallet, or a person. The rules are those of
 * docs/architecture.md: paid with a valid preimage settles; in flight keeps the hold; a definite failure releases it if
 * it can only mean this attempt; "not found" only when nothing can be executed later; trouble with the look-up proves
 * nothing.
 */
import { idle, within } from "./clock.ts";
import { L402Error } from "./errors.ts";
import { noteRelease, noteSpend, type Line } from "./line.ts";
import { ceilSats } from "./money.ts";
import { book, outcomeOnRecord, provenPreimage } from "./settlement.ts";
import { feeOf } from "./wallet.ts";
import type { LookupResult, StoredPayment } from "./ports.ts";
import { recordOf } from "./record.ts";
import type { RecoveryReport } from "./types.ts";

/** Clock error, and the longest time a wallet's own server may sit on a request: after both, an expired invoice cannot be begun. */
const SKEW_AND_GRACE_MS = 120_000;
/** How long, ms, a process that took over an open payment has it to itself. */
const CLAIM_MS = 60_000;
/** First and longest pause, ms, between background look-ups. */
const WATCH_FIRST_MS = 15_000;
const WATCH_MAX_MS = 600_000;
/** Longest wait, ms, for the answer to a look-up. */
const LOOKUP_MAX_MS = 15_000;
/** Least time, ms, between two look-ups that must agree that a payment was never seen. */
const NOT_FOUND_TWICE_MS = 30_000;

/** Looks one unresolved payment up and books what is proven. Throws what the look-up or the store throws. */
export async function resolveByLookup(line: Line, payment: StoredPayment): Promise<"settled" | "failed" | "open"> {
  const { wallet, store, state, clock } = line;
  if (state.unbooked.has(payment.paymentHash)) return "open"; // it is paid, and is booked as soon as the store takes it
  const { lookup } = wallet.capabilities;
  if (wallet.lookup === undefined || lookup === "none" || (lookup === "by-ref" && payment.walletRef === undefined)) return "open";
  // What was not there when it was asked for may have begun before the answer came: only the time of asking counts.
  const now = clock.now();
  const asked = wallet.lookup({ paymentHash: payment.paymentHash, ...(payment.walletRef === undefined ? {} : { ref: payment.walletRef }) });
  const waited = await within(clock, now + LOOKUP_MAX_MS, state.stop.signal, asked);
  if (waited.status !== "done") throw new Error("the wallet did not answer the look-up");
  const found: LookupResult = waited.value;
  if (found.status !== "not_found") state.notFound.delete(payment.paymentHash);
  if (found.status === "settled") {
    const preimage = provenPreimage(found.preimage, payment.paymentHash);
    if (preimage === undefined) return "open";
    const outcome = await book(line, payment, preimage, feeOf(found.feeMsat), "looked up at the wallet");
    line.emit("resolved", payment.url, { paymentHash: payment.paymentHash, detail: "settled" });
    state.elsewhere.get(payment.paymentHash)?.(outcome);
    return "settled";
  }
  // Another wallet than the one that was asked to pay knows nothing of it: only a preimage would be proof.
  if (payment.wallet !== wallet.name) return "open";
  let proof: string | undefined;
  const cannotBegin = now > payment.expiresAt + SKEW_AND_GRACE_MS;
  if (found.status === "failed" && !found.soft && (payment.attempt <= 1 || cannotBegin)) proof = "the wallet's look-up says failed";
  if (found.status === "not_found") {
    const after = wallet.capabilities.notFoundFinalAfterMs;
    const first = state.notFound.get(payment.paymentHash) ?? clock.now();
    state.notFound.set(payment.paymentHash, first);
    if (after !== null && payment.dispatchedAt !== undefined && now >= payment.dispatchedAt + after) proof = "the wallet has never seen it";
    if (after === null && cannotBegin && now - first >= NOT_FOUND_TWICE_MS) proof = "the wallet has never seen it, and the invoice has expired";
  }
  if (proof === undefined) return "open";
  if (!(await store.fail(payment.paymentHash, payment.attempt, proof))) return "open";
  noteRelease(line, payment);
  line.emit("resolved", payment.url, { paymentHash: payment.paymentHash, detail: "failed" });
  state.elsewhere.get(payment.paymentHash)?.(await outcomeOnRecord(line, payment));
  return "failed";
}

/** Whether nobody works on a payment any more: its process is gone, or its lease ran out. */
async function isAbandoned(line: Line, payment: StoredPayment): Promise<boolean> {
  if (payment.leaseUntil <= line.clock.now()) return true;
  return (await line.store.ownerAlive?.(payment.owner)) === false;
}

const isOwn = (line: Line, payment: StoredPayment): boolean => payment.owner.startsWith(`${line.state.owner}/`);

/** Voids a reservation that its owner no longer works on. */
export async function voidAbandoned(line: Line, payment: StoredPayment): Promise<boolean> {
  const left = isOwn(line, payment) ? !line.state.working.has(payment.owner) : await isAbandoned(line, payment);
  if (!left) return false;
  const voided = await line.store.void(payment.paymentHash, "its owner is gone; it was never sent", payment.owner);
  if (voided) {
    noteRelease(line, payment);
    line.emit("resolved", payment.url, { paymentHash: payment.paymentHash, detail: "voided" });
  }
  return voided;
}

/** Whether this process may work on an open payment: it is its own, or it was left and could be claimed. */
export async function mayWorkOn(line: Line, payment: StoredPayment): Promise<boolean> {
  const { store, state, clock } = line;
  if (store.claim === undefined || isOwn(line, payment)) return true;
  if (!(await isAbandoned(line, payment))) return false;
  const to = { owner: `${state.owner}/${(state.reservations += 1)}`, leaseUntil: clock.now() + CLAIM_MS };
  return store.claim(payment.paymentHash, payment, to);
}

/** Brings every open payment of the budget as far as proof allows. */
export async function recover(line: Line): Promise<RecoveryReport> {
  const report: RecoveryReport = { settled: 0, failed: 0, voided: 0, stillUnknown: [], recoveredSats: 0 };
  const open: StoredPayment[] = [];
  for await (const payment of line.store.payments(line.config.budgetId, { state: ["reserved", "sending", "unknown"] })) open.push(payment);
  let recoveredMsat = 0n;
  for (const payment of open) {
    if (payment.state === "reserved") {
      if (await voidAbandoned(line, payment)) {
        report.voided += 1;
        recoveredMsat += payment.amountMsat + payment.maxFeeMsat;
      }
      continue;
    }
    if (payment.state === "sending" && line.state.live.has(payment.paymentHash)) continue; // its owner is here, and at it
    const found = (await mayWorkOn(line, payment)) ? await resolveByLookup(line, payment).catch(() => "open" as const) : "open";
    if (found === "open") report.stillUnknown.push(recordOf(payment));
    else report[found] += 1;
    if (found === "failed") recoveredMsat += payment.amountMsat + payment.maxFeeMsat;
  }
  report.recoveredSats = ceilSats(recoveredMsat);
  if (report.stillUnknown.length > 0) watch(line);
  return report;
}

/**
 * Keeps looking up what is open, with growing pauses, until nothing is or the client is closed. It runs at most once
 * for a client, never keeps the process alive, and never rejects.
 */
export function watch(line: Line): void {
  const { state } = line;
  if (state.watching || state.closed) return;
  state.watching = true;
  void (async () => {
    for (let pause = WATCH_FIRST_MS; ; pause = Math.min(2 * pause, WATCH_MAX_MS)) {
      await idle(line.clock, pause, state.stop.signal);
      const report = await recover(line).catch(() => undefined);
      if (report !== undefined && report.stillUnknown.length === 0) return;
    }
  })()
    .catch(() => {}) // closed
    .finally(() => (state.watching = false));
}

/**
 * Ends a payment by hand, on record.
 *
 * @throws {L402Error} `not_resolvable` when it is not in the ledger, is settled, or the preimage is not its own.
 */
export async function resolveByHand(line: Line, paymentHash: string, outcome: "settled" | "failed", proof: { why: string; preimage?: string }): Promise<void> {
  if (outcome !== "settled" && outcome !== "failed") throw new L402Error("invalid_options", 'The outcome must be "settled" or "failed".');
  if (typeof proof?.why !== "string" || proof.why.trim() === "") throw new L402Error("invalid_options", "Resolving by hand needs a reason: { why: \"…\" }.");
  const payment = typeof paymentHash === "string" ? await line.store.payment(paymentHash.toLowerCase()) : undefined;
  if (payment === undefined || payment.budgetId !== line.config.budgetId) throw new L402Error("not_resolvable", "No payment with this payment hash is in the ledger.");
  if (payment.state === "settled") throw new L402Error("not_resolvable", "This payment is settled already.", { paid: "yes" });
  const resolution = `by hand: ${proof.why}`.slice(0, 500);
  if (outcome === "settled") {
    if (proof.preimage !== undefined) {
      const preimage = provenPreimage(proof.preimage, payment.paymentHash);
      if (preimage === undefined) throw new L402Error("not_resolvable", "The preimage is not that of this payment hash.");
      await book(line, payment, preimage, null, resolution);
    } else {
      const booked = await line.store.settle(payment.paymentHash, { preimage: null, feeMsat: payment.maxFeeMsat, resolution });
      if (booked.status !== "already" && booked.status !== "missing") noteSpend(line, payment, payment.maxFeeMsat);
    }
  } else if (payment.state === "reserved") {
    if (!(await line.store.void(payment.paymentHash, resolution))) throw new L402Error("not_resolvable", "This payment was sent meanwhile; look again.");
    noteRelease(line, payment);
  } else if (payment.state === "sending" || payment.state === "unknown") {
    if (!(await line.store.fail(payment.paymentHash, payment.attempt, resolution))) throw new L402Error("not_resolvable", "This payment changed meanwhile; look again.");
    noteRelease(line, payment);
  } else {
    throw new L402Error("not_resolvable", `This payment is ${payment.state} already.`);
  }
  line.emit("resolved", payment.url, { paymentHash: payment.paymentHash, detail: `${outcome} ${resolution}` });
}
