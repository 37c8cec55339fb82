/** Blink over its GraphQL API. The route and fee of a payment are probed first, and then bound for some minutes. */
import type { FailureReason, LookupResult, PayRequest, PayResult, Wallet, WalletCapabilities } from "@l402-tools/core";
import { BALANCE, FEE_PROBE, INTRALEDGER_PREIMAGE, LOOKUP, PAY } from "./blink-documents.ts";
import { asObject, ServiceError, type Json } from "./answer.ts";
import { Service, type Reply } from "./http.ts";
import { assertOptions, requiredText, serviceUrl } from "./options.ts";
import { askAgain, ceilToSat, failed, feeOf, inTime, larger, patience, preimageOf, refusedByStatus, settleThrow, shareMsat, unknown, unread, wholeOf, type Failed, type LookupQuery } from "./outcome.ts";

export interface BlinkWalletOptions {
  /** @default "https://api.blink.sv/graphql" */
  readonly url?: string;
}

const WHERE_KEY = "make one at dashboard.blink.sv under API Keys, with the scopes Read and Write and a spending limit.";
const WHERE_WALLET = "it is the id of your BTC wallet, shown at dashboard.blink.sv and by the query { me { defaultAccount { wallets { id walletCurrency } } } }.";

/** Blink binds a probed route and its fee for about five minutes. */
const PROBE_LIFE_MS = 4 * 60_000;
/** A probe takes up to 45 s. */
const PROBE_TIMEOUT_MS = 50_000;
/** Marks, for later look-ups, that Blink's own "failed" may be wrong: it has taken a payment back that may go on. */
const DOUBTED = "doubted";

/** Codes that Blink gives before it sends anything. */
const NOT_PAID: Readonly<Record<string, FailureReason>> = {
  ROUTE_FINDING_ERROR: "no_route",
  INSUFFICIENT_BALANCE: "insufficient_balance",
  TRANSACTION_RESTRICTED: "limit_exceeded",
  CANT_PAY_SELF: "self_payment",
  INVOICE_DECODE_ERROR: "invalid_invoice",
  TOO_MANY_REQUEST: "rate_limited",
  DEALER_ERROR: "other",
  DEALER_OFFLINE: "unreachable",
  PRICE_SERVICE_OFFLINE: "unreachable",
  NOT_FOUND: "other",
  INVALID_INPUT: "invalid_invoice",
  RECEIVE_DISABLED: "unsupported",
};
/** `LIGHTNING_PAYMENT_ERROR`s with which LND has ended the payment, by the start of their text. */
const ENDED: readonly (readonly [string, FailureReason])[] = [
  ["Temporary failure when trying to pay", "no_route"],
  ["Payment was rejected by destination as invalid", "rejected_by_payee"],
  ["Invoice already expired, or has bad payment hash", "invoice_expired"],
  ["Issue with lightning payment, please try again.", "other"],
  ["Invoice may have invalid feature bits set", "invalid_invoice"],
];
/** Of unexpected errors, those that come from before the payment. */
const BEFORE_PAYING: readonly (readonly [string, FailureReason])[] = [
  ["ResourceAttemptsRedlockServiceError", "rate_limited"],
  ["ResourceExpiredLockServiceError", "rate_limited"],
  ["AuthorizationError", "unauthorized"],
];
const UNEXPECTED = new Set(["DB_ERROR", "UNKNOWN_CLIENT_ERROR", "UNEXPECTED_CLIENT_ERROR"]);

type Verdict = { readonly is: "failed"; readonly reason: FailureReason } | { readonly is: "in_flight" | "already_paid" | "doubted" };

