import { BudgetExceededError, isL402Error, memoryStore, receiptOf } from "@l402-tools/core";
import { describe, expect, test } from "vitest";
import { all, failure, world } from "./harness.ts";

const paths = (count: number, priceSats = 10) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`/${index}`, { priceSats, credential: "path" as const }]));
const SPLIT = { credentialScope: "path" } as const;

describe("the global budget", () => {
  test("refuses what does not fit, with url, required and remaining, and pays nothing", async () => {
    const { client, paywall, wallet } = await world(paths(3, 40));
    const exceeded: [string, number][] = [];
    const spent: [number, string][] = [];
    const buyer = client({ budgetSats: 100, ...SPLIT, onBudgetExceeded: (url, sats) => exceeded.push([url, sats]), onSpend: (sats, url) => spent.push([sats, url]) });
    await buyer.fetch(`${paywall.url}/0`);
    await buyer.fetch(`${paywall.url}/1`);
    const error = await failure(buyer.fetch(`${paywall.url}/2`));
    expect(error).toBeInstanceOf(BudgetExceededError);
    expect(error).toMatchObject({ code: "budget_exceeded", paid: "no", retryable: false, url: `${paywall.url}/2`, required: 40, remaining: 20 });
    expect(exceeded).toEqual([[`${paywall.url}/2`, 40]]);
    expect(spent).toEqual([[40, `${paywall.url}/0`], [40, `${paywall.url}/1`]]);
    expect(buyer.spendingReport()).toMatchObject({ total: 80, remaining: 20, held: 0, byDomain: { "paywall.example": 80 } });
    expect(buyer.spendingReport()?.transactions).toMatchObject([{ url: `${paywall.url}/0`, sats: 40 }, { url: `${paywall.url}/1`, sats: 40 }]);
    expect(wallet.spentMsat).toBe(80_000n);
  });

  test("allows exactly what remains", async () => {
    const { client, paywall } = await world(paths(2, 50));
    const buyer = client({ budgetSats: 100, ...SPLIT });
    await buyer.fetch(`${paywall.url}/0`);
    expect((await buyer.fetch(`${paywall.url}/1`)).status).toBe(200);
    expect(await buyer.balance()).toMatchObject({ totalSats: 100, spentSats: 100, heldSats: 0, remainingSats: 0 });
  });

  test("of 0 means zero", async () => {
    const { client, paywall, wallet } = await world(paths(1));
    expect(await failure(client({ budgetSats: 0 }).fetch(`${paywall.url}/0`))).toMatchObject({ code: "budget_exceeded", remaining: 0 });
    expect(wallet.payCalls()).toBe(0);
  });

  test("counts routing fees", async () => {
    const { client, paywall } = await world(paths(3, 40), { wallet: { feeMsat: 2_500n } });
    const spent: number[] = [];
    const buyer = client({ budgetSats: 100, ...SPLIT, onSpend: (sats) => spent.push(sats) });
    const receipt = receiptOf(await buyer.fetch(`${paywall.url}/0`));
    expect(receipt).toMatchObject({ paidSats: 40, feeSats: 3, amountMsat: 40_000, feeMsat: 2_500, reused: false });
    await buyer.fetch(`${paywall.url}/1`);
    expect(spent).toEqual([43, 43]);
    expect(buyer.spendingReport()).toMatchObject({ total: 85, remaining: 15 });
    expect(await failure(buyer.fetch(`${paywall.url}/2`))).toMatchObject({ code: "budget_exceeded", remaining: 15 });
  });

  test("holds what the wallet may charge where it enforces no fee limit", async () => {
    const { client, paywall, wallet } = await world(paths(1, 95), { wallet: { feeLimit: "none", worstCaseFeeMsat: () => 10_000n } });
    const error = await failure(client({ budgetSats: 100 }).fetch(`${paywall.url}/0`));
    expect(error).toMatchObject({ code: "budget_exceeded", required: 105, remaining: 100 });
    expect(error.message).toContain("fee");
    expect(wallet.payCalls()).toBe(0);
  });

  test("takes a binding quote where the wallet has one", async () => {
    const { client, paywall } = await world(paths(1, 95), { wallet: { feeLimit: "quoted", feeMsat: 4_000n } });
    const buyer = client({ budgetSats: 100 });
    expect((await buyer.fetch(`${paywall.url}/0`)).status).toBe(200);
    expect(buyer.spendingReport()).toMatchObject({ total: 99, remaining: 1 });
  });

  test("refuses a wallet whose fee may pass maxFee", async () => {
    const { client, paywall, wallet } = await world(paths(1), { wallet: { feeLimit: "none", worstCaseFeeMsat: () => 10_001n } });
    expect(await failure(client().fetch(`${paywall.url}/0`))).toMatchObject({ code: "payment_failed", reason: "fee_too_high", paid: "no" });
    expect(wallet.payCalls()).toBe(0);
  });

  test("is never passed by any number of parallel calls", async () => {
    const { client, paywall, wallet } = await world(paths(50, 7));
    const buyer = client({ budgetSats: 100, paymentConcurrency: 8, ...SPLIT });
    const results = await Promise.allSettled(Array.from({ length: 50 }, (_, index) => buyer.fetch(`${paywall.url}/${index}`)));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(14);
    for (const result of results) if (result.status === "rejected") expect(result.reason).toBeInstanceOf(BudgetExceededError);
    expect(wallet.spentMsat).toBe(98_000n);
    expect(await buyer.balance()).toMatchObject({ spentSats: 98, heldSats: 0, remainingSats: 2 });
  });

  test("is shared by clients of one store, and separate by budgetId", async () => {
    const { client, paywall, clock } = await world(paths(4, 40));
    const store = memoryStore({ clock });
    const [one, two, other] = [client({ store, budgetSats: 100 }), client({ store, budgetSats: 100 }), client({ store, budgetSats: 100, budgetId: "other" })];
    await one.fetch(`${paywall.url}/0`);
    await two.fetch(`${paywall.url}/1`);
    expect(await failure(two.fetch(`${paywall.url}/2`))).toMatchObject({ code: "budget_exceeded", remaining: 20 });
    expect((await other.fetch(`${paywall.url}/3`)).status).toBe(200);
    expect(await one.balance()).toMatchObject({ spentSats: 80, remainingSats: 20 });
    expect(one.spendingReport()).toMatchObject({ total: 40 });
  });
});

