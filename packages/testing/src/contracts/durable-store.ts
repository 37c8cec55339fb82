import assert from "node:assert/strict";
import type { Clock, LimitRule, Store } from "@l402-tools/core";
import { createTestClock } from "../clock.ts";
import type { ContractCase } from "./case.ts";
import { assertUsage, fixtureOf, HOUR, listOf, preimageFor, type StoreFixture } from "./store-fixture.ts";

/** Opens the store at `location`: the same location is the same store, also when it is open more than once. */
export type OpenStore = (options: { clock: Clock; location: string }) => Promise<Store>;

const ALL: LimitRule = { scope: "default" };
let locations = 0;

function durableCase(name: string, body: (open: () => Promise<StoreFixture>) => Promise<void>): ContractCase<OpenStore> {
  return {
    name,
    async run(make) {
      const clock = createTestClock();
      const location = `contract-${(locations += 1)}`;
      const stores: Store[] = [];
      try {
        await body(async () => {
          const store = await make({ clock, location });
          stores.push(store);
          return fixtureOf(store, clock);
        });
      } finally {
        for (const store of stores) await store.close();
      }
    },
  };
}

/** What a store adds that keeps its data: over restarts, and between processes that share it. */
export const durableStoreContract: readonly ContractCase<OpenStore>[] = [
  durableCase("everything is there after it was closed and opened", async (open) => {
    const first = await open();
    const bought = await first.buy({ url: "https://api.example.com/a", fee: 100n, paidFee: 7n, idempotencyKey: "key", callKey: "call" });
    const accepted = await first.buy({ url: "https://api.example.com/b" });
    await first.store.accepted(accepted);
    await first.store.refused(accepted, { method: "GET", path: "/d" });
    const waiting = await first.reserve({ requestKey: "waiting", label: "child", scopes: ["default", "default/child"] });
    const unknown = await first.send();
    await first.store.unknown(unknown.hash, 1, { resolution: "timeout", walletRef: "ref" });
    await first.store.link("default", "key-2", "call-2", bought);
    const rows = await listOf(first.store.payments("default"));
    const counted = await first.usage(ALL);
    await first.store.close();

    const second = await open();
    assert.deepEqual(await listOf(second.store.payments("default")), rows);
    assertUsage(await second.usage(ALL), counted);
    assertUsage(await second.usage({ scope: "default/child" }), { heldMsat: 10_000n, heldPayments: 1 });
    assert.equal((await second.reserve({ idempotencyKey: "key" })).status, "purchase");
    assert.equal((await second.store.purchase("default", { idempotencyKey: "key-2" }))?.callKey, "call-2");
    assert.equal((await second.reserve({ requestKey: "waiting" })).status, "purchase");
    const query = { budgetId: "default", origin: "https://api.example.com", method: "GET" };
    assert.equal((await second.store.credential({ ...query, path: "/a", anyPath: false }))?.preimage, preimageFor(bought));
    assert.equal((await second.store.credential({ ...query, path: "/c", anyPath: true }))?.paymentHash, accepted);
    assert.equal(await second.store.credential({ ...query, path: "/d", anyPath: true }), undefined);
    assert.ok((await second.store.dispatch(waiting.hash, "owner-1", Number.MAX_SAFE_INTEGER)) !== null);
    assert.equal((await second.store.settle(unknown.hash, { preimage: preimageFor(unknown.hash), feeMsat: 0n, resolution: "looked up" })).status, "settled");
  }),

  durableCase("a pause outlives a restart", async (open) => {
    const first = await open();
    const { hash } = await first.send();
    assert.equal((await first.store.settle(hash, { preimage: null, feeMsat: 1n, resolution: "paid" })).status, "overrun");
    const why = await first.store.paused("default");
    await first.store.close();
    const second = await open();
    assert.equal(await second.store.paused("default"), why);
    assert.equal((await second.reserve()).status, "paused");
    await second.store.resume("default", "looked into");
    await second.store.close();
    assert.equal((await (await open()).reserve()).status, "reserved");
  }),

  durableCase("time does not run backwards over a restart", async (open) => {
    const rule = { ...ALL, windowMs: HOUR };
    const first = await open();
    await first.buy();
    await first.store.close();
    first.clock.set(first.clock.now() - 10 * HOUR);
    assertUsage(await (await open()).usage(rule), { spentMsat: 10_000n, payments: 1 });
  }),

  durableCase("opened twice: together they stay within the limit", async (open) => {
    const both = [await open(), await open()];
    const limits = [{ ...ALL, maxMsat: 100_000n }];
    const results = await Promise.all(Array.from({ length: 40 }, (_, i) => (both[i % 2] as StoreFixture).reserve({ limits })));
    assert.equal(results.filter((result) => result.status === "reserved").length, 10);
    for (const one of both) assertUsage(await one.usage(ALL), { heldMsat: 100_000n, heldPayments: 10 });
  }),

  durableCase("opened twice: one dispatches, one claims, one settles, one purchase is made", async (open) => {
    const [one, two] = [await open(), await open()] as const;
    const { hash } = await one.reserve();
    const dispatched = await Promise.all([one, two].map(({ store }) => store.dispatch(hash, "owner-1", Number.MAX_SAFE_INTEGER)));
    assert.equal(dispatched.filter((result) => result !== null).length, 1);
    const proof = { preimage: preimageFor(hash), feeMsat: 0n, resolution: "paid" };
    const settled = await Promise.all([one, two].map(({ store }) => store.settle(hash, proof)));
    assert.deepEqual(settled.map((result) => result.status).sort(), ["already", "settled"]);
    // Two processes that look the same payment up.
    const left = await one.send({ leaseUntil: 5 });
    const claims = await Promise.all([one, two].map(async ({ store }, heir) => store.claim?.(left.hash, { owner: "owner-1", leaseUntil: 5 }, { owner: `heir-${heir}`, leaseUntil: 9 })));
    if (one.store.claim !== undefined) assert.equal(claims.filter((claimed) => claimed === true).length, 1);
    const found = { preimage: preimageFor(left.hash), feeMsat: 0n, resolution: "looked up" };
    const booked = await Promise.all([one, two].map(({ store }) => store.settle(left.hash, found)));
    assert.deepEqual(booked.map((result) => result.status).sort(), ["already", "settled"]);
    for (const { store, usage } of [one, two]) {
      assert.equal(await store.fail(left.hash, left.attempt, "looked up late"), false);
      assertUsage(await usage(ALL), { spentMsat: 20_000n, payments: 2 });
    }
    const bought = await Promise.all([one, two, one, two].map((fixture) => fixture.reserve({ idempotencyKey: "key" })));
    assert.equal(bought.filter((result) => result.status === "reserved").length, 1);
    assert.equal(bought.filter((result) => result.status === "purchase").length, 3);
  }),
];
