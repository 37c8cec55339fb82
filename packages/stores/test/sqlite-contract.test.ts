/** The SQLite ledger is a store, a durable one, with and without encryption. */
import { join } from "node:path";
import { describeContract, durableStoreContract, storeContract } from "@l402-tools/testing";
import { describe, test } from "vitest";
import { sqliteStore } from "../src/sqlite/index.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();
let made = 0;

describe.each([
  { title: "plain", extra: {} },
  { title: "encrypted", extra: { encryptionKey: "11".repeat(32) } },
])("$title", ({ title, extra }) => {
  describeContract(test, storeContract, async ({ clock }) => sqliteStore({ path: join(folder, `${title}-${(made += 1)}.db`), clock, ...extra }));
  describe("durable", () => {
    describeContract(test, durableStoreContract, async ({ clock, location }) => sqliteStore({ path: join(folder, `${title}-${location}.db`), clock, ...extra }));
  });
});
