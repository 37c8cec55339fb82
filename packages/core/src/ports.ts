/**
 * The four ports of the engine: `Wallet`, `Store`, `fetch` and `Clock`. They are injected once, in the client's
 * options; nothing else in core reaches the network, the disk or the time. Amounts are millisatoshi as `bigint`, times
 * are epoch milliseconds, hashes and preimages are 64 lower-case hex digits.
 */

/** Why a payment definitely did not happen. */
export type FailureReason =
  | "no_route"
  | "insufficient_balance"
  | "fee_too_high"
  | "invoice_expired"
  | "rejected_by_payee"
  | "invalid_invoice"
  | "limit_exceeded"
  | "unauthorized"
  | "rate_limited"
  | "self_payment"
  | "unreachable"
  | "unsupported"
  | "other";

/** What a wallet can promise. The engine holds money, waits and recovers according to it. */
export interface WalletCapabilities {
  /** `enforced`: `maxFeeMsat` binds. `quoted`: `quoteFee` binds. `none`: the worst case is held. */
  readonly feeLimit: "enforced" | "quoted" | "none";
  /** Most that the wallet may charge in fees for an amount, both in msat; what to hold where no limit is enforced. */
  worstCaseFeeMsat?(amountMsat: bigint): bigint;
  /** Whether a settled payment comes with its preimage. */
  readonly preimage: "always" | "usually" | "never";
  /** How a payment is looked up: by its payment hash, by the wallet's own reference, or not at all. */
  readonly lookup: "by-hash" | "by-ref" | "none";
  /**
   * Milliseconds after dispatch from which `not_found` proves that nothing was paid; `null`: not before the invoice
   * has expired.
   */
  readonly notFoundFinalAfterMs: number | null;
}

export interface PayRequest {
  /** The BOLT 11 invoice, as the server sent it. */
  readonly invoice: string;
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  /** Most that may be charged in routing fees; part of the hold. */
  readonly maxFeeMsat: bigint;
  /** When the engine stops waiting, epoch ms. It never cancels a payment. */
  readonly deadline: number;
  /** Unique for each attempt; an idempotency handle for wallets that take one. */
  readonly attemptId: string;
  /** Stops the waiting; it never cancels a payment. */
  readonly signal?: AbortSignal;
}

export type PayResult =
  | { readonly status: "settled"; readonly preimage: string | null; readonly feeMsat: bigint | null; readonly ref?: string }
  | { readonly status: "in_flight"; readonly ref?: string }
  | { readonly status: "unknown"; readonly cause: unknown; readonly ref?: string }
  /** Proof that nothing moved, and that nothing will. */
  | { readonly status: "failed"; readonly reason: FailureReason; readonly message: string };

export type LookupResult =
  | { readonly status: "settled"; readonly preimage: string | null; readonly feeMsat: bigint | null }
  | { readonly status: "in_flight" }
  /** `soft`: the wallet may be wrong; treated as unknown. */
  | { readonly status: "failed"; readonly soft: boolean }
  | { readonly status: "not_found" };

/** A Lightning wallet. `pay` never throws for an outcome; a throw counts as unknown. */
export interface Wallet {
  readonly name: string;
  readonly capabilities: WalletCapabilities;
  pay(request: PayRequest): Promise<PayResult>;
  /** Network trouble throws; it is never `not_found`. */
  lookup?(query: { paymentHash: string; ref?: string }): Promise<LookupResult>;
  quoteFee?(request: PayRequest): Promise<{ feeMsat: bigint; binding: boolean }>;
  balance?(): Promise<{ spendableMsat: bigint }>;
  close?(): Promise<void>;
}

/**
 * The least a wallet can be: it pays and returns the preimage. It is taken to charge no fee and to have no look-up. A
 * throw keeps the hold, since a time-out throws too, unless it is a `PaymentFailedError` or `throwMeansFailed` is
 * exactly `true`.
 */
export interface SimpleWallet {
  payInvoice(invoice: string): Promise<{ preimage: string }>;
  readonly throwMeansFailed?: boolean;
}

