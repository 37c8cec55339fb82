import assert from "node:assert/strict";
import type { LookupResult, PayRequest, PayResult, Wallet } from "@l402-tools/core";
import { sha256 } from "../hash.ts";
import type { ContractCase } from "./case.ts";

/** A wallet and the world around it, as far as the contract has to see it. */
export interface WalletHarness {
  readonly wallet: Wallet;
  /** An invoice of someone whom the wallet can pay. `expired`: it was made so long ago that it is. */
  invoice(options: { amountMsat: bigint; expired?: boolean }): Promise<{ invoice: string; paymentHash: string }>;
  /** What the payee got for it, msat, all times together. */
  receivedMsat(paymentHash: string): Promise<bigint>;
  /** The time by which the wallet reads deadlines. @default the machine's */
  now?(): number;
  /** Moves that time on, where it is not the machine's. */
  advance?(ms: number): Promise<void>;
  /** An invoice whose payment stays on its way until `settleHold`; without it, those cases say nothing. */
  holdInvoice?(options: { amountMsat: bigint }): Promise<{ invoice: string; paymentHash: string }>;
  settleHold?(paymentHash: string): Promise<void>;
  /** Cuts the wallet off from its service, or joins them again; without it, those cases say nothing. */
  offline?(cut: boolean): Promise<void>;
  close?(): Promise<void>;
}

/** Makes a wallet with that much to spend, whose payments cost that fee (it may be less). */
export type MakeWallet = (options: { balanceMsat: bigint; feeMsat: bigint }) => Promise<WalletHarness>;

const BALANCE = 1_000_000n;
const FEE = 2_000n;
const AMOUNT = 10_000n;
const HASH = /^[0-9a-f]{64}$/;
let attempts = 0;

interface Fixture extends WalletHarness {
  request(invoice: { invoice: string; paymentHash: string }, fields?: Partial<PayRequest>): PayRequest;
  pay(invoice: { invoice: string; paymentHash: string }, fields?: Partial<PayRequest>): Promise<PayResult>;
  /** By hash, or by the reference of `result`; `undefined`: this wallet has no look-up. */
  lookup(paymentHash: string, result?: PayResult): Promise<LookupResult | undefined>;
}

function walletCase(name: string, body: (fixture: Fixture) => Promise<void>, balanceMsat: bigint = BALANCE): ContractCase<MakeWallet> {
  return {
    name,
    async run(make) {
      const harness = await make({ balanceMsat, feeMsat: FEE });
      const { wallet } = harness;
      const request: Fixture["request"] = (invoice, fields) => ({
        invoice: invoice.invoice,
        paymentHash: invoice.paymentHash,
        amountMsat: AMOUNT,
        maxFeeMsat: FEE,
        deadline: (harness.now?.() ?? Date.now()) + 30_000,
        attemptId: `attempt-${(attempts += 1)}`,
        ...fields,
      });
      try {
        await body({
          ...harness,
          request,
          pay: (invoice, fields) => wallet.pay(request(invoice, fields)),
          async lookup(paymentHash, result) {
            if (wallet.lookup === undefined || wallet.capabilities.lookup === "none") return undefined;
            const ref = result !== undefined && "ref" in result ? result.ref : undefined;
            if (wallet.capabilities.lookup === "by-ref" && ref === undefined) return undefined;
            return wallet.lookup({ paymentHash, ...(ref === undefined ? {} : { ref }) });
          },
        });
      } finally {
        await wallet.close?.();
        await harness.close?.();
      }
    },
  };
}

/** Fails unless the preimage is one that this wallet may answer with. */
function assertPreimage(wallet: Wallet, preimage: string | null, paymentHash: string): void {
  if (preimage === null) {
    assert.notEqual(wallet.capabilities.preimage, "always", "a wallet that always has the preimage left it out");
    return;
  }
  assert.match(preimage, HASH);
  assert.equal(sha256(Buffer.from(preimage, "hex")).toString("hex"), paymentHash, "the preimage is of this payment");
}

