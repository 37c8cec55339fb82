/** Every row of Core Lightning's answers. */
import { describe, expect, test } from "vitest";
import { ClnWallet } from "../src/cln.ts";
import { fakeCln, rpcError, RUNE, type ClnOptions } from "./fakes/cln.ts";
import { json, serveFake, type Answer, type FakeServer } from "./fakes/server.ts";
import { requestOf, setUp, type Setup } from "./fakes/setup.ts";

const set = (options: ClnOptions = {}): Promise<Setup<FakeServer, ClnWallet>> => setUp<FakeServer, ClnWallet>((world) => fakeCln(world, options), (url) => new ClnWallet({ url, rune: RUNE }));
const methods = (server: FakeServer): string[] => server.asked.map(({ path }) => path.slice("/v1/".length));

/** A node whose `xpay` and `listpays` answer so. */
async function scripted(xpay: Answer, listpays: Answer): Promise<{ pay(): ReturnType<ClnWallet["pay"]>; close(): Promise<void> }> {
  const { world } = await set();
  const server = await serveFake(async ({ path }) => (path === "/v1/listpays" ? listpays : xpay), () => false);
  const wallet = new ClnWallet({ url: server.url, rune: RUNE });
  return { pay: () => wallet.pay(requestOf(world.payee.invoice({ amountMsat: 1_000n }))), close: () => server.close() };
}
const pays = (...statuses: string[]): Answer => json(201, { pays: statuses.map((status) => ({ status, ...(status === "complete" ? { preimage: "cd".repeat(32), amount_msat: 1_000, amount_sent_msat: 1_003 } : {}) })) });

test("pays by xpay, with a fee limit in msat", async () => {
  const { wallet, server, request, preimage, invoice } = await set();
  expect(await wallet.pay(request({ maxFeeMsat: 2_345n }))).toEqual({ status: "settled", preimage, feeMsat: 2_000n });
  expect(methods(server)).toEqual(["xpay"]);
  expect(server.asked[0]?.headers["rune"]).toBe(RUNE);
  expect(JSON.parse(server.asked[0]?.body ?? "")).toEqual({ invstring: invoice.invoice, maxfee: 2_345, retry_for: expect.any(Number) });
});

test.each<[string, ClnOptions]>([["a node without xpay", { withoutXpay: true, suffix: true }], ["a rune for pay only", { methods: ["pay", "listpays"] }]])("%s: pays by pay, and remembers it", async (_, options) => {
  const { wallet, server, request, preimage, world } = await set(options);
  expect(await wallet.pay(request())).toEqual({ status: "settled", preimage, feeMsat: 2_000n });
  expect(await wallet.pay(requestOf(world.payee.invoice({ amountMsat: 1_000n })))).toMatchObject({ status: "settled" });
  expect(methods(server)).toEqual(["xpay", "pay", "pay"]);
});

test("already paid: pay answers again, xpay says 219 and the preimage is looked up", async () => {
  for (const options of [{}, { withoutXpay: true }]) {
    const { wallet, request, preimage, world } = await set(options);
    await wallet.pay(request());
    expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage });
    expect(world.sim.payments).toHaveLength(1);
  }
});

describe("errors that end a payment: not paid once listpays shows no part of it", () => {
  test.each<[number, string]>([
    [203, "rejected_by_payee"],
    [205, "no_route"],
    [206, "fee_too_high"],
    [207, "invoice_expired"],
    [213, "limit_exceeded"],
    [215, "insufficient_balance"],
    [-32602, "invalid_invoice"],
  ])("%i", async (code, reason) => {
    const nothing = json(201, { pays: [] });
    for (const [listed, expected] of [
      [nothing, { status: "failed", reason }],
      [pays("failed", "failed"), { status: "failed", reason }],
      [pays("failed", "pending"), { status: "in_flight" }],
      [pays("failed", "complete"), { status: "settled", preimage: "cd".repeat(32), feeMsat: 3n }],
      [json(500, { code: -1, message: "no" }), { status: "unknown" }],
    ] as const) {
      const { pay, close } = await scripted(rpcError(code, "words"), listed);
      expect(await pay(), JSON.stringify(listed.body)).toMatchObject(expected);
      await close();
    }
  });
});

