/** Every row of LNbits' answers. */
import { describe, expect, onTestFinished, test } from "vitest";
import { LnbitsWallet } from "../src/lnbits.ts";
import { openShop } from "./buying.ts";
import { ADMIN_KEY, fakeLnbits, wrong } from "./fakes/lnbits.ts";
import { json, serveFake, type Answer, type FakeServer } from "./fakes/server.ts";
import { setUp, type Setup } from "./fakes/setup.ts";

const set = (options: Parameters<typeof fakeLnbits>[1] = {}): Promise<Setup<FakeServer, LnbitsWallet>> => setUp<FakeServer, LnbitsWallet>((world) => fakeLnbits(world, options), (url) => new LnbitsWallet({ url, adminKey: ADMIN_KEY }));

test("pays; the fee is negative there", async () => {
  const { wallet, server, request, preimage, invoice } = await set();
  expect(await wallet.pay(request())).toEqual({ status: "settled", preimage, feeMsat: 2_000n });
  const asked = server.asked.at(-1);
  expect(asked).toMatchObject({ method: "POST", path: "/api/v1/payments", headers: { "x-api-key": ADMIN_KEY } });
  expect(JSON.parse(asked?.body ?? "")).toEqual({ out: true, bolt11: invoice.invoice });
});

describe("the reserve", () => {
  test("above the limit: nothing is sent", async () => {
    const { wallet, server, request, world } = await set({ reserveMsat: 5_001n });
    expect(await wallet.pay(request({ maxFeeMsat: 5_000n }))).toMatchObject({ status: "failed", reason: "fee_too_high" });
    expect(server.asked.map(({ method }) => method)).toEqual(["GET"]);
    expect(world.sim.payments).toEqual([]);
    expect(await wallet.quoteFee(request())).toEqual({ feeMsat: 5_001n, binding: false });
  });

  test("a server that does not tell it is paid through all the same", async () => {
    const { request, preimage, invoice } = await set();
    const server = await serveFake(async ({ method }) => (method === "GET" ? json(404, { detail: "Not Found" }) : json(201, { payment_hash: invoice.paymentHash, status: "success", preimage, fee: -1 })), () => false);
    expect(await new LnbitsWallet({ url: server.url, adminKey: ADMIN_KEY }).pay(request())).toMatchObject({ status: "settled", preimage, feeMsat: 1n });
    await server.close();
  });
});

test.each<[Answer, string]>([
  [wrong("Insufficient balance."), "insufficient_balance"],
  [wrong("You must reserve at least (5 sat) to cover potential routing fees."), "insufficient_balance"],
  [wrong("Invoice amount 100000000 sats is too high. Max allowed: 10000000 sats."), "limit_exceeded"],
  [wrong("Amountless invoices not supported."), "invalid_invoice"],
  [wrong("Wallet does not have permission to pay invoices."), "unauthorized"],
  [wrong("Bolt11 decoding failed."), "invalid_invoice"],
  [wrong("Payment failed: no route to the destination"), "no_route"],
  [wrong("Payment failed: incorrect payment details"), "other"],
  [json(400, { detail: "Bolt11 decoding failed." }), "invalid_invoice"],
  [json(401, { detail: "Invalid key" }), "unauthorized"],
  [json(403, { detail: "Admin key required." }), "unauthorized"],
  [json(404, { detail: "Not Found" }), "unsupported"],
  [json(405, { detail: "Method Not Allowed" }), "unsupported"],
])("not paid: %o", async (answer, reason) => {
  const { wallet, server, request } = await set();
  server.next = answer;
  expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason });
});

test.each<Answer>([wrong("Payment is still pending.", "pending"), wrong("Something", "pending"), json(201, { status: "pending", fee: -2_000, preimage: null })])("in flight: %o; a failure that is looked up later is soft", async (answer) => {
  const { wallet, server, request, world, invoice } = await set();
  world.sim.next("fail:no_route");
  await wallet.pay(request());
  server.next = answer;
  const result = await wallet.pay(request());
  expect(result).toEqual({ status: "in_flight", ref: expect.any(String) as string });
  const ref = result.status === "in_flight" ? (result.ref ?? "") : "";
  expect(await wallet.lookup({ paymentHash: invoice.paymentHash, ref })).toEqual({ status: "failed", soft: true });
});

test("a payment that was pending, and that LNbits then has as failed, stays held until it says paid", async () => {
  const { wallet, server, world } = await set();
  const { client, buy, states, agree } = await openShop(world, wallet, { paymentTimeoutMs: 1_000 });
  onTestFinished(() => client.close());
  world.sim.next("fail:no_route");
  server.garble = () => json(201, { status: "pending", fee: -2_000, preimage: null });
  expect(await buy()).toMatchObject({ code: "payment_unknown", paid: "unknown" });
  expect(await client.recover()).toMatchObject({ settled: 0, failed: 0, stillUnknown: [{}] });
  expect(await states()).toEqual(["unknown"]);
  for await (const { paymentHash } of client.payments()) expect(await world.pay(world.payee.find(paymentHash)?.invoice ?? "")).toMatchObject({ status: "settled" });
  expect(await client.recover()).toMatchObject({ settled: 1 });
  expect((await agree()).settledMsat).toBe(102_000n);
});

