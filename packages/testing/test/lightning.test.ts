import { createHash } from "node:crypto";
import bolt11 from "bolt11";
import { expect, test } from "vitest";
import { createLightning, createTestClock, TEST_CLOCK_START } from "../src/index.ts";
import { requestFor } from "./buying.ts";

const REGTEST = { bech32: "bcrt", pubKeyHash: 0x6f, scriptHash: 0xc4, validWitnessVersions: [0, 1] };

test("invoices are real: signed by the payee, with its amount, hash, expiry and text", () => {
  const lightning = createLightning({ clock: createTestClock() });
  const node = lightning.node("weather");
  const invoice = node.invoice({ amountMsat: 12_345n, description: "a forecast", expirySeconds: 90 });
  const decoded = bolt11.decode(invoice.invoice, REGTEST);
  expect(invoice.invoice).toMatch(/^lnbcrt/);
  expect(decoded.payeeNodeKey).toBe(node.publicKey);
  expect(decoded.millisatoshis).toBe("12345");
  expect(decoded.tagsObject.payment_hash).toBe(invoice.paymentHash);
  expect(decoded.tagsObject.description).toBe("a forecast");
  expect(decoded.timestamp).toBe(TEST_CLOCK_START / 1000);
  expect(decoded.timeExpireDate).toBe(TEST_CLOCK_START / 1000 + 90);
  expect(createHash("sha256").update(Buffer.from(node.preimageOf(invoice.paymentHash), "hex")).digest("hex")).toBe(invoice.paymentHash);
});

test("every network has its prefix", () => {
  for (const [network, prefix] of [["bitcoin", "lnbc1"], ["testnet", "lntb1"], ["signet", "lntbs1"], ["regtest", "lnbcrt1"], ["simnet", "lnsb1"]] as const) {
    expect(createLightning({ network }).node("a").invoice({}).invoice.startsWith(prefix)).toBe(true);
  }
});

test("a seed makes everything the same, and another one everything different", () => {
  const make = (seed?: string): string => createLightning({ clock: createTestClock(), ...(seed === undefined ? {} : { seed }) }).node("a").invoice({ amountMsat: 1_000n }).invoice;
  expect(make("one")).toBe(make("one"));
  expect(make("one")).not.toBe(make("two"));
  expect(make()).not.toBe(make());
});

test("money moves and its sum stays", async () => {
  const lightning = createLightning({ clock: createTestClock() });
  const payee = lightning.node("payee");
  const wallet = lightning.wallet({ balanceSats: 100, feeMsat: (amountMsat) => amountMsat / 100n });
  const invoice = payee.invoice({ amountMsat: 10_000n });
  const preimage = payee.preimageOf(invoice.paymentHash);
  expect(await wallet.pay(requestFor(invoice))).toEqual({ status: "settled", preimage, feeMsat: 100n, ref: "wallet-1-1" });
  expect(wallet.balanceMsat).toBe(89_900n);
  expect(payee.receivedMsat).toBe(10_000n);
  expect(payee.isPaid(invoice.paymentHash)).toBe(true);
  expect(lightning.feesMsat).toBe(100n);
  expect(lightning.totalMsat()).toBe(100_000n);
  lightning.assertConserved();
});

test("hold invoices wait for their payee", async () => {
  const clock = createTestClock();
  const lightning = createLightning({ clock });
  const payee = lightning.node("payee");
  const wallet = lightning.wallet({ balanceSats: 100 });
  const kept = payee.invoice({ amountMsat: 10_000n, hold: true });
  const back = payee.invoice({ amountMsat: 20_000n, hold: true });
  const paying = [wallet.pay(requestFor(kept)), wallet.pay(requestFor(back))];
  await clock.settle();
  expect(payee.find(kept.paymentHash)?.state).toBe("accepted");
  expect(wallet.inFlightMsat).toBe(30_000n);
  expect(lightning.totalMsat()).toBe(100_000n);
  payee.settleHold(kept.paymentHash);
  payee.cancelHold(back.paymentHash);
  expect(await paying[0]).toMatchObject({ status: "settled" });
  expect(await paying[1]).toMatchObject({ status: "failed", reason: "rejected_by_payee" });
  expect(wallet.balanceMsat).toBe(90_000n);
  lightning.assertConserved();
});

test("double payments come to light, whoever makes them", async () => {
  const lightning = createLightning({ clock: createTestClock() });
  const invoice = lightning.node("payee").invoice({ amountMsat: 10_000n });
  const honest = lightning.wallet({ balanceSats: 100 });
  await honest.pay(requestFor(invoice));
  expect(await lightning.wallet({ balanceSats: 100 }).pay(requestFor(invoice))).toMatchObject({ status: "failed", reason: "rejected_by_payee" });
  expect(lightning.doublePayments()).toEqual([]);
  const careless = lightning.wallet({ balanceSats: 100, idempotent: false });
  await careless.pay(requestFor(invoice));
  await careless.pay(requestFor(invoice));
  expect(lightning.doublePayments()).toEqual([{ paymentHash: invoice.paymentHash, times: 3, amountMsat: 30_000n }]);
  lightning.assertConserved();
});

test("two invoices of one payment hash are one payment twice", async () => {
  const lightning = createLightning({ clock: createTestClock() });
  const payee = lightning.node("payee");
  const preimage = "ab".repeat(32);
  const first = payee.invoice({ amountMsat: 1_000n, preimage });
  const second = payee.invoice({ amountMsat: 2_000n, preimage });
  expect(second.paymentHash).toBe(first.paymentHash);
  const wallet = lightning.wallet({ balanceSats: 100, idempotent: false });
  await wallet.pay(requestFor(first));
  await wallet.pay(requestFor(second));
  expect(lightning.doublePayments()).toEqual([{ paymentHash: first.paymentHash, times: 2, amountMsat: 3_000n }]);
});
