/** Core Lightning over clnrest: `xpay`, or `pay` where there is none, and `listpays`. */
import type { FailureReason, LookupResult, PayRequest, PayResult, Wallet, WalletCapabilities } from "@l402-tools/core";
import { asObject, type Json } from "./answer.ts";
import { Service, type Call, type Reply } from "./http.ts";
import { assertOptions, certificate, requiredText, serviceUrl } from "./options.ts";
import { askAgain, assertSameHash, failed, feeOf, lookupTrouble, patience, preimageOf, refusedByStatus, retrySeconds, settleThrow, unknown, unread, wholeOf, type LookupQuery } from "./outcome.ts";

export interface ClnWalletOptions {
  /** Where clnrest is, such as `https://localhost:3010`: the host must be one that its certificate names. */
  readonly url: string;
  /** A rune; one that allows `xpay`, `pay` and `listpays` is enough. */
  readonly rune: string;
  /** PEM of `ca.pem` in the node's directory, if clnrest made its certificate itself. @default a public authority's */
  readonly ca?: string;
}

const WHERE_URL = "it is clnrest's address (clnrest-host, clnrest-port), such as https://localhost:3010.";
const WHERE_RUNE = "make one with `lightning-cli createrune restrictions='[[\"method=xpay\",\"method=pay\",\"method=listpays\",\"method=listpeerchannels\"]]'`.";
const WHERE_CA = "it is the content of ca.pem in the node's directory.";

/** Errors that end a payment, once `listpays` shows no part of it. */
const NOT_PAID: Readonly<Record<number, FailureReason>> = {
  203: "rejected_by_payee",
  205: "no_route",
  206: "fee_too_high",
  207: "invoice_expired",
  213: "limit_exceeded",
  215: "insufficient_balance",
  [-32602]: "invalid_invoice",
};
const IN_PROGRESS = 200;
const HASH_ALREADY_USED = 201;
const ALREADY_PAID = 219;
const METHOD_NOT_FOUND = -32601;
const RUNE_INVALID_OR_NOT_PERMITTED = 1502;

/** Flat, or within `error` in older versions. */
function errorOf(reply: Reply): { code: number | undefined; message: string } {
  const body = reply.json;
  const error = asObject(body?.["error"]) ?? body;
  const { code, message } = error ?? {};
  return { code: typeof code === "number" ? code : undefined, message: typeof message === "string" ? message : "" };
}

export class ClnWallet implements Wallet {
  readonly name = "cln";
  readonly capabilities: WalletCapabilities = { feeLimit: "enforced", preimage: "always", lookup: "by-hash", notFoundFinalAfterMs: null };
  readonly #service: Service;
  /** `pay` once the node has said that it has no `xpay`, or that the rune does not allow it. */
  #method: "xpay" | "pay" = "xpay";

