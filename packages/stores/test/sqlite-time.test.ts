/** Clocks that jump: windows are never emptied by a step back, and a clock that had been far ahead does not freeze them. */
import { join } from "node:path";
import { createTestClock } from "@l402-tools/testing";
import type { LimitRule } from "@l402-tools/core";
import { describe, expect, test } from "vitest";
import { sqliteStore, type SqliteStore } from "../src/sqlite/index.ts";
import { momentAfter } from "../src/sqlite/time.ts";
import { paymentNamed } from "./children/payment.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const limits: readonly LimitRule[] = [{ scope: "default", windowMs: HOUR, maxMsat: 1_000n }];
let made = 0;

async function buy(store: SqliteStore, now: number): Promise<string> {
  const payment = paymentNamed(`bought ${(made += 1)}`, { expiresAt: now + HOUR });
  const reserved = await store.reserve({ payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits });
  if (reserved.status !== "reserved") return reserved.status;
  if ((await store.dispatch(payment.paymentHash, payment.owner, payment.expiresAt)) === null) return "not_sent";
  return (await store.settle(payment.paymentHash, { preimage: null, feeMsat: 0n, resolution: "paid" })).status;
}

describe.each([{ restarted: false }, { restarted: true }])("restarted: $restarted", ({ restarted }) => {
  async function story(name: string, steps: (at: (time: number) => Promise<string>, start: number) => Promise<void>): Promise<void> {
    const path = join(folder, `${name}-${String(restarted)}.db`);
    const clock = createTestClock();
    let store = sqliteStore({ path, clock });
    await steps(async (time) => {
      clock.set(time);
      if (restarted) {
        await store.close();
        store = sqliteStore({ path, clock });
      }
      return buy(store, time);
    }, clock.now());
    await store.close();
  }

  test("a clock set back by hours stands still until it has caught up", () =>
    story("back", async (at, start) => {
      expect(await at(start)).toBe("settled");
      expect(await at(start - 5 * HOUR)).toBe("over_limit");
      expect(await at(start - HOUR)).toBe("over_limit");
      expect(await at(start + HOUR - 1)).toBe("over_limit");
      expect(await at(start + HOUR)).toBe("settled");
    }));

  test("a clock that was a year ahead, and was corrected: windows roll, and payments are sent", () =>
    story("year", async (at, start) => {
      expect(await at(start)).toBe("settled");
      // Set forward, a window empties; a limit for life would not.
      expect(await at(start + 365 * DAY)).toBe("settled");
      expect(await at(start + 365 * DAY + 1)).toBe("over_limit");
      expect(await at(start + 10)).toBe("over_limit");
      expect(await at(start + HOUR)).toBe("over_limit");
      expect(await at(start + HOUR + 10)).toBe("settled");
      expect(await at(start + HOUR + 11)).toBe("over_limit");
      expect(await at(start + 2 * HOUR + 10)).toBe("settled");
    }));
});

test("the ledger's time never runs backwards, whatever the clock reads", () => {
  let last = { at: 0, reading: 0 };
  for (let step = 1; step < 500; step += 1) {
    const reading = 1_800_000_000_000 + Math.round(Math.sin(step * step) * 400 * DAY);
    const next = momentAfter(last, reading);
    expect(next.at).toBeGreaterThanOrEqual(last.at);
    last = next;
  }
  for (const reading of [Number.NaN, Infinity, 2 ** 60]) expect(() => momentAfter(last, reading)).toThrow(/no time/);
});
