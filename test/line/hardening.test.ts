/** What tried to break the line and once did: each a test of its own. */
import { memoryStore, receiptOf, type Store, type Wallet } from "@l402-tools/core";
import { createPaywall, fetchOf } from "@l402-tools/testing";
import { describe, expect, test } from "vitest";
import { all, failure, world } from "./harness.ts";

const numbered = (count: number, priceSats = 10) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`/${index}`, { priceSats, credential: "path" as const }]));

describe("a wallet that tells nonsense about fees", () => {
  test.each([5, 0, "5", 1.5, true, Number.NaN, -1n, -1, {}, undefined])("as paid: %s", async (feeMsat) => {
    const { client, paywall, wallet } = await world(numbered(8));
    const odd: Wallet = { ...wallet, name: "odd", pay: async (request) => ({ ...(await wallet.pay(request)), feeMsat }) as never };
    const buyer = client({ wallet: odd, budgetSats: 50, maxFee: { sats: 1 }, credentialScope: "path" });
    for (let path = 0; path < 8; path += 1) await buyer.fetch(`${paywall.url}/${path}`).catch((error: unknown) => expect(error).toMatchObject({ code: "budget_exceeded" }));
    expect(wallet.spentMsat).toBeLessThanOrEqual(50_000n);
    const { spentSats, heldSats } = await buyer.balance();
    expect(BigInt(spentSats) * 1_000n).toBeGreaterThanOrEqual(wallet.spentMsat);
    expect(heldSats).toBe(0);
  });

  test.each([-90_000n, "5", Number.NaN, 1.5, null])("as quoted or worst case: %s", async (feeMsat) => {
    const { client, paywall, wallet } = await world(numbered(1, 100));
    for (const odd of [
      { ...wallet, name: "quoted", capabilities: { ...wallet.capabilities, feeLimit: "quoted" as const }, quoteFee: async () => ({ feeMsat, binding: true }) as never },
      { ...wallet, name: "none", capabilities: { ...wallet.capabilities, feeLimit: "none" as const, worstCaseFeeMsat: () => feeMsat as never } },
      { ...wallet, name: "throws", capabilities: { ...wallet.capabilities, feeLimit: "none" as const, worstCaseFeeMsat: () => { throw new Error("worst"); } } },
    ]) {
      expect(await failure(client({ wallet: odd, budgetSats: 20 }).fetch(`${paywall.url}/0`))).toMatchObject({ code: "budget_exceeded", paid: "no" });
    }
    expect(wallet.payCalls()).toBe(0);
  });

  test("a quote that never comes: the worst case is held, and an abort ends the waiting", async () => {
    const { client, paywall, wallet, clock } = await world(numbered(2));
    const mute: Wallet = { ...wallet, name: "mute", capabilities: { ...wallet.capabilities, feeLimit: "quoted", worstCaseFeeMsat: () => 2_000n }, quoteFee: () => new Promise(() => {}) };
    const buyer = client({ wallet: mute, budgetSats: 100 });
    const abort = new AbortController();
    const left = failure(buyer.fetch(`${paywall.url}/0`, { signal: abort.signal }));
    await clock.settle();
    abort.abort(new Error("gone"));
    expect(await left).toBe(abort.signal.reason);
    expect(await buyer.balance()).toMatchObject({ heldSats: 0, spentSats: 0 });
  });
});

test("a look-up that never answers ends neither recover() nor a waiting call's abort", async () => {
  const { client, paywall, wallet, clock } = await world(numbered(1));
  wallet.behave("hang");
  const mute: Wallet = { ...wallet, name: "mute", lookup: () => new Promise(() => {}) };
  const buyer = client({ wallet: mute, budgetSats: 100 });
  const first = failure(buyer.fetch(`${paywall.url}/0`));
  await clock.settle();
  await clock.advance(60_000);
  await first;
  const abort = new AbortController();
  const second = failure(buyer.fetch(`${paywall.url}/0`, { signal: abort.signal }));
  await clock.settle();
  abort.abort(new Error("gone"));
  expect(await second).toMatchObject({ code: "payment_unknown", paid: "unknown" });
  const report = buyer.recover();
  await clock.settle();
  await clock.advance(15_000);
  expect(await report).toMatchObject({ settled: 0, failed: 0, stillUnknown: [{ amountSats: 10 }] });
});

test.each([1, 3])("parallel calls stop paying an origin that refuses what it sold (paymentConcurrency %i)", async (paymentConcurrency) => {
  const { client, paywall, wallet, clock } = await world(numbered(20), { paywall: { misbehave: "always-402" } });
  const buyer = client({ budgetSats: 1_000, paymentConcurrency });
  const results = await clock.run(Promise.allSettled(Array.from({ length: 20 }, (_, path) => buyer.fetch(`${paywall.url}/${path}`))));
  const codes = results.map((result) => (result.status === "rejected" ? (result.reason as { code: string }).code : "served"));
  expect(wallet.payCalls()).toBeLessThanOrEqual(2 + paymentConcurrency - 1);
  expect(codes.filter((code) => code === "credential_rejected")).toHaveLength(wallet.payCalls());
  expect(codes.filter((code) => code === "origin_suspended")).toHaveLength(20 - wallet.payCalls());
  expect(await buyer.balance()).toMatchObject({ heldSats: 0 });
});