  /** @throws {L402Error} `invalid_options` */
  constructor(options: ClnWalletOptions) {
    assertOptions("ClnWallet", options, ["url", "rune", "ca"]);
    const rune = requiredText(options.rune, "rune", WHERE_RUNE);
    this.#service = new Service({
      name: this.name,
      url: serviceUrl(options.url, "url", WHERE_URL, /\/v1\/?$/),
      headers: { rune },
      secrets: [rune],
      ca: certificate(options.ca, "ca", WHERE_CA),
    });
  }

  async pay(request: PayRequest): Promise<PayResult> {
    return settleThrow(async () => {
      const reply = await this.#send(request);
      const { code, message } = errorOf(reply);
      if (reply.ok) return this.#answered(request, reply);
      const said = `Core Lightning says: ${this.#service.quote(message)}${code === undefined ? "" : ` (${code})`}`;
      if (code === IN_PROGRESS) return { status: "in_flight" };
      // A second run of xpay meets the parts of the first in lightningd.
      if (/injectpaymentonion error 200|still in progress/i.test(message)) return { status: "in_flight" };
      if (code === ALREADY_PAID || code === HASH_ALREADY_USED) return askAgain(() => this.lookup(request), said);
      const reason = code === undefined ? undefined : NOT_PAID[code];
      if (reason !== undefined) return this.#notPaid(request, reason, said);
      return refusedByStatus(this.#service, reply, WHERE_RUNE) ?? unknown(said);
    });
  }

  async #send(request: PayRequest): Promise<Reply> {
    const terms = { maxfee: Number(request.maxFeeMsat), retry_for: retrySeconds(request.deadline) };
    const waiting: Pick<Call, "deadline" | "signal"> = { deadline: request.deadline, signal: request.signal };
    if (this.#method === "xpay") {
      const reply = await this.#call("xpay", { invstring: request.invoice, ...terms }, waiting);
      const { code } = errorOf(reply);
      const isAbsent = code === METHOD_NOT_FOUND || reply.status === 404;
      if (!isAbsent && code !== RUNE_INVALID_OR_NOT_PERMITTED) return reply;
      const other = await this.#call("pay", { bolt11: request.invoice, ...terms }, waiting);
      if (other.status !== 401 && other.status !== 403 && other.status !== 404) this.#method = "pay";
      return other;
    }
    return this.#call("pay", { bolt11: request.invoice, ...terms }, waiting);
  }

  #answered(request: PayRequest, reply: Reply): PayResult | Promise<PayResult> {
    const payment = reply.json;
    if (payment === undefined) return unread(this.#service, reply);
    assertSameHash(this.#service, payment["payment_hash"], request.paymentHash);
    // xpay has no status: it answers only when it has the preimage.
    const status = payment["status"] ?? (payment["payment_preimage"] === undefined ? undefined : "complete");
    if (status === "complete") return { status: "settled", preimage: preimageOf(payment["payment_preimage"]), feeMsat: feeOfPay(payment) };
    if (status === "pending") return { status: "in_flight" };
    if (status === "failed") return this.#notPaid(request, "other", "Core Lightning says: failed");
    return unread(this.#service, reply);
  }

  /** An error is proof only if no part of the payment is out: xpay answers while some still are. */
  async #notPaid(request: PayRequest, reason: FailureReason, said: string): Promise<PayResult> {
    const found = await this.lookup(request).catch(() => undefined);
    if (found?.status === "settled" || found?.status === "in_flight") return found;
    return found === undefined ? unknown(said) : failed(reason, `${said}.`);
  }

  async lookup({ paymentHash, deadline, signal }: LookupQuery): Promise<LookupResult> {
    const reply = await this.#call("listpays", { payment_hash: paymentHash }, patience(deadline, signal));
    const listed = reply.ok ? reply.json?.["pays"] : undefined;
    if (!Array.isArray(listed)) throw lookupTrouble(this.#service, reply, this.#service.quote(errorOf(reply).message));
    const pays = listed.map((pay) => {
      const entry = asObject(pay);
      if (entry === undefined) throw lookupTrouble(this.#service, reply);
      assertSameHash(this.#service, entry["payment_hash"], paymentHash);
      return entry;
    });
    // One entry for each group of attempts.
    const complete = pays.find((pay) => pay["status"] === "complete");
    if (complete !== undefined) return { status: "settled", preimage: preimageOf(complete["preimage"] ?? complete["payment_preimage"]), feeMsat: feeOfPay(complete) };
    if (pays.length === 0) return { status: "not_found" };
    return pays.every((pay) => pay["status"] === "failed") ? { status: "failed", soft: false } : { status: "in_flight" };
  }

  /** The sum of what the channels in normal operation can send. */
  async balance(): Promise<{ spendableMsat: bigint }> {
    const reply = await this.#call("listpeerchannels", {});
    const channels = reply.ok ? reply.json?.["channels"] : undefined;
    if (!Array.isArray(channels)) throw new Error(`cln did not tell its balance (HTTP ${reply.status})`);
    const spendable = channels
      .map((channel) => asObject(channel))
      .filter((channel) => channel?.["state"] === "CHANNELD_NORMAL")
      .map((channel) => wholeOf(channel?.["spendable_msat"]) ?? 0n);
    return { spendableMsat: spendable.reduce((sum, msat) => sum + msat, 0n) };
  }

  async close(): Promise<void> {
    this.#service.close();
  }

  #call(method: string, params: Json, { deadline, signal }: Pick<Call, "deadline" | "signal"> = {}): Promise<Reply> {
    return this.#service.send({ method: "POST", path: `/v1/${method}`, json: params, deadline, signal });
  }
}

function feeOfPay(payment: Json): bigint | null {
  const sent = wholeOf(payment["amount_sent_msat"]);
  const amount = wholeOf(payment["amount_msat"]);
  return sent === null || amount === null ? null : feeOf(sent - amount);
}
