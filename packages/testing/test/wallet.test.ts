import { isL402Error } from "@l402-tools/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { behaviours, createLightning, createTestClock, type BehaviourName, type IssuedInvoice, type Lightning, type SimWallet, type TestClock } from "../src/index.ts";
import { requestFor } from "./buying.ts";

const DEADLINE_MS = 60_000;
let clock: TestClock;
let lightning: Lightning;
let wallet: SimWallet;
let invoice: IssuedInvoice;
let preimage: string;

beforeEach(() => {
  clock = createTestClock();
  lightning = createLightning({ clock, seed: "wallet" });
  wallet = lightning.wallet({ balanceSats: 1_000, feeMsat: 500n });
  invoice = lightning.node("payee").invoice({ amountMsat: 10_000n });
  preimage = lightning.node("payee").preimageOf(invoice.paymentHash);
});
afterEach(() => lightning.assertConserved());

const pay = (): ReturnType<SimWallet["pay"]> => wallet.pay(requestFor(invoice, { deadline: clock.now() + DEADLINE_MS }));
const lookup = (): ReturnType<SimWallet["lookup"]> => wallet.lookup({ paymentHash: invoice.paymentHash });
const found = { status: "settled", get preimage() { return preimage; }, feeMsat: 500n };

/** The answer, or `nothing` if there is none after ten minutes. */
async function within(answer: Promise<unknown>): Promise<unknown> {
  let result: unknown = "nothing";
  void answer.then(
    (value) => (result = value),
    (error: unknown) => (result = error),
  );
  await clock.advance(600_000);
  return result;
}

