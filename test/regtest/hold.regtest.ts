/** Payments that stay in flight: carol holds the invoice, and says at last whether she takes it. */
import { describe, expect, test } from "vitest";
import { receiptOf } from "@l402-tools/core";
import { until } from "./processes.ts";
import { buyer, carol, hold, listed, payBeside, rowsOf, type Buyer, type Hold } from "./world.ts";
import { paywall, type Paywall } from "./paywall.ts";

const PRICE_MSAT = 50_000n;

/** A service whose first invoice is held; every further one is an ordinary invoice, and would be paid. */
async function heldShop(): Promise<{ held: Hold; shop: Paywall }> {
  const held = await hold(PRICE_MSAT);
  const first = [held];
  return { held, shop: await paywall(async () => first.shift() ?? (await carol.invoice({ valueMsat: PRICE_MSAT }))) };
}

/** A purchase whose payment is at carol while the call has given up on it. */
async function leftInFlight(budgetSats = 1_000): Promise<{ held: Hold; shop: Paywall; client: Buyer }> {
  const { held, shop } = await heldShop();
  const client = buyer({ budgetSats, paymentTimeoutMs: 5_000 });
  await expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown", paid: "unknown", paymentHash: held.paymentHash });
  await held.arrived();
  return { held, shop, client };
}

describe("while a call waits", () => {
  test("carol takes it: the call gets what it paid for", async () => {
    const { held, shop } = await heldShop();
    const call = buyer().fetch(shop.url);
    await held.arrived();
    await held.settle();
    expect(await (await call).text()).toBe("open");
  });

  test("carol refuses it: nothing was paid, and the call says so", async () => {
    const { held, shop } = await heldShop();
    const client = buyer({ budgetSats: 1_000 });
    const call = client.fetch(shop.url);
    const refused = expect(call).rejects.toMatchObject({ code: "payment_failed", reason: "rejected_by_payee", paid: "no" });
    await held.arrived();
    await held.cancel();
    await refused;
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  });
});

describe("past the deadline", () => {
  test("it stays held, is not paid again, and is booked when carol takes it", async () => {
    const { held, shop, client } = await leftInFlight();
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 60 });
    await expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown", paid: "unknown" });
    expect(await client.recover()).toMatchObject({ settled: 0, failed: 0, stillUnknown: [{ paymentHash: held.paymentHash }] });
    expect(await listed()).toMatchObject([{ paymentHash: held.paymentHash, status: "IN_FLIGHT" }]);
    await held.settle();
    expect(await client.recover()).toMatchObject({ settled: 1, failed: 0, stillUnknown: [] });
    const response = await client.fetch(shop.url);
    expect(await response.text()).toBe("open");
    expect(receiptOf(response)?.paymentHash).toBe(held.paymentHash);
    expect(await listed()).toHaveLength(1);
  });

  test("carol refuses it later: its hold is released, and the next call buys anew", async () => {
    const { held, shop, client } = await leftInFlight();
    await held.cancel();
    expect(await client.recover()).toMatchObject({ settled: 0, failed: 1, stillUnknown: [] });
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
    expect(await (await client.fetch(shop.url)).text()).toBe("open");
    expect((await listed()).map((payment) => payment.status)).toEqual(["FAILED", "SUCCEEDED"]);
  });

  test("carol takes it, and nobody recovers: the next call finds it paid by itself", async () => {
    const { held, shop, client } = await leftInFlight();
    await held.settle();
    expect(await (await client.fetch(shop.url)).text()).toBe("open");
    expect(await listed()).toHaveLength(1);
  });

  test("what it holds counts: another purchase that would pass the budget with it is refused", async () => {
    const { held, client } = await leftInFlight(100);
    const other = await paywall(() => carol.invoice({ valueMsat: PRICE_MSAT }));
    await expect(client.fetch(other.url)).rejects.toMatchObject({ code: "budget_exceeded", paid: "no" });
    expect(await listed()).toHaveLength(1);
    await held.settle();
    await client.recover();
    expect(await client.balance()).toMatchObject({ spentSats: 52, heldSats: 0 });
  });

  test("an invoice that alice is already paying by other means: waited for, and not paid twice", async () => {
    const { held, shop } = await heldShop();
    const other = payBeside(held.bolt11, held.paymentHash);
    await held.arrived();
    const client = buyer({ paymentTimeoutMs: 5_000 });
    await expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown", paid: "unknown" });
    expect(await rowsOf(client.store)).toMatchObject([{ state: "unknown", resolution: "the wallet says it is in flight" }]);
    await held.settle();
    await other;
    expect(await (await client.fetch(shop.url)).text()).toBe("open");
    expect(await listed()).toHaveLength(1);
  });

  test("several calls of one purchase wait for one payment", async () => {
    const { held, shop } = await heldShop();
    const client = buyer();
    const calls = Array.from({ length: 5 }, () => client.fetch(shop.url));
    await held.arrived();
    await until("all have asked", async () => shop.asked.length >= 5);
    await held.settle();
    for (const call of calls) expect(await (await call).text()).toBe("open");
    expect(await listed()).toHaveLength(1);
  });
});
