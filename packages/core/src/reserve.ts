/** Takes the hold on every limit at once, and asks the person, if there is one to ask, about the exact invoice. */
import { roomMsat, roomPayments } from "./budget.ts";
import { within } from "./clock.ts";
import { BudgetExceededError, describeLimit, InvoiceError, PolicyError } from "./errors.ts";
import { tell } from "./events.ts";
import { noteHold, type Line, type Offer } from "./line.ts";
import { ceilSats, floorSats } from "./money.ts";
import type { ConfiguredLimit } from "./options.ts";
import { payRequestOf } from "./payment.ts";
import type { LimitRule, StoredPayment, Usage } from "./ports.ts";
import type { OriginDesk } from "./queue.ts";
import { watch } from "./recovery.ts";
import type { Call, CallWait } from "./request.ts";
import type { Seat } from "./seat.ts";
import type { PaymentIntent } from "./types.ts";
import { feeToHold } from "./wallet.ts";

/** Time, ms, by which a reservation outlives the longest approval and the longest wait for the wallet. */
const LEASE_GRACE_MS = 30_000;
/** Longest wait, ms, for the hold of a question that another call is asking. */
const ASKING_MOMENT_MS = 500;
/** Part of a limit, in per cent, from which `limit_near` is told. */
const NEAR_PERCENT = 80n;

/** How long one call waits for its payment. Time spent with a person does not count. */
export interface Wait {
  deadline: number;
  /** Until when it waits for holds of questions, once it did. */
  moment?: number;
  /** How often it started over, since its payment was reserved and then not dispatched. */
  unsent: number;
}

export type Reserved =
  | { readonly status: "reserved"; readonly payment: StoredPayment }
  /** The purchase has a payment on record already. */
  | { readonly status: "purchase"; readonly payment: StoredPayment }
  /** Something ended meanwhile; look again. */
  | { readonly status: "again" };

/**
 * Holds amount and fee allowance, on record and counted at the desk, on every limit at once. What does not fit waits while a payment of the
 * same origin is under way, whose credential may serve it.
 *
 * @throws {BudgetExceededError} when a limit does not allow it. @throws {PolicyError} while the client is paused.
 * @throws {InvoiceError} when the invoice is on record for another purchase. @throws {PaymentFailedError} for a fee above the allowance.
 */
export async function reserve(line: Line, call: Call, offer: Offer, desk: OriginDesk, wait: Wait, seat: Seat): Promise<Reserved> {
  const { config, rules, clock, store, wallet } = line;
  const { invoice, challenge, hop } = offer;
  const request = payRequestOf(line, { invoice: invoice.invoice, paymentHash: invoice.paymentHash, amountMsat: invoice.amountMsat }, 0n, call.signal);
  const fee = await feeToHold(wallet, request, config.maxFee, async (quote) => {
    const waited = await within(clock, wait.deadline, call.signal, quote);
    if (waited.status === "aborted") throw waited.reason;
    return waited.status === "done" ? waited.value : undefined;
  });
  // Counted from before the store is asked: whoever does not fit meanwhile waits for this one's outcome.
  desk.underWay += 1;
  const result = await store.reserve({
    payment: {
      paymentHash: invoice.paymentHash,
      budgetId: config.budgetId,
      scopes: rules.scopes,
      ...(rules.label === undefined ? {} : { label: rules.label }),
      requestKey: offer.requestKey,
      callKey: offer.callKey,
      ...(call.idempotencyKey === undefined ? {} : { idempotencyKey: call.idempotencyKey }),
      url: hop.url.href,
      method: hop.method,
      origin: hop.url.origin,
      host: offer.host,
      path: hop.url.pathname,
      amountMsat: invoice.amountMsat,
      payee: invoice.payee,
      wallet: wallet.name,
      invoice: invoice.invoice,
      expiresAt: invoice.expiresAt,
      scheme: challenge.scheme,
      credential: challenge.credential,
      owner: seat.owner,
      leaseUntil: clock.now() + config.approvalTimeoutMs + config.paymentTimeoutMs + LEASE_GRACE_MS,
    },
    ...fee,
    limits: rules.limits.map((limit) => limit.rule),
  }).catch((error: unknown) => {
    desk.underWay -= 1;
    watch(line); // it may be on record all the same
    throw error;
  });
  if (result.status !== "reserved") desk.underWay -= 1;
  switch (result.status) {
    case "reserved":
      if (rules.approvals.length > 0 || call.hooks.approve !== undefined) seat.asks();
      noteHold(line, result.payment);
      line.emit("reserved", hop.url.href, { paymentHash: invoice.paymentHash, amountSats: ceilSats(invoice.amountMsat) });
      noteNearLimits(line);
      return { status: "reserved", payment: result.payment };
    case "purchase":
      return { status: "purchase", payment: result.payment };
    case "exists":
      // One invoice for a whole service, or for the same request again: its credential serves here too. Else paying it
      // again could be stolen on the way, since the preimage is known.
      if (result.payment.origin === hop.url.origin && result.payment.credential === challenge.credential) return { status: "purchase", payment: result.payment };
      throw new InvoiceError("invoice_mismatch", `${offer.host} sent an invoice that is on record for another purchase. It was not paid again; ask the server for a new one.`);
    case "paused":
      throw new PolicyError("paused_after_overrun", `Paying is stopped: ${result.why}. Look at the payments and the wallet, then call client.resume({ why }).`);
    case "over_limit": {
      if (await askingEnds(line, call, wait)) return { status: "again" };
      if (desk.underWay > 0 && (await within(clock, wait.deadline, call.signal, desk.changed())).status === "done") return { status: "again" };
      call.signal?.throwIfAborted();
      const error = overLimit(line, offer, result.rule, result.usage, fee.minFeeMsat);
      line.emit("refused", hop.url.href, { paymentHash: invoice.paymentHash, amountSats: error.required, detail: error.code });
      tell(config.onBudgetExceeded, hop.url.href, error.required);
      throw error;
    }
  }
}

