import assert from "node:assert/strict";
import type { LimitRule } from "@l402-tools/core";
import type { ContractCase } from "./case.ts";
import { assertUsage, newPayment, storeCase, type MakeStore } from "./store-fixture.ts";

const ALL: LimitRule = { scope: "default" };

export const reserveCases: readonly ContractCase<MakeStore>[] = [
  storeCase("reserve: puts every field on record, exactly", async ({ store, clock }) => {
    const payment = newPayment({
      url: "https://api.example.com:8443/v1/da%20ta?q=%22'--&ü=1",
      origin: "https://api.example.com:8443",
      method: "POST",
      scopes: ["default", "default/researcher"],
      label: "it's a \"label\" ☃",
      requestKey: "key'; --",
      idempotencyKey: "call 1",
      callKey: "fingerprint",
      scheme: "LSAT",
      credential: `${"AgEEbHNhdA+/".repeat(300)}==`,
      amount: 123_456_789n,
    });
    const result = await store.reserve({ payment, maxFeeMsat: 1_001n, minFeeMsat: 0n, limits: [] });
    assert.equal(result.status, "reserved");
    const stored = await store.payment(payment.paymentHash);
    const expected = { ...payment, state: "reserved", attempt: 0, maxFeeMsat: 1_001n, feeMsat: 0n, reservedAt: clock.now() };
    assert.deepEqual({ ...stored }, expected);
    assert.deepEqual({ ...(result as { payment: object }).payment }, expected);
    assert.equal(await store.payment("00".repeat(32)), undefined);
  }),

  storeCase("reserve: holds amount and fee allowance in every scope", async ({ reserve, usage }) => {
    assert.equal((await reserve({ amount: 10_000n, fee: 500n, scopes: ["default", "default/a"] })).status, "reserved");
    assertUsage(await usage(ALL), { heldMsat: 10_500n, heldPayments: 1 });
    assertUsage(await usage({ scope: "default/a" }), { heldMsat: 10_500n, heldPayments: 1 });
    assertUsage(await usage({ scope: "default/b" }), {});
    assertUsage(await usage({ scope: "default/a/c" }), {});
  }),

  storeCase("reserve: any number at once never passes a limit", async ({ reserve, usage }) => {
    const limits = [{ ...ALL, maxMsat: 100_000n }];
    const results = await Promise.all(Array.from({ length: 40 }, () => reserve({ amount: 9_000n, fee: 1_000n, limits })));
    const counts = (status: string): number => results.filter((result) => result.status === status).length;
    assert.equal(counts("reserved"), 10);
    assert.equal(counts("over_limit"), 30);
    assertUsage(await usage(ALL), { heldMsat: 100_000n, heldPayments: 10 });
  }),

  storeCase("reserve: any number at once never passes a count", async ({ reserve, usage }) => {
    const limits = [{ ...ALL, maxPayments: 3 }];
    const results = await Promise.all(Array.from({ length: 20 }, () => reserve({ limits })));
    assert.equal(results.filter((result) => result.status === "reserved").length, 3);
    assertUsage(await usage(ALL), { heldMsat: 30_000n, heldPayments: 3 });
  }),

  storeCase("reserve: all limits or nothing", async ({ store, reserve, usage }) => {
    const tight: LimitRule = { scope: "default", domain: "api.example.com", maxMsat: 9_999n };
    const limits: LimitRule[] = [{ ...ALL, maxMsat: 1_000_000n }, { scope: "default/a", maxMsat: 1_000_000n }, tight];
    const result = await reserve({ amount: 10_000n, limits, scopes: ["default", "default/a"] });
    assert.equal(result.status, "over_limit");
    if (result.status === "over_limit") {
      assert.deepEqual({ ...result.rule }, tight);
      assertUsage(result.usage, {});
    }
    for (const rule of limits) assertUsage(await usage(rule), {});
    assert.equal(await store.payment(result.hash), undefined);
    assert.equal((await reserve({ amount: 9_999n, limits, scopes: ["default", "default/a"] })).status, "reserved");
  }),

  storeCase("reserve: exactly what remains fits, one millisatoshi more does not", async ({ reserve, buy }) => {
    const limits = [{ ...ALL, maxMsat: 30_000n }];
    await buy({ amount: 10_000n, limits, paidFee: 0n });
    assert.equal((await reserve({ amount: 10_000n, limits })).status, "reserved");
    assert.equal((await reserve({ amount: 10_001n, limits })).status, "over_limit");
    assert.equal((await reserve({ amount: 10_000n, fee: 1n, minFee: 1n, limits })).status, "over_limit");
    assert.equal((await reserve({ amount: 10_000n, limits })).status, "reserved");
    assert.equal((await reserve({ amount: 1n, limits })).status, "over_limit");
  }),

  storeCase("reserve: names the usage that leaves no room", async ({ reserve, buy }) => {
    const limits = [{ ...ALL, maxMsat: 30_000n }];
    await buy({ amount: 10_000n, fee: 100n, paidFee: 50n, limits });
    await reserve({ amount: 12_000n, fee: 7n, limits });
    const result = await reserve({ amount: 10_000n, limits });
    assert.equal(result.status, "over_limit");
    if (result.status === "over_limit") assertUsage(result.usage, { spentMsat: 10_050n, payments: 1, heldMsat: 12_007n, heldPayments: 1 });
  }),

  storeCase("reserve: the fee allowance shrinks to fit, down to its least", async ({ reserve, payment }) => {
    const limits = [
      { ...ALL, maxMsat: 10_700n },
      { ...ALL, domain: "api.example.com", maxMsat: 10_500n },
    ];
    const refused = await reserve({ amount: 10_000n, fee: 1_000n, minFee: 501n, limits });
    assert.equal(refused.status, "over_limit");
    const shrunk = await reserve({ amount: 10_000n, fee: 1_000n, minFee: 500n, limits });
    assert.equal(shrunk.status, "reserved");
    assert.equal((await payment(shrunk.hash)).maxFeeMsat, 500n);
    const whole = await reserve({ amount: 10_000n, fee: 1_000n, minFee: 0n, limits: [{ ...ALL, maxMsat: 1_000_000n }] });
    assert.equal((await payment(whole.hash)).maxFeeMsat, 1_000n);
  }),

  storeCase("reserve: a limit of nought refuses; another host's and another scope's limits do not bind", async ({ reserve }) => {
    assert.equal((await reserve({ limits: [{ ...ALL, maxMsat: 0n }] })).status, "over_limit");
    assert.equal((await reserve({ limits: [{ ...ALL, maxPayments: 0 }] })).status, "over_limit");
    assert.equal((await reserve({ limits: [{ ...ALL, domain: "other.example.com", maxMsat: 0n }] })).status, "reserved");
    assert.equal((await reserve({ limits: [{ ...ALL, domain: "*.api.example.com", maxMsat: 0n }] })).status, "reserved");
  }),

  storeCase("reserve: a lowered limit refuses new payments and leaves holds alone", async ({ store, reserve, usage }) => {
    const first = await reserve({ amount: 10_000n, limits: [{ ...ALL, maxMsat: 100_000n }] });
    assert.equal((await reserve({ amount: 1n, limits: [{ ...ALL, maxMsat: 5_000n }] })).status, "over_limit");
    assertUsage(await usage(ALL), { heldMsat: 10_000n, heldPayments: 1 });
    assert.ok((await store.dispatch(first.hash, "owner-1", Number.MAX_SAFE_INTEGER)) !== null);
    assert.equal((await store.settle(first.hash, { preimage: null, feeMsat: 0n, resolution: "paid" })).status, "settled");
  }),

  storeCase("reserve: a hash on record is not reserved twice, whoever asks", async ({ store, reserve, send, buy, usage }) => {
    const reserved = await reserve();
    const sending = await send();
    const unknown = await send();
    await store.unknown(unknown.hash, unknown.attempt, { resolution: "timeout" });
    const settled = await buy();
    const before = await usage(ALL);
    for (const [hash, state] of [
      [reserved.hash, "reserved"],
      [sending.hash, "sending"],
      [unknown.hash, "unknown"],
      [settled, "settled"],
    ] as const) {
      const again = await reserve({ paymentHash: hash, owner: "owner-2", budgetId: state === "settled" ? "other" : "default" });
      assert.equal(again.status, "exists", state);
      if (again.status === "exists") {
        assert.equal(again.payment.state, state);
        assert.equal(again.payment.owner, "owner-1");
      }
    }
    assertUsage(await usage(ALL), before);
  }),

  storeCase("reserve: of many that ask for one hash at once, one gets it", async ({ reserve, usage }) => {
    const { paymentHash } = newPayment();
    const results = await Promise.all(Array.from({ length: 10 }, () => reserve({ paymentHash })));
    assert.equal(results.filter((result) => result.status === "reserved").length, 1);
    assert.equal(results.filter((result) => result.status === "exists").length, 9);
    assertUsage(await usage(ALL), { heldMsat: 10_000n, heldPayments: 1 });
  }),

  storeCase("reserve: a voided or failed hash is free, and keeps its attempts", async ({ store, reserve, send, payment, usage }) => {
    const voided = await reserve();
    assert.equal(await store.void(voided.hash, "left"), true);
    assert.equal((await reserve({ paymentHash: voided.hash, owner: "owner-2" })).status, "reserved");
    assert.equal((await payment(voided.hash)).owner, "owner-2");

    const first = await send({ amount: 20_000n });
    assert.equal(first.attempt, 1);
    assert.equal(await store.fail(first.hash, 1, "no route"), true);
    const second = await send({ paymentHash: first.hash, amount: 20_000n });
    assert.equal(second.attempt, 2);
    const row = await payment(first.hash);
    assert.equal(row.state, "sending");
    assert.equal(row.resolvedAt, undefined);
    assertUsage(await usage(ALL), { heldMsat: 30_000n, heldPayments: 2 });
  }),

  storeCase("reserve: one unresolved payment a request", async ({ store, reserve, send, usage }) => {
    const first = await reserve({ requestKey: "same" });
    for (const change of [
      async () => {},
      async () => void (await store.dispatch(first.hash, "owner-1", Number.MAX_SAFE_INTEGER)),
      async () => void (await store.unknown(first.hash, 1, { resolution: "timeout" })),
    ]) {
      await change();
      const second = await reserve({ requestKey: "same" });
      assert.equal(second.status, "purchase");
      if (second.status === "purchase") assert.equal(second.payment.paymentHash, first.hash);
      assert.equal(await store.payment(second.hash), undefined);
    }
    assertUsage(await usage(ALL), { heldMsat: 10_000n, heldPayments: 1 });
    assert.equal((await reserve({ requestKey: "same", budgetId: "other" })).status, "reserved");
    await store.settle(first.hash, { preimage: null, feeMsat: 0n, resolution: "paid" });
    const third = await send({ requestKey: "same" });
    await store.fail(third.hash, third.attempt, "no route");
    assert.equal((await reserve({ requestKey: "same" })).status, "reserved");
  }),

  storeCase("reserve: of many purchases of one request at once, one is made", async ({ reserve }) => {
    const results = await Promise.all(Array.from({ length: 10 }, () => reserve({ requestKey: "same" })));
    assert.equal(results.filter((result) => result.status === "reserved").length, 1);
    assert.equal(results.filter((result) => result.status === "purchase").length, 9);
  }),

  storeCase("reserve: an idempotency key buys once, for good", async ({ store, reserve, buy }) => {
    const hash = await buy({ idempotencyKey: "call-1", callKey: "fingerprint" });
    const again = await reserve({ idempotencyKey: "call-1" });
    assert.equal(again.status, "purchase");
    if (again.status === "purchase") {
      assert.equal(again.payment.paymentHash, hash);
      assert.equal(again.payment.callKey, "fingerprint");
      assert.equal(again.payment.state, "settled");
    }
    assert.equal((await reserve({ idempotencyKey: "call-2" })).status, "reserved");
    assert.equal((await reserve({ idempotencyKey: "call-1", budgetId: "other" })).status, "reserved");

    const failed = await reserve({ idempotencyKey: "call-3" });
    assert.equal((await reserve({ idempotencyKey: "call-3" })).status, "purchase");
    await store.void(failed.hash, "left");
    const retry = await reserve({ idempotencyKey: "call-3" });
    assert.equal(retry.status, "reserved");
    // Settled by hand, without a preimage: there is nothing to use again.
    await store.settle(retry.hash, { preimage: null, feeMsat: 0n, resolution: "by hand" });
    assert.equal((await reserve({ idempotencyKey: "call-3" })).status, "reserved");
  }),

  storeCase("reserve: paused, then exists, then purchase, then over_limit", async ({ store, reserve, send, buy }) => {
    const none = [{ ...ALL, maxMsat: 0n }];
    const bought = await buy({ idempotencyKey: "key" });
    assert.equal((await reserve({ paymentHash: bought, idempotencyKey: "key", limits: none })).status, "exists");
    assert.equal((await reserve({ idempotencyKey: "key", limits: none })).status, "purchase");
    assert.equal((await reserve({ limits: none })).status, "over_limit");
    const { hash } = await send({ fee: 10n });
    assert.equal((await store.settle(hash, { preimage: null, feeMsat: 11n, resolution: "paid" })).status, "overrun");
    assert.equal((await reserve({ paymentHash: bought, idempotencyKey: "key", limits: none })).status, "paused");
  }),

  storeCase("reserve: amounts beyond 2^53 msat are exact, or refused by an error", async ({ reserve, usage }) => {
    const amount = 9_007_199_254_740_993n;
    try {
      assert.equal((await reserve({ amount, fee: 1n, limits: [{ ...ALL, maxMsat: amount + 1n }] })).status, "reserved");
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return;
    }
    assertUsage(await usage(ALL), { heldMsat: amount + 1n, heldPayments: 1 });
    assert.equal((await reserve({ amount: 1n, limits: [{ ...ALL, maxMsat: amount + 1n }] })).status, "over_limit");
  }),

  storeCase("reserve: what it returned does not change afterwards", async ({ store, reserve }) => {
    const result = await reserve();
    assert.ok(result.status === "reserved");
    await store.void(result.hash, "left");
    assert.equal(result.payment.state, "reserved");
  }),
];
