/** phoenixd over its HTTP API. */
import type { FailureReason, LookupResult, PayRequest, PayResult, Wallet, WalletCapabilities } from "@l402-tools/core";
import { Service } from "./http.ts";
import { assertOptions, requiredText, serviceUrl } from "./options.ts";
import { askAgain, assertSameHash, ceilToSat, failed, feeOf, lookupTrouble, patience, preimageOf, refusedByStatus, settleThrow, shareMsat, unread, wholeOf, type LookupQuery } from "./outcome.ts";

export interface PhoenixdWalletOptions {
  /** @default "http://127.0.0.1:9740" */
  readonly url?: string;
  /** `http-password` of phoenix.conf. */
  readonly password: string;
}

const WHERE_PASSWORD = "it is http-password in ~/.phoenix/phoenix.conf; the limited-access one cannot pay.";

/** Final reasons of phoenixd, by their text; the others are failures of the payment on its way, as final as these. */
const REASONS: readonly (readonly [RegExp, FailureReason])[] = [
  [/not enough funds/i, "insufficient_balance"],
  [/payment amount must be positive|features not supported/i, "invalid_invoice"],
  [/channel is not connected|channel creation|channel closing/i, "unreachable"],
  [/recipient was offline|did not have enough liquidity|attempts exhausted/i, "no_route"],
];

export class PhoenixdWallet implements Wallet {
  readonly name = "phoenixd";
  readonly capabilities: WalletCapabilities = {
    feeLimit: "none",
    // One trampoline node, one tariff: 4 sat and 0.4 %.
    worstCaseFeeMsat: (amountMsat) => ceilToSat(4_000n + shareMsat(amountMsat, 40n)),
    preimage: "always",
    lookup: "by-hash",
    notFoundFinalAfterMs: null,
  };
  readonly #service: Service;

  /** @throws {L402Error} `invalid_options` */
  constructor(options: PhoenixdWalletOptions) {
    assertOptions("PhoenixdWallet", options, ["url", "password"]);
    const password = requiredText(options.password, "password", WHERE_PASSWORD);
    const basic = Buffer.from(`:${password}`).toString("base64");
    this.#service = new Service({
      name: this.name,
      url: serviceUrl(options.url ?? "http://127.0.0.1:9740", "url", "it is where phoenixd listens, such as http://127.0.0.1:9740."),
      headers: { authorization: `Basic ${basic}` },
      secrets: [password, basic],
    });
  }

  async pay(request: PayRequest): Promise<PayResult> {
    return settleThrow(async () => {
      const reply = await this.#service.send({ method: "POST", path: "/payinvoice", form: { invoice: request.invoice }, deadline: request.deadline, signal: request.signal });
      const refused = refusedByStatus(this.#service, reply, WHERE_PASSWORD);
      if (refused !== undefined) return refused;
      if (reply.status === 400) return failed("invalid_invoice", `phoenixd refuses the request: ${this.#service.quote(reply.text)}.`);
      const answer = reply.ok ? reply.json : undefined;
      if (answer === undefined) return unread(this.#service, reply);
      assertSameHash(this.#service, answer["paymentHash"], request.paymentHash);
      const { paymentPreimage, reason, paymentId } = answer;
      const ref = typeof paymentId === "string" ? { ref: paymentId } : {};
      // HTTP 200 stands for both outcomes: only these two fields tell them apart.
      if (typeof paymentPreimage === "string") {
        const sat = wholeOf(answer["routingFeeSat"]);
        return { status: "settled", preimage: preimageOf(paymentPreimage), feeMsat: feeOf(sat === null ? null : sat * 1_000n), ...ref };
      }
      if (typeof reason !== "string" || reason === "") return unread(this.#service, reply);
      return this.#refused(request, reason);
    });
  }

  #refused(request: PayRequest, reason: string): PayResult | Promise<PayResult> {
    const said = `phoenixd says: ${this.#service.quote(reason)}`;
    if (/another payment is in progress/i.test(reason)) return { status: "in_flight" };
    if (/already been paid|wallet restarted/i.test(reason)) return askAgain(() => this.lookup(request), said);
    const [, why] = REASONS.find(([pattern]) => pattern.test(reason)) ?? [];
    return failed(why ?? "other", `${said}.`);
  }

  async lookup({ paymentHash, deadline, signal }: LookupQuery): Promise<LookupResult> {
    const reply = await this.#service.send({ method: "GET", path: `/payments/outgoingbyhash/${paymentHash}`, ...patience(deadline, signal) });
    // Before 0.5 this path did not exist, which is a 404 without these words.
    if (reply.status === 404 && /^"?not found"?$/i.test(reply.text.trim())) return { status: "not_found" };
    const payment = reply.ok ? reply.json : undefined;
    if (payment === undefined || typeof payment["isPaid"] !== "boolean") throw lookupTrouble(this.#service, reply);
    assertSameHash(this.#service, payment["paymentHash"], paymentHash);
    // The fee is in msat here, unlike in the answer to a payment.
    if (payment["isPaid"]) return { status: "settled", preimage: preimageOf(payment["preimage"]), feeMsat: feeOf(wholeOf(payment["fees"])) };
    return payment["completedAt"] === undefined || payment["completedAt"] === null ? { status: "in_flight" } : { status: "failed", soft: false };
  }

  async balance(): Promise<{ spendableMsat: bigint }> {
    const reply = await this.#service.send({ method: "GET", path: "/getbalance" });
    const sat = wholeOf(reply.json?.["balanceSat"]);
    if (!reply.ok || sat === null) throw new Error(`phoenixd did not tell its balance (HTTP ${reply.status})`);
    return { spendableMsat: sat * 1_000n };
  }

  async close(): Promise<void> {
    this.#service.close();
  }
}
