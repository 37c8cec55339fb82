import { L402Client, memoryStore, receiptOf, type QueueFullError } from "@l402-tools/core";
import { createLightning, createPaywall } from "@l402-tools/testing";
import { describe, expect, test } from "vitest";
import { all, failure, world } from "./harness.ts";

const numbered = (count: number, priceSats = 10) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`/${index}`, { priceSats }]));

describe("credentials that cover a whole service", () => {
  test("100 parallel calls cost one payment", async () => {
    const { client, paywall, wallet } = await world(numbered(100));
    const buyer = client({ budgetSats: 1_000 });
    const responses = await Promise.all(Array.from({ length: 100 }, (_, index) => buyer.fetch(`${paywall.url}/${index}`)));
    expect(responses.every((response) => response.status === 200)).toBe(true);
    expect(wallet.payCalls()).toBe(1);
    expect(responses.filter((response) => receiptOf(response)?.reused === false)).toHaveLength(1);
    expect(buyer.spendingReport()).toMatchObject({ total: 10, held: 0 });
    // The first call buys, the second finds out that its credential serves all; nobody asks one after the other.
    expect(paywall.requests.length).toBeLessThanOrEqual(100 + 100);
  });

  test("a budget for one purchase is enough: the others wait for its credential", async () => {
    const { client, paywall, wallet } = await world(numbered(20));
    const buyer = client({ budgetSats: 10, paymentConcurrency: 5 });
    const responses = await Promise.all(Array.from({ length: 20 }, (_, index) => buyer.fetch(`${paywall.url}/${index}`)));
    expect(responses.every((response) => response.status === 200)).toBe(true);
    expect(wallet.payCalls()).toBe(1);
  });

  test("a later call on another path is served by the kept one, unless the scope is path", async () => {
    const { client, paywall, wallet } = await world(numbered(4));
    const buyer = client();
    await buyer.fetch(`${paywall.url}/0`);
    expect(receiptOf(await buyer.fetch(`${paywall.url}/1`))).toMatchObject({ reused: true, paidSats: 0 });
    expect(wallet.payCalls()).toBe(1);
    const narrow = client({ credentialScope: "path" });
    await narrow.fetch(`${paywall.url}/2`);
    expect(receiptOf(await narrow.fetch(`${paywall.url}/3`))).toMatchObject({ reused: false, paidSats: 10 });
  });
});

describe("single-use credentials", () => {
  test("N parallel calls cost N payments, never more", async () => {
    const { client, paywall, wallet } = await world(numbered(30), { paywall: { credential: "single-use" } });
    const buyer = client({ budgetSats: 300, paymentConcurrency: 7 });
    const responses = await Promise.all(Array.from({ length: 30 }, (_, index) => buyer.fetch(`${paywall.url}/${index}`)));
    expect(responses.map((response) => response.status)).toEqual(Array(30).fill(200));
    expect(wallet.payCalls()).toBe(30);
    expect(paywall.paidSales.every((sale) => sale.delivered === 1)).toBe(true);
    expect(buyer.spendingReport()).toMatchObject({ total: 300, remaining: 0 });
  });

  test("identical calls share a payment, and each follower buys its own when it finds it used up", async () => {
    const { client, paywall } = await world({ "/one": { priceSats: 10, credential: "single-use" } });
    const buyer = client();
    const responses = await Promise.all(Array.from({ length: 3 }, () => buyer.fetch(`${paywall.url}/one`)));
    expect(responses.map((response) => response.status)).toEqual([200, 200, 200]);
    expect(paywall.paidSales).toHaveLength(3);
    expect(paywall.paidSales.every((sale) => sale.delivered === 1)).toBe(true);
  });
});

