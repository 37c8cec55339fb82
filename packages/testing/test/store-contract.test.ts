import { memoryStore } from "@l402-tools/core";
import { describe, expect, test } from "vitest";
import { describeContract, storeContract } from "../src/index.ts";

describe("the memory store keeps the store contract", () => {
  describeContract(test, storeContract, async ({ clock }) => memoryStore({ clock }));
});

test("`await using` closes the memory store", async () => {
  const kept = await (async () => {
    await using store = memoryStore();
    expect(await store.paused("default")).toBe(null);
    return store;
  })();
  await expect(kept.paused("default")).rejects.toThrow(/closed/);
});
