/** A pool of real, signed invoices, made when they are first needed and used again in each schedule. */
import { sha256 } from "./fast.ts"; // first: before anything that imports bolt11
import { bytesField, makeInvoice, MADE_AT, numberField, soundFields, TYPE } from "../data/make-invoice.ts";

/** When every schedule begins, epoch ms. */
export const START: number = MADE_AT * 1_000;

export interface PoolInvoice {
  readonly invoice: string;
  readonly paymentHash: string;
  readonly preimage: string;
  readonly amountMsat: bigint;
  readonly expiresAt: number;
  /** A token that names the payment hash, as servers write them. */
  readonly credential: string;
}

/** Lives of invoices, in seconds; the last outlives every schedule's calls. */
const LIVES = [60, 240, 900, 7 * 86_400] as const;
const pool = new Map<string, PoolInvoice>();

/** The `serial`-th invoice over this amount that is good at `now`; a short-lived one if possible and wanted. */
export function takeInvoice(amountMsat: bigint, now: number, short: boolean, serial: number): PoolInvoice {
  const life = (short ? LIVES.find((seconds) => START + seconds * 1_000 > now + 12_000) : undefined) ?? (LIVES.at(-1) as number);
  const key = `${amountMsat} ${life} ${serial}`;
  let found = pool.get(key);
  if (found === undefined) {
    const preimage = sha256(`preimage ${key}`);
    const paymentHash = sha256(Buffer.from(preimage, "hex"));
    const fields = [bytesField(TYPE.hash, paymentHash), ...soundFields(TYPE.hash), numberField(TYPE.expiry, life)];
    found = {
      invoice: makeInvoice({ prefix: `lnbc${amountMsat * 10n}p`, fields }),
      paymentHash,
      preimage,
      amountMsat,
      expiresAt: START + life * 1_000,
      credential: Buffer.from(`payment_hash=${paymentHash} token`).toString("base64"),
    };
    pool.set(key, found);
  }
  return found;
}