/** What an error of a payment means for the money; anything that is not known leaves it open. */
function verdictOf(code: string, message: string): Verdict {
  if (code === "INVALID_INPUT" && message.startsWith("There is a pending payment for this invoice")) return { is: "in_flight" };
  if (code === "LIGHTNING_PAYMENT_ERROR") {
    if (message.startsWith("Invoice is already paid")) return { is: "already_paid" };
    const [, reason] = ENDED.find(([start]) => message.startsWith(start)) ?? [];
    return reason === undefined ? { is: "doubted" } : { is: "failed", reason };
  }
  if (UNEXPECTED.has(code)) {
    const [, reason] = BEFORE_PAYING.find(([name]) => message.includes(`code: ${name}`)) ?? [];
    return reason === undefined ? { is: "doubted" } : { is: "failed", reason };
  }
  const reason = NOT_PAID[code];
  return reason === undefined ? { is: "doubted" } : { is: "failed", reason };
}

/** Code and message of a GraphQL error; Blink has the code beside the message, the standard in `extensions`. */
function firstError(errors: unknown): { code: string; message: string } | undefined {
  const error = Array.isArray(errors) ? asObject(errors[0]) : undefined;
  if (error === undefined) return undefined;
  const code = error["code"] ?? asObject(error["extensions"])?.["code"];
  return { code: typeof code === "string" ? code : "", message: typeof error["message"] === "string" ? error["message"] : "" };
}

const isNotAuthorized = (error: { code: string; message: string }): boolean => /^not[ _]auth(orized|enticated)/i.test(error.message) || /^not_auth/i.test(error.code);
const rowsOf = (value: unknown): Json[] => (Array.isArray(value) ? value.map(asObject).filter((row) => row !== undefined) : []);

