import type { PayRequest } from "@l402-tools/core";
import type { IssuedInvoice, SimWallet } from "../src/index.ts";

/** A request of the engine's for an invoice. */
export function requestFor(invoice: IssuedInvoice, fields: Partial<PayRequest> = {}): PayRequest {
  return {
    invoice: invoice.invoice,
    paymentHash: invoice.paymentHash,
    amountMsat: invoice.amountMsat ?? 0n,
    maxFeeMsat: 10_000n,
    deadline: Number.POSITIVE_INFINITY,
    attemptId: "attempt-1",
    ...fields,
  };
}

/** Macaroon and invoice of a plain challenge, one of its forms or another. */
export function challengeIn(response: Response): { macaroon: string; invoice: string } {
  const header = response.headers.get("www-authenticate") ?? "";
  // The last macaroon: a foreign scheme's comes first where there is one.
  const macaroon = [...header.matchAll(/(?:macaroon|token) ?= ?["']?([A-Za-z0-9+/=]{40,})/gi)].at(-1)?.[1];
  const invoice = [...header.matchAll(/ln[a-z0-9]{60,}/g)].at(-1)?.[0];
  if (macaroon === undefined || invoice === undefined) throw new Error(`no challenge in ${header.slice(0, 200)}`);
  return { macaroon, invoice };
}

/** Asks, pays by hand, and returns the header to ask with again. */
export async function pay(url: string, wallet: SimWallet, fetch_: typeof fetch = fetch, init?: RequestInit): Promise<{ authorization: string }> {
  const response = await fetch_(url, init);
  const { macaroon, invoice } = challengeIn(response);
  await response.body?.cancel();
  const { preimage } = await wallet.asSimple().payInvoice(invoice);
  return { authorization: `L402 ${macaroon}:${preimage}` };
}

/** Asks, pays by hand, asks again. */
export async function buy(url: string, wallet: SimWallet, fetch_: typeof fetch = fetch, init: RequestInit = {}): Promise<Response> {
  const headers = await pay(url, wallet, fetch_, init);
  return fetch_(url, { ...init, headers });
}
