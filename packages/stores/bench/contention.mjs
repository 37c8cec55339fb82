// Processes that reserve on one ledger as fast as they can.
// node packages/stores/bench/contention.mjs [processes] [reservations each] [folder]
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "../test/children/run.ts";

const processes = Number(process.argv[2] ?? 8);
const each = Number(process.argv[3] ?? 2_500);
const folder = mkdtempSync(join(process.argv[4] ?? tmpdir(), "l402-bench-"));
const path = join(folder, "contention.db");
for (const together of [1, 8]) {
  const children = Array.from({ length: processes }, (_, n) => start("contend", [path, `${together}-${n}`, String(each), String(together), "1000000"]));
  for (const child of children) await child.line();
  const begin = performance.now();
  for (const child of children) child.process.stdin.write("go\n");
  const ends = await Promise.all(children.map(async (child) => [await child.line(), performance.now() - begin]));
  const seconds = Math.max(...ends.map(([, ms]) => ms)) / 1000;
  const failed = ends.filter(([line]) => line !== JSON.stringify({ reserved: each })).length;
  console.log(`${processes} processes, ${together} at a time each: ${Math.round((processes * each) / seconds)} reservations/s, first done after ${(Math.min(...ends.map(([, ms]) => ms)) / 1000).toFixed(1)} s, last after ${seconds.toFixed(1)} s, failed ${failed}`);
}
console.log(`${Math.round(statSync(path).size / 2 ** 20)} MiB`);
rmSync(folder, { recursive: true });