/** What does not fit beside holds of questions that are being asked waits a moment: the call may be left with its question. */
async function askingEnds({ clock, state }: Line, call: Call, wait: Wait): Promise<boolean> {
  if (state.asking.size === 0) return false;
  wait.moment ??= clock.now() + ASKING_MOMENT_MS;
  return (await within(clock, Math.min(wait.moment, wait.deadline), call.signal, Promise.race(state.asking))).status === "done";
}

function configured(line: Line, rule: LimitRule): ConfiguredLimit | undefined {
  return line.rules.limits.find(
    ({ rule: own }) => own === rule || (own.scope === rule.scope && own.domain === rule.domain && own.windowMs === rule.windowMs && own.maxMsat === rule.maxMsat && own.maxPayments === rule.maxPayments),
  );
}

function overLimit(line: Line, offer: Offer, rule: LimitRule, usage: Usage, feeMsat: bigint): BudgetExceededError {
  const shown = configured(line, rule)?.shown ?? {};
  const required = ceilSats(offer.invoice.amountMsat + feeMsat);
  const counted = (roomPayments(rule, usage) ?? 1) < 1;
  const remaining = counted ? 0 : floorSats(roomMsat(rule, usage) ?? 0n);
  const fee = feeMsat === 0n ? "" : `, ${ceilSats(feeMsat)} sats of them a routing fee that the wallet may charge`;
  const held = usage.heldMsat === 0n ? "" : ` (${ceilSats(usage.heldMsat)} sats are held for payments under way)`;
  const message = counted
    ? `The limit of ${describeLimit(shown)} is reached${usage.heldPayments === 0 ? "" : ` (${usage.heldPayments} payments are under way)`}. Nothing was paid to ${offer.host}.`
    : `${offer.host} needs ${required} sats${fee}; ${remaining} sats remain of the limit of ${describeLimit(shown)}${held}. Nothing was paid.`;
  return new BudgetExceededError(message, { url: offer.hop.url.href, required, remaining, limit: shown });
}

/** Tells, once each time, that a limit is mostly used. Only where somebody listens, and never in the way of a payment. */
function noteNearLimits(line: Line): void {
  if (line.config.onEvent === undefined) return;
  const { limits } = line.rules;
  line.store.usage(limits.map((limit) => limit.rule)).then(
    (usages) => {
      for (const [index, usage] of usages.entries()) {
        const { rule, shown } = limits[index] as ConfiguredLimit;
        if (rule.maxMsat === undefined || rule.maxMsat === 0n) continue;
        const key = `${rule.scope} ${describeLimit(shown)}`;
        const near = (usage.spentMsat + usage.heldMsat) * 100n >= rule.maxMsat * NEAR_PERCENT;
        if (near && !line.state.near.has(key)) {
          line.state.near.add(key);
          line.emit("limit_near", "", { detail: `${floorSats(roomMsat(rule, usage) ?? 0n)} sats remain of the limit of ${describeLimit(shown)}` });
        } else if (!near) line.state.near.delete(key);
      }
    },
    () => {},
  );
}

