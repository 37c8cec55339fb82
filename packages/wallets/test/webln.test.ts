/** WebLN over fake providers: the contract, every row, and the client's books. */
import { describeContract, walletContract } from "@l402-tools/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebLNWallet, type WebLNProvider } from "../src/webln.ts";
import { openShop } from "./buying.ts";
import { requestOf } from "./fakes/setup.ts";
import { createWorld, harnessOf, type World } from "./fakes/world.ts";

class RejectionError extends Error {}

/** A provider that says no, in WebLN's own words, to what it will not even try. */
function provider(world: World, more: Partial<WebLNProvider> = {}): WebLNProvider & { online: boolean } {
  const made = {
    online: true,
    enable: async () => {},
    async sendPayment(invoice: string) {
      if (!made.online) throw new Error("Failed to fetch");
      const told = await world.pay(invoice);
      if (told.status === "settled") return { preimage: told.preimage };
      if (told.status === "failed") throw new RejectionError(told.reason);
      throw new Error("already paid");
    },
    getBalance: async () => ({ balance: Number(world.sim.balanceMsat / 1000n), currency: "sats" }),
    async lookupInvoice({ paymentHash }: { paymentHash: string }) {
      if (!made.online) throw new Error("Failed to fetch");
      const state = await world.state(paymentHash);
      return state.status === "settled" ? { paid: true, preimage: state.preimage } : { paid: false };
    },
    ...more,
  };
  return made;
}

describe.each([
  ["with a look-up", {}],
  ["without one, as most are", { lookupInvoice: undefined, getBalance: undefined } as unknown as Partial<WebLNProvider>],
])("WebLN %s keeps the wallet contract", (_, more) => {
  describeContract(test, walletContract, async ({ balanceMsat, feeMsat }) => {
    const world = createWorld({ feeLimit: "none", balanceMsat, feeMsat });
    const webln = provider(world, more);
    const harness = harnessOf(new WebLNWallet({ provider: webln }), world, {
      async offline(cut) {
        webln.online = !cut;
      },
    });
    // Its look-up cannot tell a payment on its way from none.
    const { holdInvoice: _hold, settleHold: _settle, ...rest } = harness;
    return webln.lookupInvoice === undefined ? harness : rest;
  });
});

const pay = async (more: Partial<WebLNProvider>, deadline = Date.now() + 5_000): Promise<Awaited<ReturnType<WebLNWallet["pay"]>>> => {
  const world = createWorld();
  return new WebLNWallet({ provider: provider(world, more) }).pay({ ...requestOf(world.payee.invoice({ amountMsat: 1_000n })), deadline });
};

test.each<[string, unknown]>([
  ["by class", new RejectionError("no")],
  ["by name", Object.assign(new Error("no"), { name: "RejectionError" })],
  ["in the extension's words", new Error("User rejected")],
])("the user said no (%s): not paid", async (_, error) => {
  expect(await pay({ sendPayment: () => Promise.reject(error as Error) })).toMatchObject({ status: "failed" });
});

test.each(["Prompt was closed", "Failed to fetch", "timeout", "RoutingError", "InternalError", "ConnectionError", "the user rejected it, maybe"])("%s: unknown", async (message) => {
  expect(await pay({ sendPayment: () => Promise.reject(Object.assign(new Error(message), { name: message })) })).toMatchObject({ status: "unknown" });
});

test("not enabled: nothing was sent", async () => {
  expect(await pay({ enable: () => Promise.reject(new Error("User rejected")) })).toMatchObject({ status: "failed", reason: "unauthorized" });
  let sent = false;
  const sendPayment = async (): Promise<{ preimage: string }> => {
    sent = true;
    return { preimage: "" };
  };
  let enable = (): void => {};
  const waiting = pay({ enable: () => new Promise<void>((done) => (enable = done)), sendPayment }, Date.now() + 100);
  expect(await waiting).toMatchObject({ status: "failed", reason: "unreachable" });
  // Enabled too late, it is not sent any more.
  enable();
  await new Promise((done) => setImmediate(done));
  expect(sent).toBe(false);
});

test.each<[unknown, object]>([
  [undefined, { status: "unknown" }],
  [{}, { status: "unknown" }],
  [{ preimage: "" }, { status: "unknown" }],
  [{ preimage: "not hex" }, { status: "settled", preimage: null, feeMsat: null }],
  [{ preimage: "AB".repeat(32) }, { status: "settled", preimage: "ab".repeat(32), feeMsat: null }],
])("the answer %o", async (answer, expected) => {
  expect(await pay({ sendPayment: async () => answer as never })).toMatchObject(expected);
});

test("a prompt that stays open: unknown at the deadline, and at an abort", async () => {
  expect(await pay({ sendPayment: () => new Promise(() => {}) }, Date.now() + 100)).toMatchObject({ status: "unknown" });
});

test("no provider: nothing was sent; one that appears is used", async () => {
  const world = createWorld({ feeLimit: "none" });
  const wallet = new WebLNWallet();
  const request = requestOf(world.payee.invoice({ amountMsat: 1_000n }));
  expect(await wallet.pay(request)).toMatchObject({ status: "failed", reason: "unsupported" });
  Object.assign(globalThis, { webln: provider(world) });
  onTestFinished(() => void delete (globalThis as { webln?: unknown }).webln);
  expect(await wallet.pay(request)).toMatchObject({ status: "settled" });
});

describe("the client's books", () => {
  test.each(["wrong", "short", "empty"] as const)("a preimage that is %s: paid, held, and booked by the look-up", async (preimage) => {
    const world = createWorld({ feeLimit: "none" });
    const shop = await openShop(world, new WebLNWallet({ provider: provider(world) }));
    world.sim.next({ preimage });
    expect(await shop.buy()).toEqual({ outcome: "bought" });
    // WebLN tells no fee, so the whole allowance is booked: never less than was paid.
    const report = shop.client.spendingReport();
    expect(BigInt(report?.total ?? 0) * 1_000n).toBeGreaterThanOrEqual(world.sim.spentMsat);
    await shop.client.close();
  });

  test("paid, and no look-up: the money stays held", async () => {
    const world = createWorld({ feeLimit: "none" });
    const lost = provider(world, { lookupInvoice: undefined } as unknown as Partial<WebLNProvider>);
    const { sendPayment } = lost;
    lost.sendPayment = async (invoice) => {
      await sendPayment(invoice);
      throw new Error("Prompt was closed");
    };
    const shop = await openShop(world, new WebLNWallet({ provider: lost }), { paymentTimeoutMs: 500 });
    expect(await shop.buy()).toMatchObject({ code: "payment_unknown", paid: "unknown" });
    expect(await shop.states()).toEqual(["unknown"]);
    expect((await shop.agree(true)).heldMsat).toBeGreaterThanOrEqual(world.sim.spentMsat);
    await shop.client.close();
  });

  test("refused by the user: nothing moved, nothing is held", async () => {
    const world = createWorld({ feeLimit: "none" });
    const shop = await openShop(world, new WebLNWallet({ provider: provider(world, { sendPayment: () => Promise.reject(new RejectionError("no")) }) }));
    expect(await shop.buy()).toMatchObject({ code: "payment_failed", paid: "no" });
    expect((await shop.agree()).heldMsat).toBe(0n);
    await shop.client.close();
  });
});
