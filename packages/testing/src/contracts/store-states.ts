import assert from "node:assert/strict";
import { isL402Error, type LimitRule } from "@l402-tools/core";
import type { ContractCase } from "./case.ts";
import { assertUsage, listOf, preimageFor, storeCase, type MakeStore } from "./store-fixture.ts";

const ALL: LimitRule = { scope: "default" };
const LATER = Number.MAX_SAFE_INTEGER;

export const stateCases: readonly ContractCase<MakeStore>[] = [
  storeCase("dispatch: only the owner, only once", async ({ store, clock, reserve, payment, usage }) => {
    const { hash } = await reserve({ fee: 5n });
    assert.equal(await store.dispatch(hash, "owner-2", LATER), null);
    assert.equal((await payment(hash)).state, "reserved");
    await clock.advance(10);
    const at = clock.now();
    assert.deepEqual({ ...(await store.dispatch(hash, "owner-1", LATER)) }, { attempt: 1 });
    await clock.advance(10);
    assert.equal(await store.dispatch(hash, "owner-1", LATER), null);
    const row = await payment(hash);
    assert.equal(row.state, "sending");
    assert.equal(row.attempt, 1);
    assert.equal(row.dispatchedAt, at);
    assertUsage(await usage(ALL), { heldMsat: 10_005n, heldPayments: 1 });
    assert.equal(await store.dispatch("00".repeat(32), "owner-1", LATER), null);
  }),

  storeCase("dispatch: not after its time", async ({ store, clock, reserve, payment }) => {
    const early = await reserve();
    const late = await reserve();
    const deadline = clock.now() + 1_000;
    await clock.advance(1_000);
    assert.ok((await store.dispatch(early.hash, "owner-1", deadline)) !== null, "at the deadline it may still go");
    await clock.advance(1);
    assert.equal(await store.dispatch(late.hash, "owner-1", deadline), null);
    assert.equal((await payment(late.hash)).state, "reserved");
  }),

  storeCase("dispatch and void at once: exactly one wins", async ({ store, reserve, payment, usage }) => {
    for (let round = 0; round < 10; round += 1) {
      const { hash } = await reserve();
      const ask = [() => store.dispatch(hash, "owner-1", LATER).then((won) => won !== null), () => store.void(hash, "left")];
      if (round % 2 === 1) ask.reverse();
      const won = await Promise.all(ask.map((one) => one()));
      assert.equal(won.filter(Boolean).length, 1);
      const { state } = await payment(hash);
      assert.ok(state === "sending" || state === "voided");
      if (state === "sending") await store.fail(hash, 1, "no route");
    }
    assertUsage(await usage(ALL), {});
  }),

  storeCase("dispatch: of many at once, one wins", async ({ store, reserve }) => {
    const { hash } = await reserve();
    const results = await Promise.all(Array.from({ length: 10 }, () => store.dispatch(hash, "owner-1", LATER)));
    assert.equal(results.filter((result) => result !== null).length, 1);
  }),

  storeCase("settle: books amount and fee, keeps the proof, releases the hold", async ({ store, clock, send, payment, usage }) => {
    const { hash } = await send({ amount: 10_000n, fee: 500n });
    await clock.advance(5);
    assert.deepEqual({ ...(await store.settle(hash, { preimage: preimageFor(hash), feeMsat: 499n, resolution: "answer" })) }, { status: "settled" });
    const row = await payment(hash);
    assert.equal(row.state, "settled");
    assert.equal(row.preimage, preimageFor(hash));
    assert.equal(row.feeMsat, 499n);
    assert.equal(row.resolution, "answer");
    assert.equal(row.resolvedAt, clock.now());
    assertUsage(await usage(ALL), { spentMsat: 10_499n, payments: 1 });
  }),

  storeCase("settle: once; whatever comes later changes nothing", async ({ store, buy, payment, usage }) => {
    const hash = await buy({ fee: 500n, paidFee: 100n });
    const before = await payment(hash);
    assert.equal((await store.settle(hash, { preimage: "11".repeat(32), feeMsat: 400n, resolution: "again" })).status, "already");
    assert.equal(await store.fail(hash, 1, "no"), false);
    assert.equal(await store.unknown(hash, 1, { resolution: "no" }), false);
    assert.equal(await store.void(hash, "no"), false);
    assert.equal(await store.dispatch(hash, "owner-1", LATER), null);
    assert.deepEqual(await payment(hash), before);
    assertUsage(await usage(ALL), { spentMsat: 10_100n, payments: 1 });
    assert.equal((await store.settle("00".repeat(32), { preimage: null, feeMsat: 0n, resolution: "?" })).status, "missing");
  }),

  storeCase("settle: of many at once, one books", async ({ store, send, usage }) => {
    const { hash } = await send();
    const results = await Promise.all(Array.from({ length: 10 }, () => store.settle(hash, { preimage: preimageFor(hash), feeMsat: 0n, resolution: "paid" })));
    assert.equal(results.filter((result) => result.status === "settled").length, 1);
    assert.equal(results.filter((result) => result.status === "already").length, 9);
    assertUsage(await usage(ALL), { spentMsat: 10_000n, payments: 1 });
  }),

  storeCase("settle: from reserved, sending and unknown", async ({ store, reserve, send, usage }) => {
    const reserved = await reserve();
    const sending = await send();
    const unknown = await send();
    await store.unknown(unknown.hash, unknown.attempt, { resolution: "timeout" });
    for (const hash of [reserved.hash, sending.hash, unknown.hash]) {
      assert.equal((await store.settle(hash, { preimage: preimageFor(hash), feeMsat: 0n, resolution: "looked up" })).status, "settled");
    }
    assertUsage(await usage(ALL), { spentMsat: 30_000n, payments: 3 });
    assert.equal(await store.paused("default"), null);
  }),

  storeCase("settle: late proof is booked, and pauses the budget", async ({ store, reserve, send, payment, usage }) => {
    const failed = await send({ fee: 10n });
    await store.fail(failed.hash, failed.attempt, "no route");
    assert.equal((await store.settle(failed.hash, { preimage: preimageFor(failed.hash), feeMsat: 3n, resolution: "paid after all" })).status, "late");
    assert.equal((await payment(failed.hash)).state, "settled");
    assert.equal((await payment(failed.hash)).preimage, preimageFor(failed.hash));
    assertUsage(await usage(ALL), { spentMsat: 10_003n, payments: 1 });
    assert.equal(typeof (await store.paused("default")), "string");
    assert.equal((await reserve()).status, "paused");
    await store.resume("default", "looked into");

    const voided = await reserve();
    await store.void(voided.hash, "left");
    assert.equal((await store.settle(voided.hash, { preimage: null, feeMsat: 0n, resolution: "paid after all" })).status, "late");
    assertUsage(await usage(ALL), { spentMsat: 20_003n, payments: 2 });
    assert.equal((await reserve()).status, "paused");
  }),

  storeCase("settle: an overrun is booked past the limit, and pauses the budget until resume", async ({ store, reserve, send, payment, usage }) => {
    const waiting = await reserve();
    const limits = [{ ...ALL, maxMsat: 30_000n }];
    const exact = await send({ amount: 5_000n, fee: 10n });
    assert.equal((await store.settle(exact.hash, { preimage: null, feeMsat: 10n, resolution: "paid" })).status, "settled");
    const { hash } = await send({ amount: 10_000n, fee: 10n, limits });
    assert.equal((await store.settle(hash, { preimage: preimageFor(hash), feeMsat: 60_000n, resolution: "paid" })).status, "overrun");
    assert.equal((await payment(hash)).feeMsat, 60_000n);
    assertUsage(await usage(ALL), { spentMsat: 75_010n, payments: 2, heldMsat: 10_000n, heldPayments: 1 });
    assert.ok((await store.paused("default")) !== null);
    assert.equal(await store.paused("other"), null);
    assert.equal(await store.dispatch(waiting.hash, "owner-1", LATER), null);
    assert.equal((await reserve()).status, "paused");
    assert.equal((await reserve({ budgetId: "other" })).status, "reserved");
    await store.resume("default", "the fee was looked into");
    assert.equal(await store.paused("default"), null);
    assert.ok((await store.dispatch(waiting.hash, "owner-1", LATER)) !== null);
    assert.equal((await reserve({ limits })).status, "over_limit");
  }),

  storeCase("settle: a child's overrun pauses its budget", async ({ store, reserve, send }) => {
    const { hash } = await send({ scopes: ["default", "default/a"], fee: 0n });
    assert.equal((await store.settle(hash, { preimage: null, feeMsat: 1n, resolution: "paid" })).status, "overrun");
    assert.equal((await reserve({ scopes: ["default", "default/b"] })).status, "paused");
  }),

  storeCase("fail: exactly this attempt, from sending or unknown; releases the hold", async ({ store, clock, reserve, send, payment, usage }) => {
    const reserved = await reserve({ amount: 1n });
    assert.equal(await store.fail(reserved.hash, 0, "no"), false);
    assert.equal(await store.fail(reserved.hash, 1, "no"), false);
    const { hash } = await send();
    assert.equal(await store.fail(hash, 2, "no"), false);
    assert.equal(await store.fail(hash, 0, "no"), false);
    await clock.advance(7);
    assert.equal(await store.fail(hash, 1, "no route"), true);
    assert.equal(await store.fail(hash, 1, "no route"), false);
    const row = await payment(hash);
    assert.equal(row.state, "failed");
    assert.equal(row.resolution, "no route");
    assert.equal(row.resolvedAt, clock.now());
    const second = await send();
    await store.unknown(second.hash, 1, { resolution: "timeout" });
    assert.equal(await store.fail(second.hash, 1, "looked up"), true);
    assertUsage(await usage(ALL), { heldMsat: 1n, heldPayments: 1 });
    assert.equal(await store.fail("00".repeat(32), 1, "?"), false);
  }),

  storeCase("fail: a stale answer does not release the next attempt's hold", async ({ store, send, payment, usage }) => {
    const first = await send();
    await store.fail(first.hash, 1, "no route");
    const second = await send({ paymentHash: first.hash });
    assert.equal(await store.fail(first.hash, first.attempt, "an old answer"), false);
    assert.equal(await store.unknown(first.hash, first.attempt, { resolution: "an old answer" }), false);
    assert.equal((await payment(first.hash)).state, "sending");
    assertUsage(await usage(ALL), { heldMsat: 10_000n, heldPayments: 1 });
    assert.equal(await store.fail(first.hash, second.attempt, "no route"), true);
  }),

  storeCase("unknown: exactly this attempt, from sending; keeps the hold and the wallet's reference", async ({ store, reserve, send, payment, usage }) => {
    const reserved = await reserve({ amount: 1n });
    assert.equal(await store.unknown(reserved.hash, 0, { resolution: "no" }), false);
    const { hash } = await send({ fee: 9n });
    assert.equal(await store.unknown(hash, 2, { resolution: "no" }), false);
    assert.equal(await store.unknown(hash, 1, { resolution: "timeout", walletRef: "ref-1" }), true);
    const row = await payment(hash);
    assert.equal(row.state, "unknown");
    assert.equal(row.walletRef, "ref-1");
    assert.equal(row.resolution, "timeout");
    assert.equal(row.resolvedAt, undefined);
    assertUsage(await usage(ALL), { heldMsat: 10_010n, heldPayments: 2 });
    assert.equal(await store.void(hash, "no"), false);
    assert.equal(await store.dispatch(hash, "owner-1", LATER), null);
  }),

  storeCase("void: only what was never sent; with an owner, only its own", async ({ store, reserve, send, payment, usage }) => {
    const { hash } = await reserve({ fee: 9n });
    assert.equal(await store.void(hash, "no", "owner-2"), false);
    assert.equal(await store.void(hash, "left", "owner-1"), true);
    assert.equal(await store.void(hash, "left"), false);
    const row = await payment(hash);
    assert.equal(row.state, "voided");
    assert.equal(row.resolution, "left");
    assertUsage(await usage(ALL), {});
    const orphan = await reserve();
    assert.equal(await store.void(orphan.hash, "lease ran out"), true);
    const sent = await send();
    assert.equal(await store.void(sent.hash, "no"), false);
    assert.equal(await store.void("00".repeat(32), "?"), false);
    assertUsage(await usage(ALL), { heldMsat: 10_000n, heldPayments: 1 });
  }),

  storeCase("fail and settle at once: the money is never lost from the books", async ({ store, send, payment, usage }) => {
    for (let round = 0; round < 6; round += 1) {
      const { hash } = await send();
      const work = [() => store.fail(hash, 1, "no route"), () => store.settle(hash, { preimage: preimageFor(hash), feeMsat: 0n, resolution: "paid" })];
      if (round % 2 === 1) work.reverse();
      await Promise.all(work.map((one) => one()));
      assert.equal((await payment(hash)).state, "settled");
      await store.resume("default", "a late proof");
    }
    assertUsage(await usage(ALL), { spentMsat: 60_000n, payments: 6 });
  }),

  storeCase("claim: from exactly this owner and lease, while it is unresolved; of many at once, one gets it", async ({ store, reserve, send, payment, usage }) => {
    const claim = store.claim?.bind(store);
    if (claim === undefined) return; // without it, leases alone decide
    const { hash } = await send({ leaseUntil: 5 });
    const from = { owner: "owner-1", leaseUntil: 5 };
    assert.equal(await claim(hash, { ...from, owner: "owner-2" }, { owner: "heir", leaseUntil: 9 }), false);
    assert.equal(await claim(hash, { ...from, leaseUntil: 6 }, { owner: "heir", leaseUntil: 9 }), false);
    const before = await payment(hash);
    const claims = await Promise.all(Array.from({ length: 10 }, (_, heir) => claim(hash, from, { owner: `heir-${heir}`, leaseUntil: 9 })));
    assert.equal(claims.filter(Boolean).length, 1);
    const owner = `heir-${claims.indexOf(true)}`;
    assert.deepEqual(await payment(hash), { ...before, owner, leaseUntil: 9 });
    assertUsage(await usage(ALL), { heldMsat: 10_000n, heldPayments: 1 });

    // Whoever was before may still come with an answer of the wallet; then there is nothing to claim any more.
    assert.equal((await store.settle(hash, { preimage: preimageFor(hash), feeMsat: 0n, resolution: "the wallet's answer" })).status, "settled");
    assert.equal(await claim(hash, { owner, leaseUntil: 9 }, { owner: "late", leaseUntil: 20 }), false);
    assert.equal((await payment(hash)).owner, owner);
    assert.equal(await claim("00".repeat(32), from, { owner: "heir", leaseUntil: 9 }), false);

    // A reservation that was claimed is dispatched by its new owner only.
    const waiting = await reserve({ leaseUntil: 5 });
    assert.equal(await claim(waiting.hash, from, { owner: "heir", leaseUntil: 9 }), true);
    assert.equal(await store.dispatch(waiting.hash, "owner-1", LATER), null);
    assert.equal(await store.void(waiting.hash, "left", "owner-1"), false);
    assert.ok((await store.dispatch(waiting.hash, "heir", LATER)) !== null);
  }),

  storeCase("several look-ups at once, and the wallet's own answer: a payment is booked once, and nothing takes it back", async ({ store, send, payment, usage }) => {
    for (const noted of [false, true]) {
      const { hash, attempt } = await send({ amount: 10_000n, fee: 5n });
      if (noted) await store.unknown(hash, attempt, { resolution: "timeout" });
      const proof = { preimage: preimageFor(hash), feeMsat: 5n, resolution: "looked up" };
      const [first, , second, third] = await Promise.all([
        store.settle(hash, proof),
        store.unknown(hash, attempt, { resolution: "no answer in time" }),
        store.settle(hash, proof),
        store.settle(hash, { ...proof, feeMsat: 0n }),
        store.fail(hash, attempt + 1, "another attempt"),
      ]);
      assert.deepEqual([first, second, third].map(({ status }) => status).sort(), ["already", "already", "settled"]);
      const booked = await payment(hash);
      assert.equal(booked.state, "settled");
      // Look-ups that were asked before, and answered after.
      assert.equal(await store.fail(hash, attempt, "looked up: failed"), false);
      assert.equal(await store.unknown(hash, attempt, { resolution: "looked up: in flight" }), false);
      assert.deepEqual(await payment(hash), booked);
      const counted = await usage(ALL);
      assert.equal(counted.payments, noted ? 2 : 1);
      assert.equal(counted.heldPayments, 0);
      assert.equal(counted.heldMsat, 0n);
    }
    const spent = (await listOf(store.payments("default"))).reduce((sum, { amountMsat, feeMsat }) => sum + amountMsat + feeMsat, 0n);
    assert.equal((await usage(ALL)).spentMsat, spent);
    assert.equal(await store.paused("default"), null);
  }),

  storeCase("a closed store throws a StoreError", async ({ store, reserve }) => {
    await store.close();
    await assert.rejects(reserve(), (error) => isL402Error(error) && error.code === "store_unavailable");
    await assert.rejects(store.usage([ALL]), (error) => isL402Error(error));
  }),
];
