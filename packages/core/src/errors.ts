import type { FailureReason } from "./ports.ts";

/** Whether money moved: `unknown` means that the hold stays until a look-up, or a person, proves the outcome. */
export type Paid = "no" | "yes" | "unknown";

/** Stable identifiers to branch on. */
export type L402ErrorCode =
  | "budget_exceeded"
  | "policy_domain"
  | "policy_price"
  | "approval_denied"
  | "approval_timeout"
  | "idempotency_mismatch"
  | "quote_invalid"
  | "origin_suspended"
  | "paused_after_overrun"
  | "challenge_invalid"
  | "invoice_invalid"
  | "invoice_expired"
  | "invoice_network"
  | "invoice_amount"
  | "invoice_mismatch"
  | "payment_failed"
  | "payment_unknown"
  | "credential_rejected"
  | "store_unavailable"
  | "store_corrupt"
  | "transport_blocked"
  | "transport_failed"
  | "transport_limit"
  | "queue_full"
  | "queue_timeout"
  | "invalid_options"
  | "not_resolvable";

/** Marks our errors, so that they are recognised across bundled copies of this package. */
const BRAND: symbol = Symbol.for("@l402-tools/L402Error");

/** The name under which Node, Bun and Deno look for an object's own way of being inspected. */
const INSPECT: symbol = Symbol.for("nodejs.util.inspect.custom");

export interface L402ErrorOptions {
  readonly paid?: Paid;
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

/**
 * Base of every error of ours. `code` is stable, `paid` says whether money moved, `retryable` whether the same call may
 * be repeated without the risk of a second payment and with a chance to succeed; the message says what to do next.
 * No preimage, macaroon or key is in a message, in `JSON.stringify` or in `inspect()` output.
 */
export class L402Error extends Error {
  readonly code: L402ErrorCode;
  readonly paid: Paid;
  readonly retryable: boolean;

  constructor(code: L402ErrorCode, message: string, options: L402ErrorOptions = {}) {
    super(message);
    this.name = "L402Error";
    this.code = code;
    this.paid = options.paid ?? "no";
    this.retryable = options.retryable ?? false;
    // Not enumerable, and absent when there is none, as in the platform's own errors.
    if (options.cause !== undefined) {
      Object.defineProperty(this, "cause", { value: options.cause, enumerable: false, writable: true, configurable: true });
    }
    Object.defineProperty(this, BRAND, { value: true });
    // `inspect()` prints causes in full, and a wallet's error may carry a key: only our own facts are shown.
    Object.defineProperty(this, INSPECT, { value: () => `${this.stack ?? `${this.name}: ${this.message}`} ${JSON.stringify({ ...(this as object) })}` });
  }

  /** Plain data, without cause and stack. */
  toJSON(): Record<string, unknown> {
    return { ...(this as object), name: this.name, message: this.message };
  }
}

/** Whether `value` is an error of ours, also one of another bundled copy of this package. */
export function isL402Error(value: unknown): value is L402Error {
  return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}

/** A limit does not allow the payment; nothing was paid or held. Amounts are whole sats. */
export class BudgetExceededError extends L402Error {
  readonly url: string;
  /** What the payment needs, with the fee that must be held, rounded up. */
  readonly required: number;
  /** What the tightest limit still has, rounded down. */
  readonly remaining: number;
  /** The limit that refused, as configured. */
  readonly limit: { sats?: number; payments?: number; domain?: string; per?: string };