test.each<[string, Answer]>([
  ["200 IN_PROGRESS", rpcError(200, "Payment still in progress")],
  ["-3 of the second xpay", rpcError(-3, "Unexpected injectpaymentonion error 200: Payment with groupid=3 still in progress, cannot retry before that completes.")],
  ["within error, as older versions have it", json(500, { error: { code: 200, message: "in progress" } })],
  ["pay's own status", json(201, { status: "pending", payment_hash: "", parts: 1 })],
])("in flight: %s", async (_, answer) => {
  const { pay, close } = await scripted(answer, json(201, { pays: [] }));
  expect(await pay()).toEqual({ status: "in_flight" });
  await close();
});

test.each<[string, Answer]>([
  ...[201, 202, 204, 208, 209, 210, 211, 219, 220, -1, -3, -4, -5].map((code): [string, Answer] => [String(code), rpcError(code, "words")]),
  ["no code", json(500, { message: "no" })],
  ["502", { status: 502, body: "Bad Gateway" }],
  ["429", json(429, {})],
  ["nothing", json(201, {})],
  ["another payment", json(201, { payment_hash: "ab".repeat(32), status: "complete", payment_preimage: "cd".repeat(32) })],
])("unknown: %s", async (_, answer) => {
  const { pay, close } = await scripted(answer, json(201, { pays: [] }));
  expect(await pay()).toMatchObject({ status: "unknown" });
  await close();
});

test.each<[string, Answer, string]>([
  ["rune not of this node", json(401, { code: 1502, message: "Not authorized: Not derived from master" }), "unauthorized"],
  ["no rune", json(403, { code: 1501, message: "Not authorized: Missing rune" }), "unauthorized"],
  ["not clnrest", { status: 404, body: "<html>" }, "unsupported"],
  ["neither xpay nor pay", json(404, { code: -32601, message: "Unknown command" }), "unsupported"],
  ["wrong method", { status: 405, body: "" }, "unsupported"],
])("not paid: %s", async (_, answer, reason) => {
  const { pay, close } = await scripted(answer, json(201, { pays: [] }));
  expect(await pay()).toMatchObject({ status: "failed", reason });
  await close();
});

test.each<[string, Answer, object]>([
  ["nothing", pays(), { status: "not_found" }],
  ["one failed", pays("failed"), { status: "failed", soft: false }],
  ["one of them pending", pays("failed", "pending"), { status: "in_flight" }],
  ["a status that is not known", pays("failed", "odd"), { status: "in_flight" }],
  ["one of them complete", pays("pending", "complete"), { status: "settled", preimage: "cd".repeat(32), feeMsat: 3n }],
])("look-up: %s", async (_, listed, expected) => {
  const server = await serveFake(async () => listed, () => false);
  expect(await new ClnWallet({ url: server.url, rune: RUNE }).lookup({ paymentHash: "11".repeat(32) })).toEqual(expected);
  await server.close();
});

test.each<[string, Answer]>([
  ["not permitted", json(401, { code: 1502, message: "Not permitted" })],
  ["an error", rpcError(-1, "no")],
  ["no list", json(201, {})],
  ["404", { status: 404, body: "" }],
  ["another payment", json(201, { pays: [{ payment_hash: "ab".repeat(32), status: "failed" }] })],
])("look-up throws: %s", async (_, answer) => {
  const server = await serveFake(async () => answer, () => false);
  await expect(new ClnWallet({ url: server.url, rune: RUNE }).lookup({ paymentHash: "11".repeat(32) })).rejects.toThrow(/cln/);
  await server.close();
});