/** Time. `sleep` rejects with the signal's reason when it is aborted. */
export interface Clock {
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export type PaymentState = "reserved" | "sending" | "settled" | "failed" | "unknown" | "voided";

/** One limit, as a store checks it: over `scope`, on the hosts that `domain` names, in a rolling window or for life. */
export interface LimitRule {
  /** Whose spending counts: a budget id, or a budget id with a child's path (`default/researcher`). */
  readonly scope: string;
  /** A host name, or `*.example.com` for every host below it (not `example.com` itself). Absent: every host. */
  readonly domain?: string;
  /** Length of the rolling window in ms. Absent: for life. */
  readonly windowMs?: number;
  readonly maxMsat?: bigint;
  readonly maxPayments?: number;
}

/** What counts against a limit. Holds always count, whatever their age. */
export interface Usage {
  /** Settled amounts and fees within the window. */
  readonly spentMsat: bigint;
  /** Holds (amount and fee allowance) of payments that are not resolved. */
  readonly heldMsat: bigint;
  readonly payments: number;
  readonly heldPayments: number;
}

/** A payment as it is put on record before anything is sent: all that is needed to pay, to recover and to redeem. */
export interface NewPayment {
  /** Identity: the invoice's payment hash. */
  readonly paymentHash: string;
  readonly budgetId: string;
  /** Every scope that this payment counts against: the budget, then each child down to the payer. */
  readonly scopes: readonly string[];
  readonly label?: string;
  /** Identity of the purchase by its request: origin, method, path and query, body hash. */
  readonly requestKey: string;
  /** Identity of the purchase by the caller's key, with the fingerprint of the caller's request. */
  readonly idempotencyKey?: string;
  readonly callKey?: string;
  readonly url: string;
  readonly method: string;
  /** Scheme, host and port: where the credential may go. */
  readonly origin: string;
  /** Host name, lower case, without port or trailing dot: what domain limits match. */
  readonly host: string;
  /** Path without query: where the credential is tried first. */
  readonly path: string;
  readonly amountMsat: bigint;
  readonly payee: string;
  readonly wallet: string;
  readonly invoice: string;
  readonly expiresAt: number;
  readonly scheme: "L402" | "LSAT";
  /** The macaroon or token, byte for byte as the server sent it. */
  readonly credential: string;
  /** Names the reservation and, up to the first slash, the process that works on it; until when nobody else should. */
  readonly owner: string;
  readonly leaseUntil: number;
}

export interface StoredPayment extends NewPayment {
  readonly state: PaymentState;
  /** How often it was dispatched; a stale answer of an earlier attempt is told by it. */
  readonly attempt: number;
  /** Fee allowance in the hold, msat. The hold is `amountMsat + maxFeeMsat` while the payment is not resolved. */
  readonly maxFeeMsat: bigint;
  /** Fee paid, msat; 0 until settled. */
  readonly feeMsat: bigint;
  /** Present once settled, unless it was settled by hand without one. */
  readonly preimage?: string;
  readonly walletRef?: string;
  readonly reservedAt: number;
  readonly dispatchedAt?: number;
  readonly resolvedAt?: number;
  /** What proved the outcome. */
  readonly resolution?: string;
  /** When the server last accepted the credential, epoch ms; absent: not yet. */
  readonly acceptedAt?: number;
}

export type ReserveResult =
  | { readonly status: "reserved"; readonly payment: StoredPayment }
  /** The invoice is on record, and is not free to be paid again (it is reserved, on its way, unknown or settled). */
  | { readonly status: "exists"; readonly payment: StoredPayment }
  /** The purchase, by request or by idempotency key, has a payment already. */
  | { readonly status: "purchase"; readonly payment: StoredPayment }
  /** `rule` does not allow it; `usage` is what already counts against it. Nothing was held. */
  | { readonly status: "over_limit"; readonly rule: LimitRule; readonly usage: Usage }
  /** An overrun stopped the budget; nothing is paid until `resume`. */
  | { readonly status: "paused"; readonly why: string };

export interface ReserveRequest {
  readonly payment: NewPayment;
  /** Fee allowance to hold, msat; it shrinks down to `minFeeMsat` to fit what the limits still allow. */
  readonly maxFeeMsat: bigint;
  readonly minFeeMsat: bigint;
  readonly limits: readonly LimitRule[];
}

export type SettleResult =
  | { readonly status: "settled" }
  | { readonly status: "already" }
  /** It was booked as failed or voided before: the truth is booked, and the budget is paused. */
  | { readonly status: "late" }
  /** The wallet charged more than the hold: the truth is booked, and the budget is paused. */
  | { readonly status: "overrun" }
  | { readonly status: "missing" };

export interface PaymentFilter {
  readonly state?: PaymentState | readonly PaymentState[];
  readonly host?: string;
  /** Only payments reserved at or after this time, epoch ms. */
  readonly since?: number;
}

/** A settled payment's credential, ready to be sent. */
export interface KeptCredential {
  readonly paymentHash: string;
  readonly origin: string;
  readonly method: string;
  readonly path: string;
  readonly scheme: "L402" | "LSAT";
  readonly credential: string;
  readonly preimage: string;
  /** When the payment was booked, epoch ms. */
  readonly settledAt: number;
  /** Absent: the server has not accepted it yet. */
  readonly acceptedAt?: number;
}

/**
 * Where budget, payments and credentials live. Every method is one atomic operation: it happens wholly or not at all,
 * and a store that cannot answer throws a `StoreError`, upon which nothing is paid. Time is the store's own clock, and
 * never runs backwards in it. `@l402-tools/testing` has the contract suite that makes something a store.
 */
export interface Store {
  readonly name: string;
  /**
   * Puts the payment on record and holds amount and fee allowance in all its scopes, or does nothing. In this order:
   * the budget is paused (`paused`); the hash is on record and not free (`exists`; a voided or failed payment is free,
   * and is reserved anew under the same row with its attempts kept); the idempotency key has a payment that is
   * unresolved or has a preimage, or the request has one that is unresolved (`purchase`); a limit would be passed
   * (`over_limit`).
   */
  reserve(request: ReserveRequest): Promise<ReserveResult>;
  /**
   * Compare-and-set reserved -> sending, counting the attempt, on record before one byte goes to the wallet. Only the
   * owner may, not while the budget is paused, and not after `notAfter` (epoch ms, by the clock's own reading: an
   * invoice lives by it, also while the store's time stands still). `null`: it must not be sent.
   */
  dispatch(paymentHash: string, owner: string, notAfter: number): Promise<{ attempt: number } | null>;
  /**
   * Books a paid invoice from any state but settled, with its preimage: proof of payment is always believed. The
   * credential becomes available in the same write.
   */
  settle(paymentHash: string, proof: { preimage: string | null; feeMsat: bigint; resolution: string }): Promise<SettleResult>;
  /** Compare-and-set sending or unknown -> failed for exactly this attempt; releases the hold. */
  fail(paymentHash: string, attempt: number, resolution: string): Promise<boolean>;
  /** Compare-and-set sending -> unknown for exactly this attempt; keeps the hold. Also records the wallet's reference. */
  unknown(paymentHash: string, attempt: number, detail: { resolution: string; walletRef?: string }): Promise<boolean>;
  /** Compare-and-set reserved -> voided; releases the hold. It was never sent. With `owner`: only if it is the owner. */
  void(paymentHash: string, resolution: string, owner?: string): Promise<boolean>;

