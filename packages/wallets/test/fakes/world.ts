/** A wallet of the simulated network, as the money behind a fake service. */
import { setImmediate as immediate } from "node:timers/promises";
import type { FailureReason, Wallet } from "@l402-tools/core";
import { createLightning, type Lightning, type LightningNode, type SimWallet, type SimWalletOptions, type WalletHarness } from "@l402-tools/testing";

export type Told =
  | { status: "settled"; preimage: string; feeMsat: bigint; amountMsat: bigint; paymentHash: string }
  | { status: "failed"; reason: FailureReason; paymentHash: string }
  | { status: "already_paid"; paymentHash: string }
  | { status: "pending"; paymentHash: string };

export type State = { status: "settled" | "in_flight" | "failed" | "not_found"; preimage: string; feeMsat: bigint; amountMsat: bigint; invoice: string };

export interface World {
  readonly lightning: Lightning;
  readonly payee: LightningNode;
  readonly sim: SimWallet;
  /** What a node does when it is told to pay: it refuses what it has paid, or is paying. */
  pay(invoice: string, maxFeeMsat?: bigint): Promise<Told>;
  /** What it knows of a payment. */
  state(paymentHash: string): Promise<State>;
}

let count = 0;

export function createWorld(options: SimWalletOptions = {}): World {
  const lightning = createLightning();
  const payee = lightning.node("payee");
  const sim = lightning.wallet({ name: `behind-${(count += 1)}`, balanceMsat: 1_000_000n, feeMsat: 2_000n, ...options });
  return {
    lightning,
    payee,
    sim,
    async pay(invoice, maxFeeMsat = 10_000n) {
      const found = lightning.find(invoice);
      if (found?.amountMsat === undefined) return { status: "failed", reason: "invalid_invoice", paymentHash: "" };
      const { paymentHash, amountMsat } = found;
      const before = await sim.lookup?.({ paymentHash });
      if (before?.status === "settled") return { status: "already_paid", paymentHash };
      if (before?.status === "in_flight") return { status: "pending", paymentHash };
      const result = await sim.pay({ invoice, paymentHash, amountMsat, maxFeeMsat, deadline: Number.POSITIVE_INFINITY, attemptId: `fake-${(count += 1)}` });
      if (result.status === "settled") return { status: "settled", preimage: result.preimage ?? "", feeMsat: result.feeMsat ?? 0n, amountMsat, paymentHash };
      if (result.status === "failed") return { status: "failed", reason: result.reason, paymentHash };
      return { status: "pending", paymentHash };
    },
    async state(paymentHash) {
      const found = await sim.lookup?.({ paymentHash });
      const invoice = payee.find(paymentHash) ?? lightning.nodes.map((node) => node.find(paymentHash)).find((one) => one !== undefined);
      const common = { amountMsat: invoice?.amountMsat ?? 0n, invoice: invoice?.invoice ?? "" };
      if (found?.status === "settled") return { ...common, status: "settled", preimage: found.preimage ?? "", feeMsat: found.feeMsat ?? 0n };
      return { ...common, status: found?.status ?? "not_found", preimage: "", feeMsat: 0n };
    },
  };
}

/** What the contract suite wants to know of a wallet over a fake. */
export function harnessOf(wallet: Wallet, world: World, more: Partial<WalletHarness> = {}): WalletHarness {
  const { payee, lightning } = world;
  return {
    wallet,
    async invoice({ amountMsat, expired }) {
      return payee.invoice({ amountMsat, ...(expired === true ? { issuedAt: Date.now() - 7_200_000 } : {}) });
    },
    receivedMsat: async (paymentHash) => payee.find(paymentHash)?.receivedMsat ?? 0n,
    holdInvoice: async ({ amountMsat }) => payee.invoice({ amountMsat, hold: true }),
    async settleHold(paymentHash) {
      payee.settleHold(paymentHash);
      for (let round = 0; round < 4; round += 1) await immediate();
    },
    ...more,
    async close() {
      await more.close?.();
      lightning.assertConserved();
    },
  };
}
