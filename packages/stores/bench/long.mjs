// A ledger of many payments: opening it, asking for balance and credential, reserving. Makes it first.
// node packages/stores/bench/long.mjs [payments] [folder]
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqliteStore } from "../dist/sqlite/index.js";
import { makeLongLedger } from "../test/children/long.ts";
import { payment } from "./payment.mjs";

const count = Number(process.argv[2] ?? 1_000_000);
const folder = mkdtempSync(join(process.argv[3] ?? tmpdir(), "l402-bench-"));
const path = join(folder, "long.db");

async function timed(title, work) {
  const start = performance.now();
  const result = await work();
  console.log(`${title}: ${(performance.now() - start).toFixed(1)} ms`);
  return result;
}

await timed(`made ${count} payments`, () => makeLongLedger(path, count));
console.log(`${Math.round(statSync(path).size / 2 ** 20)} MiB`);
const rules = [{ scope: "default" }, { scope: "default", windowMs: 3_600_000 }, { scope: "default", domain: "*.example.com", windowMs: 86_400_000, maxMsat: 10n ** 15n }];
const store = await timed("open", async () => sqliteStore({ path }));
if (store.unsafe() !== null) throw new Error(store.unsafe());
await timed("usage of 3 limits", () => store.usage(rules));
await timed("usage of 3 limits, again", () => store.usage(rules));
await timed("hosts", () => store.hosts("default"));
await timed("credential", () => store.credential({ budgetId: "default", origin: "https://api.example.com", method: "GET", path: "/v1/data", anyPath: true }));
await timed("unresolved payments", async () => {
  for await (const _ of store.payments("default", { state: ["reserved", "sending", "unknown"] }));
});
await timed("the last minute's payments", async () => {
  for await (const _ of store.payments("default", { since: Date.now() - 60_000 }));
});
await timed("100 reservations under 3 limits", async () => {
  for (let n = 0; n < 100; n += 1) await store.reserve({ payment: payment(n).payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits: rules });
});
console.log(`memory: ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`);
await timed("close", () => store.close());
rmSync(folder, { recursive: true });
