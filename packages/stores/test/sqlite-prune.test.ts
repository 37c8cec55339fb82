/** Old rows go; sums, windows, keys, credentials and whatever is unresolved stay. */
import { join } from "node:path";
import { createTestClock } from "@l402-tools/testing";
import type { LimitRule } from "@l402-tools/core";
import { expect, test } from "vitest";
import { sqliteStore } from "../src/sqlite/index.ts";
import { paymentNamed, preimageNamed } from "./children/payment.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();
const DAY = 86_400_000;
const HERE = { budgetId: "default", origin: "https://api.example.com", method: "GET", path: "/v1/data", anyPath: false };

test("pruning changes no sum, and keeps what is needed", async () => {
  const path = join(folder, "prune.db");
  const clock = createTestClock();
  const store = sqliteStore({ path, clock });
  const names = { used: 30, failed: 5, keyed: 1, offered: 1, waiting: 1, recent: 2 };
  const hash = (name: string) => paymentNamed(name).paymentHash;
  for (const [name, count] of Object.entries(names)) {
    for (let n = 0; n < count; n += 1) {
      if (name === "recent") await clock.advance(10 * DAY);
      const payment = paymentNamed(`${name} ${n}`, { expiresAt: clock.now() + 1_000, scopes: ["default", "default/child"], ...(name === "keyed" ? { idempotencyKey: "key" } : {}) });
      await store.reserve({ payment, maxFeeMsat: 7n, minFeeMsat: 0n, limits: [] });
      if (name === "waiting") continue;
      await store.dispatch(payment.paymentHash, payment.owner, Number.MAX_SAFE_INTEGER);
      if (name === "failed") await store.fail(payment.paymentHash, 1, "no route");
      else await store.settle(payment.paymentHash, { preimage: preimageNamed(`${name} ${n}`), feeMsat: 3n, resolution: "paid" });
      if (name !== "offered" && name !== "failed") await store.refused(payment.paymentHash, { method: "GET", path: "/v1/data" });
      await clock.advance(1_000);
    }
  }
  const before = clock.now() - 15 * DAY;
  const rules: LimitRule[] = [0, 1, 5, 15, 25, 1_000].flatMap((days) => ["default", "default/child"].map((scope) => ({ scope, ...(days === 0 ? {} : { windowMs: days * DAY }) })));
  const usage = await store.usage(rules);
  const hosts = await store.hosts("default");
  const offered = await store.credential(HERE);

  expect(await store.prune({ before })).toMatchObject({ payments: 35 });
  expect(await store.usage(rules)).toEqual(usage);
  expect(await store.hosts("default")).toEqual(hosts);
  expect(await store.credential(HERE)).toEqual(offered);
  expect(offered?.paymentHash).toBe(hash("offered 0"));
  const left: string[] = [];
  for await (const payment of store.payments("default")) left.push(payment.paymentHash);
  expect(left).toEqual(["keyed 0", "offered 0", "waiting 0", "recent 0", "recent 1"].map(hash));
  expect((await store.reserve({ payment: paymentNamed("again", { idempotencyKey: "key" }), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] })).status).toBe("purchase");
  expect(await store.verify()).toEqual({ ok: true, problems: [] });
  expect(await store.prune({ before })).toMatchObject({ payments: 0 });
  await store.close();

  // The guard and the chain take no offence, and it goes on.
  const again = sqliteStore({ path, clock });
  expect(again.unsafe()).toBe(null);
  expect(await again.usage(rules)).toEqual(usage);
  expect((await again.reserve({ payment: paymentNamed("used 0"), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] })).status).toBe("reserved");
  expect(await again.verify()).toEqual({ ok: true, problems: [] });
  const kinds: string[] = [];
  for await (const entry of again.entries()) kinds.push(entry.kind);
  expect(kinds).toContain("pruned");
  await expect(again.prune({ before: Number.NaN })).rejects.toThrow(/before/);
  await again.close();
});