describe("the queue", () => {
  test("lets at most paymentConcurrency payments be with the wallet", async () => {
    const { client, paywall, wallet, clock } = await world(numbered(12), { paywall: { credential: "single-use" } });
    wallet.hold("before");
    const buyer = client({ paymentConcurrency: 3 });
    const calls = Array.from({ length: 12 }, (_, index) => buyer.fetch(`${paywall.url}/${index}`));
    for (let done = 0; done < 12; done += 3) {
      await clock.settle();
      expect(wallet.held).toBe(3);
      wallet.release();
    }
    await clock.run(Promise.all(calls));
    expect(wallet.payCalls()).toBe(12);
  });

  test("is bounded: beyond maxQueuedPayments a typed error, and nothing held", async () => {
    const { client, paywall, wallet, clock } = await world(numbered(6), { paywall: { credential: "single-use" } });
    wallet.hold("before");
    const buyer = client({ budgetSats: 1_000, maxQueuedPayments: 2 });
    const results = Promise.allSettled(Array.from({ length: 6 }, (_, index) => buyer.fetch(`${paywall.url}/${index}`)));
    await clock.settle();
    const held = (await all(buyer)).filter((payment) => payment.heldSats > 0);
    expect(held).toHaveLength(3);
    wallet.unhold();
    const settled = await results;
    const refused = settled.flatMap((result) => (result.status === "rejected" ? [result.reason as QueueFullError] : []));
    expect(refused).toHaveLength(3);
    for (const error of refused) expect(error).toMatchObject({ name: "QueueFullError", code: "queue_full", paid: "no", retryable: true });
    expect(await buyer.balance()).toMatchObject({ spentSats: 30, heldSats: 0 });
  });

  test("the slot of a hanging wallet comes free after paymentTimeoutMs, and the payment lives on as unknown", async () => {
    const { client, paywall, wallet, clock } = await world(numbered(2), { paywall: { credential: "single-use" } });
    wallet.next("hang");
    const buyer = client({ budgetSats: 100, paymentTimeoutMs: 20_000 });
    const first = failure(buyer.fetch(`${paywall.url}/0`));
    await clock.settle();
    await clock.advance(10_000);
    const second = buyer.fetch(`${paywall.url}/1`);
    await clock.settle();
    await clock.advance(10_000);
    expect(await first).toMatchObject({ code: "payment_unknown", paid: "unknown", retryable: false });
    expect((await second).status).toBe(200);
    expect((await all(buyer)).map((payment) => payment.state)).toEqual(["unknown", "settled"]);
    expect(await buyer.balance()).toMatchObject({ spentSats: 10, heldSats: 20 });
  });

  test("queue_timeout when nothing comes free", async () => {
    const { client, paywall, wallet, clock } = await world(numbered(3), { paywall: { credential: "single-use" } });
    wallet.behave("hang");
    const buyer = client({ budgetSats: 1_000, paymentTimeoutMs: 20_000 });
    const calls = [failure(buyer.fetch(`${paywall.url}/0`)), failure(buyer.fetch(`${paywall.url}/1`)), failure(buyer.fetch(`${paywall.url}/2`))];
    await clock.settle();
    await clock.advance(20_000);
    const codes = (await Promise.all(calls)).map((error) => error["code"]).sort();
    expect(codes).toEqual(["payment_unknown", "queue_timeout", "queue_timeout"]);
    expect((await all(buyer)).filter((payment) => payment.heldSats > 0)).toHaveLength(1);
  });

  test("other origins are not held up by a server that does not answer a paid request", async () => {
    const { client, paywall, clock, wallet } = await world(numbered(3), { paywall: { credential: "single-use" } });
    const answers: (() => void)[] = [];
    const slow: typeof fetch = async (input, init) => {
      const url = String(input instanceof Request ? input.url : input);
      const paid = new Headers(init?.headers).has("authorization");
      if (paid && url.startsWith("https://slow.example")) await new Promise<void>((resolve) => answers.push(resolve));
      return paywall.fetch(input, init);
    };
    const buyer = client({ fetch: slow });
    const stuck = buyer.fetch("https://slow.example/0");
    await clock.settle();
    expect(wallet.payCalls()).toBe(1);
    const sameOrigin = buyer.fetch("https://slow.example/1");
    expect((await buyer.fetch(`${paywall.url}/2`)).status).toBe(200);
    expect(wallet.payCalls()).toBe(2);
    await clock.advance(5_000); // the wait for an answer is bounded
    expect(wallet.payCalls()).toBe(3);
    for (const answer of answers) answer();
    expect((await Promise.all([stuck, sameOrigin])).map((response) => response.status)).toEqual([200, 200]);
  });
});

describe("approval", () => {
  test("sees the exact invoice with the hold taken; only true approves", async () => {
    const { client, paywall } = await world(numbered(6));
    const seen: unknown[] = [];
    for (const [index, answer] of [true, false, "yes", 1, undefined, new Error("no")].entries()) {
      const buyer = client({
        budgetSats: 100,
        approve: async (intent) => {
          seen.push({ ...intent, held: (await buyer.balance()).heldSats });
          if (answer instanceof Error) throw answer;
          return answer as boolean;
        },
      });
      if (answer === true) expect((await buyer.fetch(`${paywall.url}/${index}`)).status).toBe(200);
      else expect(await failure(buyer.fetch(`${paywall.url}/${index}`))).toMatchObject({ code: "approval_denied", paid: "no" });
      expect((await buyer.balance()).heldSats).toBe(0);
    }
    expect(seen[0]).toMatchObject({ url: `${paywall.url}/0`, host: "paywall.example", method: "GET", amountSats: 10, amountMsat: 10_000, maxFeeSats: 10, remainingSats: 80, held: 20, payee: paywall.payee.publicKey });
    expect(paywall.paidSales).toHaveLength(1);
  });

  test("is refused and voided when it is not answered in time", async () => {
    const { client, paywall, clock } = await world(numbered(1));
    const buyer = client({ budgetSats: 100, approve: () => new Promise(() => {}) });
    const error = failure(buyer.fetch(`${paywall.url}/0`));
    await clock.settle();
    await clock.advance(300_000);
    expect(await error).toMatchObject({ code: "approval_timeout", paid: "no" });
    expect((await all(buyer)).map((payment) => payment.state)).toEqual(["voided"]);
  });

  test("asks once for one payment; identical calls share the answer", async () => {
    const { client, paywall } = await world(numbered(1));
    let asked = 0;
    const buyer = client({ approve: () => ((asked += 1), false) });
    const errors = await Promise.all([failure(buyer.fetch(`${paywall.url}/0`)), failure(buyer.fetch(`${paywall.url}/0`))]);
    expect(errors.map((error) => error["code"])).toEqual(["approval_denied", "approval_denied"]);
    expect(asked).toBe(1);
  });

  test("two calls that ask at once: the answers do not cross", async () => {
    const { client, paywall, clock } = await world({ "/good": { priceSats: 20 }, "/evil": { priceSats: 900 } }, { paywall: { credential: "path" } });
    const answers = new Map<string, (approved: boolean) => void>();
    const buyer = client({ credentialScope: "path", approve: (intent) => new Promise((resolve) => answers.set(intent.url, resolve)) });
    const good = buyer.fetch(`${paywall.url}/good`);
    const evil = failure(buyer.fetch(`${paywall.url}/evil`));
    await clock.settle();
    answers.get(`${paywall.url}/good`)?.(true);
    answers.get(`${paywall.url}/evil`)?.(false);
    expect((await good).status).toBe(200);
    expect(await evil).toMatchObject({ code: "approval_denied" });
    expect(paywall.paidSales.map((sale) => sale.path)).toEqual(["/good"]);
  });
});

