/** Every wallet over HTTP keeps the wallet contract, over its fake. NWC and WebLN have theirs in their own files. */
import type { Wallet } from "@l402-tools/core";
import { describeContract, walletContract } from "@l402-tools/testing";
import { describe, test } from "vitest";
import { services } from "./fakes/services.ts";
import { createWorld, harnessOf } from "./fakes/world.ts";

describe.each(Object.entries(services))("%s keeps the wallet contract", (_, { fake, wallet, sim }) => {
  describeContract(test, walletContract, async ({ balanceMsat, feeMsat }) => {
    const world = createWorld({ ...sim, balanceMsat, feeMsat });
    const server = await fake(world);
    const made: Wallet = wallet(server.url);
    return harnessOf(made, world, { offline: (cut) => server.offline(cut), close: () => server.close() });
  });
});
