/** clnrest: POST for everything, HTTP 201 when it worked, 500 with a code when not. */
import { json, serveFake, type Answer, type Asked, type FakeServer } from "./server.ts";
import type { World } from "./world.ts";

export const RUNE = "tU-RLjMiDpY2U0o3W1oFowar36RFGpWloPbW9-RuZdo9MyZpZD0wMjRi";

export interface ClnOptions {
  readonly tls?: { key: string; cert: string };
  /** A node from before 24.11. */
  readonly withoutXpay?: boolean;
  /** The rune allows only these. */
  readonly methods?: readonly string[];
  /** Amounts as `"12msat"`, as before 23.08. */
  readonly suffix?: boolean;
}

export const rpcError = (code: number, message: string): Answer => json(500, { code, message, data: null });

export async function fakeCln(world: World, options: ClnOptions = {}): Promise<FakeServer> {
  const msat = (amount: bigint): unknown => (options.suffix === true ? `${amount}msat` : Number(amount));
  const pay = async (asked: Asked, isXpay: boolean): Promise<Answer> => {
    const params = JSON.parse(asked.body) as Record<string, unknown>;
    const allowed = new Set(["maxfee", "retry_for", ...(isXpay ? ["invstring", "maxdelay"] : ["bolt11", "label"])]);
    const stranger = Object.keys(params).find((name) => !allowed.has(name));
    if (stranger !== undefined) return rpcError(-32602, `unknown parameter: ${stranger}, this may be caused by a failure to autodetect key=value-style parameters.`);
    const invoice = String(params[isXpay ? "invstring" : "bolt11"]);
    const found = world.lightning.find(invoice);
    if (found === undefined) return rpcError(-32602, "invstring: should be a bolt11 or bolt12 invoice: invalid token");
    if (found.expiresAt < Date.now()) return rpcError(207, "Invoice expired");
    const told = await world.pay(invoice, BigInt(String(params["maxfee"])));
    if (told.status === "already_paid" && isXpay) return rpcError(219, "Already paid this invoice successfully");
    if (told.status === "pending") return isXpay ? rpcError(-3, "Unexpected injectpaymentonion error 200: Payment with groupid=7 still in progress, cannot retry before that completes.") : rpcError(200, "Payment is still in progress");
    if (told.status === "failed") {
      if (told.reason === "insufficient_balance") return rpcError(215, "Insufficient funds to send payment");
      return told.reason === "fee_too_high" ? rpcError(206, "Route too expensive") : rpcError(205, "Could not find a route");
    }
    const state = told.status === "settled" ? told : await world.state(told.paymentHash);
    const common = { payment_preimage: state.preimage, amount_msat: msat(state.amountMsat), amount_sent_msat: msat(state.amountMsat + state.feeMsat) };
    return json(201, isXpay ? { ...common, failed_parts: 0, successful_parts: 1 } : { ...common, destination: "02", payment_hash: told.paymentHash, created_at: 1, parts: 1, status: "complete" });
  };
  const isPay = (asked: Asked): boolean => asked.path === "/v1/xpay" || asked.path === "/v1/pay";
  return serveFake(
    async (asked) => {
      const method = asked.path.slice("/v1/".length);
      if (asked.method !== "POST") return json(405, {});
      if (asked.headers["rune"] === undefined) return json(403, { code: 1501, message: "Not authorized: Missing rune", data: null });
      if (asked.headers["rune"] !== RUNE) return json(401, { code: 1502, message: `Not authorized: Not derived from master (${asked.headers["rune"] as string})`, data: null });
      if (options.methods !== undefined && !options.methods.includes(method)) return json(401, { code: 1502, message: "Not permitted: method is not equal to pay", data: null });
      if (method === "pay" || (method === "xpay" && options.withoutXpay !== true)) return pay(asked, method === "xpay");
      if (method === "listpays") {
        const { payment_hash: paymentHash } = JSON.parse(asked.body) as { payment_hash: string };
        const state = await world.state(paymentHash);
        if (state.status === "not_found") return json(201, { pays: [] });
        const status = { settled: "complete", in_flight: "pending", failed: "failed" }[state.status];
        const proof = status === "complete" ? { preimage: state.preimage, amount_msat: msat(state.amountMsat), amount_sent_msat: msat(state.amountMsat + state.feeMsat), completed_at: 2 } : {};
        return json(201, { pays: [{ payment_hash: paymentHash, status: "failed", created_at: 1 }, { payment_hash: paymentHash, status, created_at: 2, ...proof }] });
      }
      if (method === "listpeerchannels") {
        const normal = { state: "CHANNELD_NORMAL", spendable_msat: msat(world.sim.balanceMsat) };
        return json(201, { channels: [normal, { state: "CHANNELD_AWAITING_LOCKIN", spendable_msat: msat(5n) }] });
      }
      return json(404, { code: -32601, message: `Unknown command '${method}'`, data: null });
    },
    isPay,
    options.tls,
  );
}
