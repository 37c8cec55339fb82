/** Every row of phoenixd's answers. */
import { expect, test } from "vitest";
import { PhoenixdWallet } from "../src/phoenixd.ts";
import { fakePhoenixd, PASSWORD } from "./fakes/phoenixd.ts";
import { json, serveFake, text, type Answer, type FakeServer } from "./fakes/server.ts";
import { setUp, type Setup } from "./fakes/setup.ts";

const set = (): Promise<Setup<FakeServer, PhoenixdWallet>> => setUp<FakeServer, PhoenixdWallet>(fakePhoenixd, (url) => new PhoenixdWallet({ url, password: PASSWORD }));
const because = (reason: string): Answer => json(200, { paymentHash: "", reason });

test("pays: a form, an empty user, and a fee in satoshi here and in msat there", async () => {
  const { wallet, server, request, preimage, invoice } = await set();
  expect(await wallet.pay(request())).toEqual({ status: "settled", preimage, feeMsat: 2_000n, ref: expect.any(String) });
  expect(server.asked[0]).toMatchObject({ method: "POST", path: "/payinvoice", body: `invoice=${invoice.invoice}` });
  expect(Buffer.from(server.asked[0]?.headers.authorization?.slice("Basic ".length) ?? "", "base64").toString()).toBe(`:${PASSWORD}`);
  expect(await wallet.lookup(invoice)).toEqual({ status: "settled", preimage, feeMsat: 2_000n });
});

test.each<[Answer, string]>([
  [because("payment amount must be positive"), "invalid_invoice"],
  [because("payment request features not supported"), "invalid_invoice"],
  [because("channel is not connected yet, please retry when connected"), "unreachable"],
  [because("channel creation is in progress, please retry when ready"), "unreachable"],
  [because("channel closing is in progress, please retry when a new channel has been created"), "unreachable"],
  [because("not enough funds in wallet to afford payment"), "insufficient_balance"],
  [because("the recipient was offline or did not have enough liquidity to receive the payment"), "no_route"],
  [because("payment attempts exhausted without success"), "no_route"],
  [because("an unknown error occurred"), "other"],
  [because("the recipient rejected the payment"), "other"],
  [text(400, "Invalid parameter invoice"), "invalid_invoice"],
  [text(401, "Invalid authentication"), "unauthorized"],
  [text(403, ""), "unauthorized"],
  [text(404, ""), "unsupported"],
])("not paid, HTTP 200 or not: %o", async (answer, reason) => {
  const { wallet, server, request } = await set();
  server.next = answer;
  expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason });
});

test("another payment is in progress: in flight", async () => {
  const { wallet, server, request } = await set();
  server.next = because("another payment is in progress for that invoice");
  expect(await wallet.pay(request())).toEqual({ status: "in_flight" });
});

test.each(["this invoice has already been paid", "wallet restarted while a payment was ongoing"])("%s: looked up", async (reason) => {
  const { wallet, server, request, preimage } = await set();
  server.next = because(reason);
  expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
  await wallet.pay(request());
  server.next = because(reason);
  expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage, feeMsat: 2_000n });
});

test.each<Answer>([text(500, "java.lang.IllegalStateException"), text(502, ""), text(429, ""), text(408, ""), json(200, {}), json(200, { reason: "" }), text(200, "done"), json(200, { paymentHash: "ab".repeat(32), reason: "not enough funds" })])("unknown: %o", async (answer) => {
  const { wallet, server, request } = await set();
  server.next = answer;
  expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
});

test.each<[object, object]>([
  [{ isPaid: true, preimage: "CD".repeat(32), fees: 4_400 }, { status: "settled", preimage: "cd".repeat(32), feeMsat: 4_400n }],
  [{ isPaid: true, fees: 0 }, { status: "settled", preimage: null, feeMsat: 0n }],
  [{ isPaid: false, completedAt: 1_700_000_000_000 }, { status: "failed", soft: false }],
  [{ isPaid: false }, { status: "in_flight" }],
  [{ isPaid: false, completedAt: null }, { status: "in_flight" }],
])("look-up: %o", async (payment, expected) => {
  const server = await serveFake(async () => json(200, { paymentHash: "11".repeat(32), ...payment }), () => false);
  expect(await new PhoenixdWallet({ url: server.url, password: PASSWORD }).lookup({ paymentHash: "11".repeat(32) })).toEqual(expected);
  await server.close();
});

test("look-up: phoenixd's own words are not found; another 404 is not", async () => {
  const { wallet } = await set();
  expect(await wallet.lookup({ paymentHash: "11".repeat(32) })).toEqual({ status: "not_found" });
  for (const answer of [text(404, ""), text(404, "<html>nginx</html>"), text(401, ""), text(500, "Not found"), json(200, {}), json(200, { isPaid: false, completedAt: 1, paymentHash: "ab".repeat(32) })]) {
    const server = await serveFake(async () => answer, () => false);
    await expect(new PhoenixdWallet({ url: server.url, password: PASSWORD }).lookup({ paymentHash: "11".repeat(32) })).rejects.toThrow(/phoenixd/);
    await server.close();
  }
});

test("the worst case is the tariff: 4 sat and 0.4 %", () => {
  const { worstCaseFeeMsat } = new PhoenixdWallet({ password: PASSWORD }).capabilities;
  expect(worstCaseFeeMsat?.(1_000n)).toBe(5_000n);
  expect(worstCaseFeeMsat?.(1_000_000n)).toBe(8_000n);
});
