/** Redeeming what was bought, and what is kept in its place. Nothing here pays. */
import { busy, isHome, keptFor, KEPT_TRIES_MAX, lookUpKept, noteAccepted, refuses } from "./ask.ts";
import { alarm } from "./clock.ts";
import { noteReceipt, verdictOf } from "./credential.ts";
import { CredentialRejectedError, isL402Error, TransportError } from "./errors.ts";
import { discard, send, type Reply } from "./exchange.ts";
import type { Line, Offer } from "./line.ts";
import { ceilSats } from "./money.ts";
import type { KeptCredential } from "./ports.ts";
import { isKeyed, type Way } from "./purchase.ts";
import { hostOf, type Call, type Hop } from "./request.ts";

/** Waits, ms, before a fresh credential is shown again to a server that does not take it yet: 4 s in all. */
const REDEEM_AGAIN_MS: readonly number[] = [250, 750, 1_500, 1_500];
/** Longest wait, ms, for a server's answer to a fresh credential before the next one of its origin may be bought. */
const ANSWER_MAX_MS = 5_000;
/** Paid-but-refused purchases at an origin after which nothing is bought there for a while. */
const REFUSALS_MAX = 2;
const SUSPENDED_MS = 600_000;
/** Origins whose refusals are remembered. */
const SUSPENSIONS_MAX = 10_000;
/** Methods that may be sent again when it is not known whether the server acted on them (RFC 9110 section 9.2.2). */
const REPEATABLE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * A kept credential to try before any payment, where none was looked for or one may have turned up: the caller's own
 * `Authorization` went out first, a question was open for a while, or a recovery ran meanwhile.
 */
export async function keptBeside(line: Line, call: Call, offer: Offer, tried: ReadonlySet<string>, beside: boolean): Promise<Way | undefined> {
  if (call.quoteId !== undefined || (!beside && !offer.hop.headers.has("authorization"))) return undefined;
  const credential = await lookUpKept(line, call, offer.hop, busy(line, tried));
  // One of this very path may be this purchase, paid for in an earlier life: it is tried however many others were.
  return credential === undefined || (!isHome(credential, offer.hop) && tried.size >= KEPT_TRIES_MAX) ? undefined : { status: "try", credential, own: false };
}

/** Tries a credential instead of a payment: the response, or `undefined` when it is not good here. */
export async function tryKept(line: Line, call: Call, offer: Offer, way: Way & { status: "try" }, tried: Set<string>): Promise<Response | undefined> {
  const link = async (): Promise<unknown> => call.idempotencyKey !== undefined && line.store.link(line.config.budgetId, call.idempotencyKey, offer.callKey, way.credential.paymentHash);
  if (way.own) {
    try {
      const response = await useAgain(line, call, way.credential, offer.hop);
      await link().catch(() => {}); // what was bought is here, whatever the store says now
      return response;
    } catch (error) {
      if (!(await isAnothers(line, call, way.credential, error))) throw error;
      tried.add(way.credential.paymentHash);
      return undefined;
    }
  }
  const reply = await send(line, call, offer.hop, (hop) => (hop.url.origin === way.credential.origin ? way.credential : keptFor(line, call, hop, tried)));
  if (!refuses(line, reply, way.credential)) {
    await link();
    return reply.response;
  }
  tried.add(way.credential.paymentHash);
  discard(reply.response, line.clock);
  return undefined;
}

/** Whether a credential was refused because another process got what it was bought for; whoever waited for it then buys its own. */
async function isAnothers(line: Line, call: Call, credential: KeptCredential, error: unknown): Promise<boolean> {
  if (credential.acceptedAt !== undefined || !isL402Error(error) || error.code !== "credential_rejected") return false;
  const row = await line.store.payment(credential.paymentHash);
  return row?.acceptedAt !== undefined && !isKeyed(call, row);
}

/**
 * Uses what an earlier run of this purchase bought. It is never paid over.
 *
 * @throws {CredentialRejectedError} when the server does not take it any more.
 */
export async function useAgain(line: Line, call: Call, credential: KeptCredential, hop: Hop = call.first): Promise<Response> {
  if (credential.acceptedAt === undefined) return present(line, call, hop, credential, undefined);
  const reply = await send(line, call, hop, (next) => (next.url.origin === credential.origin ? credential : keptFor(line, call, next, new Set())));
  const { response } = reply;
  if (reply.credential?.paymentHash !== credential.paymentHash) return response; // it leads elsewhere now
  const verdict = verdictOf(response.status);
  if (verdict === "refused") {
    discard(response, line.clock);
    throw new CredentialRejectedError(
      `This purchase at ${hostOf(hop.url)} was paid and delivered before, and the server does not take its credential again (HTTP ${response.status}). Nothing was paid now. To buy it once more, use a new idempotencyKey.`,
      { paymentHash: credential.paymentHash, status: response.status },
    );
  }
  if (verdict === "accepted") noteAccepted(line, credential, true);
  noteReceipt(response, reply.hop.url.href, credential);
  return response;
}

