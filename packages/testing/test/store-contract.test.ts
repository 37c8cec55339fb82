import { memoryStore } from "@l402-tools/core";
import { describe, test } from "vitest";
import { describeContract, storeContract } from "../src/index.ts";

describe("the memory store keeps the store contract", () => {
  describeContract(test, storeContract, async ({ clock }) => memoryStore({ clock }));
});
