/** Alby Hub: the invoice in the path, HTTP 500 for every error, for "not found" as well. */
import { json, serveFake, type Answer, type Asked, type FakeServer } from "./server.ts";
import type { World } from "./world.ts";

export const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJwZXJtaXNzaW9uIjoiZnVsbCJ9.c2VjcmV0LXNpZ25hdHVyZQ";

export const oops = (message: string): Answer => json(500, { message });

export async function fakeHub(world: World, options: { backendType?: string; failureReason?: string; type?: string } = {}): Promise<FakeServer> {
  const row = async (paymentHash: string): Promise<Record<string, unknown> | undefined> => {
    const state = await world.state(paymentHash);
    if (state.status === "not_found") return undefined;
    const settled = state.status === "settled";
    return {
      id: 7,
      type: options.type ?? "outgoing",
      state: { settled: "settled", in_flight: "pending", failed: "failed" }[state.status],
      invoice: state.invoice,
      preimage: settled ? state.preimage : null,
      paymentHash,
      amountMsat: Number(state.amountMsat),
      feesPaidMsat: settled ? Number(state.feeMsat) : 0,
      settledAt: settled ? "2026-01-01T00:00:00Z" : null,
      failureReason: state.status === "failed" ? (options.failureReason ?? "FAILURE_REASON_NO_ROUTE") : "",
      appId: null,
    };
  };
  const pay = async (asked: Asked): Promise<Answer> => {
    const invoice = decodeURIComponent(asked.path.slice("/api/payments/".length));
    const found = world.lightning.find(invoice);
    if (found === undefined) return oops("failed to decode bolt11 invoice");
    if (found.expiresAt < Date.now()) return oops("this invoice has expired");
    const told = await world.pay(invoice);
    if (told.status === "already_paid") return oops("this invoice has already been paid");
    if (told.status === "pending") return oops("there is already a payment pending for this invoice");
    if (told.status === "failed") return told.reason === "insufficient_balance" ? oops("Insufficient balance remaining to make the requested payment") : oops(options.failureReason ?? "FAILURE_REASON_NO_ROUTE");
    return json(200, { ...(await row(told.paymentHash)), preimage: told.preimage });
  };
  return serveFake(
    async (asked) => {
      if (asked.headers.authorization !== `Bearer ${TOKEN}`) return json(401, { message: `invalid or expired jwt ${String(asked.headers.authorization)}` });
      if (asked.method === "POST" && asked.path.startsWith("/api/payments/")) return pay(asked);
      if (asked.path.startsWith("/api/transactions/")) {
        const found = await row(asked.path.slice("/api/transactions/".length));
        return found === undefined ? oops("The transaction requested was not found") : json(200, found);
      }
      if (asked.path === "/api/balances") return json(200, { onchain: {}, lightning: { totalSpendableMsat: Number(world.sim.balanceMsat), nextMaxSpendableMPPMsat: Number(world.sim.balanceMsat) } });
      if (asked.path === "/api/info") return json(200, { backendType: options.backendType ?? "LDK" });
      return json(404, { message: "Not Found" });
    },
    (asked) => asked.path.startsWith("/api/payments/"),
  );
}
