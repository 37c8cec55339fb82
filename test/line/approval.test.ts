/** Approvals above a threshold, by the client or by whoever makes the call, and questions that stay open. */
import { L402Client, memoryStore, type PayRequest, type PaymentIntent } from "@l402-tools/core";
import { fetchTool, type FetchResult, type ToolContext, type ToolProgress } from "@l402-tools/core/tools";
import { createPaywall, type Paywall } from "@l402-tools/testing";
import { describe, expect, test } from "vitest";
import { all, failure, world, type World } from "./harness.ts";

const routes = { "/cheap": { priceSats: 100 }, "/dear": { priceSats: 101, body: "dear goods" }, "/other": { priceSats: 150 } };

/** Leaves a question open, as an interrupt of a framework does. */
class Open extends Error {
  readonly intent: PaymentIntent;
  constructor(intent: PaymentIntent) {
    super("open");
    this.intent = intent;
  }
}
const leaveOpen: ToolContext = {
  idempotencyKey: "call-1",
  approve: (intent) => {
    throw new Open(intent);
  },
  rethrow: (cause) => cause instanceof Open,
};

/** A call of `l402_fetch`, on the test's clock. */
function call({ clock, paywall }: World, client: L402Client, path: string, context: ToolContext): Promise<FetchResult> {
  return clock.run(fetchTool(client, { unguarded: true, clock }).execute({ url: `${paywall.url}${path}` }, context));
}

async function question(it: World, client: L402Client, path: string, context: ToolContext = leaveOpen): Promise<PaymentIntent> {
  const thrown = await failure(call(it, client, path, context));
  expect(thrown).toBeInstanceOf(Open);
  return (thrown as unknown as Open).intent;
}

describe("approveAbove", () => {
  test("asks about dearer payments only, with the exact invoice", async () => {
    const it = await world(routes);
    const asked: PaymentIntent[] = [];
    const client = it.client({ budgetSats: 1_000, approveAbove: 100, approve: (intent) => (asked.push(intent), true) });
    expect(client.needsApprover).toBe(false);
    await it.clock.run(client.fetch(`${it.paywall.url}/cheap`));
    expect(asked).toEqual([]);
    await it.clock.run(client.fetch(`${it.paywall.url}/dear`));
    expect(asked).toMatchObject([{ amountSats: 101, host: "paywall.example", paymentHash: it.paywall.paidSales[1]?.paymentHash }]);
    expect(it.wallet.payCalls()).toBe(2);
  });

  test("without anybody to ask, a dearer payment is refused and holds nothing", async () => {
    const it = await world(routes);
    const client = it.client({ budgetSats: 1_000, approveAbove: 100 });
    expect(client.needsApprover).toBe(true);
    await it.clock.run(client.fetch(`${it.paywall.url}/cheap`));
    expect(await failure(it.clock.run(client.fetch(`${it.paywall.url}/dear`)))).toMatchObject({ code: "approval_denied", paid: "no", message: expect.stringContaining("nobody can be asked") as string });
    expect(await client.balance()).toMatchObject({ spentSats: 100, heldSats: 0 });
    expect(it.wallet.payCalls()).toBe(1);
  });

  test("0 asks about every payment", async () => {
    const it = await world(routes);
    expect(await failure(it.clock.run(it.client({ approveAbove: 0 }).fetch(`${it.paywall.url}/cheap`)))).toMatchObject({ code: "approval_denied" });
  });

  test("a child cannot widen it, and its own approve does not answer for its parent's", async () => {
    const it = await world(routes);
    const asked: string[] = [];
    const parent = it.client({ approveAbove: 100 });
    const child = parent.child({ approveAbove: 1_000, approve: () => (asked.push("child"), true) });
    expect(child.needsApprover).toBe(true);
    expect(await failure(it.clock.run(child.fetch(`${it.paywall.url}/dear`)))).toMatchObject({ code: "approval_denied" });
    const stricter = parent.child({ approveAbove: 10, approve: () => (asked.push("stricter"), true) });
    await it.clock.run(stricter.fetch(`${it.paywall.url}/cheap`));
    expect(asked).toEqual(["stricter"]);
  });
});