/** Shows a bought credential to the server, and lets go of the purchase when it has answered. */
export async function redeem(line: Line, call: Call, hop: Hop, way: Way & { status: "bought" }): Promise<Response> {
  const { credential, seat } = way;
  const unanswered = alarm(line.clock, ANSWER_MAX_MS);
  void unanswered.over.then(() => seat.permit?.release());
  line.state.redeeming.add(credential.paymentHash);
  let taken = false;
  try {
    const response = await present(line, call, hop, credential, { amountMsat: way.payment.amountMsat, feeMsat: way.feeMsat });
    taken = true;
    return response;
  } catch (error) {
    if (isL402Error(error) && error.code === "credential_rejected") {
      taken = true;
      seat.end({ status: "error", error });
    }
    throw error;
  } finally {
    unanswered.stop();
    line.state.redeeming.delete(credential.paymentHash);
    seat.end({ status: "credential", credential, answered: taken });
  }
}

/**
 * Presents a credential that the server has not accepted yet. A refusal is tried again for up to 4 s (its node may not
 * have told it of the payment), and then raised; trouble on its side is tried again where that is harmless.
 *
 * @throws {CredentialRejectedError} `paid: "yes"`. @throws {TransportError} `paid: "yes"`, when no answer came.
 */
async function present(line: Line, call: Call, hop: Hop, credential: KeptCredential, paid: { amountMsat: bigint; feeMsat: bigint } | undefined): Promise<Response> {
  const host = hostOf(hop.url);
  const kept = "The payment was made; its credential is kept, and the same call again uses it and pays nothing.";
  for (let turn = 0; ; turn += 1) {
    const pause = REDEEM_AGAIN_MS[turn];
    let reply: Reply;
    try {
      reply = await send(line, call, hop, (next) => (next.url.origin === credential.origin ? credential : keptFor(line, call, next, new Set())));
    } catch (cause) {
      if (isL402Error(cause)) {
        throw new TransportError(cause.code === "transport_limit" || cause.code === "transport_failed" ? cause.code : "transport_blocked", `${cause.message} ${kept}`, { paid: "yes", retryable: true, cause, paymentHash: credential.paymentHash });
      }
      if (!call.signal?.aborted && REPEATABLE.has(hop.method) && pause !== undefined && turn < 2) {
        await line.clock.sleep(pause, call.signal).catch(() => {});
        continue;
      }
      throw new TransportError("transport_failed", `No answer from ${host} after the payment. ${kept}`, { paid: "yes", retryable: true, cause, paymentHash: credential.paymentHash });
    }
    const { response } = reply;
    const { status } = response;
    if (reply.hop.url.origin !== credential.origin) return answer(reply, credential, paid); // it led elsewhere: that is the answer
    const verdict = verdictOf(status);
    if (verdict === "accepted") {
      noteAccepted(line, credential, paid === undefined);
      line.emit("redeemed", hop.url.href, { paymentHash: credential.paymentHash, ...(paid === undefined ? {} : { amountSats: ceilSats(paid.amountMsat) }) });
      return answer(reply, credential, paid);
    }
    if (verdict === "open") {
      const again = pause !== undefined && (status === 409 || ((status === 429 || status >= 500) && REPEATABLE.has(hop.method) && turn < 2));
      const after = (Number(response.headers.get("retry-after")) || 0) * 1_000; // a date is left to the caller's next call
      if (!again || after > pause) return answer(reply, credential, paid);
      discard(response, line.clock);
      await line.clock.sleep(Math.max(pause, after), call.signal).catch(() => {});
      continue;
    }
    discard(response, line.clock);
    if (verdict === "elsewhere" || pause === undefined) {
      if (paid === undefined) await line.store.refused(credential.paymentHash, { method: hop.method, path: hop.url.pathname }).catch(() => {});
      else suspend(line, credential);
      line.emit("rejected", hop.url.href, { paymentHash: credential.paymentHash, detail: String(status) });
      throw new CredentialRejectedError(
        `${host} was paid ${paid === undefined ? "before" : `${ceilSats(paid.amountMsat)} sats`} and refuses the credential (HTTP ${status}). It was not paid again; the credential is kept. Take it up with the service.`,
        { paymentHash: credential.paymentHash, status },
      );
    }
    await line.clock.sleep(pause, call.signal).catch(() => {});
  }
}

function answer(reply: Reply, credential: KeptCredential, paid: { amountMsat: bigint; feeMsat: bigint } | undefined): Response {
  noteReceipt(reply.response, reply.hop.url.href, credential, paid);
  return reply.response;
}

/** Counts a paid-but-refused purchase; after two, nothing is bought at this origin for ten minutes. */
function suspend(line: Line, { origin, paymentHash }: KeptCredential): void {
  const { suspensions, rejected } = line.state;
  if (rejected.size >= SUSPENSIONS_MAX) rejected.delete(rejected.values().next().value as string);
  rejected.add(paymentHash);
  const refusals = (suspensions.get(origin)?.refusals ?? 0) + 1;
  if (suspensions.size >= SUSPENSIONS_MAX) suspensions.delete(suspensions.keys().next().value as string);
  suspensions.set(origin, { refusals, until: refusals >= REFUSALS_MAX ? line.clock.now() + SUSPENDED_MS : 0 });
}