  constructor(
    message: string,
    details: { url: string; required: number; remaining: number; limit?: { sats?: number; payments?: number; domain?: string; per?: string } },
  ) {
    super("budget_exceeded", message);
    this.name = "BudgetExceededError";
    this.url = details.url;
    this.required = details.required;
    this.remaining = details.remaining;
    this.limit = details.limit ?? {};
  }
}

export type PolicyCode =
  | "policy_domain"
  | "policy_price"
  | "approval_denied"
  | "approval_timeout"
  | "idempotency_mismatch"
  | "quote_invalid"
  | "origin_suspended"
  | "paused_after_overrun";

/** A rule other than a budget forbids the request or the payment. */
export class PolicyError extends L402Error {
  constructor(code: PolicyCode, message: string, options: L402ErrorOptions = {}) {
    super(code, message, options);
    this.name = "PolicyError";
  }
}

/** The server's challenge is unusable. */
export class ChallengeError extends L402Error {
  constructor(message: string, options: L402ErrorOptions = {}) {
    super("challenge_invalid", message, options);
    this.name = "ChallengeError";
  }
}

export type InvoiceCode = "invoice_invalid" | "invoice_expired" | "invoice_network" | "invoice_amount" | "invoice_mismatch";

/** The invoice must not be paid. */
export class InvoiceError extends L402Error {
  constructor(code: InvoiceCode, message: string, options: L402ErrorOptions = {}) {
    super(code, message, options);
    this.name = "InvoiceError";
  }
}

/** The payment definitely failed: nothing moved, the hold is released. Wallets throw it to say just that. */
export class PaymentFailedError extends L402Error {
  readonly reason: FailureReason;

  constructor(message: string, options: { reason?: FailureReason; retryable?: boolean; cause?: unknown } = {}) {
    super("payment_failed", message, { paid: "no", retryable: options.retryable ?? false, cause: options.cause });
    this.name = "PaymentFailedError";
    this.reason = options.reason ?? "other";
  }
}

/** The payment was sent and its outcome is not known: the hold stays. Do not pay again; look it up or recover. */
export class PaymentUnknownError extends L402Error {
  readonly paymentHash: string;

  constructor(message: string, paymentHash: string, options: { cause?: unknown } = {}) {
    super("payment_unknown", message, { paid: "unknown", retryable: false, cause: options.cause });
    this.name = "PaymentUnknownError";
    this.paymentHash = paymentHash;
  }
}

/** The invoice was paid and the server refuses the credential. No second payment was made; the credential is kept. */
export class CredentialRejectedError extends L402Error {
  readonly paymentHash: string;
  /** HTTP status of the refusal. */
  readonly status: number;

  constructor(message: string, details: { paymentHash: string; status: number }) {
    super("credential_rejected", message, { paid: "yes", retryable: false });
    this.name = "CredentialRejectedError";
    this.paymentHash = details.paymentHash;
    this.status = details.status;
  }
}

/** The store cannot answer, or its content is damaged. */
export class StoreError extends L402Error {
  constructor(code: "store_unavailable" | "store_corrupt", message: string, options: L402ErrorOptions = {}) {
    super(code, message, options);
    this.name = "StoreError";
  }
}

/** The HTTP exchange was blocked, failed, or passed a bound. */
export class TransportError extends L402Error {
  /** The payment that was made before, when `paid` is `yes`. */
  readonly paymentHash?: string;

  constructor(
    code: "transport_blocked" | "transport_failed" | "transport_limit",
    message: string,
    options: L402ErrorOptions & { paymentHash?: string } = {},
  ) {
    super(code, message, options);
    this.name = "TransportError";
    if (options.paymentHash !== undefined) this.paymentHash = options.paymentHash;
  }
}

/** Too many payments wait, or this one waited too long; it was not sent and holds nothing. */
export class QueueFullError extends L402Error {
  constructor(code: "queue_full" | "queue_timeout", message: string) {
    super(code, message, { paid: "no", retryable: true });
    this.name = "QueueFullError";
  }
}

/** Words for a limit, for messages: "100 sats on api.example.com per 24h". */
export function describeLimit(limit: { sats?: number; payments?: number; domain?: string; per?: string }): string {
  const parts = [
    limit.sats === undefined ? undefined : `${limit.sats} sats`,
    limit.payments === undefined ? undefined : `${limit.payments} payments`,
  ].filter((part) => part !== undefined);
  return `${parts.join(" and ")}${limit.domain === undefined ? "" : ` on ${limit.domain}`}${limit.per === undefined ? "" : ` per ${limit.per}`}`;
}