describe("limits", () => {
  test("by domain: exact host, wildcard pot, all ports; each must pass besides the global one", async () => {
    const { client, paywall } = await world(paths(20, 10));
    const buyer = client({ budgetSats: 1_000, budgetPerDomain: { "API.example.com.": 20, "*.shop.example": 30 }, fetch: paywall.fetch, ...SPLIT });
    const buy = (host: string, path: number) => buyer.fetch(`https://${host}/${path}`);
    await buy("api.example.com", 0);
    await buy("api.example.com:8443", 1);
    expect(await failure(buy("api.example.com", 2))).toMatchObject({ code: "budget_exceeded", remaining: 0, limit: { sats: 20, domain: "api.example.com" } });
    await buy("a.shop.example", 3);
    await buy("b.shop.example", 4);
    await buy("c.b.shop.example.", 5);
    expect(await failure(buy("d.shop.example", 6))).toMatchObject({ code: "budget_exceeded", limit: { domain: "*.shop.example" } });
    await buy("shop.example", 7); // not below itself
    expect((await buyer.balance()).byDomain["api.example.com"]).toEqual({ spentSats: 20, heldSats: 0, remainingSats: 0 });
    expect(paywall.paidSales).toHaveLength(6);
  });

  test("by count", async () => {
    const { client, paywall } = await world(paths(4, 1));
    const buyer = client({ limits: [{ payments: 2 }], ...SPLIT });
    await buyer.fetch(`${paywall.url}/0`);
    await buyer.fetch(`${paywall.url}/1`);
    expect(await failure(buyer.fetch(`${paywall.url}/2`))).toMatchObject({ code: "budget_exceeded", limit: { payments: 2 } });
    expect((await buyer.balance()).limits).toEqual([{ payments: 2, spentSats: 2, heldSats: 0, remainingPayments: 0 }]);
  });

  test("in a rolling window: over no interval of its length is more spent", async () => {
    const { client, paywall, clock } = await world(paths(40, 10));
    const buyer = client({ limits: [{ sats: 30, per: "1h" }], ...SPLIT });
    const times: number[] = [];
    for (let path = 0; path < 40; path += 1) {
      await buyer.fetch(`${paywall.url}/${path}`).then(() => times.push(clock.now()), () => {});
      await clock.advance(7 * 60_000);
    }
    for (const start of times) expect(times.filter((time) => time >= start && time < start + 3_600_000).length).toBeLessThanOrEqual(3);
    expect(times.length).toBeGreaterThanOrEqual(12);
  });

  test("a clock that goes back does not empty a window", async () => {
    const { client, paywall, clock } = await world(paths(5, 10));
    const buyer = client({ limits: [{ sats: 20, per: "24h" }], ...SPLIT });
    await buyer.fetch(`${paywall.url}/0`);
    await buyer.fetch(`${paywall.url}/1`);
    clock.set(clock.now() - 7 * 86_400_000);
    expect(await failure(buyer.fetch(`${paywall.url}/2`))).toMatchObject({ paid: "no" });
    expect(paywall.paidSales).toHaveLength(2);
  });

  test("maxSatsPerRequest and maxPriceSats refuse a dearer invoice", async () => {
    const { client, paywall, wallet } = await world(paths(1, 10));
    expect(await failure(client({ maxSatsPerRequest: 9 }).fetch(`${paywall.url}/0`))).toMatchObject({ code: "policy_price", paid: "no" });
    expect(await failure(client().fetch(`${paywall.url}/0`, { maxPriceSats: 9 }))).toMatchObject({ code: "policy_price", paid: "no" });
    expect(wallet.payCalls()).toBe(0);
    expect((await client({ maxSatsPerRequest: 10 }).fetch(`${paywall.url}/0`, { maxPriceSats: 10 })).status).toBe(200);
  });
});

