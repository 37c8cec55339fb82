/** The bench itself is not part of the tests; that it runs, and what it counts rather than times, is. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./source.ts";

test("a short bench runs, and its counts are right", { timeout: 120_000 }, () => {
  const { stdout, stderr } = spawnSync(process.execPath, [join(root, "test/bench/main.mjs"), "--quick", "--json", "--only", "kept,service,single-use"], { encoding: "utf8" });
  expect(stderr).toBe("");
  const { rows } = JSON.parse(stdout) as { rows: { id: string; measured: number; ok: boolean | null }[] };
  expect(rows.map(({ id }) => id)).toEqual(["kept", "kept-cpu", "kept-16", "service", "single-use", "budget"]);
  expect(rows.filter(({ id }) => id === "service" || id === "budget")).toMatchObject([{ measured: 1, ok: true }, { measured: 600, ok: true }]);
});
