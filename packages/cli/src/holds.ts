/** Why money is held, and what would release it, in words. The rules are those of docs/architecture.md. */
import type { StoredPayment, Wallet } from "@l402-tools/core";
import { short, time } from "./text.ts";

/** From the end of an invoice on, ms, until nothing of it can be under way any more. */
const GRACE_MS = 120_000;

export interface Circumstances {
  readonly now: number;
  /** Whether the process of its owner lives; `undefined`: that cannot be told. */
  readonly ownerAlive: boolean | undefined;
  /** The wallet that is configured; `undefined`: none. */
  readonly wallet: Pick<Wallet, "name" | "capabilities"> | undefined;
}

export function isUnderWay(payment: Pick<StoredPayment, "leaseUntil">, { now, ownerAlive }: Pick<Circumstances, "now" | "ownerAlive">): boolean {
  return ownerAlive !== false && payment.leaseUntil > now;
}

export function whyHeld(payment: StoredPayment, circumstances: Circumstances): string {
  if (payment.resolution !== undefined) return payment.resolution;
  const underWay = isUnderWay(payment, circumstances);
  if (payment.state === "reserved") return underWay ? "a purchase is under way; nothing was sent to a wallet yet" : "its process ended before anything was sent to a wallet";
  return underWay ? `it was sent to the wallet (${payment.wallet}), whose answer is awaited` : `its process ended while the wallet (${payment.wallet}) had it`;
}

export function whatReleases(payment: StoredPayment, circumstances: Circumstances): string {
  const { now, wallet } = circumstances;
  const underWay = isUnderWay(payment, circumstances);
  if (payment.state === "reserved") {
    if (!underWay) return "`l402-tools recover` releases it, and so does the next payment: it was never sent.";
    const until = `From ${time(payment.leaseUntil)} on, \`l402-tools recover\` releases it in any case: it was not sent.`;
    return circumstances.ownerAlive === true ? `Its process is at work and will pay it or release it. ${until}` : until;
  }
  if (underWay && payment.state === "sending" && circumstances.ownerAlive === true) return "Its process is at work and books the wallet's answer. If that process ends, `l402-tools recover` looks it up.";
  const byHand = `l402-tools resolve ${short(payment.paymentHash)} settled|failed --why "…"`;
  if (wallet === undefined) return `\`l402-tools recover\`, with the wallet (${payment.wallet}) configured, looks it up. Where that wallet cannot tell, look at its own history, then: ${byHand}`;
  if (wallet.name !== payment.wallet) return `It was made with the wallet ${payment.wallet}, and ${wallet.name} is configured, which cannot tell. Configure ${payment.wallet} and run \`l402-tools recover\`; or look at its history, then: ${byHand}`;
  const { lookup, notFoundFinalAfterMs } = wallet.capabilities;
  if (lookup === "none" || (lookup === "by-ref" && payment.walletRef === undefined)) return `The wallet (${wallet.name}) cannot look it up. Look at its own history for ${payment.paymentHash}, then: ${byHand}`;
  const since = payment.dispatchedAt ?? payment.reservedAt;
  const final = notFoundFinalAfterMs === null ? payment.expiresAt + GRACE_MS : since + notFoundFinalAfterMs;
  const never = final <= now ? "a payment that the wallet has never seen is released" : `a payment that the wallet has never seen is released from ${time(final)} on`;
  return `\`l402-tools recover\` looks it up: one that was made is booked and what it bought is kept, one that failed for good is released, ${never}. While it is in flight it stays held.`;
}