describe("a caller that leaves while its payment is with the wallet", () => {
  test.each([
    { credential: "service" as const, keys: [undefined, undefined] },
    { credential: "service" as const, keys: ["a", "b"] },
    { credential: "single-use" as const, keys: [undefined, undefined] },
    { credential: "single-use" as const, keys: ["a", "b"] },
  ])("the same request made again meanwhile pays nothing more: $credential, keys $keys", async ({ credential, keys }) => {
    const lightning = createLightning();
    const wallet = lightning.wallet({ balanceSats: 1_000 });
    await using paywall = await createPaywall({ lightning, routes: { "/goods": { priceSats: 10, credential, body: "goods" } } });
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    // How far the second request is when the first payment ends.
    for (let turns = 0; turns < 16; turns += 1) {
      await using buyer = new L402Client({ wallet, network: "regtest", budgetSats: 100, maxFee: { sats: 0 } });
      const before = wallet.payCalls();
      wallet.hold();
      const stop = new AbortController();
      const first = failure(buyer.fetch(`${paywall.url}/goods`, { signal: stop.signal, idempotencyKey: keys[0] }));
      while (wallet.held === 0) await turn();
      stop.abort();
      const second = buyer.fetch(`${paywall.url}/goods`, { idempotencyKey: keys[1] });
      for (let past = 0; past < turns; past += 1) await turn();
      wallet.unhold();
      expect(await first).toMatchObject({ paid: "unknown" });
      const response = await second;
      expect([response.status, await response.text()], `after ${turns} turns`).toEqual([200, "goods"]);
      expect(wallet.payCalls() - before, `after ${turns} turns`).toBe(1);
      expect(await buyer.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
      // The key of the second request is the purchase's as well.
      if (credential === "service" && keys[1] !== undefined) expect((await buyer.fetch(`${paywall.url}/goods`, { idempotencyKey: keys[1] })).status).toBe(200);
      expect(wallet.payCalls() - before).toBe(1);
    }
    expect(lightning.doublePayments()).toEqual([]);
  });

  test("and gets it also when the store cannot note the key of the second request any more", async () => {
    const { client, paywall, wallet, clock } = await world({ "/goods": { priceSats: 10, credential: "single-use", body: "goods" } });
    const store = memoryStore({ clock });
    let asked = 0;
    const buyer = client({ store: { ...store, link: () => ((asked += 1), Promise.reject(new Error("no answer"))) }, budgetSats: 100 });
    wallet.hold();
    const stop = new AbortController();
    const first = failure(buyer.fetch(`${paywall.url}/goods`, { signal: stop.signal }));
    await clock.settle();
    const second = buyer.fetch(`${paywall.url}/goods`, { idempotencyKey: "b" });
    await clock.settle();
    stop.abort();
    expect(await first).toMatchObject({ paid: "unknown" });
    wallet.unhold();
    expect(await (await clock.run(second)).text()).toBe("goods");
    expect(asked).toBe(1);
    expect(wallet.payCalls()).toBe(1);
  });

  test("but a server that refuses what was bought is not paid over", async () => {
    const { client, paywall, wallet, clock } = await world({ "/goods": { priceSats: 10, misbehave: "reject-after-payment" } });
    const buyer = client({ budgetSats: 100 });
    wallet.hold();
    const stop = new AbortController();
    const first = failure(buyer.fetch(`${paywall.url}/goods`, { signal: stop.signal }));
    await clock.settle();
    const second = failure(buyer.fetch(`${paywall.url}/goods`));
    await clock.settle();
    stop.abort();
    expect(await first).toMatchObject({ paid: "unknown" });
    wallet.unhold();
    expect(await clock.run(second)).toMatchObject({ code: "credential_rejected", paid: "yes" });
    expect(wallet.payCalls()).toBe(1);
    expect(await buyer.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
  });
});
