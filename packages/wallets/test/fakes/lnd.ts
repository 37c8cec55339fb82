/** LND's REST interface: streams of JSON lines, errors in three shapes, hex here and base64url there, int64 as strings. */
import { json, serveFake, type Answer, type Asked, type FakeServer } from "./server.ts";
import type { World } from "./world.ts";

export const MACAROON: string = "0201036c6e6402f801030a10" + "ab".repeat(40);

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;
export const streamError = (status: number, code: number, message: string): Answer => ({ status, body: line({ error: { code, message, details: [] } }) });
/** Where the gateway itself refuses. */
export const gatewayError = (status: number, code: number, message: string): Answer => json(status, { code, message, details: [] });

export function payment(fields: { paymentHash: string; status: string; preimage?: string; feeMsat?: bigint; amountMsat?: bigint; reason?: string }): object {
  return {
    payment_hash: fields.paymentHash,
    value: String((fields.amountMsat ?? 0n) / 1000n),
    creation_date: "1700000000",
    fee: String((fields.feeMsat ?? 0n) / 1000n),
    payment_preimage: fields.preimage ?? "0".repeat(64),
    value_sat: String((fields.amountMsat ?? 0n) / 1000n),
    value_msat: String(fields.amountMsat ?? 0n),
    payment_request: "",
    status: fields.status,
    fee_sat: String((fields.feeMsat ?? 0n) / 1000n),
    fee_msat: String(fields.feeMsat ?? 0n),
    creation_time_ns: "1700000000000000000",
    htlcs: [],
    payment_index: "1",
    failure_reason: fields.reason ?? "FAILURE_REASON_NONE",
  };
}

/** Fields of `routerrpc.SendPaymentRequest` that this LND knows; any other makes protojson refuse the call. */
const FIELDS = new Set(["payment_request", "amt_msat", "timeout_seconds", "fee_limit_msat", "fee_limit_sat", "max_parts", "no_inflight_updates", "cltv_limit", "allow_self_payment", "cancelable", "outgoing_chan_ids"]);

export async function fakeLnd(world: World, options: { tls?: { key: string; cert: string }; updates?: boolean } = {}): Promise<FakeServer> {
  const send = async (asked: Asked): Promise<Answer> => {
    const body = JSON.parse(asked.body) as Record<string, unknown>;
    const stranger = Object.keys(body).find((name) => !FIELDS.has(name));
    if (stranger !== undefined) return gatewayError(400, 3, `proto: (line 1:2): unknown field "${stranger}"`);
    if (typeof body["fee_limit_msat"] !== "string") return gatewayError(400, 3, "fee_limit_msat is an int64");
    const invoice = String(body["payment_request"]);
    const found = world.lightning.find(invoice);
    if (found === undefined) return streamError(500, 2, "decoding failed: invalid bech32 string: checksum failed");
    if (found.expiresAt < Date.now()) return streamError(500, 2, `invoice expired. Valid until ${new Date(found.expiresAt).toISOString()}`);
    const told = await world.pay(invoice, BigInt(body["fee_limit_msat"]));
    const updates = options.updates === true ? line({ result: payment({ paymentHash: found.paymentHash, status: "IN_FLIGHT" }) }) : "";
    switch (told.status) {
      case "already_paid":
        return streamError(409, 6, "invoice is already paid");
      case "pending":
        return streamError(409, 6, "payment is in transition");
      case "settled":
        return { status: 200, body: updates + line({ result: payment({ ...told, status: "SUCCEEDED" }) }) };
      case "failed": {
        const reason = told.reason === "insufficient_balance" ? "FAILURE_REASON_INSUFFICIENT_BALANCE" : told.reason === "rejected_by_payee" ? "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS" : "FAILURE_REASON_NO_ROUTE";
        return { status: 200, body: updates + line({ result: payment({ ...told, status: "FAILED", reason }) }) };
      }
    }
  };
  const track = async (asked: Asked): Promise<Answer> => {
    const encoded = decodeURIComponent(asked.path.slice("/v2/router/track/".length));
    if (!/^[A-Za-z0-9_-]{43}=$/.test(encoded)) return gatewayError(400, 3, "type mismatch, parameter: payment_hash, error: illegal base64 data");
    const paymentHash = Buffer.from(encoded, "base64url").toString("hex");
    const state = await world.state(paymentHash);
    if (state.status === "not_found") return streamError(404, 5, "payment isn't initiated");
    const status = { settled: "SUCCEEDED", in_flight: "IN_FLIGHT", failed: "FAILED" }[state.status];
    const { preimage, ...rest } = state;
    const result = payment({ ...rest, paymentHash, status, ...(preimage === "" ? {} : { preimage }), ...(status === "FAILED" ? { reason: "FAILURE_REASON_NO_ROUTE" } : {}) });
    return { status: 200, body: line({ result }), open: status === "IN_FLIGHT" };
  };
  const isPay = (asked: Asked): boolean => asked.path === "/v2/router/send";
  return serveFake(
    async (asked) => {
      if (asked.headers["grpc-metadata-macaroon"] !== MACAROON) return gatewayError(500, 2, `verification failed: signature mismatch of ${String(asked.headers["grpc-metadata-macaroon"])}`);
      if (asked.method === "POST" && isPay(asked)) return send(asked);
      if (asked.method === "GET" && asked.path.startsWith("/v2/router/track/")) return track(asked);
      if (asked.method === "GET" && asked.path === "/v1/balance/channels") return json(200, { balance: "1", local_balance: { sat: String(world.sim.balanceMsat / 1000n), msat: String(world.sim.balanceMsat) } });
      return gatewayError(404, 5, "Not Found");
    },
    isPay,
    options.tls,
  );
}