describe("whoever makes the call", () => {
  test("is told whether the client wants a person's yes, and can refuse what it does not", async () => {
    const it = await world(routes);
    const client = it.client({ budgetSats: 1_000, approveAbove: 100 });
    const asked: [number, boolean][] = [];
    const context = (answer: boolean): ToolContext => ({ approve: ({ amountSats }, required) => (asked.push([amountSats, required]), answer) });
    expect(await call(it, client, "/cheap", context(true))).toMatchObject({ ok: true, paidSats: 100 });
    expect(await call(it, client, "/dear", context(true))).toMatchObject({ ok: true, paidSats: 101 });
    expect(await call(it, client, "/other", context(false))).toMatchObject({ ok: false, error: { code: "approval_denied", paid: "no" } });
    expect(asked).toEqual([[100, false], [101, true], [150, true]]);
    expect(await client.balance()).toMatchObject({ spentSats: 201, heldSats: 0 });
  });

  test("cannot answer for the client's own approve", async () => {
    const it = await world(routes);
    const client = it.client({ approve: () => false });
    expect(await call(it, client, "/cheap", { approve: () => true })).toMatchObject({ error: { code: "approval_denied" } });
    expect(it.wallet.payCalls()).toBe(0);
  });

  test.each([1, "yes", undefined, {}])("approves with true alone, not with %j", async (answer) => {
    const it = await world(routes);
    expect(await call(it, it.client({ approveAbove: 100 }), "/dear", { approve: () => answer as boolean })).toMatchObject({ error: { code: "approval_denied" } });
    expect(it.wallet.payCalls()).toBe(0);
  });
});

