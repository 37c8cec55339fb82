/** Every example runs: one story a folder, whose `index.ts` asserts what it shows and exits non-zero if it does not hold. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const here = import.meta.dirname;
const stories = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "node_modules" && !entry.name.startsWith("."))
  .map(({ name }) => name);

test.each(stories)("%s runs, and says what it shows", { timeout: 120_000 }, async (story) => {
  expect(existsSync(join(here, story, "README.md")), "it has a README").toBe(true);
  const { stdout } = await promisify(execFile)(process.execPath, [join(here, story, "index.ts")], { cwd: join(here, story) });
  expect(stdout.trim()).not.toBe("");
});

test("the demo runs", { timeout: 120_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(here, "demo.mjs")], { cwd: here });
  expect(stdout.trim()).not.toBe("");
});
