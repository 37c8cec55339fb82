import { memoryStore, PaymentFailedError, receiptOf, type Wallet } from "@l402-tools/core";
import { describe, expect, test } from "vitest";
import { all, failure, world } from "./harness.ts";

const one = { "/one": { priceSats: 10 } };

describe("an outcome that is not known", () => {
  for (const behaviour of ["hang", "hang-after-pay", "unknown-after-pay", "throw-after-pay", "timeout-after-pay", "in-flight", "preimage-wrong", "preimage-empty", "preimage-null", "preimage-short", "lie-settled-unpaid"] as const) {
    test(`keeps its hold and is never paid over: ${behaviour}`, async () => {
      const { client, paywall, wallet, clock } = await world(one, { wallet: { lookup: "none" } });
      wallet.behave(behaviour);
      const buyer = client({ budgetSats: 100 });
      const error = failure(buyer.fetch(`${paywall.url}/one`));
      await clock.settle();
      await clock.advance(60_000);
      expect(await error).toMatchObject({ name: "PaymentUnknownError", code: "payment_unknown", paid: "unknown", retryable: false });
      expect(await buyer.balance()).toMatchObject({ spentSats: 0, heldSats: 20, remainingSats: 80 });
      const again = failure(buyer.fetch(`${paywall.url}/one`));
      await clock.settle();
      await clock.advance(60_000);
      expect(await again).toMatchObject({ code: "payment_unknown", paymentHash: (await error)["paymentHash"] });
      expect(wallet.payCalls()).toBe(1);
    });
  }

  test("is looked up while the caller waits", async () => {
    const { client, paywall, wallet, clock } = await world(one);
    wallet.behave("in-flight-then-settle");
    const buyer = client({ budgetSats: 100 });
    const call = buyer.fetch(`${paywall.url}/one`);
    await clock.settle();
    await clock.advance(10_000);
    expect((await call).status).toBe(200);
    expect(buyer.spendingReport()).toMatchObject({ total: 10, held: 0 });
  });

  test("that settles after its caller left is booked, and its credential serves the next call", async () => {
    const { client, paywall, wallet, clock } = await world(one, { wallet: { lookup: "none" } });
    wallet.hold("answer");
    const spent: number[] = [];
    const buyer = client({ budgetSats: 100, onSpend: (sats) => spent.push(sats) });
    const abort = new AbortController();
    const call = failure(buyer.fetch(`${paywall.url}/one`, { signal: abort.signal }));
    await clock.settle();
    abort.abort(new Error("gone"));
    expect(await call).toMatchObject({ code: "payment_unknown", paid: "unknown", cause: abort.signal.reason });
    wallet.unhold();
    await clock.settle();
    expect(spent).toEqual([10]);
    expect((await all(buyer)).map((payment) => payment.state)).toEqual(["settled"]);
    expect(receiptOf(await buyer.fetch(`${paywall.url}/one`))).toMatchObject({ reused: true });
    expect(wallet.payCalls()).toBe(1);
  });

  test("a call for the same purchase waits for a payment that is still with the wallet", async () => {
    const { client, paywall, wallet, clock } = await world(one);
    wallet.hold("answer");
    const buyer = client();
    const abort = new AbortController();
    const left = failure(buyer.fetch(`${paywall.url}/one`, { signal: abort.signal }));
    await clock.settle();
    abort.abort();
    await left;
    const next = buyer.fetch(`${paywall.url}/one`, { idempotencyKey: "another" });
    await clock.settle();
    wallet.unhold();
    expect((await next).status).toBe(200);
    expect(wallet.payCalls()).toBe(1);
  });

  test("is ended by recover(), by proof only", async () => {
    const { client, paywall, wallet, clock } = await world({ "/paid": { priceSats: 10 }, "/unpaid": { priceSats: 20 }, "/stuck": { priceSats: 30 } }, { paywall: { credential: "path" } });
    const buyer = client({ budgetSats: 1_000, credentialScope: "path", paymentConcurrency: 3 });
    wallet.behave("hang");
    wallet.next("hang-after-pay", "hang", "hang-in-flight");
    const calls = [];
    for (const path of ["/paid", "/unpaid", "/stuck"]) {
      calls.push(failure(buyer.fetch(paywall.url + path)));
      await clock.settle();
    }
    await clock.advance(60_000);
    expect((await Promise.all(calls)).map((error) => error["code"])).toEqual(Array(3).fill("payment_unknown"));
    const restarted = buyer; // same store: the wallet's answers never come
    expect(await restarted.recover()).toMatchObject({ settled: 1, failed: 0, voided: 0, stillUnknown: [{ amountSats: 20 }, { amountSats: 30 }] });
    await clock.advance(29_000);
    expect(await restarted.recover()).toMatchObject({ settled: 0, failed: 0 });
    await clock.advance(3_600_000);
    expect(await restarted.recover()).toMatchObject({ settled: 0, failed: 0 }); // expired alone proves nothing yet
    await clock.advance(130_000);
    expect(await restarted.recover()).toMatchObject({ settled: 0, failed: 1, stillUnknown: [{ amountSats: 30 }] });
    expect(await restarted.balance()).toMatchObject({ spentSats: 10, heldSats: 40 });
    wallet.behave(undefined);
    expect(receiptOf(await restarted.fetch(`${paywall.url}/paid`))).toMatchObject({ reused: true });
  });
});

