/** LNbits over its API, version 1. */
import type { FailureReason, LookupResult, PayRequest, PayResult, Wallet, WalletCapabilities } from "@l402-tools/core";
import { asObject, type Json } from "./answer.ts";
import { Service, type Reply } from "./http.ts";
import { assertOptions, requiredText, serviceUrl } from "./options.ts";
import { abs, askAgain, assertSameHash, failed, feeOf, larger, lookupTrouble, patience, preimageOf, refusedByStatus, settleThrow, shareMsat, unknown, unread, wholeOf, type Failed, type LookupQuery } from "./outcome.ts";

export interface LnbitsWalletOptions {
  /** Of the LNbits server, such as `https://lnbits.example.com`. */
  readonly url: string;
  /** The admin key of the wallet to pay from. */
  readonly adminKey: string;
}

const WHERE_URL = "it is the address of the LNbits server, without /api.";
const WHERE_KEY = 'it is the "Admin key" under "API info" of the wallet; an invoice key cannot pay.';
/** How long the fee reserve may take to be told, ms; also at most a quarter of the time that is left. */
const RESERVE_TIMEOUT_MS = 5_000;

/** What LNbits says before it pays, by its text. */
const NOT_BEGUN: readonly (readonly [RegExp, FailureReason])[] = [
  [/^insufficient balance/i, "insufficient_balance"],
  [/you must reserve at least/i, "insufficient_balance"],
  [/^invoice amount .* is too high/i, "limit_exceeded"],
  [/amountless invoices? not supported/i, "invalid_invoice"],
  [/wallet does not have permission/i, "unauthorized"],
  [/bolt11 decoding failed/i, "invalid_invoice"],
];
/** After "Payment failed:", words by which the server may have lost sight of a payment that goes on. */
const LOST_SIGHT = /time-?d? ?out|unable to connect|server error|connect|pending|in[ -]?flight|unknown|cancell?ed/i;
/** Marks, for later look-ups, that the server's own "failed" may be wrong. */
const DOUBTED = "doubted";
/** LNbits has let the payment go on by itself, and a later "failed" of its own may be wrong: it has an error for a failed payment that "was already paid on the fundingsource". */
const IN_FLIGHT: PayResult = { status: "in_flight", ref: DOUBTED };

export class LnbitsWallet implements Wallet {
  readonly name = "lnbits";
  readonly capabilities: WalletCapabilities = {
    feeLimit: "none",
    worstCaseFeeMsat: (amountMsat) => larger(2_000n, shareMsat(amountMsat, 100n)),
    preimage: "usually",
    lookup: "by-hash",
    notFoundFinalAfterMs: null,
  };
  readonly #service: Service;

  /** @throws {L402Error} `invalid_options` */
  constructor(options: LnbitsWalletOptions) {
    assertOptions("LnbitsWallet", options, ["url", "adminKey"]);
    const key = requiredText(options.adminKey, "adminKey", WHERE_KEY);
    this.#service = new Service({ name: this.name, url: serviceUrl(options.url, "url", WHERE_URL, /\/api(\/v1)?\/?$/), headers: { "x-api-key": key }, secrets: [key] });
  }

  async pay(request: PayRequest): Promise<PayResult> {
    return settleThrow(async () => {
      const tooHigh = await this.#reserveTooHigh(request);
      if (tooHigh !== undefined) return tooHigh;
      const reply = await this.#service.send({ method: "POST", path: "/api/v1/payments", json: { out: true, bolt11: request.invoice }, deadline: request.deadline, signal: request.signal });
      const answer = reply.json;
      if (answer === undefined) return refusedByStatus(this.#service, reply, WHERE_KEY) ?? unread(this.#service, reply);
      if (reply.ok) return this.#answered(request, answer, reply);
      return this.#refused(request, answer, reply);
    });
  }

  /** There is no fee limit to send, so what the server will set aside is asked for first; a server may not tell. */
  async #reserveTooHigh(request: PayRequest): Promise<Failed | undefined> {
    const patience = Math.min(RESERVE_TIMEOUT_MS, Math.max(1, (request.deadline - Date.now()) / 4));
    const reserve = await this.#reserve(request, Date.now() + patience).catch(() => undefined);
    if (reserve === undefined || reserve <= request.maxFeeMsat) return undefined;
    return failed("fee_too_high", `LNbits sets ${reserve} msat aside for fees, more than the ${request.maxFeeMsat} msat allowed; nothing was sent.`);
  }

