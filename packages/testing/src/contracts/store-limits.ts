import assert from "node:assert/strict";
import type { LimitRule } from "@l402-tools/core";
import type { ContractCase } from "./case.ts";
import { createRandom } from "./random.ts";
import { assertUsage, HOUR, listOf, preimageFor, storeCase, type MakeStore } from "./store-fixture.ts";

const ALL: LimitRule = { scope: "default" };
const LAST_HOUR: LimitRule = { scope: "default", windowMs: HOUR };

export const limitCases: readonly ContractCase<MakeStore>[] = [
  storeCase("windows: what was settled at t counts while t > now - window", async ({ clock, reserve, buy, usage }) => {
    const limits = [{ ...LAST_HOUR, maxMsat: 100_000n }];
    await buy({ amount: 60_000n, limits });
    await clock.advance(HOUR / 2);
    await buy({ amount: 40_000n, limits });
    await clock.advance(HOUR / 2 - 1);
    assertUsage(await usage(LAST_HOUR), { spentMsat: 100_000n, payments: 2 });
    assert.equal((await reserve({ amount: 1n, limits })).status, "over_limit");
    await clock.advance(1);
    assertUsage(await usage(LAST_HOUR), { spentMsat: 40_000n, payments: 1 });
    assert.equal((await reserve({ amount: 60_001n, limits })).status, "over_limit");
    assert.equal((await reserve({ amount: 60_000n, limits })).status, "reserved");
    assertUsage(await usage(ALL), { spentMsat: 100_000n, payments: 2, heldMsat: 60_000n, heldPayments: 1 });
  }),

  storeCase("windows: by the time of settlement; holds count whatever their age", async ({ store, clock, send, usage }) => {
    const { hash } = await send({ amount: 10_000n, fee: 10n });
    await clock.advance(5 * HOUR);
    assertUsage(await usage(LAST_HOUR), { heldMsat: 10_010n, heldPayments: 1 });
    await store.settle(hash, { preimage: null, feeMsat: 0n, resolution: "paid" });
    await clock.advance(HOUR - 1);
    assertUsage(await usage(LAST_HOUR), { spentMsat: 10_000n, payments: 1 });
    await clock.advance(1);
    assertUsage(await usage(LAST_HOUR), {});
  }),

  storeCase("windows: counts of payments roll too", async ({ clock, reserve, buy }) => {
    const limits = [{ ...LAST_HOUR, maxPayments: 2 }];
    await buy({ limits });
    await clock.advance(10);
    await buy({ limits });
    assert.equal((await reserve({ limits })).status, "over_limit");
    await clock.advance(HOUR - 10);
    assert.equal((await reserve({ limits })).status, "reserved");
    assert.equal((await reserve({ limits })).status, "over_limit");
  }),

  storeCase("windows: over no interval of that length is more than the limit spent", async ({ store, clock, reserve }) => {
    const random = createRandom(402);
    const max = 50_000n;
    const limits = [{ ...LAST_HOUR, maxMsat: max }];
    const open: string[] = [];
    const settled: { at: number; msat: bigint }[] = [];
    for (let step = 0; step < 120; step += 1) {
      await clock.advance(random.below(HOUR / 6));
      const amount = BigInt(1_000 + random.below(15_000));
      const result = await reserve({ amount, fee: 100n, minFee: 0n, limits });
      if (result.status === "reserved") open.push(result.hash);
      while (open.length > 0 && random.below(3) > 0) {
        const hash = open.splice(random.below(open.length), 1)[0] as string;
        const payment = await store.payment(hash);
        assert.ok(payment !== undefined);
        await store.settle(hash, { preimage: null, feeMsat: payment.maxFeeMsat, resolution: "paid" });
        settled.push({ at: clock.now(), msat: payment.amountMsat + payment.maxFeeMsat });
      }
    }
    assert.ok(settled.length > 20, "there is something to look at");
    for (const end of settled) {
      const sum = settled.filter(({ at }) => at <= end.at && at > end.at - HOUR).reduce((total, { msat }) => total + msat, 0n);
      assert.ok(sum <= max, `${sum} msat within an hour`);
    }
  }),

  storeCase("windows: a clock that runs backwards frees nothing", async ({ store, clock, reserve, buy, usage }) => {
    const limits = [{ ...LAST_HOUR, maxMsat: 10_000n }];
    const first = await buy({ limits });
    const at = clock.now();
    clock.set(at - 10 * HOUR);
    assertUsage(await usage(LAST_HOUR), { spentMsat: 10_000n, payments: 1 });
    assert.equal((await reserve({ amount: 1n, limits })).status, "over_limit");
    const second = await reserve();
    const row = await store.payment(second.hash);
    assert.ok(row !== undefined && row.reservedAt >= at, "its time does not run backwards");
    // An invoice lives by the clock: a clock that was ahead and is set right must not stop every purchase until then.
    assert.equal(await store.dispatch(second.hash, "owner-1", clock.now() - 1), null);
    assert.notEqual(await store.dispatch(second.hash, "owner-1", at - 1), null, "the ledger's time is not the invoice's");
    assert.deepEqual((await listOf(store.payments("default"))).map((payment) => payment.paymentHash), [first, second.hash]);
    clock.set(at + HOUR);
    assertUsage(await usage(LAST_HOUR), { heldMsat: 10_000n, heldPayments: 1 });
  }),

  storeCase("domains: a host name matches exactly", async ({ buy, usage }) => {
    for (const host of ["example.com", "api.example.com", "example.com.evil.net"]) await buy({ url: `https://${host}/`, amount: 1_000n });
    assertUsage(await usage({ ...ALL, domain: "example.com" }), { spentMsat: 1_000n, payments: 1 });
    assertUsage(await usage({ ...ALL, domain: "com" }), {});
  }),

  storeCase("domains: *.example.com is one pot for every host below it, and not itself", async ({ reserve, buy, usage }) => {
    for (const host of ["example.com", "a.example.com", "b.example.com", "x.a.example.com", "badexample.com", "a.example.com.evil.net"]) {
      await buy({ url: `https://${host}/`, amount: 1_000n });
    }
    const rule: LimitRule = { ...ALL, domain: "*.example.com" };
    assertUsage(await usage(rule), { spentMsat: 3_000n, payments: 3 });
    assertUsage(await usage({ ...ALL, domain: "*.a.example.com" }), { spentMsat: 1_000n, payments: 1 });
    const limits = [{ ...rule, maxMsat: 4_000n }];
    assert.equal((await reserve({ url: "https://c.example.com/", amount: 1_001n, limits })).status, "over_limit");
    assert.equal((await reserve({ url: "https://c.example.com/", amount: 1_000n, limits })).status, "reserved");
    assert.equal((await reserve({ url: "https://example.com/", amount: 1_000n, limits })).status, "reserved");
  }),

  storeCase("domains: nothing in a host or scope is a pattern", async ({ buy, usage }) => {
    await buy({ url: "https://x.aab.com/", amount: 1_000n, scopes: ["default", "default/axb"] });
    await buy({ url: "https://x.a_b.com/", amount: 2_000n, scopes: ["default", "default/a_b"] });
    assertUsage(await usage({ ...ALL, domain: "*.a_b.com" }), { spentMsat: 2_000n, payments: 1 });
    assertUsage(await usage({ ...ALL, domain: "x.a_b.com" }), { spentMsat: 2_000n, payments: 1 });
    assertUsage(await usage({ ...ALL, domain: "*.%.com" }), {});
    assertUsage(await usage({ scope: "default/a_b" }), { spentMsat: 2_000n, payments: 1 });
    assertUsage(await usage({ scope: "default/%" }), {});
  }),

  storeCase("scopes: a child's payments count in its parent, not in its siblings", async ({ reserve, buy, usage }) => {
    const limits: LimitRule[] = [
      { scope: "default", maxMsat: 25_000n },
      { scope: "default/a", maxMsat: 10_000n },
    ];
    const child = { scopes: ["default", "default/a"], limits };
    await buy({ ...child, amount: 10_000n });
    assert.equal((await reserve({ ...child, amount: 1n })).status, "over_limit");
    const sibling = { scopes: ["default", "default/ab"], limits: [limits[0] as LimitRule, { scope: "default/ab", maxMsat: 100_000n }] };
    assert.equal((await reserve({ ...sibling, amount: 15_001n })).status, "over_limit");
    assert.equal((await reserve({ ...sibling, amount: 15_000n })).status, "reserved");
    assertUsage(await usage({ scope: "default" }), { spentMsat: 10_000n, payments: 1, heldMsat: 15_000n, heldPayments: 1 });
    assertUsage(await usage({ scope: "default/a" }), { spentMsat: 10_000n, payments: 1 });
    assertUsage(await usage({ scope: "default/ab" }), { heldMsat: 15_000n, heldPayments: 1 });
  }),

  storeCase("usage: answers rule by rule, in order", async ({ store, buy, reserve }) => {
    await buy({ url: "https://a.example.com/", amount: 1_000n });
    await reserve({ url: "https://b.example.com/", amount: 2_000n });
    const answers = await store.usage([{ ...ALL, domain: "b.example.com" }, ALL, { scope: "nobody" }, { ...ALL, domain: "a.example.com" }]);
    assert.equal(answers.length, 4);
    assertUsage(answers[0] as never, { heldMsat: 2_000n, heldPayments: 1 });
    assertUsage(answers[1] as never, { spentMsat: 1_000n, payments: 1, heldMsat: 2_000n, heldPayments: 1 });
    assertUsage(answers[2] as never, {});
    assertUsage(answers[3] as never, { spentMsat: 1_000n, payments: 1 });
    assert.deepEqual(await store.usage([]), []);
  }),

  storeCase("hosts: lifetime usage, host by host, safe for any name", async ({ store, clock, buy, reserve }) => {
    await buy({ url: "https://a.example.com/", amount: 1_000n, scopes: ["default", "default/a"] });
    await buy({ url: "https://a.example.com/2", amount: 2_000n });
    await reserve({ url: "https://x.com/", host: "__proto__", amount: 3_000n });
    await clock.advance(1_000 * HOUR);
    const hosts = await store.hosts("default");
    assert.deepEqual([...hosts.keys()].sort(), ["__proto__", "a.example.com"]);
    assertUsage(hosts.get("a.example.com") as never, { spentMsat: 3_000n, payments: 2 });
    assertUsage(hosts.get("__proto__") as never, { heldMsat: 3_000n, heldPayments: 1 });
    assert.deepEqual([...(await store.hosts("default/a")).keys()], ["a.example.com"]);
    assert.equal((await store.hosts("nobody")).size, 0);
  }),

  storeCase("hosts: one whose payments all came to nothing counts nothing", async ({ store, reserve }) => {
    const { hash } = await reserve({ url: "https://gone.example.com/" });
    await store.void(hash, "left");
    const usage = (await store.hosts("default")).get("gone.example.com");
    if (usage !== undefined) assertUsage(usage, {});
  }),

  storeCase("any order of operations: the counters are the sum of the rows, and within the limit", async ({ store, clock, reserve, usage }) => {
    const random = createRandom(7);
    const max = 80_000n;
    const limits: LimitRule[] = [{ ...ALL, maxMsat: max }, { ...ALL, domain: "*.example.com", maxMsat: 60_000n }];
    const hashes: string[] = [];
    for (let step = 0; step < 150; step += 1) {
      await clock.advance(random.below(1_000));
      const hash = random.pick(hashes.length === 0 ? ["00".repeat(32)] : hashes);
      const attempt = (await store.payment(hash))?.attempt ?? 0;
      const work = [
        async () => {
          const url = random.pick(["https://a.example.com/", "https://b.example.com/", "https://other.net/"]);
          const again = random.below(4) === 0 && hashes.length > 0 ? { paymentHash: random.pick(hashes) } : {};
          const old = again.paymentHash === undefined ? undefined : await store.payment(again.paymentHash);
          const amount = old?.amountMsat ?? BigInt(1 + random.below(20_000));
          const result = await reserve({ ...again, url: old?.url ?? url, amount, fee: BigInt(random.below(500)), minFee: 0n, limits });
          if (result.status === "reserved" && again.paymentHash === undefined) hashes.push(result.hash);
        },
        () => store.dispatch(hash, "owner-1", Number.MAX_SAFE_INTEGER),
        () => store.unknown(hash, attempt, { resolution: "timeout" }),
        () => store.fail(hash, attempt, "no route"),
        () => store.void(hash, "left"),
        async () => {
          const row = await store.payment(hash);
          // Only from where it cannot be late; that is another case.
          if (row?.state === "sending" || row?.state === "unknown") await store.settle(hash, { preimage: preimageFor(hash) ?? null, feeMsat: row.maxFeeMsat, resolution: "paid" });
        },
      ];
      await Promise.all([random.pick(work)(), random.pick(work)()]);
      if (step % 10 !== 9) continue;
      const rows = await listOf(store.payments("default"));
      const settled = rows.filter((row) => row.state === "settled");
      const held = rows.filter((row) => row.state === "reserved" || row.state === "sending" || row.state === "unknown");
      const counted = await usage(ALL);
      assertUsage(counted, {
        spentMsat: settled.reduce((sum, row) => sum + row.amountMsat + row.feeMsat, 0n),
        payments: settled.length,
        heldMsat: held.reduce((sum, row) => sum + row.amountMsat + row.maxFeeMsat, 0n),
        heldPayments: held.length,
      });
      assert.ok(counted.spentMsat + counted.heldMsat <= max);
      const below = await usage(limits[1] as LimitRule);
      assert.ok(below.spentMsat + below.heldMsat <= 60_000n);
      assert.equal(await store.paused("default"), null);
    }
  }),
];
