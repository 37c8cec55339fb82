/** This client's own view of its spending, kept in memory; `balance()` asks the store instead. */
import { ceilSats, floorSats } from "./money.ts";
import type { SpendingReport } from "./types.ts";

/** Transactions listed; older ones are counted in the sums only, so that a long-lived client does not grow. */
export const TRANSACTIONS_MAX = 10_000;

export class Book {
  readonly #budgetMsat: bigint | undefined;
  readonly #parent: Book | undefined;
  #totalMsat = 0n;
  #heldMsat = 0n;
  readonly #byHost = new Map<string, bigint>();
  #transactions: { url: string; msat: bigint; feeMsat: bigint; ts: number; paymentHash: string }[] = [];
  #omitted = 0;

  constructor(budgetMsat: bigint | undefined, parent?: Book) {
    this.#budgetMsat = budgetMsat;
    this.#parent = parent;
  }

  hold(msat: bigint): void {
    this.#heldMsat += msat;
    this.#parent?.hold(msat);
  }

  release(msat: bigint): void {
    this.#heldMsat -= msat;
    this.#parent?.release(msat);
  }

  spend(payment: { url: string; host: string; paymentHash: string; amountMsat: bigint; feeMsat: bigint; ts: number }): void {
    const msat = payment.amountMsat + payment.feeMsat;
    this.#totalMsat += msat;
    this.#byHost.set(payment.host, (this.#byHost.get(payment.host) ?? 0n) + msat);
    this.#transactions.push({ url: payment.url, msat, feeMsat: payment.feeMsat, ts: payment.ts, paymentHash: payment.paymentHash });
    if (this.#transactions.length >= 2 * TRANSACTIONS_MAX) {
      this.#omitted += this.#transactions.length - TRANSACTIONS_MAX;
      this.#transactions = this.#transactions.slice(-TRANSACTIONS_MAX);
    }
    this.#parent?.spend(payment);
  }

  /** Left of this client's budget and of each above it, msat; `undefined` without any. */
  #remaining(): bigint | undefined {
    const own = this.#budgetMsat === undefined ? undefined : this.#budgetMsat - this.#totalMsat - this.#heldMsat;
    const above = this.#parent === undefined ? undefined : this.#parent.#remaining();
    return own === undefined ? above : above === undefined || own < above ? own : above;
  }

  report(): SpendingReport {
    const byDomain = Object.create(null) as Record<string, number>;
    for (const [host, msat] of this.#byHost) byDomain[host] = ceilSats(msat);
    const listed = this.#transactions.slice(-TRANSACTIONS_MAX);
    const remaining = this.#remaining();
    return {
      total: ceilSats(this.#totalMsat),
      remaining: remaining === undefined ? null : floorSats(remaining),
      held: ceilSats(this.#heldMsat),
      byDomain,
      transactions: listed.map(({ url, msat, feeMsat, ts, paymentHash }) => ({ url, sats: ceilSats(msat), ts, feeSats: ceilSats(feeMsat), paymentHash })),
      omittedTransactions: this.#omitted + this.#transactions.length - listed.length,
    };
  }
}