  async #reserve(request: PayRequest, deadline: number): Promise<bigint> {
    const reply = await this.#service.send({ method: "GET", path: `/api/v1/payments/fee-reserve?invoice=${encodeURIComponent(request.invoice)}`, deadline, signal: request.signal });
    const reserve = feeOf(wholeOf(reply.json?.["fee_reserve"]));
    if (!reply.ok || reserve === null) throw new Error(`lnbits did not tell its fee reserve (HTTP ${reply.status})`);
    return reserve;
  }

  #answered(request: PayRequest, payment: Json, reply: Reply): PayResult {
    assertSameHash(this.#service, payment["payment_hash"], request.paymentHash);
    if (payment["status"] === "success") return { status: "settled", ...proofOf(payment) };
    // After 5 s it answers "pending", whatever the payment does then.
    if (payment["status"] === "pending") return IN_FLIGHT;
    // Before 1.0 there was no status.
    return payment["status"] === "failed" ? unread(this.#service, reply, DOUBTED) : unread(this.#service, reply);
  }

  #refused(request: PayRequest, answer: Json, reply: Reply): PayResult | Promise<PayResult> {
    const detail = typeof answer["detail"] === "string" ? answer["detail"] : "";
    const said = `LNbits says: ${this.#service.quote(detail)}`;
    if (reply.status !== 520) {
      const invalid = reply.status === 400 && /decod|bolt11|bech32|checksum|not a valid|invalid/i.test(detail);
      return refusedByStatus(this.#service, reply, WHERE_KEY) ?? (invalid ? failed("invalid_invoice", `${said}.`) : unread(this.#service, reply));
    }
    if (/already paid/i.test(detail) || answer["status"] === "success") return askAgain(() => this.lookup(request), said, { ref: DOUBTED });
    if (answer["status"] === "pending" || /still pending/i.test(detail)) return IN_FLIGHT;
    const [, reason] = NOT_BEGUN.find(([pattern]) => pattern.test(detail)) ?? [];
    if (reason !== undefined) return failed(reason, `${said}.`);
    if (/payment is failed node/i.test(detail)) return askAgain(() => this.lookup(request), said, { believeFailure: failed("other", `${said}.`) });
    const cause = /^payment failed:(.*)$/is.exec(detail)?.[1];
    if (cause === undefined || cause.trim() === "" || LOST_SIGHT.test(cause)) return unknown(said, DOUBTED);
    return failed(/route/i.test(cause) ? "no_route" : "other", `${said}.`);
  }

  async lookup({ paymentHash, ref, deadline, signal }: LookupQuery): Promise<LookupResult> {
    const reply = await this.#service.send({ method: "GET", path: `/api/v1/payments/${paymentHash}`, ...patience(deadline, signal) });
    const found = reply.json;
    if (reply.status === 404 && found?.["detail"] === "Payment does not exist.") return { status: "not_found" };
    const paid = found?.["paid"];
    if (!reply.ok || found === undefined || typeof paid !== "boolean") throw lookupTrouble(this.#service, reply);
    const details = asObject(found["details"]) ?? {};
    assertSameHash(this.#service, details["payment_hash"], paymentHash);
    if (paid) return { status: "settled", ...proofOf({ ...details, preimage: found["preimage"] ?? details["preimage"] }) };
    return (found["status"] ?? details["status"]) === "failed" ? { status: "failed", soft: ref === DOUBTED } : { status: "in_flight" };
  }

  /** The reserve that the server sets aside; it may take all of it. */
  async quoteFee(request: PayRequest): Promise<{ feeMsat: bigint; binding: boolean }> {
    return { feeMsat: await this.#reserve(request, Math.min(request.deadline, Date.now() + RESERVE_TIMEOUT_MS)), binding: false };
  }

  async balance(): Promise<{ spendableMsat: bigint }> {
    const reply = await this.#service.send({ method: "GET", path: "/api/v1/wallet" });
    const balance = wholeOf(reply.json?.["balance"]);
    if (!reply.ok || balance === null) throw new Error(`lnbits did not tell its balance (HTTP ${reply.status})`);
    return { spendableMsat: balance };
  }

  async close(): Promise<void> {
    this.#service.close();
  }
}

/** The fee is negative here, and holds the service fee. */
function proofOf(payment: Json): { preimage: string | null; feeMsat: bigint | null } {
  const fee = wholeOf(payment["fee"]);
  return { preimage: preimageOf(payment["preimage"]), feeMsat: fee === null ? null : abs(fee) };
}