describe("a definite failure", () => {
  test("releases the hold, says why, and can be tried again", async () => {
    const { client, paywall, wallet } = await world(one);
    wallet.next("fail:no_route");
    const buyer = client({ budgetSats: 20 });
    expect(await failure(buyer.fetch(`${paywall.url}/one`))).toMatchObject({ name: "PaymentFailedError", code: "payment_failed", reason: "no_route", paid: "no" });
    expect(await buyer.balance()).toMatchObject({ spentSats: 0, heldSats: 0, remainingSats: 20 });
    expect((await buyer.fetch(`${paywall.url}/one`)).status).toBe(200);
  });

  test("of the same invoice: a voided or failed payment may be made again, once", async () => {
    const { client, paywall, wallet } = await world(one, { paywall: { invoices: "until-paid" } });
    wallet.next("fail:no_route");
    const buyer = client({ budgetSats: 20 });
    await failure(buyer.fetch(`${paywall.url}/one`));
    expect((await buyer.fetch(`${paywall.url}/one`)).status).toBe(200);
    expect((await all(buyer)).map((payment) => payment.state)).toEqual(["settled"]);
  });
});

describe("a simple wallet", () => {
  test("pays, without fee", async () => {
    const { client, paywall, wallet } = await world(one);
    const buyer = client({ wallet: wallet.asSimple(), budgetSats: 10 });
    expect((await buyer.fetch(`${paywall.url}/one`)).status).toBe(200);
  });

  test("its throw keeps the hold, and says how to settle it by hand", async () => {
    const { client, paywall } = await world(one);
    const buyer = client({ wallet: { payInvoice: () => Promise.reject(new Error("timeout")) }, budgetSats: 100 });
    const error = await failure(buyer.fetch(`${paywall.url}/one`));
    expect(error).toMatchObject({ code: "payment_unknown" });
    expect(error.message).toContain("resolve(paymentHash");
    expect(error.message).toContain("PaymentFailedError");
    await buyer.resolve(String(error["paymentHash"]), "failed", { why: "the wallet shows nothing" });
    expect(await buyer.balance()).toMatchObject({ heldSats: 0, spentSats: 0 });
  });

  test.each([
    ["PaymentFailedError", { payInvoice: () => Promise.reject(new PaymentFailedError("no", { reason: "no_route" })) }, "payment_failed"],
    ["throwMeansFailed: true", { payInvoice: () => Promise.reject(new Error("no")), throwMeansFailed: true }, "payment_failed"],
    ["throwMeansFailed: 1", { payInvoice: () => Promise.reject(new Error("no")), throwMeansFailed: 1 as never }, "payment_unknown"],
    ["no preimage", { payInvoice: async () => ({}) as never }, "payment_unknown"],
    ["nothing", { payInvoice: async () => undefined as never }, "payment_unknown"],
  ])("%s", async (_, wallet, code) => {
    const { client, paywall } = await world(one);
    const buyer = client({ wallet, budgetSats: 100 });
    expect(await failure(buyer.fetch(`${paywall.url}/one`))).toMatchObject({ code });
    expect(await buyer.balance()).toMatchObject({ heldSats: code === "payment_failed" ? 0 : 10 });
  });
});