test("a child does not pay a blocked host by its parent's quote", async () => {
  const { client, lightning, paywall, wallet } = await world({ "/go": { misbehave: { name: "redirect", to: "https://blocked.example/0" } } });
  const blocked = await createPaywall({ lightning, name: "blocked", routes: numbered(1), listen: false });
  const parent = client({ fetch: fetchOf(paywall, blocked) });
  const quote = await parent.quote(`${paywall.url}/go`);
  const child = parent.child({ blockedDomains: ["blocked.example"] });
  expect(await failure(child.fetch(`${paywall.url}/go`, { quoteId: quote?.id as string }))).toMatchObject({ code: "policy_domain", paid: "no" });
  expect(wallet.payCalls()).toBe(0);
});

test("a new process's first call finds what the dead one paid for, and does not pay again", async () => {
  const { client, paywall, wallet, clock } = await world(numbered(1), { wallet: { lookup: "by-hash" } });
  const store = memoryStore({ clock });
  wallet.hold("answer");
  void client({ store }).fetch(`${paywall.url}/0`).catch(() => {}); // dies here, as far as anyone can tell
  await clock.settle();
  await clock.advance(30_000);
  const next = client({ store });
  expect(receiptOf(await clock.run(next.fetch(`${paywall.url}/0`)))).toMatchObject({ reused: true });
  expect(wallet.payCalls()).toBe(1);
});

test("what a look-up found serves the next call, while the wallet stays silent", async () => {
  const { client, paywall, wallet, clock } = await world(numbered(1));
  wallet.next("lose-answer");
  const buyer = client({ budgetSats: 100 });
  const call = failure(buyer.fetch(`${paywall.url}/0`, { idempotencyKey: "k" }));
  const follower = failure(buyer.fetch(`${paywall.url}/0`));
  await clock.settle();
  await clock.advance(59_000);
  await clock.advance(1_000);
  for (const error of await Promise.all([call, follower])) expect(error).toMatchObject({ code: "payment_unknown" });
  expect(await clock.run(buyer.recover())).toMatchObject({ settled: 1 });
  expect(receiptOf(await clock.run(buyer.fetch(`${paywall.url}/0`, { idempotencyKey: "k" })))).toMatchObject({ reused: true });
  expect((await all(buyer)).map((payment) => payment.state)).toEqual(["settled"]);
  expect(wallet.payCalls()).toBe(1);
});

describe("a store that fails", () => {
  const operations = ["reserve", "dispatch", "settle", "accepted", "credential", "usage", "unknown", "void"] as const;
  test.each(operations.flatMap((operation) => (["before", "after", "throws"] as const).map((how) => [operation, how] as const)))("%s, %s: a typed error, and the money is where the error says", async (operation, how) => {
    const { client, paywall, wallet, clock } = await world(numbered(2));
    const good = memoryStore({ clock });
    let broken = true;
    const store: Store = {
      ...good,
      [operation]: (...args: never[]) => {
        if (!broken) return (good[operation] as (...args: never[]) => unknown)(...args);
        if (how === "throws") throw new Error("secret-disk");
        return how === "before" ? Promise.reject(new Error("secret-disk")) : (good[operation] as (...args: never[]) => Promise<unknown>)(...args).then(() => Promise.reject(new Error("secret-disk")));
      },
    };
    const spent: number[] = [];
    const buyer = client({ store, budgetSats: 25, onSpend: (sats) => spent.push(sats), credentialScope: "path" });
    const outcome = await buyer.fetch(`${paywall.url}/0`).then(
      () => "served",
      (error: unknown) => {
        expect(error).toMatchObject({ name: "StoreError", code: "store_unavailable", paid: "no" });
        expect(String(error)).not.toContain("secret");
        return "refused";
      },
    );
    expect(wallet.payCalls()).toBe(outcome === "served" ? 1 : 0);
    broken = false;
    for (let pause = 0; pause < 4; pause += 1) await clock.advance(10_000); // what was left open is ended in the background
    const balance = await buyer.balance();
    expect(balance.heldSats).toBe(0);
    expect(balance.spentSats).toBe(outcome === "served" ? 10 : 0);
    expect(spent).toEqual(outcome === "served" ? [10] : []);
    expect((await buyer.fetch(`${paywall.url}/0`)).status).toBe(200);
    expect((await buyer.fetch(`${paywall.url}/1`)).status).toBe(200);
    expect(wallet.payCalls()).toBe(2);
  });
});

