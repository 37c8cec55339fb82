import assert from "node:assert/strict";
import type { Clock, LimitRule, NewPayment, ReserveRequest, ReserveResult, Store, StoredPayment, Usage } from "@l402-tools/core";
import { createTestClock, type TestClock } from "../clock.ts";
import { sha256 } from "../hash.ts";
import type { ContractCase } from "./case.ts";

/** Makes an empty store that tells the time by `clock`. */
export type MakeStore = (options: { clock: Clock }) => Promise<Store>;

export const HOUR = 3_600_000;

/** What a case works with. */
export interface StoreFixture {
  readonly store: Store;
  readonly clock: TestClock;
  /** Reserves a payment; says what came of it. */
  reserve(fields?: Partial<NewPayment> & { amount?: bigint; fee?: bigint; minFee?: bigint; limits?: readonly LimitRule[] }): Promise<ReserveResult & { hash: string }>;
  /** Reserves and dispatches; returns hash and attempt. */
  send(fields?: Parameters<StoreFixture["reserve"]>[0]): Promise<{ hash: string; attempt: number }>;
  /** Reserves, dispatches and settles; returns the hash. */
  buy(fields?: Parameters<StoreFixture["reserve"]>[0] & { paidFee?: bigint }): Promise<string>;
  usage(rule: LimitRule): Promise<Usage>;
  payment(hash: string): Promise<StoredPayment>;
}

/** The preimage of payment number `n`, and its hash. */
export function preimageOf(n: number): { preimage: string; hash: string } {
  const preimage = sha256(Buffer.from(`contract preimage ${n}`));
  return { preimage: preimage.toString("hex"), hash: sha256(preimage).toString("hex") };
}

const preimages = new Map<string, string>();

/** The preimage of a hash that the fixture made. */
export function preimageFor(hash: string): string {
  return preimages.get(hash) as string;
}

let made = 0;

/** A payment like the engine's; number `n` of its kind. */
export function newPayment(fields: Partial<NewPayment> & { amount?: bigint } = {}): NewPayment {
  made += 1;
  const { preimage, hash } = preimageOf(made);
  preimages.set(hash, preimage);
  const { amount, ...rest } = fields;
  const url = rest.url ?? `https://api.example.com/v1/data?n=${made}`;
  const parsed = new URL(url);
  return {
    paymentHash: hash,
    budgetId: "default",
    scopes: [rest.budgetId ?? "default"],
    requestKey: `request ${made}`,
    url,
    method: "GET",
    origin: parsed.origin,
    host: parsed.hostname,
    path: parsed.pathname,
    amountMsat: amount ?? 10_000n,
    payee: "02".padEnd(66, "a"),
    wallet: "wallet-1",
    invoice: `lnbcrt-${made}`,
    expiresAt: 4_000_000_000_000,
    scheme: "L402",
    credential: `AgEEbHNhdA${made}/+=`,
    owner: "owner-1",
    leaseUntil: 4_000_000_000_000,
    ...rest,
  };
}

export function fixtureOf(store: Store, clock: TestClock): StoreFixture {
  const fixture: StoreFixture = {
    store,
    clock,
    async reserve(fields = {}) {
      const { fee, minFee, limits, ...rest } = fields;
      const payment = newPayment(rest);
      const request: ReserveRequest = { payment, maxFeeMsat: fee ?? 0n, minFeeMsat: minFee ?? fee ?? 0n, limits: limits ?? [] };
      return { ...(await store.reserve(request)), hash: payment.paymentHash };
    },
    async send(fields) {
      const reserved = await fixture.reserve(fields);
      assert.equal(reserved.status, "reserved");
      const dispatched = await store.dispatch(reserved.hash, fields?.owner ?? "owner-1", Number.MAX_SAFE_INTEGER);
      assert.ok(dispatched !== null, "it was reserved, and must be dispatched");
      return { hash: reserved.hash, attempt: dispatched.attempt };
    },
    async buy(fields = {}) {
      const { paidFee, ...rest } = fields;
      const { hash } = await fixture.send(rest);
      const settled = await store.settle(hash, { preimage: preimageFor(hash), feeMsat: paidFee ?? 0n, resolution: "paid" });
      assert.equal(settled.status, "settled");
      return hash;
    },
    async usage(rule) {
      const [usage] = await store.usage([rule]);
      assert.ok(usage !== undefined);
      return usage;
    },
    async payment(hash) {
      const payment = await store.payment(hash);
      assert.ok(payment !== undefined, "the payment is on record");
      return payment;
    },
  };
  return fixture;
}

/** A case on a fresh store. */
export function storeCase(name: string, body: (fixture: StoreFixture) => Promise<void>): ContractCase<MakeStore> {
  return {
    name,
    async run(make) {
      const clock = createTestClock();
      const store = await make({ clock });
      try {
        await body(fixtureOf(store, clock));
      } finally {
        await store.close();
      }
    },
  };
}

/** Fails unless the usage is exactly this. */
export function assertUsage(actual: Usage, expected: Partial<Usage>): void {
  assert.deepEqual(
    { spentMsat: actual.spentMsat, heldMsat: actual.heldMsat, payments: actual.payments, heldPayments: actual.heldPayments },
    { spentMsat: 0n, heldMsat: 0n, payments: 0, heldPayments: 0, ...expected },
  );
}

/** The items of an async iterable. */
export async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