/** Tells the maker of a call what it waits for from now on. */
export function noteWait(call: Call, stage: CallWait["stage"], { amountMsat, paymentHash }: StoredPayment): void {
  tell(call.hooks.onWait, { stage, amountSats: ceilSats(amountMsat), paymentHash });
}

/** Offers that are kept for calls to be run again, in all; the oldest is forgotten. */
const ASKED_MAX = 1_000;

/**
 * Asks about the exact invoice, with the hold already taken. Only `true` approves. Whatever else it is, the offer is kept
 * for the same call, which may be run again: with the answer, or only since its neighbour was not answered yet.
 *
 * @throws {PolicyError} `approval_denied` for any other answer, a throw, or when nobody can be asked; `approval_timeout`
 * after `approvalTimeoutMs`.
 */
export async function askApproval(line: Line, call: Call, offer: Offer, held: StoredPayment, wait: Wait): Promise<void> {
  const { approve: caller } = call.hooks;
  const wanted = line.rules.approvals.filter(({ aboveMsat }) => held.amountMsat > aboveMsat);
  const required = wanted.some(({ approve }) => approve === undefined);
  if (offer.approved || (wanted.length === 0 && caller === undefined)) return;
  const { clock, config } = line;
  const asked = clock.now();
  const totals = line.rules.limits.filter((limit) => limit.rule.domain === undefined && limit.rule.windowMs === undefined && limit.rule.maxMsat !== undefined);
  const usages = await line.store.usage(totals.map((limit) => limit.rule));
  const rooms = usages.map((usage, index) => roomMsat((totals[index] as ConfiguredLimit).rule, usage) as bigint);
  const intent: PaymentIntent = {
    url: held.url,
    host: held.host,
    method: held.method,
    amountSats: ceilSats(held.amountMsat),
    amountMsat: Number(held.amountMsat),
    maxFeeSats: ceilSats(held.maxFeeMsat),
    payee: held.payee,
    description: offer.invoice.description,
    paymentHash: held.paymentHash,
    expiresAt: held.expiresAt,
    remainingSats: rooms.length === 0 ? null : floorSats(rooms.reduce((least, room) => (room < least ? room : least))),
  };
  const refusal = (code: "approval_denied" | "approval_timeout", why: string, cause?: unknown): PolicyError => {
    line.emit("approval", held.url, { paymentHash: held.paymentHash, amountSats: intent.amountSats, detail: code });
    return new PolicyError(code, `The payment of ${intent.amountSats} sats to ${intent.host} ${why}. Nothing was paid.`, cause === undefined ? {} : { cause });
  };
  if (required && caller === undefined) throw refusal("approval_denied", "needs the yes of a person (approveAbove), and nobody can be asked here");
  if (wanted.length > 0) {
    line.emit("approval", held.url, { paymentHash: held.paymentHash, amountSats: intent.amountSats, detail: "asked" });
    noteWait(call, "approval", held);
  }
  const askers = wanted.flatMap(({ approve }) => approve ?? []);
  for (const approve of caller === undefined ? askers : [...askers, (shown: PaymentIntent) => caller(shown, required)]) {
    const answer = await within(clock, asked + config.approvalTimeoutMs, call.signal, (async () => approve({ ...intent }))()).catch((cause: unknown) => ({ status: "threw" as const, cause }));
    if (answer.status === "aborted") throw answer.reason;
    if (answer.status === "done" && answer.value === true) continue;
    keepOffer(line, call, offer);
    if (answer.status === "timeout") throw refusal("approval_timeout", "was not answered in time");
    throw refusal("approval_denied", "was not approved", answer.status === "threw" ? answer.cause : undefined);
  }
  offer.approved = true;
  wait.deadline += clock.now() - asked;
}

function keepOffer(line: Line, { idempotencyKey }: Call, offer: Offer): void {
  if (idempotencyKey === undefined) return;
  const { asked } = line.state;
  asked.delete(idempotencyKey);
  if (asked.size >= ASKED_MAX) asked.delete(asked.keys().next().value as string);
  asked.set(idempotencyKey, offer);
}
