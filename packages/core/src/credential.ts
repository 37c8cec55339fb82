/** What a credential is and what a server's answer says about it. */
import type { KeptCredential, StoredPayment } from "./ports.ts";
import type { PaymentReceipt } from "./types.ts";
import { ceilSats } from "./money.ts";

/** The credential of a settled payment; `undefined` when it was settled by hand without a preimage. */
export function credentialOf(payment: StoredPayment): KeptCredential | undefined {
  if (payment.state !== "settled" || payment.preimage === undefined) return undefined;
  return {
    paymentHash: payment.paymentHash,
    origin: payment.origin,
    method: payment.method,
    path: payment.path,
    scheme: payment.scheme,
    credential: payment.credential,
    preimage: payment.preimage,
    settledAt: payment.resolvedAt ?? payment.reservedAt,
    ...(payment.acceptedAt === undefined ? {} : { acceptedAt: payment.acceptedAt }),
  };
}

/** Whether a response may carry an offer: only status 402 is ever paid. */
export function asksForPayment(response: Response): boolean {
  return response.status === 402;
}

/**
 * What a status says about the credential that was sent: `accepted`; `refused` (402 or 401: expired, used up, or not
 * known yet); `elsewhere` (403: good, but not here); `open`: nothing.
 */
export function verdictOf(status: number): "accepted" | "refused" | "elsewhere" | "open" {
  if ((status >= 200 && status < 300) || status === 304) return "accepted";
  if (status === 402 || status === 401) return "refused";
  return status === 403 ? "elsewhere" : "open";
}

/** One table for all copies of this package in a process, so that an adapter's copy finds what the client's copy noted. */
const RECEIPTS: WeakMap<Response, PaymentReceipt> = ((globalThis as Record<symbol, unknown>)[Symbol.for("@l402-tools/receipts")] ??= new WeakMap()) as never;

/** What this response cost; `undefined` for a free one. The response itself is not changed. */
export function receiptOf(response: Response): PaymentReceipt | undefined {
  return RECEIPTS.get(response);
}

/** Notes what a response cost. Without `paid`, a kept credential opened it and nothing was paid now. */
export function noteReceipt(response: Response, url: string, credential: KeptCredential, paid?: { amountMsat: bigint; feeMsat: bigint }): void {
  RECEIPTS.set(response, {
    url,
    paidSats: paid === undefined ? 0 : ceilSats(paid.amountMsat),
    feeSats: paid === undefined ? 0 : ceilSats(paid.feeMsat),
    amountMsat: paid === undefined ? 0 : Number(paid.amountMsat),
    feeMsat: paid === undefined ? 0 : Number(paid.feeMsat),
    paymentHash: credential.paymentHash,
    settledAt: credential.settledAt,
    reused: paid === undefined,
  });
}
