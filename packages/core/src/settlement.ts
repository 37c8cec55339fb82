/** Booking what is proven: the preimage of a payment hash settles it, whoever learns it and whenever. */
import { hexToBytes } from "@noble/hashes/utils.js";
import { idle } from "./clock.ts";
import { credentialOf } from "./credential.ts";
import { PaymentFailedError, PaymentUnknownError } from "./errors.ts";
import { noteRelease, noteSpend, type Line, type Outcome } from "./line.ts";
import { sha256Hex } from "./identity.ts";
import type { KeptCredential, StoredPayment } from "./ports.ts";
import { isSimple } from "./wallet.ts";

/** First and longest wait, ms, between tries to book a settlement that the store did not take. */
const BOOK_AGAIN_FIRST_MS = 50;
const BOOK_AGAIN_MAX_MS = 60_000;

/** The preimage in lower case, if it is one of this payment hash (BOLT 11 field `p`: SHA-256 of the preimage). */
export function provenPreimage(preimage: unknown, paymentHash: string): string | undefined {
  if (typeof preimage !== "string" || !/^[0-9a-f]{64}$/i.test(preimage)) return undefined;
  return sha256Hex(hexToBytes(preimage)) === paymentHash ? preimage.toLowerCase() : undefined;
}

/**
 * Books a proven payment. The preimage is in hand, so the credential is good even if the store cannot take it now: it is
 * kept here and booked as soon as the store can, and the row stays held until then.
 */
export async function book(line: Line, payment: StoredPayment, preimage: string, feeMsat: bigint | null, resolution: string): Promise<Outcome & { status: "settled" }> {
  // A fee that the wallet does not tell is booked at its allowance: what is spent is never under-counted.
  const fee = feeMsat !== null && feeMsat >= 0n ? feeMsat : payment.maxFeeMsat;
  const credential = credentialOf({ ...payment, state: "settled", preimage, resolvedAt: line.clock.now() }) as KeptCredential;
  const outcome = { status: "settled", credential, feeMsat: fee } as const;
  // `again`: an earlier try may have been booked though its answer was lost; then it is not told of yet.
  const settle = async (again: boolean): Promise<void> => {
    const booked = await line.store.settle(payment.paymentHash, { preimage, feeMsat: fee, resolution });
    if (booked.status === "already" && !(again && line.state.holds.has(payment.owner))) {
      noteRelease(line, payment, true);
      return;
    }
    noteSpend(line, payment, fee);
    if (booked.status === "overrun" || booked.status === "late") {
      const detail = booked.status === "late" ? "a payment booked as not paid was paid" : `the fee of ${fee} msat is above the ${payment.maxFeeMsat} msat held`;
      line.emit("overrun", payment.url, { paymentHash: payment.paymentHash, detail });
    }
  };
  try {
    await settle(false);
  } catch {
    line.emit("unknown", payment.url, { paymentHash: payment.paymentHash, detail: "paid, but the store did not take it yet" });
    if (!line.state.unbooked.has(payment.paymentHash)) {
      line.state.unbooked.set(payment.paymentHash, outcome);
      void keepBooking(line, () => settle(true)).finally(() => line.state.unbooked.delete(payment.paymentHash));
    }
  }
  return outcome;
}

/** Tries until the store takes it, or the client is closed. Never rejects. */
async function keepBooking(line: Line, settle: () => Promise<void>): Promise<void> {
  for (let pause = BOOK_AGAIN_FIRST_MS; ; pause = Math.min(4 * pause, BOOK_AGAIN_MAX_MS)) {
    const closed = await idle(line.clock, pause, line.state.stop.signal).then(() => false, () => true);
    const booked = await settle().then(() => true, () => false);
    if (booked || closed) return;
  }
}

/** The error for a payment whose outcome is not known, with the way out of it. */
export function unknownError(line: Line, payment: Pick<StoredPayment, "paymentHash" | "amountMsat" | "host">, why: string, cause?: unknown): PaymentUnknownError {
  const next = isSimple(line.wallet)
    ? 'If the wallet did not pay, settle it by hand with client.resolve(paymentHash, "failed", { why }); a { payInvoice } wallet says that nothing moved by throwing PaymentFailedError.'
    : "Do not pay again; client.recover() looks it up.";
  return new PaymentUnknownError(`It is not known whether ${payment.amountMsat} msat were paid to ${payment.host}: ${why}. The money stays held. ${next}`, payment.paymentHash, { cause });
}

/** The outcome that the store has for a payment. */
export async function outcomeOnRecord(line: Line, payment: StoredPayment): Promise<Outcome> {
  const row = await line.store.payment(payment.paymentHash);
  const credential = row === undefined ? undefined : credentialOf(row);
  // Settled by a later reservation of the same invoice: it was not this one that paid.
  if (row !== undefined && row.attempt !== payment.attempt && credential !== undefined) return { status: "not_sent" };
  if (row !== undefined && credential !== undefined) return { status: "settled", credential, feeMsat: row.feeMsat };
  if (row?.state === "failed" || row?.state === "voided") {
    return { status: "failed", error: new PaymentFailedError(`The payment of ${payment.amountMsat} msat to ${payment.host} failed (${row.resolution ?? "no detail"}). Nothing was paid.`) };
  }
  return { status: "unknown", error: unknownError(line, payment, row?.resolution ?? "it is not on record") };
}
