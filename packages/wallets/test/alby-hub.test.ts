/** Every row of Alby Hub's answers. */
import { describe, expect, test } from "vitest";
import { AlbyHubWallet } from "../src/alby-hub.ts";
import { fakeHub, oops, TOKEN } from "./fakes/alby-hub.ts";
import { json, serveFake, type Answer, type FakeServer } from "./fakes/server.ts";
import { setUp, type Setup } from "./fakes/setup.ts";

const set = (options: Parameters<typeof fakeHub>[1] = {}): Promise<Setup<FakeServer, AlbyHubWallet>> => setUp<FakeServer, AlbyHubWallet>((world) => fakeHub(world, options), (url) => new AlbyHubWallet({ url: `${url}/api`, token: TOKEN }));

test("pays", async () => {
  const { wallet, server, request, preimage, invoice } = await set();
  expect(await wallet.pay(request())).toEqual({ status: "settled", preimage, feeMsat: 2_000n });
  expect(server.asked[0]).toMatchObject({ method: "POST", path: `/api/payments/${invoice.invoice}`, headers: { authorization: `Bearer ${TOKEN}` } });
});

test.each<[Answer, string]>([
  [oops("this invoice has expired"), "invoice_expired"],
  [oops("app does not have pay_invoice scope"), "unauthorized"],
  [oops("Insufficient balance remaining to make the requested payment"), "insufficient_balance"],
  [oops("Your app does not have enough budget remaining to make this payment"), "limit_exceeded"],
  [json(401, { message: "invalid or expired jwt" }), "unauthorized"],
  [json(403, { message: "readonly token" }), "unauthorized"],
  [json(404, { message: "Not Found" }), "unsupported"],
])("not paid: %o", async (answer, reason) => {
  const { wallet, server, request } = await set();
  server.next = answer;
  expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason });
});

test("a payment that is pending already: in flight", async () => {
  const { wallet, server, request } = await set();
  server.next = oops("there is already a payment pending for this invoice");
  expect(await wallet.pay(request())).toEqual({ status: "in_flight" });
  server.next = json(200, { state: "pending" });
  expect(await wallet.pay(request())).toEqual({ status: "in_flight" });
});

test("already paid: the look-up has the preimage; if it has nothing, unknown", async () => {
  const { wallet, server, request, preimage } = await set();
  server.next = oops("this invoice has already been paid");
  expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
  await wallet.pay(request());
  expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage });
});

test.each<Answer>([oops("something new"), oops("context canceled"), oops(""), json(500, {}), json(502, {}), json(429, { message: "slow down" }), json(200, { state: "odd" }), json(200, {}), json(200, { state: "settled", paymentHash: "ab".repeat(32), preimage: "cd".repeat(32) })])(
  "unknown: %o",
  async (answer) => {
    const { wallet, server, request } = await set();
    server.next = answer;
    expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
  },
);

describe("failed, by the Hub's record", () => {
  test.each(["FAILURE_REASON_NO_ROUTE", "received payment failed event: RetriesExhausted", "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS"])("%s: not paid", async (failureReason) => {
    const { wallet, request, world, invoice } = await set({ failureReason });
    world.sim.next("fail:no_route");
    expect(await wallet.pay(request())).toMatchObject({ status: "failed" });
    expect(await wallet.lookup(invoice)).toEqual({ status: "failed", soft: false });
  });

  test.each<[string, Parameters<typeof fakeHub>[1]]>([
    ["a time-out", { failureReason: "payment timed out" }],
    ["FAILURE_REASON_TIMEOUT", { failureReason: "FAILURE_REASON_TIMEOUT" }],
    ["a context", { failureReason: "context deadline exceeded (Client.Timeout exceeded while awaiting headers)" }],
    ["cancelled", { failureReason: "rpc error: code = Canceled" }],
    ["transport", { failureReason: "dial tcp 127.0.0.1:10009: connect: connection refused" }],
    ["xpay", { failureReason: "xpay failed: Failed: 1 parts failed" }],
    ["no reason", { failureReason: " " }],
    ["a CLN backend", { backendType: "CLN", failureReason: "some reason" }],
    ["a phoenixd backend", { backendType: "PHOENIX", failureReason: "some reason" }],
    ["a backend that it does not tell", { backendType: "", failureReason: "some reason" }],
  ])("%s: soft, so unknown", async (_, options) => {
    const { wallet, request, world, invoice } = await set(options);
    world.sim.next("fail:no_route");
    expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
    expect(await wallet.lookup(invoice)).toEqual({ status: "failed", soft: true });
  });
});

test("look-up: never seen is HTTP 500 with these words; anything else throws", async () => {
  const { wallet } = await set();
  expect(await wallet.lookup({ paymentHash: "11".repeat(32) })).toEqual({ status: "not_found" });
  for (const answer of [oops("database is locked"), json(401, { message: "jwt" }), json(404, {}), json(200, { state: "odd" }), json(200, { state: "failed", paymentHash: "ab".repeat(32) }), { status: 200, body: "<html>" }]) {
    const server = await serveFake(async () => answer, () => false);
    await expect(new AlbyHubWallet({ url: server.url, token: TOKEN }).lookup({ paymentHash: "11".repeat(32) })).rejects.toThrow(/alby-hub/);
    await server.close();
  }
});

test("look-up: the receiving side of a payment to itself is not taken for the payment", async () => {
  const { wallet, request, invoice } = await set({ type: "incoming" });
  await wallet.pay(request());
  await expect(wallet.lookup(invoice)).rejects.toThrow(/incoming/);
});