/** What makes something a wallet of the engine. */
export const walletContract: readonly ContractCase<MakeWallet>[] = [
  walletCase("says what it can", async ({ wallet }) => {
    assert.ok(wallet.name.length > 0);
    const { feeLimit, preimage, lookup, notFoundFinalAfterMs, worstCaseFeeMsat } = wallet.capabilities;
    assert.ok(["enforced", "quoted", "none"].includes(feeLimit));
    assert.ok(["always", "usually", "never"].includes(preimage));
    assert.ok(["by-hash", "by-ref", "none"].includes(lookup));
    assert.equal(lookup !== "none", wallet.lookup !== undefined);
    assert.ok(notFoundFinalAfterMs === null || notFoundFinalAfterMs >= 0);
    if (feeLimit === "none") assert.ok(worstCaseFeeMsat !== undefined, "without a fee limit the engine must know the worst case");
    if (feeLimit === "quoted") assert.ok(wallet.quoteFee !== undefined);
  }),

  walletCase("pays an invoice, once, with its preimage and its fee", async ({ wallet, invoice, pay, receivedMsat }) => {
    const due = await invoice({ amountMsat: AMOUNT });
    const before = await wallet.balance?.();
    const result = await pay(due);
    assert.equal(result.status, "settled");
    if (result.status !== "settled") return;
    assertPreimage(wallet, result.preimage, due.paymentHash);
    assert.equal(await receivedMsat(due.paymentHash), AMOUNT);
    if (result.feeMsat !== null) {
      assert.ok(result.feeMsat >= 0n);
      const most = wallet.capabilities.feeLimit === "enforced" ? FEE : (wallet.capabilities.worstCaseFeeMsat?.(AMOUNT) ?? FEE);
      assert.ok(result.feeMsat <= most, `the fee is ${result.feeMsat} msat, and at most ${most}`);
    }
    const after = await wallet.balance?.();
    if (before === undefined || after === undefined || result.feeMsat === null) return;
    const spent = before.spendableMsat - after.spendableMsat;
    // Custodians keep whole sats.
    assert.ok(spent >= AMOUNT + result.feeMsat - 999n && spent <= AMOUNT + result.feeMsat + 999n, `the balance went down by ${spent} msat`);
  }),

  walletCase("told to pay the same invoice again, pays nothing and does not say that it failed", async ({ invoice, pay, receivedMsat }) => {
    const due = await invoice({ amountMsat: AMOUNT });
    assert.equal((await pay(due)).status, "settled");
    const again = await pay(due);
    assert.notEqual(again.status, "failed", "failed means that nothing moved");
    assert.equal(await receivedMsat(due.paymentHash), AMOUNT);
  }),

  walletCase("told twice at once, pays once and neither says that it failed", async ({ invoice, pay, receivedMsat }) => {
    const due = await invoice({ amountMsat: AMOUNT });
    const results = await Promise.all([pay(due), pay(due)]);
    assert.deepEqual(results.filter((result) => result.status === "failed"), []);
    assert.ok(results.some((result) => result.status === "settled"));
    assert.equal(await receivedMsat(due.paymentHash), AMOUNT);
  }),

  walletCase("keeps the fee limit that it promises", async ({ wallet, invoice, pay, request, receivedMsat }) => {
    const { feeLimit, worstCaseFeeMsat } = wallet.capabilities;
    const due = await invoice({ amountMsat: AMOUNT });
    if (feeLimit === "enforced") {
      const result = await pay(due, { maxFeeMsat: 0n });
      if (result.status === "settled") {
        assert.ok(result.feeMsat === null || result.feeMsat === 0n, "it charged more than allowed");
        return;
      }
      assert.equal(result.status, "failed");
      if (result.status === "failed") assert.ok(["fee_too_high", "no_route"].includes(result.reason), result.reason);
      assert.equal(await receivedMsat(due.paymentHash), 0n);
      return;
    }
    const quote = await wallet.quoteFee?.(request(due));
    const result = await pay(due);
    assert.equal(result.status, "settled");
    if (result.status !== "settled" || result.feeMsat === null) return;
    if (feeLimit === "quoted" && quote?.binding === true) assert.ok(result.feeMsat <= quote.feeMsat, "it charged more than it quoted");
    if (feeLimit === "none" && worstCaseFeeMsat !== undefined) assert.ok(result.feeMsat <= worstCaseFeeMsat(AMOUNT), "it charged more than the worst case");
  }),

  walletCase("an expired invoice fails, and nothing moves", async ({ invoice, pay, receivedMsat }) => {
    const due = await invoice({ amountMsat: AMOUNT, expired: true });
    const result = await pay(due);
    assert.equal(result.status, "failed");
    assert.equal(await receivedMsat(due.paymentHash), 0n);
  }),

  walletCase(
    "too little balance fails, and nothing moves",
    async ({ invoice, pay, receivedMsat }) => {
      const due = await invoice({ amountMsat: AMOUNT });
      const result = await pay(due);
      assert.equal(result.status, "failed");
      if (result.status === "failed") assert.ok(["insufficient_balance", "no_route", "fee_too_high", "limit_exceeded"].includes(result.reason), result.reason);
      assert.equal(await receivedMsat(due.paymentHash), 0n);
    },
    5_000n,
  ),

  walletCase("what is no invoice fails, without a throw", async ({ pay }) => {
    const result = await pay({ invoice: "lnbcrt1notaninvoice", paymentHash: "11".repeat(32) });
    assert.equal(result.status, "failed");
  }),

  walletCase("after a failure the same invoice can be paid", async ({ wallet, invoice, pay, receivedMsat }) => {
    if (wallet.capabilities.feeLimit !== "enforced") return;
    const due = await invoice({ amountMsat: AMOUNT });
    const first = await pay(due, { maxFeeMsat: 0n });
    if (first.status === "settled") return;
    assert.equal(first.status, "failed");
    assert.equal((await pay(due)).status, "settled");
    assert.equal(await receivedMsat(due.paymentHash), AMOUNT);
  }),

  walletCase("look-up: finds a settled payment with its preimage, and nothing where nothing is", async ({ wallet, invoice, pay, lookup }) => {
    const due = await invoice({ amountMsat: AMOUNT });
    const never = await lookup(due.paymentHash);
    if (never !== undefined) assert.ok(never.status === "not_found" || (never.status === "failed" && never.soft), `nothing was paid, and it says ${never.status}`);
    const result = await pay(due);
    const found = await lookup(due.paymentHash, result);
    if (found === undefined) return;
    assert.equal(found.status, "settled");
    if (found.status !== "settled" || result.status !== "settled") return;
    assertPreimage(wallet, found.preimage, due.paymentHash);
    if (found.feeMsat !== null && result.feeMsat !== null) assert.equal(found.feeMsat, result.feeMsat);
  }),

  walletCase("look-up: does not say settled, or in flight, after a failure", async ({ invoice, pay, lookup }) => {
    const due = await invoice({ amountMsat: AMOUNT, expired: true });
    const result = await pay(due);
    const found = await lookup(due.paymentHash, result);
    if (found !== undefined) assert.ok(found.status === "failed" || found.status === "not_found", found.status);
  }),

  walletCase("stops waiting at the deadline, and then knows nothing, or that it is on its way", async ({ wallet, holdInvoice, settleHold, pay, lookup, now, advance, receivedMsat }) => {
    if (holdInvoice === undefined || settleHold === undefined) return;
    const due = await holdInvoice({ amountMsat: AMOUNT });
    const paying = pay(due, { deadline: (now?.() ?? Date.now()) + 500 });
    await advance?.(1_000);
    const result = await paying;
    assert.ok(result.status === "unknown" || result.status === "in_flight", `it said ${result.status}`);
    const waiting = await lookup(due.paymentHash, result);
    if (waiting !== undefined) assert.equal(waiting.status, "in_flight");
    await settleHold(due.paymentHash);
    assert.equal(await receivedMsat(due.paymentHash), AMOUNT);
    const found = await lookup(due.paymentHash, result);
    if (found === undefined) return;
    assert.equal(found.status, "settled");
    if (found.status === "settled") assertPreimage(wallet, found.preimage, due.paymentHash);
  }),

  walletCase("an abort stops the waiting, and is no failure", async ({ holdInvoice, settleHold, pay, advance, receivedMsat }) => {
    if (holdInvoice === undefined || settleHold === undefined) return;
    const due = await holdInvoice({ amountMsat: AMOUNT });
    const controller = new AbortController();
    const paying = pay(due, { signal: controller.signal });
    await (advance?.(10) ?? new Promise((resolve) => setTimeout(resolve, 50)));
    controller.abort(new Error("the caller left"));
    const result = await paying;
    assert.ok(result.status === "unknown" || result.status === "in_flight", `it said ${result.status}`);
    await settleHold(due.paymentHash);
    assert.equal(await receivedMsat(due.paymentHash), AMOUNT);
  }),

  walletCase("without its service: no throw and no lie from pay; look-up throws", async ({ wallet, offline, invoice, pay, lookup, receivedMsat }) => {
    if (offline === undefined) return;
    const due = await invoice({ amountMsat: AMOUNT });
    await offline(true);
    const result = await pay(due);
    assert.ok(result.status === "unknown" || (result.status === "failed" && result.reason === "unreachable"), `it said ${JSON.stringify(result.status)}`);
    if (wallet.lookup !== undefined) await assert.rejects(async () => wallet.lookup?.({ paymentHash: due.paymentHash, ref: "some-ref" }), "network trouble is never not_found");
    await offline(false);
    const found = await lookup(due.paymentHash, result);
    const received = await receivedMsat(due.paymentHash);
    if (result.status === "failed") assert.equal(received, 0n);
    if (found?.status === "settled") assert.equal(received, AMOUNT);
  }),
];