describe("by hand", () => {
  test("settled without a preimage books the money and frees the request", async () => {
    const { client, paywall, wallet, clock } = await world(one, { wallet: { lookup: "none" } });
    wallet.next("hang-after-pay");
    const buyer = client({ budgetSats: 100 });
    const call = failure(buyer.fetch(`${paywall.url}/one`, { idempotencyKey: "k" }));
    await clock.settle();
    await clock.advance(60_000);
    const hash = String((await call)["paymentHash"]);
    await buyer.resolve(hash, "settled", { why: "seen in the wallet" });
    expect(await buyer.balance()).toMatchObject({ spentSats: 20, heldSats: 0 });
    expect(await failure(buyer.resolve(hash, "settled", { why: "again" }))).toMatchObject({ code: "not_resolvable" });
    expect(await failure(buyer.resolve("00".repeat(32), "failed", { why: "?" }))).toMatchObject({ code: "not_resolvable" });
    expect((await buyer.fetch(`${paywall.url}/one`, { idempotencyKey: "k" })).status).toBe(200);
  });

  test("a payment called failed that was paid after all is believed: booked, told, and paying stops", async () => {
    const { client, paywall, wallet, clock, events } = await world(one, { wallet: { lookup: "none" } });
    let answer = (): void => {};
    const patient: Wallet = { ...wallet, name: "patient", pay: async ({ signal: _, ...request }) => (await new Promise<void>((resolve) => (answer = resolve)), wallet.pay({ ...request, deadline: clock.now() + 1_000 })) };
    const buyer = client({ budgetSats: 100, wallet: patient });
    const call = failure(buyer.fetch(`${paywall.url}/one`));
    await clock.settle();
    await clock.advance(59_000);
    await clock.advance(1_000);
    await buyer.resolve(String((await call)["paymentHash"]), "failed", { why: "I think so" });
    expect(await buyer.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
    answer();
    await clock.settle();
    expect(await buyer.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
    expect(events.some((event) => event.type === "overrun")).toBe(true);
  });

  test("an overrun books the truth and stops paying until resume", async () => {
    const { client, paywall, wallet, events } = await world({ "/a": { priceSats: 10 }, "/b": { priceSats: 10 } }, { paywall: { credential: "path" } });
    wallet.next({ overchargeMsat: 30_000n });
    const buyer = client({ budgetSats: 100, credentialScope: "path" });
    expect((await buyer.fetch(`${paywall.url}/a`)).status).toBe(200);
    expect(events.some((event) => event.type === "overrun")).toBe(true);
    expect(await failure(buyer.fetch(`${paywall.url}/b`))).toMatchObject({ name: "PolicyError", code: "paused_after_overrun", paid: "no" });
    expect((await buyer.fetch(`${paywall.url}/a`)).status).toBe(200); // what is kept still opens
    await buyer.resume({ why: "talked to the wallet" });
    expect((await buyer.fetch(`${paywall.url}/b`)).status).toBe(200);
    expect(buyer.spendingReport()?.total).toBe(Number(wallet.spentMsat / 1000n));
  });
});

describe("an idempotency key", () => {
  test("pays one invoice for good; a re-run uses the credential again", async () => {
    const { client, paywall, wallet, clock } = await world(one);
    const store = memoryStore({ clock });
    const first = client({ store });
    await first.fetch(`${paywall.url}/one`, { idempotencyKey: "call-1" });
    const second = client({ store }); // another process
    expect(receiptOf(await second.fetch(`${paywall.url}/one`, { idempotencyKey: "call-1" }))).toMatchObject({ reused: true, paidSats: 0 });
    expect(wallet.payCalls()).toBe(1);
  });

  test("is told when its credential was single-use, and not charged", async () => {
    const { client, paywall, wallet } = await world({ "/one": { priceSats: 10, credential: "single-use" } });
    const buyer = client();
    await buyer.fetch(`${paywall.url}/one`, { idempotencyKey: "call-1" });
    expect(await failure(buyer.fetch(`${paywall.url}/one`, { idempotencyKey: "call-1" }))).toMatchObject({ name: "CredentialRejectedError", paid: "yes", retryable: false });
    expect(wallet.payCalls()).toBe(1);
    expect((await buyer.fetch(`${paywall.url}/one`, { idempotencyKey: "call-2" })).status).toBe(200);
  });

  test("of another request is refused", async () => {
    const { client, paywall } = await world({ "/a": { priceSats: 10 }, "/b": { priceSats: 10 } });
    const buyer = client();
    await buyer.fetch(`${paywall.url}/a`, { idempotencyKey: "k" });
    expect(await failure(buyer.fetch(`${paywall.url}/b`, { idempotencyKey: "k" }))).toMatchObject({ code: "idempotency_mismatch", paid: "no" });
    expect(await failure(buyer.fetch(`${paywall.url}/a`, { method: "POST", body: "x", idempotencyKey: "k" }))).toMatchObject({ code: "idempotency_mismatch" });
  });

  test("run in parallel pays once", async () => {
    const { client, paywall, wallet } = await world({ "/one": { priceSats: 10, credential: "single-use" } });
    const buyer = client();
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => buyer.fetch(`${paywall.url}/one`, { idempotencyKey: "k" })));
    expect(wallet.payCalls()).toBe(1);
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    for (const result of results) if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "credential_rejected", paid: "yes" });
  });
});

