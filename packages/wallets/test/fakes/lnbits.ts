/** LNbits: 201 for a payment whatever became of it, 520 for its errors, negative amounts and fees. */
import { json, serveFake, type Answer, type Asked, type FakeServer } from "./server.ts";
import type { World } from "./world.ts";

export const ADMIN_KEY = "5e1f00d5e1f00d5e1f00d5e1f00d5e1f";

export const wrong = (detail: string, status = "failed"): Answer => json(520, { detail, status });

export async function fakeLnbits(world: World, options: { reserveMsat?: bigint } = {}): Promise<FakeServer> {
  const pay = async (asked: Asked): Promise<Answer> => {
    const { out, bolt11 } = JSON.parse(asked.body) as { out: boolean; bolt11: string };
    if (!out) return json(400, { detail: "not an outgoing payment" });
    const found = world.lightning.find(bolt11);
    if (found === undefined) return wrong("Bolt11 decoding failed.");
    const told = await Promise.race([world.pay(bolt11), wait(found.hold)]);
    if (told === "waited") return json(201, row({ paymentHash: found.paymentHash, status: "pending", amountMsat: found.amountMsat ?? 0n, feeMsat: 2_000n, preimage: null }));
    if (told.status === "already_paid") return wrong("Payment already paid.", "success");
    if (told.status === "pending") return wrong("Payment is still pending.", "pending");
    if (told.status === "failed") return told.reason === "insufficient_balance" ? wrong("Insufficient balance.") : wrong("Payment failed: no route to the destination");
    return json(201, row({ ...told, status: "success" }));
  };
  return serveFake(
    async (asked) => {
      if (asked.headers["x-api-key"] !== ADMIN_KEY) return json(401, { detail: `Invalid API key ${String(asked.headers["x-api-key"])}` });
      if (asked.method === "POST" && asked.path === "/api/v1/payments") return pay(asked);
      if (asked.path === "/api/v1/payments/fee-reserve") return json(200, { fee_reserve: Number(options.reserveMsat ?? 2_000n) });
      if (asked.path === "/api/v1/wallet") return json(200, { id: "1", name: "agent", balance: Number(world.sim.balanceMsat) });
      if (asked.path.startsWith("/api/v1/payments/")) {
        const paymentHash = asked.path.slice("/api/v1/payments/".length);
        const state = await world.state(paymentHash);
        if (state.status === "not_found") return json(404, { detail: "Payment does not exist." });
        if (state.status === "settled") return json(200, { paid: true, preimage: state.preimage, details: row({ ...state, paymentHash, status: "success" }) });
        const status = state.status === "failed" ? "failed" : "pending";
        const details = row({ ...state, paymentHash, status, preimage: null });
        return json(200, { paid: false, status, ...(status === "failed" ? {} : { preimage: null }), details });
      }
      return json(404, { detail: "Not Found" });
    },
    (asked) => asked.method === "POST" && asked.path === "/api/v1/payments",
  );
}

/** LNbits waits for its funding source only so long. */
async function wait(hold: boolean): Promise<"waited"> {
  return hold ? "waited" : new Promise(() => {});
}

function row(fields: { paymentHash: string; status: string; amountMsat: bigint; feeMsat: bigint; preimage: string | null }): object {
  return {
    checking_id: fields.paymentHash,
    payment_hash: fields.paymentHash,
    wallet_id: "1",
    amount: -Number(fields.amountMsat),
    fee: -Number(fields.feeMsat),
    bolt11: "",
    status: fields.status,
    preimage: fields.preimage,
    time: "2026-01-01T00:00:00+00:00",
    extra: {},
  };
}
