/** NWC keeps the wallet contract over a real relay and a real wallet service. */
import { describeContract, walletContract } from "@l402-tools/testing";
import { describe, test, vi } from "vitest";
import { NwcWallet } from "../src/nwc.ts";
import { startNwc } from "./fakes/nwc.ts";
import { createWorld, harnessOf } from "./fakes/world.ts";

// Alby's service logs every request.
for (const method of ["info", "log", "error", "warn", "debug"] as const) vi.spyOn(console, method).mockImplementation(() => {});

describe("NWC keeps the wallet contract", () => {
  describeContract(test, walletContract, async ({ balanceMsat, feeMsat }) => {
    const world = createWorld({ feeLimit: "none", balanceMsat, feeMsat });
    const service = await startNwc(world);
    const wallet = new NwcWallet({ url: service.url });
    return harnessOf(wallet, world, {
      async offline(cut) {
        for (const relay of service.relays) await relay.offline(cut);
        if (!cut) await service.serve();
      },
      close: () => service.close(),
    });
  });
});
