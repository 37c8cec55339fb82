/** One ledger has one guard, by whichever name it is opened. */
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { sqliteStore } from "../src/sqlite/index.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();

test("a link, also one that leads to nothing yet, is the ledger that it leads to", async () => {
  mkdirSync(join(folder, "real"));
  const link = join(folder, "link.db");
  symlinkSync(join(folder, "real/ledger.db"), link);
  for (const path of [link, join(folder, "real/ledger.db"), link]) {
    const store = sqliteStore({ path });
    expect(store.unsafe()).toBeNull();
    await store.resume("default", path);
    await store.close();
  }
  expect(existsSync(join(folder, "real/ledger.db.guard"))).toBe(true);
  expect(existsSync(`${link}.guard`)).toBe(false);
});

test("a circle of links and a path that only a shell expands are refused", () => {
  symlinkSync(join(folder, "b.db"), join(folder, "a.db"));
  symlinkSync(join(folder, "a.db"), join(folder, "b.db"));
  expect(() => sqliteStore({ path: join(folder, "a.db") })).toThrowError(expect.objectContaining({ name: "StoreError" }) as Error);
  expect(() => sqliteStore({ path: "~/ledger.db" })).toThrowError(expect.objectContaining({ code: "invalid_options", message: expect.stringContaining("path") as string }) as Error);
});
