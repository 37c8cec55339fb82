/** What is asked of a long ledger touches a few pages of it: by counting them, not by the wall clock. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { LimitRule } from "@l402-tools/core";
import { expect, test } from "vitest";
import { sqliteStore } from "../src/sqlite/index.ts";
import { makeLongLedger } from "./children/long.ts";
import { paymentNamed } from "./children/payment.ts";
import { scratch } from "./scratch.ts";
import { systemCalls, withoutStrace } from "./strace.ts";
import { start } from "./children/run.ts";

const folder = scratch();
const PAYMENTS = 100_000;

test("a ledger of 100,000 payments: right answers, and every question is answered by an index", async () => {
  const path = join(folder, "long.db");
  await makeLongLedger(path, PAYMENTS);
  const store = sqliteStore({ path });
  expect(store.unsafe()).toBe(null);
  const rules: LimitRule[] = [{ scope: "default" }, { scope: "default", domain: "h1.example.com" }, { scope: "default", domain: "*.example.com" }, { scope: "default", windowMs: 3_600_000, maxMsat: 10n ** 12n }];
  const [all, one, wild, hour] = await store.usage(rules);
  expect(all).toMatchObject({ spentMsat: BigInt(PAYMENTS) * 1_000n, payments: PAYMENTS });
  expect(one).toMatchObject({ payments: PAYMENTS / 50 });
  expect(wild).toMatchObject({ payments: PAYMENTS });
  expect(hour?.payments).toBeGreaterThan(3_000);
  expect(hour?.payments).toBeLessThanOrEqual(3_600);
  expect((await store.hosts("default")).size).toBe(50);
  const payment = paymentNamed("one more");
  expect((await store.reserve({ payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits: rules })).status).toBe("reserved");
  const open: string[] = [];
  for await (const { paymentHash } of store.payments("default", { state: ["reserved", "sending", "unknown"] })) open.push(paymentHash);
  expect(open).toEqual([payment.paymentHash]);
  await store.close();

  // No question of the store reads a table from one end to the other.
  const db = new DatabaseSync(path);
  const plan = (sql: string): string => (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map(({ detail }) => detail).join("; ");
  for (const sql of [
    "SELECT * FROM payment WHERE hash = 'a'",
    "SELECT * FROM payment WHERE budget = 'a' AND request_key = 'b' AND state IN ('reserved', 'sending', 'unknown')",
    "SELECT * FROM payment INDEXED BY payment_open WHERE budget = 'a' AND state IN (?, ?) AND state IN ('reserved', 'sending', 'unknown') AND number > 0 ORDER BY number LIMIT 100",
    "SELECT * FROM payment WHERE budget = 'a' AND origin = 'b' AND method = 'c' AND path = 'd' AND path_order IS NOT NULL ORDER BY path_order DESC LIMIT 1",
    "SELECT * FROM payment WHERE budget = 'a' AND origin = 'b' AND origin_order IS NOT NULL ORDER BY origin_order DESC LIMIT 16",
    "SELECT min(number) FROM payment INDEXED BY payment_time WHERE reserved_at >= 5",
    "SELECT settled_msat, payments FROM settlement WHERE account = 1 AND at <= 5 ORDER BY at DESC, payments DESC LIMIT 1",
    "SELECT * FROM account WHERE scope = 'a' AND host = 'b'",
    "SELECT 1 FROM purchase WHERE hash = 'a'",
  ]) {
    expect(plan(sql), sql).toMatch(/SEARCH/);
    expect(plan(sql), sql).not.toMatch(/SCAN/);
  }
  db.close();
}, 120_000);

test.skipIf(withoutStrace)("opening it and asking for the balance reads a small part of it", async () => {
  const path = join(folder, "long.db");
  const trace = join(folder, "open.trace");
  const child = start("balance", [path], { wrapper: ["strace", "-f", "-y", "-e", "trace=pread64,read", "-o", trace] });
  expect(await child.ended).toMatchObject({ code: 0 });
  const reads = systemCalls(trace).filter(({ on }) => on === path);
  expect(reads.length).toBeGreaterThan(5);
  // Of about 40,000 pages.
  expect(reads.length).toBeLessThan(400);
}, 60_000);
