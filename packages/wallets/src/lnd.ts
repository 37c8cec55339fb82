/** LND over its REST interface: `/v2/router/send` and `/v2/router/track`. */
import type { FailureReason, LookupResult, PayRequest, PayResult, Wallet, WalletCapabilities } from "@l402-tools/core";
import { asObject, parseObject, type Json } from "./answer.ts";
import { Service, type Reply } from "./http.ts";
import { assertOptions, certificate, invalid, requiredText, serviceUrl } from "./options.ts";
import { askAgain, assertSameHash, failed, feeOf, lookupTrouble, patience, preimageOf, refusedByStatus, retrySeconds, settleThrow, unread, wholeOf, type LookupQuery } from "./outcome.ts";

export interface LndWalletOptions {
  /** Where LND's REST interface is, such as `https://127.0.0.1:8080`. */
  readonly url: string;
  /** The macaroon, in hex or base64, or its bytes. One that can only pay and look up is enough; see the guide. */
  readonly macaroon: string | Uint8Array;
  /** PEM of `tls.cert`, if LND made it itself. @default the certificate must be of a public authority */
  readonly cert?: string;
}

const WHERE_URL = "it is the address of LND's REST interface (restlisten in lnd.conf), such as https://127.0.0.1:8080.";
const WHERE_MACAROON = "bake one with `lncli bakemacaroon uri:/routerrpc.Router/SendPaymentV2 uri:/routerrpc.Router/TrackPaymentV2 uri:/lnrpc.Lightning/ChannelBalance`.";
const WHERE_CERT = "it is the content of tls.cert in LND's directory.";

/** LND's final reasons; while one part of the payment is out, the status is still IN_FLIGHT. */
const REASONS: Readonly<Record<string, FailureReason>> = {
  FAILURE_REASON_TIMEOUT: "no_route",
  FAILURE_REASON_NO_ROUTE: "no_route",
  FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: "rejected_by_payee",
  FAILURE_REASON_INSUFFICIENT_BALANCE: "insufficient_balance",
};

/**
 * Errors that LND gives before it sends anything, by their text: while it is locked or starting no call reaches the
 * router; the last entries are about the macaroon.
 */
const NOT_BEGUN: readonly (readonly [RegExp, FailureReason])[] = [
  [/^waiting to start, RPC services not available/i, "unreachable"],
  [/^wallet (locked|not created), .* to enable full RPC access/i, "unreachable"],
  [/^the RPC server is in the process of starting up/i, "unreachable"],
  [/^self-payments not allowed/i, "self_payment"],
  [/^invoice not for current active network/i, "invalid_invoice"],
  [/invoice expired/i, "invoice_expired"],
  [/amount must (not )?be specified/i, "invalid_invoice"],
  [/checksum|bech32/i, "invalid_invoice"],
  [/permission denied|macaroon|verification failed/i, "unauthorized"],
];
/** Of gRPC. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;

/** A macaroon is an identifier with 16 random bytes in it, and a signature of 32. */
const MACAROON_BYTES_MIN = 48;

/** The macaroon in hex, which is how LND takes it. */
function macaroonHex(value: unknown): string {
  const bytes = value instanceof Uint8Array ? Buffer.from(value) : macaroonBytes(requiredText(value, "macaroon", WHERE_MACAROON));
  if (bytes.length < MACAROON_BYTES_MIN) throw invalid(`macaroon is too short to be one; ${WHERE_MACAROON}`);
  return bytes.toString("hex");
}

function macaroonBytes(text: string): Buffer {
  if (/^0x/i.test(text)) throw invalid(`macaroon begins with 0x; give its hex without that, or ${WHERE_MACAROON}`);
  if (/^([0-9a-f]{2})+$/i.test(text)) return Buffer.from(text, "hex");
  if (/^[0-9a-f]+$/i.test(text)) throw invalid(`macaroon is hex with a digit missing; ${WHERE_MACAROON}`);
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return Buffer.from(text, "base64");
  throw invalid(`macaroon is neither hex nor base64; ${WHERE_MACAROON}`);
}

/** The messages of a stream: one JSON object a line, the last of which may be without its end yet. */
function messages(text: string): Json[] {
  return text.split("\n").map((line) => parseObject(line)).filter((message) => message !== undefined);
}

/** What LND says of a payment: `result` of a stream's message. */
const resultOf = (message: Json | undefined): Json | undefined => asObject(message?.["result"]);
/** An error has one of two shapes: of the gateway, or of the stream. */
function errorOf(message: Json | undefined): Json | undefined {
  const error = asObject(message?.["error"]) ?? (message !== undefined && "code" in message && "message" in message ? message : undefined);
  // Old gateways have the number under another name.
  return error === undefined ? undefined : { ...error, code: error["code"] ?? error["grpc_code"] };
}
const isFinal = (payment: Json | undefined): boolean => payment?.["status"] === "SUCCEEDED" || payment?.["status"] === "FAILED";

export class LndWallet implements Wallet {
  readonly name = "lnd";
  readonly capabilities: WalletCapabilities = { feeLimit: "enforced", preimage: "always", lookup: "by-hash", notFoundFinalAfterMs: null };
  readonly #service: Service;