describe("a good wallet", () => {
  test("refuses what cannot be paid, and nothing moves", async () => {
    const payee = lightning.node("payee");
    const cases = [
      ["no_route", requestFor({ ...invoice, invoice: "lnbcrt1unknown" })],
      ["invalid_invoice", requestFor(invoice, { amountMsat: 9_999n })],
      ["invalid_invoice", requestFor(invoice, { paymentHash: "00".repeat(32) })],
      ["invalid_invoice", requestFor(payee.invoice({}), { amountMsat: 0n })],
      ["fee_too_high", requestFor(invoice, { maxFeeMsat: 499n })],
      ["insufficient_balance", requestFor(payee.invoice({ amountMsat: 999_501n }))],
      ["invoice_expired", requestFor(payee.invoice({ amountMsat: 1n, issuedAt: clock.now() - 3_600_000 }))],
    ] as const;
    for (const [reason, request] of cases) expect(await wallet.pay(request)).toMatchObject({ status: "failed", reason });
    expect(wallet.payments).toEqual([]);
    expect(wallet.balanceMsat).toBe(1_000_000n);
  });

  test("takes its time, and answers for the payment that it has", async () => {
    wallet = lightning.wallet({ balanceSats: 1_000, delayMs: 3_000 });
    const paying = pay();
    await clock.advance(1_000);
    expect(await pay()).toMatchObject({ status: "in_flight" });
    expect(await lookup()).toEqual({ status: "in_flight" });
    await clock.advance(2_000);
    expect(await paying).toMatchObject({ status: "settled", preimage });
    expect(await pay()).toMatchObject({ status: "settled", preimage });
    expect(wallet.payCalls(invoice.paymentHash)).toBe(3);
    expect(wallet.payments).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test("stops waiting at the deadline and at an abort; the payment goes on", async () => {
    wallet = lightning.wallet({ balanceSats: 1_000, delayMs: 2 * DEADLINE_MS });
    const paying = pay();
    await clock.advance(DEADLINE_MS);
    expect(await paying).toMatchObject({ status: "unknown", cause: { name: "TimeoutError" } });
    await clock.advance(DEADLINE_MS);
    expect(wallet.spentMsat).toBe(10_000n);

    const other = lightning.node("payee").invoice({ amountMsat: 1_000n });
    const controller = new AbortController();
    const aborted = wallet.pay(requestFor(other, { signal: controller.signal }));
    await clock.advance(1);
    controller.abort(new Error("left"));
    expect(await aborted).toMatchObject({ status: "unknown", cause: { message: "left" } });
    await clock.advance(2 * DEADLINE_MS);
    expect(wallet.spentMsat).toBe(11_000n);
  });

  test("quotes its fee and knows its balance", async () => {
    expect(await wallet.quoteFee?.(requestFor(invoice))).toEqual({ feeMsat: 500n, binding: true });
    expect(await wallet.balance()).toEqual({ spendableMsat: 1_000_000n });
    const free = lightning.wallet({ balanceSats: 1, feeLimit: "none", feeMsat: 7n, lookup: "none", preimage: "never" });
    expect(free.capabilities.worstCaseFeeMsat?.(1n)).toBe(7n);
    expect("lookup" in free).toBe(false);
  });

  test("looks up by its own reference where that is its way", async () => {
    wallet = lightning.wallet({ balanceSats: 1_000, feeMsat: 500n, lookup: "by-ref" });
    const { ref } = (await pay()) as { ref: string };
    await expect(lookup()).rejects.toThrow("reference");
    expect(await wallet.lookup({ paymentHash: invoice.paymentHash, ref })).toEqual(found);
    expect(await wallet.lookup({ paymentHash: invoice.paymentHash, ref: "other" })).toEqual({ status: "not_found" });
  });
});

/** What each behaviour answers, what a look-up says ten minutes later, and whether the payee has the money. */
const nothing = "nothing";
const settled = { status: "settled" };
const table: [BehaviourName, answer: unknown, lookup: string, paid: boolean][] = [
  ["ok", settled, "settled", true],
  ["fail:no_route", { status: "failed", reason: "no_route" }, "failed", false],
  ["fail:rate_limited", { status: "failed", reason: "rate_limited" }, "failed", false],
  ["hang", nothing, "not_found", false],
  ["hang-in-flight", nothing, "in_flight", false],
  ["hang-after-pay", nothing, "settled", true],
  ["lose-answer", nothing, "settled", true],
  ["unknown-after-pay", { status: "unknown" }, "settled", true],
  ["unknown-without-pay", { status: "unknown" }, "not_found", false],
  ["unknown-in-flight", { status: "unknown" }, "in_flight", false],
  ["throw-after-pay", { code: "ECONNRESET" }, "settled", true],
  ["throw-without-pay", { code: "ECONNRESET" }, "not_found", false],
  ["timeout-after-pay", { status: "unknown", cause: { name: "TimeoutError" } }, "settled", true],
  ["timeout-without-pay", { status: "unknown", cause: { name: "TimeoutError" } }, "not_found", false],
  ["timeout-in-flight", { status: "unknown", cause: { name: "TimeoutError" } }, "in_flight", false],
  ["answer-late", settled, "settled", true],
  ["in-flight", { status: "in_flight" }, "in_flight", false],
  ["in-flight-then-settle", { status: "in_flight" }, "settled", true],
  ["in-flight-then-fail", { status: "in_flight" }, "failed", false],
  ["lie-failed-but-paid", { status: "failed" }, "settled", true],
  ["lie-failed-pays-later", { status: "failed" }, "settled", true],
  ["lie-settled-unpaid", settled, "not_found", false],
  ["preimage-wrong", settled, "settled", true],
  ["preimage-empty", { status: "settled", preimage: "" }, "settled", true],
  ["preimage-null", { status: "settled", preimage: null }, "settled", true],
  ["preimage-short", settled, "settled", true],
  ["preimage-upper", settled, "settled", true],
  ["overcharge", { status: "settled", feeMsat: 11_000n }, "settled", true],
  ["fee-null", { status: "settled", feeMsat: null }, "settled", true],
];

describe("faults", () => {
  test.each(table)("%s", async (name, answer, status, paid) => {
    wallet.next(name);
    const result = await within(pay());
    if (answer === nothing) expect(result).toBe(nothing);
    else expect(result).toMatchObject(answer as object);
    expect((await lookup()).status).toBe(status);
    expect(lightning.node("payee").isPaid(invoice.paymentHash)).toBe(paid);
  });

  test("every behaviour is in the table", () => {
    expect(table.map(([name]) => name).filter((name) => !name.startsWith("fail:")).sort()).toEqual(Object.keys(behaviours).sort());
  });

  test("wrong preimages are wrong, and the right one is only written otherwise", async () => {
    const shown: string[] = [];
    for (const name of ["preimage-wrong", "preimage-short", "preimage-upper"] as const) {
      invoice = lightning.node("payee").invoice({ amountMsat: 1_000n });
      preimage = lightning.node("payee").preimageOf(invoice.paymentHash);
      wallet.next(name);
      const result = (await pay()) as { preimage: string };
      shown.push(result.preimage);
      if (name === "preimage-wrong") expect(result.preimage).not.toBe(preimage);
      if (name === "preimage-short") expect(preimage.startsWith(result.preimage)).toBe(true);
      if (name === "preimage-upper") expect(result.preimage).toBe(preimage.toUpperCase());
    }
    expect(shown.map((one) => one.length)).toEqual([64, 62, 64]);
  });

  test("an early answer comes at once, the money later", async () => {
    wallet.next("lie-failed-pays-later");
    expect(await pay()).toMatchObject({ status: "failed" });
    expect(wallet.inFlightMsat).toBe(10_500n);
    expect(await lookup()).toEqual({ status: "in_flight" });
    await clock.advance(5_000);
    expect(await lookup()).toEqual(found);
  });

  test("a failed payment can be made again", async () => {
    wallet.next("fail:no_route");
    expect(await pay()).toMatchObject({ status: "failed" });
    expect(await pay()).toMatchObject({ status: "settled" });
    expect(wallet.payments.map((payment) => payment.status)).toEqual(["failed", "settled"]);
  });

  test("what hangs in flight ends as the test says", async () => {
    wallet.next("in-flight", "in-flight");
    await pay();
    wallet.settle(invoice.paymentHash);
    await clock.settle();
    expect(await lookup()).toEqual(found);
    expect(() => wallet.settle(invoice.paymentHash)).toThrow("hangs in flight");
    invoice = lightning.node("payee").invoice({ amountMsat: 1_000n });
    await pay();
    wallet.fail(invoice.paymentHash, "rejected_by_payee");
    await clock.settle();
    expect(await lookup()).toEqual({ status: "failed", soft: false });
  });

  test("a script decides call by call; what is queued comes first", async () => {
    wallet.behave((request, call) => (call === 2 ? "fail:no_route" : undefined));
    expect(await pay()).toMatchObject({ status: "settled" });
    invoice = lightning.node("payee").invoice({ amountMsat: 1_000n });
    expect(await pay()).toMatchObject({ status: "failed" });
    wallet.behave("fail:other");
    wallet.next("ok");
    expect(await pay()).toMatchObject({ status: "settled" });
    expect(() => wallet.next("no-such-thing" as never)).toThrow("no-such-thing");
  });

  test("look-ups lag, throw, hang and lie as told", async () => {
    wallet = lightning.wallet({ balanceSats: 1_000, feeMsat: 500n, lookupLag: 2 });
    await pay();
    expect([await lookup(), await lookup(), await lookup()]).toEqual([{ status: "not_found" }, { status: "not_found" }, found]);
    wallet.nextLookup("throw", "never", "not-found", "in-flight", "failed", "failed-soft", "preimage-null", "preimage-wrong", "truth");
    await expect(lookup()).rejects.toThrow("connection refused");
    expect(await within(lookup())).toBe(nothing);
    expect(await lookup()).toEqual({ status: "not_found" });
    expect(await lookup()).toEqual({ status: "in_flight" });
    expect(await lookup()).toEqual({ status: "failed", soft: false });
    expect(await lookup()).toEqual({ status: "failed", soft: true });
    expect(await lookup()).toEqual({ ...found, preimage: null });
    expect(((await lookup()) as { preimage: string }).preimage).not.toBe(preimage);
    expect(await lookup()).toEqual(found);
  });

  test("a wallet that forgets finds nothing and pays again", async () => {
    await pay();
    wallet.forget();
    expect(await lookup()).toEqual({ status: "not_found" });
    expect(await pay()).toMatchObject({ status: "settled" });
    expect(lightning.doublePayments()).toHaveLength(1);
  });

  test("hold stops calls before the money moves, or before the answer", async () => {
    wallet.hold();
    const first = pay();
    await clock.settle();
    expect([wallet.held, wallet.inFlightMsat, wallet.spentMsat]).toEqual([1, 0n, 0n]);
    wallet.hold("answer");
    expect(wallet.release()).toBe(1);
    await clock.settle();
    expect([wallet.held, wallet.spentMsat]).toEqual([1, 10_500n]);
    wallet.unhold();
    expect(await first).toMatchObject({ status: "settled" });
    expect(wallet.release()).toBe(0);
  });
});

describe("the least a wallet can be", () => {
  test("pays and returns the preimage", async () => {
    wallet = lightning.wallet({ balanceSats: 1_000 });
    expect(await wallet.asSimple().payInvoice(invoice.invoice)).toEqual({ preimage });
  });

  test("a definite failure is marked, or not, as asked", async () => {
    wallet = lightning.wallet({ balanceSats: 0 });
    const error: unknown = await wallet.asSimple().payInvoice(invoice.invoice).catch((reason: unknown) => reason);
    expect(isL402Error(error) && error.code).toBe("payment_failed");
    const plain: unknown = await wallet.asSimple({ plainErrors: true }).payInvoice(invoice.invoice).catch((reason: unknown) => reason);
    expect(isL402Error(plain)).toBe(false);
    expect(wallet.asSimple({ throwMeansFailed: true }).throwMeansFailed).toBe(true);
    expect("throwMeansFailed" in wallet.asSimple()).toBe(false);
  });

  test("anything else is a throw that proves nothing", async () => {
    wallet = lightning.wallet({ balanceSats: 1_000 });
    wallet.next("timeout-after-pay");
    const error = await within(wallet.asSimple().payInvoice(invoice.invoice));
    expect(error).toBeInstanceOf(Error);
    expect(isL402Error(error)).toBe(false);
    expect(wallet.spentMsat).toBe(10_000n);
  });
});
