import { expect, test } from "vitest";
import { createTestClock, systemClock } from "../src/index.ts";

test("sleepers wake in order of time, and see the time of their waking", async () => {
  const clock = createTestClock(1_000);
  const woken: string[] = [];
  for (const [name, ms] of [["late", 30], ["early", 10], ["same", 10]] as const) void clock.sleep(ms).then(() => woken.push(`${name} ${clock.now()}`));
  expect(clock.pending).toBe(3);
  expect(clock.nextAt).toBe(1_010);
  await clock.advance(29);
  expect(woken).toEqual(["early 1010", "same 1010"]);
  await clock.advance(1);
  expect(woken).toEqual(["early 1010", "same 1010", "late 1030"]);
  expect(clock.now()).toBe(1_030);
  expect(clock.pending).toBe(0);
});

test("what a sleeper starts runs within the same advance", async () => {
  const clock = createTestClock(0);
  const at: number[] = [];
  void (async () => {
    for (let i = 0; i < 3; i += 1) {
      await clock.sleep(10);
      at.push(clock.now());
    }
  })();
  await clock.advance(100);
  expect(at).toEqual([10, 20, 30]);
  expect(clock.now()).toBe(100);
});

test("an abort wakes with its reason", async () => {
  for (const clock of [createTestClock(), systemClock]) {
    const controller = new AbortController();
    const sleeping = clock.sleep(60_000, controller.signal);
    controller.abort(new Error("left"));
    await expect(sleeping).rejects.toThrow("left");
    await expect(clock.sleep(1, controller.signal)).rejects.toThrow("left");
  }
});

test("run moves time on until the work is done, and says so when time does not help", async () => {
  const clock = createTestClock(0);
  const work = clock.run(async () => {
    await clock.sleep(5_000);
    await clock.sleep(5_000);
    return clock.now();
  });
  expect(await work).toBe(10_000);
  await expect(clock.run(clock.sleep(1).then(() => Promise.reject(new Error("of the work"))))).rejects.toThrow("of the work");
  await expect(clock.run(new Promise(() => {}))).rejects.toThrow("nobody sleeps");
});

test("set jumps, also backwards, and wakes nobody", async () => {
  const clock = createTestClock(1_000);
  let woken = false;
  void clock.sleep(10).then(() => (woken = true));
  clock.set(5_000);
  await clock.settle();
  expect(woken).toBe(false);
  clock.set(10);
  expect(clock.now()).toBe(10);
});

test("the machine's clock sleeps", async () => {
  const before = systemClock.now();
  await systemClock.sleep(1);
  expect(systemClock.now()).toBeGreaterThanOrEqual(before);
});

test("time waits for what other threads still work on", async () => {
  const clock = createTestClock(0);
  for (let i = 0; i < 200; i += 1) {
    let done = false;
    void crypto.subtle.digest("SHA-256", new Uint8Array(32)).then(() => (done = true));
    await clock.advance(1);
    expect(done).toBe(true);
  }
});
