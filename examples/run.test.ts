/** Every example runs: one story a folder, whose `index.ts` asserts what it shows and exits non-zero if it does not hold. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const here = import.meta.dirname;
const stories = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !["node_modules", "demo", "nextjs-chat"].includes(entry.name) && !entry.name.startsWith("."))
  .map(({ name }) => name);

test.each(stories)("%s runs, and says what it shows", { timeout: 120_000 }, async (story) => {
  expect(existsSync(join(here, story, "README.md")), "it has a README").toBe(true);
  const { stdout } = await promisify(execFile)(process.execPath, [join(here, story, "index.ts")], { cwd: join(here, story) });
  expect(stdout.trim()).not.toBe("");
});

test("the demo runs, its sums agree, and it fits a terminal", { timeout: 120_000 }, async () => {
  const { FORCE_COLOR: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [join(here, "demo.mjs")], { cwd: here, env: { ...env, NO_COLOR: "1" } });
  expect(stdout).toContain("✓ Books agree: ledger 50,000 = wallet 50,000 = shop 47,000 + fees 3,000 msat = report 50 sats.");
  expect(stdout).toContain("✓ All balances add up to 5,000,000 msat, as before.");
  expect(stdout, "no colours where they are not wanted").not.toContain("\u001b");
  expect(stdout.split("\n").filter((line) => [...line].length > 100)).toEqual([]);
});