test.each<Answer>([wrong("Payment already paid.", "success"), wrong("Failed payment was already paid on the fundingsource.", "success"), wrong("Internal invoice already paid.", "failed")])("already paid: %o is looked up", async (answer) => {
  const { wallet, server, request, preimage } = await set();
  server.next = answer;
  expect(await wallet.pay(request()), "by somebody else").toMatchObject({ status: "unknown", ref: "doubted" });
  expect(await wallet.pay(request())).toMatchObject({ status: "settled" });
  server.next = answer;
  expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage, feeMsat: 2_000n });
});

test.each([
  "Payment failed: Timeout connecting to https://node.example. keep pending...",
  "Payment failed: Unable to connect to https://node.example.",
  "Payment failed: Server error: 502",
  "Payment failed: timeout",
  "Payment failed: ",
  "Something that is not in the table",
])("%s: unknown, and its look-up's failure is soft", async (detail) => {
  const { wallet, server, request, world, invoice } = await set();
  world.sim.next("fail:no_route");
  await wallet.pay(request());
  server.next = wrong(detail);
  const result = await wallet.pay(request());
  expect(result).toMatchObject({ status: "unknown", ref: expect.any(String) });
  const ref = result.status === "unknown" ? (result.ref ?? "") : "";
  expect(await wallet.lookup({ paymentHash: invoice.paymentHash, ref })).toEqual({ status: "failed", soft: true });
  expect(await wallet.lookup({ paymentHash: invoice.paymentHash })).toEqual({ status: "failed", soft: false });
});

test("an earlier failure that cannot be tried again: what the record says", async () => {
  const { wallet, server, request, world } = await set();
  server.next = wrong("Payment is failed node, retrying is not possible.");
  expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
  world.sim.next("fail:no_route");
  await wallet.pay(request());
  server.next = wrong("Payment is failed node, retrying is not possible.");
  expect(await wallet.pay(request())).toMatchObject({ status: "failed" });
});

test.each<Answer>([
  json(400, { detail: "Payment with this hash exists." }),
  json(422, { detail: [{ msg: "field required" }] }),
  json(500, { detail: "Unexpected error! ID: 4711" }),
  json(429, { detail: "slow down" }),
  { status: 502, body: "<html>" },
  json(201, { payment_hash: "", checking_id: "abc" }),
  json(201, { status: "failed" }),
  json(201, { status: "success", payment_hash: "ab".repeat(32), preimage: "cd".repeat(32) }),
])("unknown: %o", async (answer) => {
  const { wallet, server, request } = await set();
  server.next = answer;
  expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
});

test.each([null, "", "0".repeat(64), "ab"])("a preimage of %o is none", async (preimage) => {
  const { wallet, server, request } = await set();
  server.next = json(201, { status: "success", preimage, fee: 0 });
  expect(await wallet.pay(request())).toEqual({ status: "settled", preimage: null, feeMsat: 0n });
});

test("look-up: only LNbits' own 404 is not found", async () => {
  const { wallet } = await set();
  const paymentHash = "11".repeat(32);
  expect(await wallet.lookup({ paymentHash })).toEqual({ status: "not_found" });
  const over = async (answer: Answer): Promise<LnbitsWallet> => {
    const server = await serveFake(async () => answer, () => false);
    closing.push(() => server.close());
    return new LnbitsWallet({ url: server.url, adminKey: ADMIN_KEY });
  };
  const closing: (() => Promise<void>)[] = [];
  for (const answer of [json(404, { detail: "Not Found" }), json(404, { detail: "Wallet does not exist." }), json(401, {}), json(520, {}), json(200, {}), json(200, { paid: false, details: { payment_hash: "ab".repeat(32), status: "failed" } }), { status: 200, body: "{" }]) {
    await expect((await over(answer)).lookup({ paymentHash })).rejects.toThrow(/lnbits/);
  }
  expect(await (await over(json(200, { paid: false, status: "pending", preimage: null, details: {} }))).lookup({ paymentHash })).toEqual({ status: "in_flight" });
  expect(await (await over(json(200, { paid: false, details: { status: "failed" } }))).lookup({ paymentHash })).toEqual({ status: "failed", soft: false });
  expect(await (await over(json(200, { paid: true, preimage: null, details: { fee: -3 } }))).lookup({ paymentHash })).toEqual({ status: "settled", preimage: null, feeMsat: 3n });
  for (const close of closing) await close();
});
