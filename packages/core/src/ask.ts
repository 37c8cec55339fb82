/** Asking with what is kept, which is all that most calls come to. Nothing here pays. */
import { asksForPayment, noteReceipt, verdictOf } from "./credential.ts";
import { discard, send, type Reply } from "./exchange.ts";
import { paying, type Line, type Offer } from "./line.ts";
import type { KeptCredential } from "./ports.ts";
import type { Call, Hop } from "./request.ts";

/** Kept credentials tried for one call before a purchase: that of its path, and the newest of its origin. */
export const KEPT_TRIES_MAX = 2;
/** Origins whose newest accepted credential is remembered for calls under way. */
const ACCEPTED_MAX = 1_000;

/** Longest wait, ms, for another process to show what it bought, and the pause between looks. */
const BUYER_FIRST_MS = 5_000;
const BUYER_LOOK_MS = 50;

/** The kept credential for a hop, unless it carries an `Authorization` of the caller's own. */
export function keptFor(line: Line, call: Call, hop: Hop, except: ReadonlySet<string>, anyPath = true): Promise<KeptCredential | undefined> {
  if (hop.headers.has("authorization")) return Promise.resolve(undefined);
  return lookUpKept(line, call, hop, except, anyPath);
}

export async function lookUpKept(line: Line, call: Call, hop: Hop, except: ReadonlySet<string>, anyPath = true): Promise<KeptCredential | undefined> {
  const { config, store } = line;
  const found = await store.credential({ budgetId: config.budgetId, origin: hop.url.origin, method: hop.method, path: hop.url.pathname, anyPath: anyPath && config.credentialScope === "origin", except });
  return found === undefined || found.acceptedAt !== undefined ? found : afterItsBuyer(line, call, found);
}

/**
 * The credential, once the process that bought it has shown it, if that is another one which is there: a single-use one
 * would else be taken from it. Only where the store knows who is there; one whose buyer is gone is used at once.
 */
export async function afterItsBuyer(line: Line, call: Call, credential: KeptCredential): Promise<KeptCredential> {
  const { clock, store, state } = line;
  if (store.ownerAlive === undefined) return credential;
  while (clock.now() < credential.settledAt + BUYER_FIRST_MS && !call.signal?.aborted) {
    const row = await store.payment(credential.paymentHash);
    if (row?.acceptedAt !== undefined) return { ...credential, acceptedAt: row.acceptedAt };
    if (row === undefined || row.owner.startsWith(`${state.owner}/`) || (await store.ownerAlive(row.owner)) !== true) break;
    await clock.sleep(BUYER_LOOK_MS, call.signal).catch(() => {});
  }
  return credential;
}

/** Whether a credential was bought for this very method and path. */
export function isHome(credential: KeptCredential, hop: Hop): boolean {
  return credential.method === hop.method && credential.path === hop.url.pathname;
}

/**
 * Asks for the resource, with a kept credential where there is one. The response, if it is free, opened or not ours;
 * else the offer.
 */
export async function ask(line: Line, call: Call, tried: Set<string>): Promise<Response | Offer> {
  // One of another path is tried once: the newest. If that is not good here, older ones are not either.
  let anyPath = true;
  for (let tries = 0; ; tries += 1) {
    // Taken before the look-up: a credential accepted from here on is news to this call, whatever its 402 comes after.
    const turn = (line.state.turn += 1);
    const reply = await send(line, call, call.first, (hop) => (tries < KEPT_TRIES_MAX ? keptFor(line, call, hop, busy(line, tried), anyPath) : undefined));
    const { response, credential } = reply;
    const readOffer = asksForPayment(response) ? (await paying(line)).readOffer : undefined;
    if (credential === undefined) return (await readOffer?.(line, call, reply, turn)) ?? response;
    if (!refuses(line, reply, credential)) return response;
    tried.add(credential.paymentHash);
    if (credential.acceptedAt === undefined && isHome(credential, reply.hop)) {
      // Bought by this very request, whose answer was lost: it is not paid for twice.
      const { isOwnPurchase, useAgain } = await paying(line);
      if (await isOwnPurchase(line, credential, reply.hop)) {
        discard(response, line.clock);
        return useAgain(line, call, credential, reply.hop);
      }
    }
    anyPath &&= isHome(credential, reply.hop);
    // A 402 to a stale credential is a fresh challenge, when nothing else is left to try.
    if (readOffer !== undefined && (await keptFor(line, call, reply.hop, busy(line, tried), anyPath)) === undefined) {
      const offer = await readOffer(line, call, reply, turn).catch(() => null);
      if (offer !== null) return offer;
    }
    discard(response, line.clock);
  }
}

/** What must not be tried: what was, and what a caller of this process is about to redeem. */
export function busy(line: Line, tried: ReadonlySet<string>): ReadonlySet<string> {
  if (line.state.redeeming.size === 0) return tried;
  return new Set([...tried, ...line.state.redeeming]);
}

/**
 * Judges the answer to a kept credential. `true`: it was refused here, and the call goes on without it. A 403 at the
 * place it was bought for is an answer, not a refusal.
 */
export function refuses(line: Line, { response, hop }: Reply, credential: KeptCredential): boolean {
  const verdict = verdictOf(response.status);
  const place = { method: hop.method, path: hop.url.pathname };
  const home = isHome(credential, hop);
  if (verdict === "refused" || (verdict === "elsewhere" && !home)) {
    void line.store.refused(credential.paymentHash, place).catch(() => {});
    line.emit("rejected", hop.url.href, { paymentHash: credential.paymentHash, detail: String(response.status) });
    return true;
  }
  if (verdict === "accepted") noteAccepted(line, credential, true);
  noteReceipt(response, hop.url.href, credential);
  return false;
}

export function noteAccepted(line: Line, credential: KeptCredential, reused: boolean): void {
  if (credential.acceptedAt === undefined) void line.store.accepted(credential.paymentHash).catch(() => {});
  line.state.suspensions.delete(credential.origin);
  const { accepted, desks } = line.state;
  if (!accepted.has(credential.origin) && accepted.size >= ACCEPTED_MAX) accepted.delete(accepted.keys().next().value as string);
  accepted.set(credential.origin, { credential: credential.acceptedAt === undefined ? { ...credential, acceptedAt: line.clock.now() } : credential, turn: (line.state.turn += 1) });
  desks.get(credential.origin)?.desk.noteAccepted(reused);
}