test("a settlement that the store cannot take for a while is neither lost nor called unknown", async () => {
  const { client, paywall, wallet, clock } = await world(numbered(1), { wallet: { lookup: "none" } });
  const good = memoryStore({ clock });
  let broken = true;
  const store: Store = { ...good, settle: (...args) => (broken ? Promise.reject(new Error("disk")) : good.settle(...args)) };
  const spent: number[] = [];
  const buyer = client({ store, budgetSats: 100, onSpend: (sats) => spent.push(sats) });
  expect((await buyer.fetch(`${paywall.url}/0`)).status).toBe(200);
  await clock.advance(600_000);
  expect((await buyer.fetch(`${paywall.url}/0`)).status).toBe(200); // with the preimage that this process still holds
  expect(await buyer.recover()).toMatchObject({ failed: 0, stillUnknown: [{ amountSats: 10 }] });
  broken = false;
  await clock.advance(60_000);
  expect(spent).toEqual([10]);
  expect(await buyer.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
  expect(wallet.payCalls()).toBe(1);
});

test("an order whose answer was lost is not paid again when it is sent again, and may be bought anew after that", async () => {
  const { client, paywall, wallet, clock } = await world({ "/order": { priceSats: 10, credential: "single-use" } });
  let cut = true;
  const lossy: typeof fetch = async (input, init) => {
    const response = await paywall.fetch(input, init);
    if (!cut || response.status !== 200) return response;
    cut = false;
    throw new TypeError("fetch failed"); // the server has taken the credential, and its answer is lost
  };
  const buyer = client({ fetch: lossy, budgetSats: 100 });
  const order = () => buyer.fetch(`${paywall.url}/order`, { method: "POST", body: "one" });
  const lost = await clock.run(failure(order()));
  expect(lost).toMatchObject({ code: "transport_failed", paid: "yes", retryable: true, paymentHash: paywall.paidSales[0]?.paymentHash });
  expect(await clock.run(failure(order()))).toMatchObject({ code: "credential_rejected", paid: "yes", retryable: false });
  expect(wallet.payCalls()).toBe(1);
  expect((await clock.run(order())).status).toBe(200); // asked for again by somebody who knows
  expect(wallet.payCalls()).toBe(2);
});

test("a call for what a dead process sent asks the wallet until it is known, without waiting for leases", async () => {
  const { client, paywall, wallet, clock } = await world(numbered(1));
  const good = memoryStore({ clock });
  // A store that knows that the first process is gone, as a ledger on disk does.
  const store: Store = { ...good, ownerAlive: async () => false, claim: async () => true };
  wallet.next("hang-in-flight");
  void client({ store }).fetch(`${paywall.url}/0`).catch(() => {});
  await clock.settle();
  const started = clock.now();
  const next = client({ store }).fetch(`${paywall.url}/0`, { idempotencyKey: "k" });
  await clock.settle();
  await clock.advance(3_000);
  wallet.settle(paywall.sales[0]?.paymentHash as string);
  expect((await clock.run(next)).status).toBe(200);
  expect(clock.now() - started).toBeLessThanOrEqual(5_000);
  expect(wallet.payCalls()).toBe(1);
});

test("a clock that was ahead and is corrected stops nothing", async () => {
  const { client, paywall, clock } = await world(numbered(2));
  const right = clock.now();
  clock.set(right + 3 * 3_600_000);
  const buyer = client({ budgetSats: 100 });
  expect((await buyer.fetch(`${paywall.url}/0`)).status).toBe(200);
  clock.set(right);
  expect((await buyer.fetch(`${paywall.url}/1`)).status).toBe(200);
});

test("a store that never grants a dispatch ends the call, and holds nothing", async () => {
  const { client, paywall, wallet, clock } = await world(numbered(1));
  const store: Store = { ...memoryStore({ clock }), dispatch: async () => null };
  const buyer = client({ store, budgetSats: 100 });
  expect(await failure(buyer.fetch(`${paywall.url}/0`))).toMatchObject({ code: "queue_timeout", paid: "no" });
  expect(await buyer.balance()).toMatchObject({ heldSats: 0, spentSats: 0 });
  expect(wallet.payCalls()).toBe(0);
});

test("another wallet's silence about a payment proves nothing", async () => {
  const { client, lightning, paywall, wallet, clock } = await world(numbered(1));
  const store = memoryStore({ clock });
  wallet.behave("hang-in-flight");
  const first = failure(client({ store }).fetch(`${paywall.url}/0`));
  await clock.settle();
  await clock.advance(60_000);
  await first;
  const other = client({ store, wallet: lightning.wallet({ name: "other", notFoundFinalAfterMs: 0 }) });
  await clock.advance(600_000);
  expect(await clock.run(other.recover())).toMatchObject({ failed: 0, stillUnknown: [{ amountSats: 10 }] });
});

test("refusals by a rule are told, and a redirect mode that fetch does not know is refused", async () => {
  const { client, paywall, events } = await world(numbered(1));
  await failure(client({ maxSatsPerRequest: 1 }).fetch(`${paywall.url}/0`));
  expect(events.filter((event) => event.type === "refused")).toMatchObject([{ detail: "policy_price", amountSats: 10 }]);
  await expect(client().fetch(`${paywall.url}/0`, { redirect: "bogus" as never })).rejects.toBeInstanceOf(TypeError);
});