describe("a question that is left open", () => {
  test("holds nothing, and the same call goes on with the very invoice it was about", async () => {
    const it = await world(routes);
    const client = it.client({ budgetSats: 1_000, approveAbove: 100 });
    const asked = await question(it, client, "/dear");
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
    const requests = it.paywall.requests.length;
    const seen: string[] = [];
    expect(await call(it, client, "/dear", { idempotencyKey: "call-1", approve: ({ paymentHash }) => (seen.push(paymentHash), true) })).toMatchObject({ ok: true, paidSats: 101, body: "dear goods", paymentHash: asked.paymentHash });
    expect(seen).toEqual([asked.paymentHash]);
    expect(it.paywall.requests.length).toBe(requests + 1); // the server was not asked for another price
    expect((await all(client)).map(({ state }) => state)).toEqual(["settled"]);
  });

  test("may be asked again and again, and be refused in the end", async () => {
    const it = await world(routes);
    const client = it.client({ budgetSats: 1_000, approveAbove: 100 });
    const first = await question(it, client, "/dear");
    expect((await question(it, client, "/dear")).paymentHash).toBe(first.paymentHash);
    expect(await call(it, client, "/dear", { idempotencyKey: "call-1", approve: () => false })).toMatchObject({ error: { code: "approval_denied", paid: "no" } });
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
    // A call that was refused may be run again beside one that was not answered yet: it asks about the same invoice.
    expect((await question(it, client, "/dear")).paymentHash).toBe(first.paymentHash);
    expect(it.wallet.payCalls()).toBe(0);
  });

  test("is another question when the invoice has run out, at whatever price the server asks then", async () => {
    const it = await world({ "/dear": { priceSats: 101, invoiceExpirySeconds: 60 } });
    const client = it.client({ budgetSats: 1_000, approveAbove: 100 });
    const first = await question(it, client, "/dear");
    await it.clock.advance(51_000);
    const second = await question(it, client, "/dear");
    expect(second.paymentHash).not.toBe(first.paymentHash);
    expect(it.wallet.payCalls()).toBe(0);
  });

  test("is no other call's: not of another key, not of another request", async () => {
    const it = await world(routes);
    const client = it.client({ budgetSats: 1_000, approveAbove: 100 });
    const first = await question(it, client, "/dear");
    expect((await question(it, client, "/dear", { ...leaveOpen, idempotencyKey: "call-2" })).paymentHash).not.toBe(first.paymentHash);
    const third = await question(it, client, "/other");
    expect(third.amountSats).toBe(150);
    expect((await question(it, client, "/dear")).paymentHash).toBe(first.paymentHash);
  });

  test("is not shared: of two identical calls at once each asks its own, and one payment serves both", async () => {
    const it = await world(routes);
    const client = it.client({ budgetSats: 1_000, approveAbove: 100 });
    const keys = ["call-a", "call-b"];
    const tool = fetchTool(client, { unguarded: true, clock: it.clock });
    const url = `${it.paywall.url}/dear`;
    const thrown = await it.clock.run(Promise.all(keys.map((idempotencyKey) => failure(tool.execute({ url }, { ...leaveOpen, idempotencyKey })))));
    const hashes = thrown.map((error) => (error as unknown as Open).intent.paymentHash);
    expect(new Set(hashes).size).toBe(2);
    const results = await it.clock.run(Promise.all(keys.map((idempotencyKey, index) => tool.execute({ url }, { idempotencyKey, approve: ({ paymentHash }) => paymentHash === hashes[index] }))));
    expect(results.map(({ ok }) => ok)).toEqual([true, true]);
    expect(it.wallet.payCalls()).toBe(1);
    expect(await client.balance()).toMatchObject({ spentSats: 101, heldSats: 0 });
  });

  test("questions at several sellers at once do not refuse each other, though the budget is for one", async () => {
    const { clock, lightning, wallet } = await world({});
    const sellers = await Promise.all(Array.from({ length: 8 }, (_, index) => createPaywall({ lightning, listen: false, name: `seller-${index}`, routes: { "/a": { priceSats: 200 } } })));
    const transport = ((url: string, init: RequestInit) => (sellers.find((seller) => url.startsWith(seller.url)) as Paywall).fetch(url, init)) as typeof fetch;
    const client = new L402Client({ wallet, network: "regtest", clock, fetch: transport, budgetSats: 300, approveAbove: 100 });
    const tool = fetchTool(client, { unguarded: true, clock });
    const ask = sellers.map((seller, index) => failure(tool.execute({ url: `${seller.url}/a` }, { ...leaveOpen, idempotencyKey: `call-${index}` })));
    expect((await clock.run(Promise.all(ask))).map((thrown) => thrown instanceof Open)).toEqual(sellers.map(() => true));
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
    const buy = sellers.map((seller, index) => tool.execute({ url: `${seller.url}/a` }, { idempotencyKey: `call-${index}`, approve: () => true }));
    const results = await clock.run(Promise.all(buy));
    expect(results.filter(({ ok }) => ok)).toHaveLength(1);
    expect(results.filter(({ error }) => error?.code === "budget_exceeded")).toHaveLength(7);
  });

  test("one caller's no is not another's, though the purchase is the same", async () => {
    // The wallet takes its time to name its fee, so that the second call comes while the first one reserves.
    const it = await world(routes);
    const quote = it.wallet.quoteFee?.bind(it.wallet);
    const slow = Object.assign(Object.create(it.wallet) as typeof it.wallet, {
      quoteFee: async (request: PayRequest) => {
        await it.clock.sleep(15);
        return (await quote?.(request)) ?? { feeMsat: 0n, binding: true };
      },
    });
    const client = it.client({ wallet: slow, budgetSats: 1_000, approveAbove: 100 });
    const tool = fetchTool(client, { unguarded: true, clock: it.clock });
    const url = `${it.paywall.url}/dear`;
    const answers = [() => false, () => true, undefined];
    const results = await it.clock.run(Promise.all(answers.map((approve, index) => tool.execute({ url }, { idempotencyKey: `call-${index}`, approve }))));
    expect(results.map(({ ok }) => ok)).toEqual([false, true, expect.any(Boolean)]);
    expect(it.wallet.payCalls()).toBe(1);
    expect(await client.balance()).toMatchObject({ spentSats: 101, heldSats: 0 });
  });

  test("a no by a child's rules is none under its parent's", async () => {
    const it = await world(routes);
    const parent = it.client({ budgetSats: 1_000 });
    let answer = (_: boolean): void => {};
    const child = parent.child({ approve: () => new Promise((resolve) => (answer = resolve)) });
    const url = `${it.paywall.url}/dear`;
    const asked = failure(child.fetch(url));
    await it.clock.settle();
    const other = parent.fetch(url);
    await it.clock.settle();
    answer(false);
    expect(await it.clock.run(asked)).toMatchObject({ code: "approval_denied" });
    expect((await it.clock.run(other)).status).toBe(200);
    expect(await parent.balance()).toMatchObject({ spentSats: 101, heldSats: 0 });
  });

  test("what another client of the ledger bought meanwhile is used, and nothing is paid", async () => {
    const it = await world(routes);
    const store = memoryStore({ clock: it.clock });
    const client = it.client({ store, budgetSats: 1_000, approveAbove: 100 });
    await question(it, client, "/dear");
    const other = it.client({ store, budgetSats: 1_000 });
    await it.clock.run(other.fetch(`${it.paywall.url}/dear`));
    expect(await call(it, client, "/dear", { idempotencyKey: "call-1", approve: () => true })).toMatchObject({ ok: true, paidSats: 0, reused: true });
    expect(it.wallet.payCalls()).toBe(1);
  });

  test("a budget that has been spent meanwhile refuses the approved payment", async () => {
    const it = await world(routes);
    const client = it.client({ budgetSats: 200, approveAbove: 100 });
    await question(it, client, "/dear");
    await it.clock.run(client.fetch(`${it.paywall.url}/cheap`));
    expect(await call(it, client, "/dear", { idempotencyKey: "call-1", approve: () => true })).toMatchObject({ error: { code: "budget_exceeded", paid: "no" } });
    expect(await client.balance()).toMatchObject({ spentSats: 100, heldSats: 0 });
  });

  test("without an idempotency key, the next run starts with the server", async () => {
    const it = await world(routes);
    const client = it.client({ approveAbove: 100 });
    const anonymous = { ...leaveOpen, idempotencyKey: undefined };
    const first = await question(it, client, "/dear", anonymous);
    expect((await question(it, client, "/dear", anonymous)).paymentHash).not.toBe(first.paymentHash);
  });
});

