import { memoryStore, type Store } from "@l402-tools/core";
import { expect, test } from "vitest";
import { createLightning, createTestClock, runContract, storeContract, walletContract, type BehaviourName } from "../src/index.ts";

/** A store with one fault must fail the contract. */
const faults: [string, (store: Store) => Partial<Store>][] = [
  ["checks the limits before it writes, not with it", (store) => ({
    async reserve(request) {
      const usages = await store.usage(request.limits);
      const over = request.limits.findIndex((rule, i) => rule.maxMsat !== undefined && (usages[i]?.spentMsat ?? 0n) + (usages[i]?.heldMsat ?? 0n) + request.payment.amountMsat + request.maxFeeMsat > rule.maxMsat);
      const rule = request.limits[over];
      if (rule !== undefined) return { status: "over_limit", rule, usage: usages[over] as never };
      return store.reserve({ ...request, limits: [] });
    },
  })],
  ["gives the hold back when nothing is known", (store) => ({ unknown: (hash, attempt, detail) => store.fail(hash, attempt, detail.resolution) })],
  ["lets anyone dispatch", (store) => ({ dispatch: async (hash, _owner, notAfter) => store.dispatch(hash, (await store.payment(hash))?.owner ?? "", notAfter) })],
  ["dispatches after its time", (store) => ({ dispatch: (hash, owner) => store.dispatch(hash, owner, Number.MAX_SAFE_INTEGER) })],
  ["fails whatever attempt is current", (store) => ({ fail: async (hash, _attempt, why) => store.fail(hash, (await store.payment(hash))?.attempt ?? 0, why) })],
  ["hides an overrun", (store) => ({ settle: async (hash, proof) => {
    const held = (await store.payment(hash))?.maxFeeMsat ?? 0n;
    return store.settle(hash, { ...proof, feeMsat: proof.feeMsat > held ? held : proof.feeMsat });
  } })],
  ["lets everyone claim", () => ({ claim: async () => true })],
  ["voids what was sent", (store) => ({ void: async (hash, why, owner) => (await store.void(hash, why, owner)) || store.fail(hash, 1, why) })],
  ["never pauses", () => ({ paused: async () => null })],
  ["offers credentials of any origin", (store) => ({ credential: (query) => store.credential({ ...query, origin: query.origin.replace("http:", "https:").replace(":8443", "") }) })],
  ["offers every credential to every path", (store) => ({ credential: (query) => store.credential({ ...query, anyPath: true }) })],
  ["ignores what is to be left out", (store) => ({ credential: ({ except: _except, ...query }) => store.credential(query) })],
  ["counts windows for life", (store) => ({ usage: (rules) => store.usage(rules.map(({ windowMs: _windowMs, ...rule }) => rule)) })],
  ["ignores filters", (store) => ({ payments: (budgetId) => store.payments(budgetId) })],
  ["links over anything", () => ({ link: async () => true })],
];

test.each(faults)("a store that %s fails the contract", async (_, fault) => {
  const results = await runContract(storeContract, async ({ clock }) => {
    const store = memoryStore({ clock });
    return { ...store, ...fault(store) };
  });
  expect(results.filter(({ error }) => error !== undefined).length).toBeGreaterThan(0);
});

/** So must a wallet. */
const lies: BehaviourName[] = ["throw-after-pay", "unknown-after-pay", "lie-failed-but-paid", "lie-settled-unpaid", "preimage-wrong", "preimage-empty", "preimage-short", "preimage-upper", "preimage-null", "overcharge", "fail:no_route"];

test.each(lies)("a wallet that does '%s' fails the contract", async (behave) => {
  const results = await runContract(walletContract, async (options) => {
    const clock = createTestClock();
    const payee = createLightning({ clock });
    const wallet = payee.wallet({ ...options, behave });
    const node = payee.node("payee");
    return { wallet, now: clock.now, advance: clock.advance, invoice: async ({ amountMsat }) => node.invoice({ amountMsat }), receivedMsat: async (hash) => node.find(hash)?.receivedMsat ?? 0n };
  });
  expect(results.filter(({ error }) => error !== undefined).length).toBeGreaterThan(0);
});

test("a wallet that pays as often as it is told fails the contract", async () => {
  const results = await runContract(walletContract, async (options) => {
    const lightning = createLightning();
    const node = lightning.node("payee");
    return {
      wallet: lightning.wallet({ ...options, idempotent: false }),
      invoice: async ({ amountMsat }) => node.invoice({ amountMsat }),
      receivedMsat: async (hash) => node.find(hash)?.receivedMsat ?? 0n,
    };
  });
  const failed = results.filter(({ error }) => error !== undefined).map(({ name }) => name);
  expect(failed).toContain("told to pay the same invoice again, pays nothing and does not say that it failed");
  expect(failed).toContain("told twice at once, pays once and neither says that it failed");
});
