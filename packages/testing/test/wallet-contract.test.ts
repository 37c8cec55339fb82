import { describe, test } from "vitest";
import { createLightning, createTestClock, describeContract, walletContract, type MakeWallet, type SimWalletOptions } from "../src/index.ts";

const make =
  (options: SimWalletOptions): MakeWallet =>
  async ({ balanceMsat, feeMsat }) => {
    const clock = createTestClock();
    const lightning = createLightning({ clock, seed: "contract" });
    const payee = lightning.node("payee");
    const wallet = lightning.wallet({ balanceMsat, feeMsat, ...options });
    return {
      wallet,
      async invoice({ amountMsat, expired }) {
        return payee.invoice({ amountMsat, ...(expired === true ? { issuedAt: clock.now() - 7_200_000 } : {}) });
      },
      receivedMsat: async (paymentHash) => payee.find(paymentHash)?.receivedMsat ?? 0n,
      now: clock.now,
      advance: clock.advance,
      holdInvoice: async ({ amountMsat }) => payee.invoice({ amountMsat, hold: true }),
      async settleHold(paymentHash) {
        payee.settleHold(paymentHash);
        await clock.settle();
      },
      async offline(cut) {
        wallet.behave(cut ? "unknown-without-pay" : undefined);
        if (cut) wallet.nextLookup("throw");
        else await clock.settle();
      },
      close: async () => lightning.assertConserved(),
    };
  };

describe.each<[string, SimWalletOptions]>([
  ["enforces a fee limit", {}],
  ["quotes", { feeLimit: "quoted" }],
  ["has no limit, no look-up, no preimage", { feeLimit: "none", lookup: "none", preimage: "never" }],
  ["looks up by reference", { lookup: "by-ref" }],
])("the simulated wallet that %s keeps the wallet contract", (_, options) => {
  describeContract(test, walletContract, make(options));
});
