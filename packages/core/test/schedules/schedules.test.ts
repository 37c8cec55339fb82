/**
 * Random schedules of the real engine: every effect waits for the scheduler, and after each step the invariants of the
 * design's reliability rules are checked. See main.ts for how to run one seed again.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/memory-store.ts";
import type { Clock, Store } from "../../src/ports.ts";
import { REGRESSIONS } from "./regressions.ts";
import { runSchedule, type RunOptions } from "./run.ts";
import { Tape } from "./tape.ts";

const SCHEDULES = Number(process.env["SCHEDULES"] ?? 100_000);
const SEED = Number(process.env["SCHEDULE_SEED"] ?? 1);
const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const HOUR = 3_600_000;

/** The smallest tape that fails, found by fast-check, and what it does. */
async function shrink(seed: number, options: RunOptions = {}): Promise<string> {
  const { tape } = await runSchedule(seed, options);
  const until = performance.now() + 20_000;
  const details = await fc.check(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 5_000 }), async (values) => {
      if (performance.now() > until) return; // good enough
      const { violation } = await runSchedule(values, options);
      if (violation !== undefined) throw violation;
    }),
    { examples: [[[...tape]]], numRuns: 1, endOnFailure: false },
  );
  const smallest = details.counterexample?.[0] ?? [...tape];
  const outcome = await runSchedule(smallest, { ...options, trace: true });
  return [`SCHEDULE=${seed} node ${MAIN}`, `tape ${JSON.stringify(smallest)}`, ...outcome.trace, String(outcome.violation?.stack)].join("\n");
}

async function assertSound(seed: number): Promise<void> {
  const { violation } = await runSchedule(seed);
  if (violation !== undefined) assert.fail(`${violation.message}\n${await shrink(seed)}`);
}

interface Report {
  readonly done: number;
  readonly steps: number;
  readonly payments: number;
  readonly failures: readonly { seed: number; message: string }[];
}

async function shard(index: number, shards: number): Promise<Report> {
  const env = { ...process.env, SCHEDULES: String(SCHEDULES), SCHEDULE_SEED: String(SEED), SCHEDULE_SHARD: String(index), SCHEDULE_SHARDS: String(shards) };
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN], { env, maxBuffer: 1 << 24 }).catch((error: { stdout?: string }) => {
    if (error.stdout === undefined || error.stdout === "") throw error;
    return { stdout: error.stdout };
  });
  return JSON.parse(stdout.trim().split("\n").at(-1) as string) as Report;
}

describe("schedules", () => {
  test("seeds that failed before", { timeout: 120_000 }, async () => {
    for (const seed of REGRESSIONS) await assertSound(seed);
  });

  test("one seed is one schedule", async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const first = await runSchedule(seed, { trace: true });
      const second = await runSchedule(seed, { trace: true });
      expect(second.trace).toEqual(first.trace);
      const played = await runSchedule(first.tape, { trace: true });
      expect(played.trace).toEqual(first.trace);
    }
  });

  test("an empty tape is the simplest schedule: everybody behaves", async () => {
    const { violation, payments } = await runSchedule([]);
    expect(violation).toBeUndefined();
    expect(payments).toBe(1);
    expect(new Tape([]).pick(7)).toBe(0);
  });

  test(`${SCHEDULES} schedules from seed ${SEED}`, { timeout: HOUR }, async () => {
    const shards = Math.min(2, availableParallelism());
    const reports = await Promise.all(Array.from({ length: shards }, (_, index) => shard(index, shards)));
    const failure = reports.flatMap((report) => report.failures)[0];
    if (failure !== undefined) assert.fail(`${failure.message}\n${await shrink(failure.seed)}`);
    expect(reports.reduce((sum, report) => sum + report.done, 0)).toBe(SCHEDULES);
    const [payments, steps] = [reports.reduce((sum, report) => sum + report.payments, 0), reports.reduce((sum, report) => sum + report.steps, 0)];
    console.log(`${SCHEDULES} schedules, ${steps} steps, ${payments} payments on record, no violation`);
    expect(payments).toBeGreaterThan(SCHEDULES / 2);
  });
});

describe("the checker can fail", () => {
  const until = async (options: RunOptions, most = 2_000): Promise<{ seed: number; rule: string } | undefined> => {
    for (let seed = 1; seed <= most; seed += 1) {
      const { violation } = await runSchedule(seed, options);
      if (violation !== undefined) return { seed, rule: violation.rule };
    }
    return undefined;
  };

  test("a store that checks, waits, and then adds overspends", async () => {
    const rules = new Set<string>();
    for (let seed = 1; seed <= 300 && !rules.has("I1"); seed += 1) rules.add((await runSchedule(seed, { store: naive })).violation?.rule ?? "none");
    expect(rules).toContain("I1");
  });

  test("a store that forgets a hold is found out", async () => {
    const store = (clock: Clock): Store => {
      const inner = memoryStore({ clock });
      return { ...inner, usage: async (rules) => (await inner.usage(rules)).map((usage) => ({ ...usage, heldMsat: 0n })) };
    };
    expect((await until({ store }))?.rule).toBe("I3");
  });

  test("a store that takes any preimage is found out, and its tape shrinks", { timeout: 120_000 }, async () => {
    const store = (clock: Clock): Store => {
      const inner = memoryStore({ clock });
      return { ...inner, settle: (hash, proof) => inner.settle(hash, { ...proof, preimage: "11".repeat(32) }) };
    };
    const found = await until({ store });
    expect(found?.rule).toBe("I8");
    const story = await shrink(found?.seed ?? 0, { store });
    expect(story).toMatch(/I8/);
    expect((/tape (\[.*\])/.exec(story)?.[1]?.length ?? 0)).toBeLessThan(400);
  });
});

/** What many would write: reads the limits' usage first, and lets the store add without a look at them. */
function naive(clock: Clock): Store {
  const inner = memoryStore({ clock });
  return {
    ...inner,
    async reserve(request) {
      const usages = await inner.usage(request.limits);
      const seen = new Map(request.limits.map((rule, index) => [rule, usages[index]]));
      for (const [rule, usage] of seen) {
        // The sum of an instant ago: what is held is not in it.
        if (rule.domain === undefined && rule.maxMsat !== undefined && (usage?.spentMsat ?? 0n) + request.payment.amountMsat > rule.maxMsat) return inner.reserve(request);
      }
      return inner.reserve({ ...request, limits: [] });
    },
  };
}
