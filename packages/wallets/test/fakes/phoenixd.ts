/** phoenixd: forms in, HTTP 200 for both outcomes, and a look-up without a status. */
import { json, serveFake, text, type FakeServer } from "./server.ts";
import type { World } from "./world.ts";

export const PASSWORD = "hunter2-phoenixd-secret-password";

const REASONS: Readonly<Record<string, string>> = {
  insufficient_balance: "not enough funds in wallet to afford payment",
  no_route: "the recipient was offline or did not have enough liquidity to receive the payment",
};

export async function fakePhoenixd(world: World): Promise<FakeServer> {
  return serveFake(
    async (asked) => {
      if (asked.headers.authorization !== `Basic ${Buffer.from(`:${PASSWORD}`).toString("base64")}`) return text(401, "Invalid authentication (use basic auth with the http password set in phoenix.conf)");
      if (asked.method === "POST" && asked.path === "/payinvoice") {
        if (asked.headers["content-type"] !== "application/x-www-form-urlencoded") return text(400, "Missing parameter invoice");
        const invoice = new URLSearchParams(asked.body).get("invoice") ?? "";
        if (world.lightning.find(invoice) === undefined) return text(400, "Invalid parameter invoice: cannot parse it");
        const told = await world.pay(invoice);
        if (told.status === "already_paid") return json(200, { paymentHash: told.paymentHash, reason: "this invoice has already been paid" });
        if (told.status === "pending") return json(200, { paymentHash: told.paymentHash, reason: "another payment is in progress for that invoice" });
        if (told.status === "failed") return json(200, { paymentHash: told.paymentHash, reason: REASONS[told.reason] ?? "payment attempts exhausted without success" });
        return json(200, {
          recipientAmountSat: Number(told.amountMsat / 1000n),
          routingFeeSat: Number(told.feeMsat / 1000n),
          paymentId: "3a8e2b1c-0000-4000-8000-000000000001",
          paymentHash: told.paymentHash,
          paymentPreimage: told.preimage,
        });
      }
      if (asked.path.startsWith("/payments/outgoingbyhash/")) {
        const paymentHash = asked.path.slice("/payments/outgoingbyhash/".length);
        const state = await world.state(paymentHash);
        if (state.status === "not_found") return text(404, "Not found");
        const ended = state.status === "in_flight" ? {} : { completedAt: Date.now() };
        const proof = state.status === "settled" ? { preimage: state.preimage } : {};
        return json(200, { type: "outgoing_payment", subType: "lightning", paymentId: "3a8e2b1c", paymentHash, ...proof, isPaid: state.status === "settled", sent: Number((state.amountMsat + state.feeMsat) / 1000n), fees: Number(state.feeMsat), invoice: state.invoice, ...ended, createdAt: Date.now() });
      }
      if (asked.path === "/getbalance") return json(200, { balanceSat: Number(world.sim.balanceMsat / 1000n), feeCreditSat: 0 });
      return text(404, "");
    },
    (asked) => asked.path === "/payinvoice",
  );
}