describe("a quote", () => {
  test("pays nothing, and is paid exactly", async () => {
    const { client, paywall, wallet } = await world({ "/one": { priceSats: 10 }, "/free": {} });
    const buyer = client({ budgetSats: 100 });
    expect(await buyer.quote(`${paywall.url}/free`)).toBeNull();
    const quote = await buyer.quote(`${paywall.url}/one`);
    expect(quote).toMatchObject({ url: `${paywall.url}/one`, method: "GET", amountSats: 10, amountMsat: 10_000, network: "regtest", payee: paywall.payee.publicKey });
    expect(wallet.payCalls()).toBe(0);
    expect((await buyer.balance()).heldSats).toBe(0);
    const before = paywall.requests.length;
    const response = await buyer.fetch(`${paywall.url}/one`, { quoteId: quote?.id as string });
    expect(receiptOf(response)).toMatchObject({ paidSats: 10, paymentHash: quote?.paymentHash });
    expect(paywall.requests.length - before).toBe(1);
    expect(receiptOf(await buyer.fetch(`${paywall.url}/one`, { quoteId: quote?.id as string }))).toMatchObject({ reused: true });
    expect(wallet.payCalls()).toBe(1);
  });

  test("binds method, URL and body; unknown and expired ones are refused", async () => {
    const { client, paywall, clock } = await world({ "/one": { priceSats: 10 }, "/two": { priceSats: 10 } });
    const buyer = client();
    const quote = await buyer.quote(`${paywall.url}/one`, { method: "POST", body: "a" });
    const quoteId = quote?.id as string;
    for (const call of [
      buyer.fetch(`${paywall.url}/one`, { quoteId }),
      buyer.fetch(`${paywall.url}/two`, { method: "POST", body: "a", quoteId }),
      buyer.fetch(`${paywall.url}/one`, { method: "POST", body: "b", quoteId }),
      buyer.fetch(`${paywall.url}/one`, { method: "POST", body: "a", quoteId: "unknown" }),
    ]) {
      expect(await failure(call)).toMatchObject({ name: "PolicyError", code: "quote_invalid", paid: "no" });
    }
    await clock.advance(3_595_000);
    expect(await failure(buyer.fetch(`${paywall.url}/one`, { method: "POST", body: "a", quoteId }))).toMatchObject({ code: "quote_invalid" });
  });
});
