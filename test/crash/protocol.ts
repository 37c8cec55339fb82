/** What the parent and the processes it kills say to each other: one JSON text a line. Amounts in msat as decimal texts. */
import type { PaymentState, WalletCapabilities } from "@l402-tools/core";

/** Ways in which the code under test is broken on purpose, to see that the audit notices. */
export type Mutant =
  /** Writes the dispatch after the wallet has answered. */
  | "dispatch-after-wallet"
  /** Recovery releases whatever was sent. */
  | "release-sending"
  /** Books the money and loses what it bought. */
  | "settle-without-credential"
  /** Takes a dead process for a live one, so that its reservation is never voided. */
  | "leaked-hold"
  /** Books the price without the fee. */
  | "fee-forgotten"
  /** Takes every "not found" for a proof. */
  | "not-found-is-proof"
  /** Keeps the ledger in memory. */
  | "ledger-in-memory";

/** What a wallet promises, as it can be sent. */
export type Promises = Pick<WalletCapabilities, "feeLimit" | "preimage" | "lookup" | "notFoundFinalAfterMs">;

export interface Setting {
  readonly ledger: string;
  readonly encryptionKey?: string;
  readonly walletPort: number;
  readonly promises: Promises;
  readonly budgetSats: number;
  readonly hourSats: number;
  readonly credentialScope: "origin" | "path";
  readonly mutant?: Mutant;
}

export type Step =
  | { readonly do: "open"; readonly setting: Setting; readonly buyer: number; readonly offsetMs: number }
  | { readonly do: "clock"; readonly offsetMs: number }
  | { readonly do: "recover" }
  | {
      readonly do: "fetch";
      readonly url: string;
      readonly idempotencyKey?: string;
      /** The caller's own `Authorization`. */
      readonly authorization?: string;
      /** Gives up after so long, real ms. */
      readonly patienceMs?: number;
      readonly approve: boolean;
    }
  | { readonly do: "audit" }
  | { readonly do: "verify" }
  /** Keeps what was compiled for those that come later: a killed process keeps nothing. */
  | { readonly do: "flush" };

/** Where to die: at the `after + 1`st passage of `point`, in this step. */
export interface Arm {
  readonly point: string;
  readonly after: number;
}

export interface Order {
  readonly step: Step;
  /** Points are named after it: what the step is for. */
  readonly phase: Phase;
  readonly arm?: Arm;
}

/** `open`: the ledger is opened. `pay`: a purchase. `recover`: `client.recover()`. */
export type Phase = "open" | "pay" | "recover";

export interface Row {
  readonly hash: string;
  readonly state: PaymentState;
  readonly url: string;
  readonly amountMsat: string;
  readonly maxFeeMsat: string;
  readonly feeMsat: string;
  readonly attempt: number;
  readonly preimage?: string;
  readonly dispatchedAt?: number;
  readonly expiresAt: number;
  readonly resolution?: string;
}

export interface Sum {
  readonly spentMsat: string;
  readonly heldMsat: string;
  readonly payments: number;
  readonly heldPayments: number;
}

export interface Books {
  readonly rows: readonly Row[];
  readonly life: Sum;
  readonly hour: Sum;
  /** Over all hosts. */
  readonly hosts: { readonly spentMsat: string; readonly heldMsat: string };
  readonly paused: string | null;
  readonly unsafe: string | null;
}

export type Fetched =
  | { readonly ok: true; readonly status: number; readonly body: string; readonly reused: boolean | null; readonly paidMsat: number | null }
  | { readonly ok: false; readonly name: string; readonly message: string; readonly code: string | null; readonly paid: string | null };

export interface Recovered {
  readonly settled: number;
  readonly failed: number;
  readonly voided: number;
  readonly stillUnknown: number;
}

export interface Results {
  readonly open: { readonly unsafe: string | null };
  readonly clock: null;
  readonly recover: Recovered;
  readonly fetch: Fetched;
  readonly audit: Books;
  readonly flush: null;
  readonly verify: { readonly problems: readonly string[] };
}

/** What the child writes to its standard output. `dying` is its last line, written before it kills itself. */
export type Line =
  | { readonly ready: true }
  | { readonly done: unknown }
  | { readonly broke: string }
  | { readonly dying: string };

/** Requests to the wallet's server. */
export type WalletCall =
  | { readonly id: number; readonly method: "hello"; readonly buyer: number }
  | {
      readonly id: number;
      readonly method: "pay";
      readonly invoice: string;
      readonly paymentHash: string;
      readonly amountMsat: string;
      readonly maxFeeMsat: string;
      readonly attemptId: string;
    }
  | { readonly id: number; readonly method: "lookup"; readonly paymentHash: string };

export type WalletAnswer =
  | { readonly id: number; readonly status: "settled"; readonly preimage: string | null; readonly feeMsat: string | null }
  | { readonly id: number; readonly status: "failed"; readonly reason?: string; readonly message?: string; readonly soft?: boolean }
  | { readonly id: number; readonly status: "in_flight" | "unknown" | "not_found" | "trouble" };
