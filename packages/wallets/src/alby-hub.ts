/** Alby Hub over its own HTTP API. An NWC connection with a budget can do less harm; see the guide. */
import type { FailureReason, LookupResult, PayRequest, PayResult, Wallet, WalletCapabilities } from "@l402-tools/core";
import { asObject, type Json } from "./answer.ts";
import { Service, type Reply } from "./http.ts";
import { assertOptions, requiredText, serviceUrl } from "./options.ts";
import { askAgain, assertSameHash, failed, feeOf, larger, lookupTrouble, notAnInvoice, patience, preimageOf, refusedByStatus, settleThrow, shareMsat, unread, wholeOf, type LookupQuery } from "./outcome.ts";

export interface AlbyHubWalletOptions {
  /** Of the Hub, such as `http://localhost:8080`. */
  readonly url: string;
  /** A token with `full` permission, of `POST /api/unlock`. */
  readonly token: string;
}

const WHERE_URL = "it is the address of the Hub, without /api.";
const WHERE_TOKEN = 'ask the Hub for one: POST /api/unlock {"unlockPassword": "…", "permission": "full"}.';

/** What the Hub says before it pays, by its text. */
const NOT_BEGUN: readonly (readonly [RegExp, FailureReason])[] = [
  [/this invoice has expired/i, "invoice_expired"],
  [/does not have pay_invoice scope/i, "unauthorized"],
  [/insufficient balance remaining/i, "insufficient_balance"],
  [/does not have enough budget remaining/i, "limit_exceeded"],
];
/** Reasons with which the Hub gives up on a payment that its node may go on with: transport, time, and CLN's xpay. */
const LOST_SIGHT = /time-?d? ?out|deadline|context|cancell?ed|connect|transport|unavailable|EOF|broken pipe|rpc error|reset by|network|xpay|phoenix|unknown/i;
/** Reasons that LND itself gives for a payment that is over, and of which nothing is on its way. */
const FINAL_REASON = /^FAILURE_REASON_(?:NO_ROUTE|INSUFFICIENT_BALANCE|INCORRECT_PAYMENT_DETAILS)\b/;
/** Nodes whose "failed" the Hub passes on. Of others (CLN, phoenixd) it takes any error for a failure. */
const SOUND_BACKENDS = /^(?:lnd|ldk)$/i;

export class AlbyHubWallet implements Wallet {
  readonly name = "alby-hub";
  readonly capabilities: WalletCapabilities = {
    feeLimit: "none",
    worstCaseFeeMsat: (amountMsat) => larger(10_000n, shareMsat(amountMsat, 100n)),
    preimage: "usually",
    lookup: "by-hash",
    notFoundFinalAfterMs: null,
  };
  readonly #service: Service;

  /** @throws {L402Error} `invalid_options` */
  constructor(options: AlbyHubWalletOptions) {
    assertOptions("AlbyHubWallet", options, ["url", "token"]);
    const token = requiredText(options.token, "token", WHERE_TOKEN);
    this.#service = new Service({ name: this.name, url: serviceUrl(options.url, "url", WHERE_URL, /\/api\/?$/), headers: { authorization: `Bearer ${token}` }, secrets: [token] });
  }

