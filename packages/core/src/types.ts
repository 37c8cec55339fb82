/**
 * Plain data at the surface: safe to log and to `JSON.stringify` (no bigint, no secret). Sats are whole numbers (spent
 * and held round up, remaining rounds down), times are epoch milliseconds.
 */
import type { PaymentState } from "./ports.ts";

/** A price, asked for and not paid. It binds method, URL and body; `fetch` with its `id` pays exactly this invoice. */
export interface Quote {
  id: string;
  url: string;
  method: string;
  amountSats: number;
  amountMsat: number;
  /** Public key of the payee's node, hex. */
  payee: string;
  /** The invoice's own text: words of a stranger. */
  description: string;
  network: string;
  paymentHash: string;
  expiresAt: number;
}

/** What `approve` is asked about: one exact invoice. */
export interface PaymentIntent {
  url: string;
  host: string;
  method: string;
  amountSats: number;
  amountMsat: number;
  maxFeeSats: number;
  payee: string;
  description: string;
  paymentHash: string;
  expiresAt: number;
  /** Left in the total budget besides this hold; `null` without one. */
  remainingSats: number | null;
}

/** What a response cost. `reused`: a kept credential opened it, and nothing was paid now. */
export interface PaymentReceipt {
  url: string;
  paidSats: number;
  feeSats: number;
  amountMsat: number;
  feeMsat: number;
  paymentHash: string;
  settledAt: number;
  reused: boolean;
}

export interface LimitUsage {
  sats?: number;
  payments?: number;
  domain?: string;
  per?: string;
  spentSats: number;
  heldSats: number;
  remainingSats?: number;
  remainingPayments?: number;
}

export interface DomainBalance {
  spentSats: number;
  heldSats: number;
  /** `null` where no limit binds this host. */
  remainingSats: number | null;
}

/** The budget as the store has it: shared with every process that uses the store, holds included. */
export interface Balance {
  totalSats: number | null;
  spentSats: number;
  heldSats: number;
  remainingSats: number | null;
  byDomain: Record<string, DomainBalance>;
  limits: LimitUsage[];
}

/** This client's own spending. */
export interface SpendingReport {
  /** Spent by this client, fees included. */
  total: number;
  /** Left of `budgetSats`, holds taken off; `null` without it. */
  remaining: number | null;
  /** Held for payments that are not resolved. */
  held: number;
  /** Spent by host name; has no prototype, so any host name is a safe key. */
  byDomain: Record<string, number>;
  /** The newest payments of this client, oldest first; `sats` is amount plus fee. */
  transactions: { url: string; sats: number; ts: number; feeSats: number; paymentHash: string }[];
  /** Older payments of this client that `transactions` no longer lists; they are in `total`. */
  omittedTransactions: number;
}

export interface PaymentRecord {
  paymentHash: string;
  state: PaymentState;
  url: string;
  method: string;
  host: string;
  amountSats: number;
  amountMsat: number;
  feeSats: number;
  feeMsat: number;
  heldSats: number;
  payee: string;
  wallet: string;
  label?: string;
  reservedAt: number;
  dispatchedAt?: number;
  resolvedAt?: number;
  resolution?: string;
}

export interface RecoveryReport {
  settled: number;
  failed: number;
  voided: number;
  stillUnknown: PaymentRecord[];
  recoveredSats: number;
}

export type L402EventType =
  | "challenge"
  | "reserved"
  | "refused"
  | "approval"
  | "queued"
  | "dispatched"
  | "settled"
  | "failed"
  | "unknown"
  | "resolved"
  | "redeemed"
  | "rejected"
  | "overrun"
  | "limit_near";

export interface L402Event {
  type: L402EventType;
  at: number;
  url: string;
  paymentHash?: string;
  amountSats?: number;
  detail?: string;
}
