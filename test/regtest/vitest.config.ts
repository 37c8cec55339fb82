import { defineConfig } from "vitest/config";
import { totals } from "../../vitest.config.ts";

/** Run by main.ts, which starts the network. The files are not named `.test.ts`, so that `npm test` does not take them. */
export default defineConfig({
  root: import.meta.dirname,
  test: {
    name: "regtest",
    include: ["*.regtest.ts"],
    reporters: ["default", totals],
    // They share alice's node, and compare their ledgers with all that she paid meanwhile.
    fileParallelism: false,
    // Nothing asserts on the wall clock; these only end a test that hangs, on a slow machine too.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
