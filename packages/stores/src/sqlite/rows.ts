/** A payment as its row has it, and back. */
import type { NewPayment, PaymentState, StoredPayment } from "@l402-tools/core";
import type { Cipher, Sealed } from "./cipher.ts";
import { orNull, type Sql } from "./sql.ts";

export interface PaymentRow {
  readonly number: bigint;
  readonly hash: string;
  readonly budget: string;
  readonly scopes: string;
  readonly label: string | null;
  readonly request_key: string;
  readonly idempotency_key: string | null;
  readonly call_key: string | null;
  readonly url: string;
  readonly method: string;
  readonly origin: string;
  readonly host: string;
  readonly path: string;
  readonly amount_msat: bigint;
  readonly max_fee_msat: bigint;
  readonly fee_msat: bigint;
  readonly payee: string;
  readonly wallet: string;
  readonly invoice: Sealed;
  readonly expires_at: bigint;
  readonly scheme: "L402" | "LSAT";
  readonly credential: Sealed;
  readonly owner: string;
  readonly lease_until: bigint;
  readonly state: PaymentState;
  readonly attempt: bigint;
  readonly preimage: Sealed | null;
  readonly wallet_ref: string | null;
  readonly reserved_at: bigint;
  readonly dispatched_at: bigint | null;
  readonly resolved_at: bigint | null;
  readonly resolution: string | null;
  readonly accepted_at: bigint | null;
}

/** A payment's secrets, ready to be written. */
export interface SealedPayment {
  readonly invoice: Sealed;
  readonly credential: Sealed;
}

export const OPEN = "('reserved', 'sending', 'unknown')";
export const isOpen = ({ state }: { state: PaymentState }): boolean => state === "reserved" || state === "sending" || state === "unknown";
/** Its hash may be reserved anew. */
export const isFree = ({ state }: { state: PaymentState }): boolean => state === "voided" || state === "failed";
/** A purchase that came to nothing, or was settled by hand without a preimage, may be made again. */
export const isVacant = (row: PaymentRow): boolean => isFree(row) || (row.state === "settled" && row.preimage === null);
export const scopesOf = (row: PaymentRow): { scopes: string[]; host: string } => ({ scopes: JSON.parse(row.scopes) as string[], host: row.host });
export const holdOf = (row: PaymentRow): bigint => row.amount_msat + row.max_fee_msat;

export function rowOf(sql: Sql, hash: string): PaymentRow | undefined {
  return sql.get<PaymentRow>("SELECT * FROM payment WHERE hash = ?", hash);
}

export function insertPayment(sql: Sql, payment: NewPayment, sealed: SealedPayment, maxFeeMsat: bigint, attempt: bigint, reservedAt: number): PaymentRow {
  return sql.get<PaymentRow>(
    `INSERT INTO payment (hash, budget, scopes, label, request_key, idempotency_key, call_key, url, method, origin, host, path, amount_msat, max_fee_msat,
       payee, wallet, invoice, expires_at, scheme, credential, owner, lease_until, state, attempt, reserved_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'reserved', ?, ?) RETURNING *`,
    payment.paymentHash,
    payment.budgetId,
    JSON.stringify(payment.scopes),
    orNull(payment.label),
    payment.requestKey,
    orNull(payment.idempotencyKey),
    orNull(payment.callKey),
    payment.url,
    payment.method,
    payment.origin,
    payment.host,
    payment.path,
    payment.amountMsat,
    maxFeeMsat,
    payment.payee,
    payment.wallet,
    sealed.invoice,
    Math.trunc(payment.expiresAt),
    payment.scheme,
    sealed.credential,
    payment.owner,
    Math.trunc(payment.leaseUntil),
    attempt,
    reservedAt,
  ) as PaymentRow;
}

/** The fields that a row may lack. */
function optional(row: PaymentRow): Partial<StoredPayment> {
  const fields = {
    label: row.label,
    idempotencyKey: row.idempotency_key,
    callKey: row.call_key,
    walletRef: row.wallet_ref,
    dispatchedAt: row.dispatched_at,
    resolvedAt: row.resolved_at,
    resolution: row.resolution,
    acceptedAt: row.accepted_at,
  };
  const present = Object.entries(fields).filter(([, value]) => value !== null);
  return Object.fromEntries(present.map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value]));
}

export async function openPayment(row: PaymentRow, cipher: Cipher): Promise<StoredPayment> {
  const { hash } = row;
  const [invoice, credential, preimage] = await Promise.all([
    cipher.open(row.invoice, "invoice", hash),
    cipher.open(row.credential, "credential", hash),
    row.preimage === null ? undefined : cipher.open(row.preimage, "preimage", hash),
  ]);
  return storedPayment(row, { invoice, credential, ...(preimage === undefined ? {} : { preimage }) });
}

/** A row with its secrets in the clear. */
export function storedPayment(row: PaymentRow, secrets: { invoice: string; credential: string; preimage?: string }): StoredPayment {
  return {
    paymentHash: row.hash,
    budgetId: row.budget,
    scopes: JSON.parse(row.scopes) as string[],
    requestKey: row.request_key,
    url: row.url,
    method: row.method,
    origin: row.origin,
    host: row.host,
    path: row.path,
    amountMsat: row.amount_msat,
    payee: row.payee,
    wallet: row.wallet,
    expiresAt: Number(row.expires_at),
    scheme: row.scheme,
    owner: row.owner,
    leaseUntil: Number(row.lease_until),
    state: row.state,
    attempt: Number(row.attempt),
    maxFeeMsat: row.max_fee_msat,
    feeMsat: row.fee_msat,
    reservedAt: Number(row.reserved_at),
    ...optional(row),
    ...secrets,
  };
}