describe("progress", () => {
  const steps = (told: ToolProgress[]): unknown[] => told.map(({ stage, step, amountSats }) => [stage, step, amountSats]);

  test("tells each wait once, in order, with the price when it is known", async () => {
    const it = await world(routes);
    const client = it.client({ budgetSats: 1_000, approveAbove: 100 });
    const told: ToolProgress[] = [];
    await call(it, client, "/dear", { approve: () => true, onProgress: (progress) => told.push(progress) });
    expect(steps(told)).toEqual([["price", 1, null], ["approval", 2, 101], ["payment", 3, 101], ["body", 4, 101]]);
    expect(told.map(({ message }) => message)).toEqual([
      "Asking paywall.example.",
      "paywall.example asks 101 sats: waiting for a yes.",
      "Paying 101 sats to paywall.example.",
      "Paid 101 sats; waiting for the answer of paywall.example.",
    ]);
    told.length = 0;
    await call(it, client, "/cheap", { onProgress: (progress) => told.push(progress) });
    // The credential of the first purchase opens it: nothing is paid, and nothing is said of a payment.
    expect(steps(told)).toEqual([["price", 1, null], ["body", 4, null]]);
    expect(told[1]?.message).toBe("Reading the answer of paywall.example.");
  });

  test("an observer that throws or rejects changes nothing", async () => {
    const it = await world(routes);
    const thrown = await call(it, it.client(), "/dear", { onProgress: () => { throw new Error("no"); } });
    expect(thrown).toMatchObject({ ok: true, paidSats: 101, progress: null });
    const rejected = await call(it, it.client(), "/dear", { onProgress: () => Promise.reject(new Error("no")) });
    expect(rejected).toMatchObject({ ok: true, paidSats: 101 });
  });

  test("tells no secret", async () => {
    const it = await world(routes);
    const told: ToolProgress[] = [];
    await call(it, it.client(), "/dear?key=secret-in-query", { onProgress: (progress) => told.push(progress) });
    const text = JSON.stringify(told);
    const [sale] = it.paywall.paidSales;
    expect(told).toHaveLength(3);
    for (const secret of [it.paywall.payee.preimageOf(sale?.paymentHash as string), sale?.invoice as string, "secret-in-query"]) expect(text).not.toContain(secret);
  });
});
