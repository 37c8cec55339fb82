import { ceilSats } from "./money.ts";
import type { StoredPayment } from "./ports.ts";
import type { PaymentRecord } from "./types.ts";

/** A payment as plain data, without its secrets. */
export function recordOf(payment: StoredPayment): PaymentRecord {
  const holding = payment.state === "reserved" || payment.state === "sending" || payment.state === "unknown";
  return {
    paymentHash: payment.paymentHash,
    state: payment.state,
    url: payment.url,
    method: payment.method,
    host: payment.host,
    amountSats: ceilSats(payment.amountMsat),
    amountMsat: Number(payment.amountMsat),
    feeSats: ceilSats(payment.feeMsat),
    feeMsat: Number(payment.feeMsat),
    heldSats: holding ? ceilSats(payment.amountMsat + payment.maxFeeMsat) : 0,
    payee: payment.payee,
    wallet: payment.wallet,
    ...(payment.label === undefined ? {} : { label: payment.label }),
    reservedAt: payment.reservedAt,
    ...(payment.dispatchedAt === undefined ? {} : { dispatchedAt: payment.dispatchedAt }),
    ...(payment.resolvedAt === undefined ? {} : { resolvedAt: payment.resolvedAt }),
    ...(payment.resolution === undefined ? {} : { resolution: payment.resolution }),
  };
}