  async pay(request: PayRequest): Promise<PayResult> {
    return notAnInvoice(request) ?? settleThrow(async () => {
      const reply = await this.#service.send({ method: "POST", path: `/api/payments/${encodeURIComponent(request.invoice)}`, json: {}, deadline: request.deadline, signal: request.signal });
      const refused = refusedByStatus(this.#service, reply, WHERE_TOKEN);
      if (refused !== undefined) return refused;
      const answer = reply.json;
      if (answer === undefined) return unread(this.#service, reply);
      return reply.ok ? this.#answered(request, answer, reply) : this.#refused(request, answer, reply);
    });
  }

  #answered(request: PayRequest, payment: Json, reply: Reply): PayResult | Promise<PayResult> {
    assertSameHash(this.#service, payment["paymentHash"], request.paymentHash);
    const { state } = payment;
    if (state === "settled") return { status: "settled", ...proofOf(payment) };
    if (state === "pending" || state === "accepted") return { status: "in_flight" };
    return state === "failed" ? this.#look(request, "the Hub says: failed") : unread(this.#service, reply);
  }

  #refused(request: PayRequest, answer: Json, reply: Reply): PayResult | Promise<PayResult> {
    const message = typeof answer["message"] === "string" ? answer["message"] : "";
    if (reply.status !== 500 || message === "") return unread(this.#service, reply);
    const said = `The Hub says: ${this.#service.quote(message)}`;
    const [, reason] = NOT_BEGUN.find(([pattern]) => pattern.test(message)) ?? [];
    if (reason !== undefined) return failed(reason, `${said}.`);
    if (/already a payment pending/i.test(message)) return { status: "in_flight" };
    if (/already been paid/i.test(message)) return askAgain(() => this.lookup(request), said);
    return this.#look(request, said);
  }

  /** Only what the Hub has on record tells whether an error was a failure. */
  #look(request: PayRequest, said: string): Promise<PayResult> {
    return askAgain(() => this.lookup(request), said, { believeFailure: failed("other", `${said}.`) });
  }

  async lookup({ paymentHash, deadline, signal }: LookupQuery): Promise<LookupResult> {
    const reply = await this.#service.send({ method: "GET", path: `/api/transactions/${paymentHash}`, ...patience(deadline, signal) });
    const found = reply.json;
    // It has no 404 for this.
    if (reply.status === 500 && /the transaction requested was not found/i.test(String(found?.["message"]))) return { status: "not_found" };
    if (!reply.ok || found === undefined) throw lookupTrouble(this.#service, reply, this.#service.quote(found?.["message"]));
    assertSameHash(this.#service, found["paymentHash"], paymentHash);
    // Of a payment to itself the Hub may show the receiving side.
    if (found["type"] === "incoming") throw lookupTrouble(this.#service, reply, "it shows an incoming payment of this hash");
    switch (found["state"]) {
      case "settled":
        return { status: "settled", ...proofOf(found) };
      case "pending":
      case "accepted":
        return { status: "in_flight" };
      case "failed":
        return { status: "failed", soft: await this.#isDoubtful(found["failureReason"]) };
      default:
        throw lookupTrouble(this.#service, reply);
    }
  }

  /** The Hub notes any error of its node as failed, and corrects itself when the node reports success later. */
  async #isDoubtful(reason: unknown): Promise<boolean> {
    if (typeof reason !== "string" || reason.trim() === "" || LOST_SIGHT.test(reason)) return true;
    if (FINAL_REASON.test(reason)) return false;
    const info = await this.#service.send({ method: "GET", path: "/api/info" }).catch(() => undefined);
    return info?.ok !== true || !SOUND_BACKENDS.test(String(info.json?.["backendType"]));
  }

  async balance(): Promise<{ spendableMsat: bigint }> {
    const reply = await this.#service.send({ method: "GET", path: "/api/balances" });
    const spendable = wholeOf(asObject(reply.json?.["lightning"])?.["totalSpendableMsat"]) ?? wholeOf(asObject(reply.json?.["lightning"])?.["totalSpendable"]);
    if (!reply.ok || spendable === null) throw new Error(`alby-hub did not tell its balance (HTTP ${reply.status})`);
    return { spendableMsat: spendable };
  }

  async close(): Promise<void> {
    this.#service.close();
  }
}

function proofOf(payment: Json): { preimage: string | null; feeMsat: bigint | null } {
  return { preimage: preimageOf(payment["preimage"]), feeMsat: feeOf(wholeOf(payment["feesPaidMsat"]) ?? wholeOf(payment["feesPaid"])) };
}
