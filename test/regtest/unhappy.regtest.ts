/** Payments that LND refuses or cannot make, and what fees may cost. */
import { describe, expect, test } from "vitest";
import type { PayRequest } from "@l402-tools/core";
import { createLightning } from "@l402-tools/testing";
import { paywall } from "./paywall.ts";
import { until } from "./processes.ts";
import { alice, bobsFee, buyer, carol, listed, listedPayment, payBeside, rowsOf, wallet } from "./world.ts";

function requestOf(invoice: { bolt11: string; paymentHash: string }, amountMsat: bigint, maxFeeMsat = 10_000n): PayRequest {
  return { invoice: invoice.bolt11, paymentHash: invoice.paymentHash, amountMsat, maxFeeMsat, deadline: Date.now() + 30_000, attemptId: "1" };
}

describe("routing fees", () => {
  test.each([1_001n, 33_333n, 250_000n, 1_000_001n])("a price of %s msat: bob's fee is booked to the msat", async (valueMsat) => {
    const shop = await paywall(() => carol.invoice({ valueMsat }));
    const client = buyer();
    expect((await client.fetch(shop.url)).status).toBe(200);
    expect(await rowsOf(client.store)).toMatchObject([{ state: "settled", amountMsat: valueMsat, feeMsat: bobsFee(valueMsat) }]);
  });

  test("one msat less than bob charges is not enough, what he charges is", async () => {
    const valueMsat = 100_000n;
    const fee = bobsFee(valueMsat);
    const invoice = await carol.invoice({ valueMsat });
    expect(await wallet().pay(requestOf(invoice, valueMsat, fee - 1n))).toMatchObject({ status: "failed", reason: "no_route" });
    expect((await listedPayment(invoice.paymentHash))?.status ?? "FAILED").toBe("FAILED");
    const shop = await paywall(async () => invoice);
    expect((await buyer({ maxFee: { sats: Number(fee / 1_000n) + 1 } }).fetch(shop.url)).status).toBe(200);
  });

  test("the client's limit binds the node: refused, and nothing moved", async () => {
    const shop = await paywall(() => carol.invoice({ valueMsat: 100_000n }));
    const client = buyer({ budgetSats: 1_000, maxFee: { sats: 1 } });
    await expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_failed", reason: "no_route", paid: "no" });
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  });
});

describe("payments that do not happen", () => {
  test("a payee that nobody knows: no route", async () => {
    const shop = await paywall(async () => {
      const { invoice, paymentHash } = createLightning({ network: "simnet" }).node("stranger").invoice({ amountMsat: 10_000n, description: "unreachable" });
      return { bolt11: invoice, paymentHash };
    });
    await expect(buyer().fetch(shop.url)).rejects.toMatchObject({ code: "payment_failed", reason: "no_route", paid: "no" });
  });

  test("more than alice has: insufficient balance", async () => {
    const shop = await paywall(() => carol.invoice({ valueMsat: 12_000_000_000n }));
    await expect(buyer().fetch(shop.url)).rejects.toMatchObject({ code: "payment_failed", reason: "insufficient_balance", paid: "no" });
  });

  test("an invoice of alice's own node", async () => {
    const shop = await paywall(() => alice.invoice({ valueMsat: 10_000n }));
    await expect(buyer().fetch(shop.url)).rejects.toMatchObject({ code: "payment_failed", reason: "self_payment", paid: "no" });
    expect(await listed()).toEqual([]);
  });

  test("an invoice that carol has cancelled", async () => {
    const shop = await paywall(async () => {
      const invoice = await carol.invoice({ valueMsat: 10_000n });
      await carol.cancel(invoice.paymentHash);
      return invoice;
    });
    await expect(buyer().fetch(shop.url)).rejects.toMatchObject({ code: "payment_failed", reason: "rejected_by_payee", paid: "no" });
  });

  test("an invoice about to expire is not even sent", async () => {
    const shop = await paywall(() => carol.invoice({ valueMsat: 10_000n, expirySeconds: 5 }));
    const client = buyer();
    await expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "invoice_expired", paid: "no" });
    expect(await rowsOf(client.store)).toEqual([]);
    expect(await listed()).toEqual([]);
  });

  test("LND itself refuses an expired invoice, and that is proof", async () => {
    const invoice = await carol.invoice({ valueMsat: 10_000n, expirySeconds: 1 });
    await until("it has expired", async () => (await carol.invoiceState(invoice.paymentHash)) === "CANCELED");
    expect(await wallet().pay(requestOf(invoice, 10_000n))).toMatchObject({ status: "failed", reason: "invoice_expired" });
    expect(await listed()).toEqual([]);
  });

  test("an invoice without an amount", async () => {
    const shop = await paywall(() => carol.invoice({ valueMsat: 0n }));
    await expect(buyer().fetch(shop.url)).rejects.toMatchObject({ code: "invoice_amount", paid: "no" });
    const invoice = await carol.invoice({ valueMsat: 0n });
    expect(await wallet().pay(requestOf(invoice, 10_000n))).toMatchObject({ status: "failed", reason: "invalid_invoice" });
    expect(await listed()).toEqual([]);
  });

  test("text that is no invoice", async () => {
    const { bolt11, paymentHash } = await carol.invoice({ valueMsat: 10_000n });
    const broken = `${bolt11.slice(0, -1)}${bolt11.endsWith("q") ? "p" : "q"}`;
    expect(await wallet().pay(requestOf({ bolt11: broken, paymentHash }, 10_000n))).toMatchObject({ status: "failed", reason: "invalid_invoice" });
  });
});

describe("payments that have happened", () => {
  test("an invoice that alice has paid by other means: its proof is taken, nothing is paid twice", async () => {
    const invoice = await carol.invoice({ valueMsat: 20_000n });
    await payBeside(invoice.bolt11, invoice.paymentHash);
    const shop = await paywall(async () => invoice);
    const client = buyer({ budgetSats: 1_000 });
    expect((await client.fetch(shop.url)).status).toBe(200);
    expect(await rowsOf(client.store)).toMatchObject([{ state: "settled", amountMsat: 20_000n, feeMsat: bobsFee(20_000n) }]);
    expect(await listed()).toHaveLength(1);
  });

  test("paid and refused: booked as paid, and not paid again by itself", async () => {
    const shop = await paywall(() => carol.invoice({ valueMsat: 20_000n }), { refuses: true });
    const client = buyer({ budgetSats: 1_000 });
    await expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "credential_rejected", paid: "yes" });
    expect(await rowsOf(client.store)).toMatchObject([{ state: "settled" }]);
    expect(await listed()).toHaveLength(1);
  });
});

test("bob can forward only some of the parts: in flight until carol gives them back, and then released", async () => {
  const shop = await paywall(() => carol.invoice({ valueMsat: 4_000_000_000n }));
  const client = buyer({ budgetSats: 10_000_000, paymentTimeoutMs: 5_000 });
  await expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown", paid: "unknown" });
  expect(await client.recover()).toMatchObject({ failed: 0, stillUnknown: [{ heldSats: 4_040_000 }] });
  // LND has given up by then; carol keeps the parts that arrived for two minutes.
  await until("it has failed", async () => (await client.recover()).failed === 1);
  expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
});
