/** What a tool is: defined once, free of any framework, and mapped by the adapters. */
import type { z } from "zod";
import type { Paid } from "../errors.ts";
import type { PaymentIntent } from "../types.ts";

/** Hints in the words of MCP; other frameworks may ignore them. */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

/** What a framework knows of a call beside its arguments. Nothing in it comes from the model. */
export interface ToolContext {
  /**
   * The framework's name of this call, unique in its thread: thread and tool-call id. A call that is run again under one
   * key buys nothing again. Together with the request it is the purchase, so an id that a provider gives to two different
   * calls does no harm.
   */
  readonly idempotencyKey?: string | undefined;
  /** Ends the waiting; a payment that was sent goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a cause is a signal of the framework (such as an interrupt thrown in `approve`), to be thrown on as it is. */
  readonly rethrow?: ((cause: unknown) => boolean) | undefined;
  /**
   * Asked before each payment of this call, with the exact invoice, the hold already taken and after the client's own
   * `approve`. `required`: the client wants a person's yes (`approveAbove`) and has nobody to ask. Only `true` goes on.
   * A throw leaves the question open: nothing is held, and the same call under the same `idempotencyKey` goes on with the
   * same invoice while that can be paid, else with a fresh one of another payment hash.
   */
  readonly approve?: ((intent: PaymentIntent, required: boolean) => boolean | Promise<boolean>) | undefined;
  /** Told what the call waits for. It cannot change the outcome. */
  readonly onProgress?: ((progress: ToolProgress) => unknown) | undefined;
}

/** What a call of `l402_fetch` waits for, in this order; a step that is not needed is left out. Plain JSON; no secret in it. */
export interface ToolProgress {
  type: "l402_progress";
  tool: "l402_fetch";
  /** `price`: the server's first answer. `approval`: a person. `payment`: the wallet. `body`: what was asked for. */
  stage: "price" | "approval" | "payment" | "body";
  /** 1 for `price` to 4 for `body`; it only rises. */
  step: number;
  host: string;
  /** Price without routing fee; `null` while it is not known, or when nothing is paid. */
  amountSats: number | null;
  paymentHash: string | null;
  /** One line for a person. */
  message: string;
}

/** What a person is asked before a payment. Plain JSON; no secret in it. */
export interface ApprovalQuestion {
  type: "l402_approval";
  host: string;
  method: string;
  url: string;
  /** Price without routing fee. */
  amountSats: number;
  /** Most that the routing fee may add. */
  maxFeeSats: number;
  /** Left in the total budget besides this payment; `null` without one. */
  remainingSats: number | null;
  /** The payee's node, hex. */
  payee: string;
  /** What it is for, in the words of whoever wants the money. */
  description: string;
  /** Names the question: an answer counts for this invoice alone. */
  paymentHash: string;
  /** When the invoice runs out, ISO 8601. */
  expiresAt: string;
  /** All of it, in sentences. */
  text: string;
}

/** Why a call failed. `paid`: whether money moved. */
export interface ToolError {
  /** Stable, in snake case: a code of `L402Error`, or `invalid_arguments`, `network_failed`, `aborted`, `http_error`, `body_incomplete`, `body_not_kept`, `internal`. */
  code: string;
  message: string;
  paid: Paid;
  /** Whether the same call may be repeated without the risk of a second payment, and with a chance to succeed. */
  retryable: boolean;
}

/** One tool. `execute` returns failures as results; it throws nothing but what `rethrow` asked for. */
export interface L402Tool<Name extends string, Schema extends z.ZodObject, Result> {
  readonly name: Name;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: Schema;
  readonly annotations: ToolAnnotations;
  execute(input: z.input<Schema>, context?: ToolContext): Promise<Result>;
  /** The text for the model: first what we vouch for, then the server's words, fenced. The same result gives the same text. */
  renderForModel(result: Result): string;
}

/** A body as the tools return it. */
export interface ToolPage {
  /** The part of the text that was asked for; empty for a binary body. Words of the server. */
  body: string;
  /** Characters of the whole kept text; `null` for a binary body. */
  totalChars: number | null;
  offset: number;
  /** Where to read on; `null` at the end. */
  nextOffset: number | null;
  /** The body was larger than `maxBytes`, and the rest was not read. */
  truncated: boolean;
  /** A body that is not text; `sha256` is `null` if it was not read to its end. */
  binary: { bytes: number; sha256: string | null } | null;
}

/** Outcome of `l402_fetch`. Plain JSON; no secret in it. */
export interface FetchResult extends ToolPage {
  tool: "l402_fetch";
  ok: boolean;
  url: string;
  /** Where a redirect led to. */
  finalUrl: string | null;
  status: number | null;
  contentType: string | null;
  /** Price that was paid, in sats, without the routing fee. */
  paidSats: number;
  feeSats: number;
  /** Held for a payment whose outcome is not known. */
  heldSats: number;
  /** A credential that was bought earlier opened it; nothing was paid now. */
  reused: boolean;
  /** Answered from memory: reading on, or this very call was run before. Nothing was requested. */
  kept: boolean;
  paymentHash: string | null;
  /** Left in the whole budget; `null` without one, or when the store does not answer. */
  remainingSats: number | null;
  /** Left for the host of `url`; `null` where no limit binds it. */
  remainingForHostSats: number | null;
  /** Names the fence around the body; random. */
  fence: string;
  error: ToolError | null;
  /** What the call waits for, where a framework shows results before they are complete; `null` in a complete one. */
  progress: ToolProgress | null;
}

/** Outcome of `l402_quote`. `priceSats` is `null` when no L402 payment is asked for. */
export interface QuoteResult {
  tool: "l402_quote";
  ok: boolean;
  url: string;
  priceSats: number | null;
  priceMsat: number | null;
  /** The payee's node, hex. */
  payee: string | null;
  /** The invoice's own text: words of a stranger. */
  description: string | null;
  expiresAt: string | null;
  paymentHash: string | null;
  remainingSats: number | null;
  remainingForHostSats: number | null;
  error: ToolError | null;
}

/** Outcome of `l402_balance`. All amounts in sats, fees included. */
export interface BalanceResult {
  tool: "l402_balance";
  ok: boolean;
  /** Whether any limit is configured. */
  configured: boolean;
  totalSats: number | null;
  spentSats: number;
  heldSats: number;
  remainingSats: number | null;
  limits: { sats: number | null; payments: number | null; domain: string | null; per: string | null; spentSats: number; heldSats: number; remainingSats: number | null; remainingPayments: number | null }[];
  error: ToolError | null;
}

/** Outcome of `l402_spending_report`. All amounts in sats; `sats` of a payment is with its fee. */
export interface SpendingReportResult {
  tool: "l402_spending_report";
  ok: boolean;
  configured: boolean;
  totalSats: number;
  heldSats: number;
  remainingSats: number | null;
  byDomain: Record<string, number>;
  /** The newest payments, oldest first. */
  payments: { url: string; sats: number; feeSats: number; at: string; paymentHash: string }[];
  /** Older payments that are in the totals only. */
  omittedPayments: number;
  error: ToolError | null;
}

export type ToolResult = FetchResult | QuoteResult | BalanceResult | SpendingReportResult;
