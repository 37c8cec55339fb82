/** What is left of the budget, and what a payment came to; both from the store, and never in the way of a result. */
import type { L402Client } from "../client.ts";
import type { PaymentState } from "../ports.ts";
import { hostOf } from "../request.ts";

export interface Room {
  remainingSats: number | null;
  remainingForHostSats: number | null;
}

export async function roomOf(client: L402Client, url: URL | undefined): Promise<Room> {
  try {
    const { remainingSats, byDomain, limits } = await client.balance();
    const host = url === undefined ? "" : hostOf(url);
    // A host that has not been paid yet is not listed, though a wildcard may bind it.
    const listed = byDomain[host]?.remainingSats;
    const bound = limits.filter(({ domain, per }) => per === undefined && domain?.startsWith("*.") === true && host.endsWith(domain.slice(1))).flatMap(({ remainingSats }) => remainingSats ?? []);
    return { remainingSats, remainingForHostSats: listed ?? (bound.length === 0 ? null : Math.min(...bound)) };
  } catch {
    return { remainingSats: null, remainingForHostSats: null };
  }
}

export async function amountsOf(client: L402Client, paymentHash: string): Promise<{ state: PaymentState; amountSats: number; feeSats: number; heldSats: number } | undefined> {
  try {
    for await (const payment of client.payments()) {
      if (payment.paymentHash === paymentHash) return { state: payment.state, amountSats: payment.amountSats, feeSats: payment.feeSats, heldSats: payment.heldSats };
    }
  } catch {
    // The error that is being told matters more.
  }
  return undefined;
}