  /** @throws {L402Error} `invalid_options` */
  constructor(options: LndWalletOptions) {
    assertOptions("LndWallet", options, ["url", "macaroon", "cert"]);
    const macaroon = macaroonHex(options.macaroon);
    this.#service = new Service({
      name: this.name,
      url: serviceUrl(options.url, "url", WHERE_URL),
      headers: { "grpc-metadata-macaroon": macaroon },
      secrets: [macaroon, typeof options.macaroon === "string" ? options.macaroon : ""],
      ca: certificate(options.cert, "cert", WHERE_CERT),
    });
  }

  async pay(request: PayRequest): Promise<PayResult> {
    let last: Json | undefined;
    const result = await settleThrow(async () => {
      const reply = await this.#service.send({
        method: "POST",
        path: "/v2/router/send",
        // Unknown fields make LND refuse the call, so only what is needed. `cancelable` stays false: to stop listening
        // does not cancel.
        json: {
          payment_request: request.invoice,
          timeout_seconds: retrySeconds(request.deadline),
          fee_limit_msat: request.maxFeeMsat.toString(),
          no_inflight_updates: true,
        },
        deadline: request.deadline,
        signal: request.signal,
        enough: (text) => {
          last = messages(text).at(-1) ?? last;
          return isFinal(resultOf(last));
        },
      });
      const heard = messages(reply.text);
      last = heard.at(-1);
      const payment = resultOf(last);
      if (payment !== undefined) return this.#paid(request, payment, reply);
      return this.#refused(request, reply, errorOf(last), heard.length > 1);
    });
    // The stream ended, or nobody listens any more, while LND was at it.
    const status = resultOf(last)?.["status"];
    return result.status === "unknown" && (status === "IN_FLIGHT" || status === "INITIATED") ? { status: "in_flight" } : result;
  }

  #paid(request: PayRequest, payment: Json, reply: Reply): PayResult {
    assertSameHash(this.#service, payment["payment_hash"], request.paymentHash);
    const { status, failure_reason: reason } = payment;
    if (status === "SUCCEEDED") return { status: "settled", ...proofOf(payment) };
    if (status === "IN_FLIGHT" || status === "INITIATED") return { status: "in_flight" };
    if (status !== "FAILED") return unread(this.#service, reply);
    const why = typeof reason === "string" ? reason : "";
    return failed(REASONS[why] ?? "other", `LND could not pay (${this.#service.quote(reason)}).`);
  }

  #refused(request: PayRequest, reply: Reply, error: Json | undefined, begun: boolean): PayResult | Promise<PayResult> {
    const text = typeof error?.["message"] === "string" ? error["message"] : "";
    const said = `LND says: ${this.#service.quote(text)}`;
    if (/already paid/i.test(text)) return askAgain(() => this.lookup(request), said);
    if (/in transition|already exists/i.test(text)) return { status: "in_flight" };
    if (error?.["code"] === ALREADY_EXISTS) return askAgain(() => this.lookup(request), said);
    if (!begun && error !== undefined) {
      const [, reason] = NOT_BEGUN.find(([pattern]) => pattern.test(text)) ?? [];
      if (reason !== undefined) return failed(reason, `${said}.`);
      if (error["code"] === INVALID_ARGUMENT) return failed("unsupported", `${said}.`);
    }
    return (begun ? undefined : refusedByStatus(this.#service, reply, WHERE_MACAROON)) ?? unread(this.#service, reply);
  }

  async lookup({ paymentHash, deadline, signal }: LookupQuery): Promise<LookupResult> {
    // URL-safe base64, with its padding: the standard alphabet has a slash, and LND takes no hex here.
    const hash = Buffer.from(paymentHash, "hex").toString("base64").replaceAll("+", "-").replaceAll("/", "_");
    const reply = await this.#service.send({
      method: "GET",
      path: `/v2/router/track/${hash}?no_inflight_updates=false`,
      ...patience(deadline, signal),
      // The state of now comes at once; then the stream stays open until the payment ends.
      enough: (text) => messages(text).length > 0,
    });
    const heard = messages(reply.text);
    const payment = resultOf(heard.at(-1));
    if (payment === undefined) {
      const error = errorOf(heard.at(-1));
      // Only the router's own words: nodes that are locked or starting, and gateways, say code 5 to other things as well.
      if (error?.["code"] === NOT_FOUND && /isn't initiated/i.test(String(error["message"]))) return { status: "not_found" };
      throw lookupTrouble(this.#service, reply, this.#service.quote(error?.["message"]));
    }
    assertSameHash(this.#service, payment["payment_hash"], paymentHash);
    switch (payment["status"]) {
      case "SUCCEEDED":
        return { status: "settled", ...proofOf(payment) };
      case "IN_FLIGHT":
      case "INITIATED":
        return { status: "in_flight" };
      case "FAILED":
        return { status: "failed", soft: false };
      default:
        throw lookupTrouble(this.#service, reply);
    }
  }

  /** What the channels have on this side; a reserve and the commitment's fee of it cannot be spent. */
  async balance(): Promise<{ spendableMsat: bigint }> {
    const reply = await this.#service.send({ method: "GET", path: "/v1/balance/channels" });
    const local = asObject(reply.json?.["local_balance"]);
    const msat = wholeOf(local?.["msat"]) ?? (wholeOf(local?.["sat"]) ?? -1n) * 1_000n;
    if (!reply.ok || msat < 0n) throw unreadBalance(reply);
    return { spendableMsat: msat };
  }

  async close(): Promise<void> {
    this.#service.close();
  }
}

function unreadBalance(reply: Reply): Error {
  return new Error(`lnd did not tell its balance (HTTP ${reply.status})`);
}

/** Preimage and fee of a payment that succeeded; the preimage is hex here, not base64. */
function proofOf(payment: Json): { preimage: string | null; feeMsat: bigint | null } {
  const sat = wholeOf(payment["fee_sat"]);
  return { preimage: preimageOf(payment["payment_preimage"]), feeMsat: feeOf(wholeOf(payment["fee_msat"]) ?? (sat === null ? null : sat * 1_000n)) };
}
