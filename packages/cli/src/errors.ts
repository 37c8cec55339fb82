/** What the program says and returns when something did not work. */
import { isL402Error, type L402ErrorCode, type Paid } from "@l402-tools/core";
import { harmless } from "./text.ts";

/** Exit codes; README.md explains them. */
export const EXIT = {
  done: 0,
  unexpected: 1,
  usage: 2,
  refused: 3,
  failed: 4,
  unknown: 5,
  paidInVain: 6,
  ledger: 7,
  httpError: 8,
  interrupted: 130,
  terminated: 143,
} as const;

/** The command cannot be meant, or lacks a setting: nothing was sent. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Ended by a signal before anything was paid. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;

  constructor(signal: "SIGINT" | "SIGTERM" | "SIGHUP") {
    super(`Ended by ${signal}.`);
    this.exitCode = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
  }
}

/** What went wrong, as far as it may be shown. */
export interface Failure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly paid: Paid;
  readonly retryable: boolean;
  readonly paymentHash?: string;
  readonly required?: number;
  readonly remaining?: number;
}

/** Codes of errors by which no money moved. */
const EXIT_OF: Readonly<Record<L402ErrorCode, number>> = {
  budget_exceeded: EXIT.refused,
  policy_domain: EXIT.refused,
  policy_price: EXIT.refused,
  approval_denied: EXIT.refused,
  approval_timeout: EXIT.refused,
  idempotency_mismatch: EXIT.refused,
  quote_invalid: EXIT.refused,
  origin_suspended: EXIT.refused,
  paused_after_overrun: EXIT.refused,
  transport_blocked: EXIT.refused,
  challenge_invalid: EXIT.failed,
  invoice_invalid: EXIT.failed,
  invoice_expired: EXIT.failed,
  invoice_network: EXIT.failed,
  invoice_amount: EXIT.failed,
  invoice_mismatch: EXIT.failed,
  payment_failed: EXIT.failed,
  transport_failed: EXIT.failed,
  transport_limit: EXIT.failed,
  queue_full: EXIT.failed,
  queue_timeout: EXIT.failed,
  payment_unknown: EXIT.unknown,
  credential_rejected: EXIT.paidInVain,
  store_unavailable: EXIT.ledger,
  store_corrupt: EXIT.ledger,
  invalid_options: EXIT.usage,
  not_resolvable: EXIT.usage,
};

/** What a person at a terminal can do about it, where the message speaks to programmers. */
function hintOf(code: string, message: string): string {
  if (message.includes("encryptionKey")) return " Its key comes from L402_ENCRYPTION_KEY or L402_ENCRYPTION_KEY_FILE.";
  if (message.includes("acceptRestored")) return ' At the command line: l402-tools accept-restored --why "…".';
  if (message.includes("allowHosts")) return " At the command line: --allow-host.";
  if (code === "paused_after_overrun") return ' At the command line: l402-tools resume --why "…".';
  return "";
}

const NETWORK_CODE = /^[A-Z][A-Z0-9_]{1,40}$/;

function systemCode(error: unknown): string | undefined {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } | undefined };
  return [code, cause?.code].find((one): one is string => typeof one === "string" && NETWORK_CODE.test(one));
}

/** Errors of ours as they are; of others only their kind, since their words may be anyone's and hold anything. */
export function failureOf(error: unknown, asking = false): Failure {
  if (error instanceof UsageError) return { exitCode: EXIT.usage, code: "usage", message: harmless(error.message), paid: "no", retryable: false };
  if (error instanceof Interrupted) return { exitCode: error.exitCode, code: "interrupted", message: `${error.message} Nothing was paid.`, paid: "no", retryable: true };
  if (isL402Error(error)) {
    const { code, paid, retryable } = error;
    // What cannot be resolved may be paid: it is settled already, and nothing is delivered by resolving it.
    const byPaid = code === "not_resolvable" || paid === "no" ? undefined : paid === "yes" ? EXIT.paidInVain : EXIT.unknown;
    const exitCode = byPaid ?? EXIT_OF[code] ?? EXIT.failed;
    const { paymentHash, required, remaining } = error as { paymentHash?: unknown; required?: unknown; remaining?: unknown };
    return {
      exitCode,
      code,
      message: `${harmless(error.message)}${hintOf(code, error.message)}`,
      paid,
      retryable,
      ...(typeof paymentHash === "string" ? { paymentHash } : {}),
      ...(typeof required === "number" ? { required } : {}),
      ...(typeof remaining === "number" ? { remaining } : {}),
    };
  }
  const code = systemCode(error);
  const isNetwork = asking && (error instanceof TypeError || error instanceof DOMException || code !== undefined);
  if (isNetwork) {
    const why = code === undefined ? "" : ` (${code})`;
    return { exitCode: EXIT.failed, code: "network_failed", message: `The server could not be reached${why}. Nothing was paid.`, paid: "no", retryable: true };
  }
  const name = error instanceof Error ? error.name : typeof error;
  return { exitCode: EXIT.unexpected, code: "unexpected", message: `Something went wrong that was not foreseen: ${harmless(name)}${code === undefined ? "" : ` (${code})`}.`, paid: "no", retryable: false };
}