describe("children", () => {
  test("count against the parent's limits too, and can only tighten", async () => {
    const { client, paywall } = await world(paths(10, 10));
    const parent = client({ budgetSats: 50, maxSatsPerRequest: 10, ...SPLIT });
    const child = parent.child({ label: "researcher", budgetSats: 1_000, maxSatsPerRequest: 500 });
    const small = parent.child({ budgetSats: 10 });
    await child.fetch(`${paywall.url}/0`);
    await small.fetch(`${paywall.url}/1`);
    expect(await failure(small.fetch(`${paywall.url}/2`))).toMatchObject({ code: "budget_exceeded", limit: { sats: 10 } });
    await parent.fetch(`${paywall.url}/3`);
    await child.fetch(`${paywall.url}/4`);
    await child.fetch(`${paywall.url}/5`);
    expect(await failure(child.fetch(`${paywall.url}/6`))).toMatchObject({ code: "budget_exceeded", limit: { sats: 50 }, remaining: 0 });
    expect(parent.spendingReport()).toMatchObject({ total: 50, remaining: 0 });
    expect(child.spendingReport()).toMatchObject({ total: 30, remaining: 0 });
    expect(await small.balance()).toMatchObject({ totalSats: 10, spentSats: 10, remainingSats: 0 });
    expect(await child.balance()).toMatchObject({ totalSats: 1_000, spentSats: 30, remainingSats: 0 });
    expect((await all(parent)).map((payment) => payment.label)).toEqual(["researcher", undefined, undefined, "researcher", "researcher"]);
  });

  test("inherit domains and approvals", async () => {
    const { client, paywall } = await world(paths(3, 10));
    const asked: string[] = [];
    const parent = client({ blockedDomains: ["bad.example"], approve: () => (asked.push("parent"), true) });
    const child = parent.child({ allowedDomains: ["paywall.example", "bad.example"], approve: () => (asked.push("child"), true) });
    expect(await failure(child.fetch("https://bad.example/0"))).toMatchObject({ code: "policy_domain" });
    expect(await failure(child.fetch("https://other.example/0"))).toMatchObject({ code: "policy_domain" });
    await child.fetch(`${paywall.url}/0`);
    expect(asked).toEqual(["parent", "child"]);
  });
});

describe("reports", () => {
  test("are null without a budget, and safe for any host name", async () => {
    const { client, paywall } = await world(paths(1, 10));
    expect(client().spendingReport()).toBeNull();
    const buyer = client({ budgetSats: 100, limits: [], fetch: paywall.fetch });
    for (const host of ["__proto__", "constructor"]) await buyer.fetch(`https://${host}/0`);
    const report = buyer.spendingReport();
    expect(Object.keys(report?.byDomain ?? {}).sort()).toEqual(["__proto__", "constructor"]);
    expect(JSON.parse(JSON.stringify(report)).total).toBe(20);
    expect(Object.keys((await buyer.balance()).byDomain).sort()).toEqual(["__proto__", "constructor"]);
  });

  test("observers are isolated, sync or async", async () => {
    const { client, paywall } = await world(paths(1, 10));
    const bad = () => {
      throw new Error("observer");
    };
    const response = await client({ budgetSats: 20, onSpend: bad, onEvent: bad }).fetch(`${paywall.url}/0`);
    expect(response.status).toBe(200);
    const rejecting = client({ budgetSats: 5, onBudgetExceeded: () => Promise.reject(new Error("observer")) });
    const error = await failure(rejecting.fetch(`${paywall.url}/0`));
    expect(isL402Error(error) && error.code).toBe("budget_exceeded");
  });

  test("limit_near is told once when a limit is mostly used", async () => {
    const { client, paywall, events, clock } = await world(paths(5, 30));
    const buyer = client({ budgetSats: 100, ...SPLIT });
    for (let path = 0; path < 3; path += 1) await buyer.fetch(`${paywall.url}/${path}`);
    await clock.settle();
    expect(events.filter((event) => event.type === "limit_near")).toHaveLength(1);
  });
});