export class BlinkWallet implements Wallet {
  readonly name = "blink";
  readonly capabilities: WalletCapabilities = {
    feeLimit: "quoted",
    // The reserve for routing is 10 sat or 0.5 %; an amount with a fraction of a satoshi is rounded up.
    worstCaseFeeMsat: (amountMsat) => ceilToSat(amountMsat) - amountMsat + larger(10_000n, ceilToSat(shareMsat(amountMsat, 50n))),
    preimage: "usually",
    lookup: "by-hash",
    notFoundFinalAfterMs: null,
  };
  readonly #service: Service;
  readonly #walletId: string;
  /** Fees that Blink is bound to, by payment hash. */
  readonly #probed = new Map<string, { feeMsat: bigint; until: number }>();
  /** Blink locks the wallet for each payment, so they go one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * @param apiKey a key with the scopes READ and WRITE
   * @param walletId the BTC wallet to pay from
   * @throws {L402Error} `invalid_options`
   */
  constructor(apiKey: string, walletId: string, options: BlinkWalletOptions = {}) {
    const key = requiredText(apiKey, "The Blink API key", WHERE_KEY);
    this.#walletId = requiredText(walletId, "The Blink wallet id", WHERE_WALLET);
    assertOptions("BlinkWallet", options, ["url"]);
    this.#service = new Service({
      name: this.name,
      url: serviceUrl(options.url ?? "https://api.blink.sv/graphql", "url", "it is https://api.blink.sv/graphql unless you use another Blink."),
      headers: { "x-api-key": key },
      secrets: [key],
    });
  }

  async pay(request: PayRequest): Promise<PayResult> {
    const before = this.#turn;
    const mine = this.#inTurn(request, before);
    this.#turn = mine;
    return mine;
  }

  async #inTurn(request: PayRequest, before: Promise<unknown>): Promise<PayResult> {
    if (!(await inTime(before, request))) return failed("rate_limited", "Blink makes one payment of a wallet at a time, and another one took too long; nothing was sent.");
    return settleThrow(async () => (await this.#tooDear(request)) ?? this.#send(request));
  }

  /** Binds the fee, unless it is bound already or no fee of Blink's can pass the limit. */
  async #tooDear(request: PayRequest): Promise<Failed | undefined> {
    const known = this.#probed.get(request.paymentHash);
    const worst = this.capabilities.worstCaseFeeMsat?.(request.amountMsat) ?? 0n;
    let feeMsat = known !== undefined && known.until > Date.now() ? known.feeMsat : undefined;
    if (feeMsat === undefined && request.maxFeeMsat >= worst) return undefined;
    if (feeMsat === undefined) {
      const probe = await this.#probe(request).catch((error: unknown) => {
        if (error instanceof ServiceError) return failed("unreachable", `${error.message}; the fee is not known, and nothing was paid.`);
        throw error;
      });
      if ("status" in probe) return probe;
      ({ feeMsat } = probe);
    }
    if (feeMsat <= request.maxFeeMsat) return undefined;
    return failed("fee_too_high", `Blink wants a fee of ${feeMsat} msat, more than the ${request.maxFeeMsat} msat allowed; nothing was paid.`);
  }

  /** A probe never pays: whatever goes wrong with it, the payment was not made. */
  async #probe(request: PayRequest): Promise<{ feeMsat: bigint; binding: boolean } | Failed> {
    const reply = await this.#query(FEE_PROBE, { input: { walletId: this.#walletId, paymentRequest: request.invoice } }, Math.min(request.deadline, Date.now() + PROBE_TIMEOUT_MS), request.signal);
    const refused = this.#stoppedAtGateway(reply);
    if (refused !== undefined) return refused;
    const payload = asObject(asObject(reply.json?.["data"])?.["lnInvoiceFeeProbe"]);
    const error = firstError(payload?.["errors"]) ?? firstError(reply.json?.["errors"]);
    const amount = feeOf(wholeOf(payload?.["amount"]));
    const rounding = ceilToSat(request.amountMsat) - request.amountMsat;
    if (amount !== null) {
      const feeMsat = amount * 1_000n + rounding;
      // Without a route, the amount is Blink's reserve: the most that it takes, but no promise to pay.
      const binding = error === undefined;
      if (binding) this.#remember(request.paymentHash, feeMsat);
      return { feeMsat, binding };
    }
    const verdict = error === undefined ? undefined : verdictOf(error.code, error.message);
    const said = `Blink could not tell the fee (${this.#service.quote(error?.message)}), and nothing was paid.`;
    if (error !== undefined && isNotAuthorized(error)) return failed("unauthorized", `${said} Check the key; ${WHERE_KEY}`);
    if (error?.code === "") return failed("invalid_invoice", said);
    return failed(verdict?.is === "failed" ? verdict.reason : "other", said);
  }

  #remember(paymentHash: string, feeMsat: bigint): void {
    const now = Date.now();
    for (const [hash, { until }] of this.#probed) if (until <= now) this.#probed.delete(hash);
    this.#probed.set(paymentHash, { feeMsat, until: now + PROBE_LIFE_MS });
  }

  async #send(request: PayRequest): Promise<PayResult> {
    this.#probed.delete(request.paymentHash);
    const reply = await this.#query(PAY, { input: { walletId: this.#walletId, paymentRequest: request.invoice } }, request.deadline, request.signal);
    const refused = this.#stoppedAtGateway(reply);
    if (refused !== undefined) return refused;
    const body = reply.ok ? reply.json : undefined;
    const payload = asObject(asObject(body?.["data"])?.["lnInvoicePaymentSend"]);
    if (payload === undefined) return this.#withoutPayload(firstError(body?.["errors"]), reply);
    const transaction = asObject(payload["transaction"]);
    const error = firstError(payload["errors"]);
    switch (payload["status"]) {
      case "SUCCESS":
        return { status: "settled", ...this.#proofOfSend(transaction, request), ...refOf(transaction) };
      case "PENDING":
        return { status: "in_flight", ...refOf(transaction) };
      case "ALREADY_PAID":
        return this.#alreadyPaid(request, transaction);
      case "FAILURE":
        return error === undefined ? unread(this.#service, reply, DOUBTED) : this.#failure(request, error);
      case null:
      case undefined:
        // Arguments that Blink cannot read come back without status and code.
        if (error?.code === "" && transaction === undefined) return failed("invalid_invoice", `Blink says: ${this.#service.quote(error.message)}.`);
        return error === undefined ? unread(this.#service, reply) : this.#failure(request, error);
      default:
        return unread(this.#service, reply);
    }
  }

  #withoutPayload(error: { code: string; message: string } | undefined, reply: Reply): PayResult {
    if (error === undefined) return unread(this.#service, reply);
    const said = `Blink says: ${this.#service.quote(error.message)}`;
    if (isNotAuthorized(error)) return failed("unauthorized", `${said}. Check the key; ${WHERE_KEY}`);
    if (error.code === "GRAPHQL_VALIDATION_FAILED" || error.code === "GRAPHQL_PARSE_FAILED") return failed("unsupported", `${said}.`);
    const verdict = verdictOf(error.code, error.message);
    return verdict.is === "failed" ? failed(verdict.reason, `${said}.`) : unknown(said, DOUBTED);
  }

  #failure(request: PayRequest, { code, message }: { code: string; message: string }): PayResult | Promise<PayResult> {
    const said = `Blink says: ${this.#service.quote(message)}${code === "" ? "" : ` (${code})`}`;
    const verdict = verdictOf(code, message);
    switch (verdict.is) {
      case "failed":
        return failed(verdict.reason, `${said}.`);
      case "in_flight":
        return { status: "in_flight" };
      case "already_paid":
        return askAgain(() => this.lookup(request), said);
      case "doubted":
        // After LND has paid, trouble with Blink's own ledger is told as a failure, too.
        return askAgain(() => this.lookup({ ...request, ref: DOUBTED }), said, { ref: DOUBTED });
    }
  }

  /** Paid, but maybe by another user of Blink's node: only a payment of this wallet has the preimage. */
  #alreadyPaid(request: PayRequest, transaction: Json | undefined): PayResult | Promise<PayResult> {
    const proof = this.#proofOfSend(transaction, request);
    if (transaction?.["status"] === "SUCCESS" && transaction["direction"] === "SEND" && proof.preimage !== null) return { status: "settled", ...proof, ...refOf(transaction) };
    return askAgain(() => this.lookup(request), "Blink says that the invoice is already paid, and not by whom");
  }

  #proofOfSend(transaction: Json | undefined, request: PayRequest): { preimage: string | null; feeMsat: bigint | null } {
    const debited = transaction?.["settlementCurrency"] === "BTC" ? wholeOf(transaction["settlementAmount"]) : null;
    return { preimage: preimageOf(asObject(transaction?.["settlementVia"])?.["preImage"]), feeMsat: debited === null ? null : feeOf(-debited * 1_000n - request.amountMsat) };
  }

  /** What Blink's gateway answers by itself; the request went no further. A gateway's 5xx proves nothing. */
  #stoppedAtGateway(reply: Reply): Failed | undefined {
    const refused = refusedByStatus(this.#service, reply, `check the key; ${WHERE_KEY}`);
    if (refused !== undefined) return refused;
    if (reply.status === 429) return failed("rate_limited", "Blink takes no more requests for now (HTTP 429); nothing was paid.");
    const isTiming = reply.status === 408 || reply.status === 409;
    return reply.status >= 400 && reply.status < 500 && !isTiming ? failed("other", `Blink's gateway refuses the request (HTTP ${reply.status}); nothing was paid.`) : undefined;
  }

  async lookup({ paymentHash, ref, deadline, signal }: LookupQuery): Promise<LookupResult> {
    const { deadline: until } = patience(deadline, signal);
    const reply = await this.#query(LOOKUP, { walletId: this.#walletId, paymentHash }, until, signal);
    const wallet = this.#wallet(reply);
    const listed = wallet?.["transactionsByPaymentHash"];
    if (!Array.isArray(listed)) throw this.#trouble(reply);
    const rows = rowsOf(listed);
    // Beside what was sent there are credits: of failed attempts, and of fees that were given back.
    const sent = rows.filter((row) => row["direction"] === "SEND");
    const success = sent.find((row) => row["status"] === "SUCCESS");
    if (success !== undefined) {
      const via = asObject(success["settlementVia"]);
      const preimage = preimageOf(via?.["preImage"]) ?? (via?.["__typename"] === "SettlementViaIntraLedger" ? await this.#intraledgerPreimage(paymentHash, until, signal) : null);
      return { status: "settled", preimage, feeMsat: feeOfRows(rows, success) };
    }
    if (sent.some((row) => row["status"] === "PENDING")) return { status: "in_flight" };
    if (sent.length > 0) return { status: "failed", soft: ref === DOUBTED };
    if (listed.length > 0) throw this.#trouble(reply);
    return { status: "not_found" };
  }

  /** The payee is a user of Blink's, too: the invoice itself tells the preimage once it is paid. */
  async #intraledgerPreimage(paymentHash: string, deadline: number, signal: AbortSignal | undefined): Promise<string | null> {
    const reply = await this.#query(INTRALEDGER_PREIMAGE, { input: { paymentHash } }, deadline, signal).catch(() => undefined);
    return preimageOf(asObject(asObject(reply?.json?.["data"])?.["lnInvoicePaymentStatusByHash"])?.["paymentPreimage"]);
  }

  /** Asks Blink for the route, which it then keeps to for some minutes, with its fee. */
  async quoteFee(request: PayRequest): Promise<{ feeMsat: bigint; binding: boolean }> {
    const probe = await this.#probe(request);
    if ("status" in probe) throw new Error(probe.message);
    return probe;
  }

  async balance(): Promise<{ spendableMsat: bigint }> {
    const reply = await this.#query(BALANCE, { walletId: this.#walletId }, Date.now() + PROBE_TIMEOUT_MS, undefined);
    const wallet = this.#wallet(reply);
    const balance = wholeOf(wallet?.["balance"]);
    if (balance === null) throw this.#trouble(reply);
    if (wallet?.["walletCurrency"] !== "BTC") throw new Error("This Blink wallet is in US dollars; its balance in satoshi depends on the price. Use the BTC wallet.");
    return { spendableMsat: balance * 1_000n };
  }

  #wallet(reply: Reply): Json | undefined {
    const me = asObject(asObject((reply.ok ? reply.json : undefined)?.["data"])?.["me"]);
    return asObject(asObject(me?.["defaultAccount"])?.["walletById"]);
  }

  #trouble(reply: Reply): Error {
    const error = firstError(reply.json?.["errors"]);
    return new Error(`blink did not answer (HTTP ${reply.status})${error === undefined ? "" : `: ${this.#service.quote(error.message)}`}; check the key and the wallet id`);
  }

  async close(): Promise<void> {
    this.#service.close();
  }

  #query(query: string, variables: Json, deadline: number, signal: AbortSignal | undefined): Promise<Reply> {
    return this.#service.send({ method: "POST", path: "", json: { query, variables }, deadline, signal });
  }
}

function refOf(transaction: Json | undefined): { ref?: string } {
  return typeof transaction?.["id"] === "string" ? { ref: transaction["id"] } : {};
}

/**
 * What was charged beyond the amount, over all rows: the fee of the one that succeeded was reserved, and a part of it
 * may have been given back.
 */
function feeOfRows(rows: readonly Json[], success: Json): bigint | null {
  if (rows.some((row) => row["settlementCurrency"] !== "BTC")) return null;
  const amounts = rows.map((row) => wholeOf(row["settlementAmount"]));
  const debited = wholeOf(success["settlementAmount"]);
  const reserved = wholeOf(success["settlementFee"]);
  if (amounts.includes(null) || debited === null || reserved === null) return null;
  const cost = -amounts.reduce<bigint>((sum, amount) => sum + (amount ?? 0n), 0n);
  return feeOf((cost - (-debited - reserved)) * 1_000n);
}