  payment(paymentHash: string): Promise<StoredPayment | undefined>;
  /** The payment of an idempotency key, whatever its state; else the unresolved one of a request. */
  purchase(budgetId: string, by: { requestKey: string } | { idempotencyKey: string }): Promise<StoredPayment | undefined>;
  /** Says that this key's purchase is this payment as well, unless the key has one that is unresolved or has a preimage. */
  link(budgetId: string, idempotencyKey: string, callKey: string, paymentHash: string): Promise<boolean>;
  /** Oldest first. */
  payments(budgetId: string, filter?: PaymentFilter): AsyncIterable<StoredPayment>;
  /** For each rule, what counts against it now. */
  usage(rules: readonly LimitRule[]): Promise<readonly Usage[]>;
  /** Lifetime usage of a scope, host by host. */
  hosts(scope: string): Promise<ReadonlyMap<string, Usage>>;

  /**
   * The credential to try for a request: the newest of its exact method and path; else, with `anyPath`, the newest
   * accepted one of the origin. Never one that was refused for this method and path, nor one in `except` (payment hashes).
   */
  credential(query: {
    budgetId: string;
    origin: string;
    method: string;
    path: string;
    anyPath: boolean;
    except?: ReadonlySet<string>;
  }): Promise<KeptCredential | undefined>;
  /** The server took the credential. */
  accepted(paymentHash: string): Promise<void>;
  /** The server refused the credential for this method and path; it is not tried there again. */
  refused(paymentHash: string, at: { method: string; path: string }): Promise<void>;

  /**
   * Whether the process that reserved as `owner` (up to its first slash) still lives; `undefined`: that cannot be told
   * from here, and its lease decides. A store without it lets leases decide.
   */
  ownerAlive?(owner: string): Promise<boolean | undefined>;
  /**
   * Compare-and-set of who works on an unresolved payment, from exactly this owner and lease to another, so that two
   * processes do not look up the same payment. The caller has found the lease run out or the owner gone.
   */
  claim?(paymentHash: string, from: { owner: string; leaseUntil: number }, to: { owner: string; leaseUntil: number }): Promise<boolean>;

  /** Lets a paused budget pay again; the reason is kept on record. */
  resume(budgetId: string, why: string): Promise<void>;
  /** Why the budget is paused, or `null`. */
  paused(budgetId: string): Promise<string | null>;
  close(): Promise<void>;
}
