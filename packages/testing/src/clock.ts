import { setImmediate as immediate } from "node:timers/promises";
import type { Clock } from "@l402-tools/core";
import { backgroundWork, watchBackground } from "./background.ts";

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const aborted = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener("abort", aborted);
          resolve();
        },
        // A longer timer would fire at once.
        Math.min(Math.max(ms, 0), 2 ** 31 - 1),
      );
      signal?.addEventListener("abort", aborted, { once: true });
    }),
};

/** A clock that stands still until a test moves it. */
export interface TestClock extends Clock {
  /** Sleepers that wait. */
  readonly pending: number;
  /** When the next sleeper is due, epoch ms. */
  readonly nextAt: number | undefined;
  /** Moves time on by `ms` and wakes every sleeper that is due, in order of time, letting the woken work between. */
  advance(ms: number): Promise<void>;
  /** Moves to the next sleeper and wakes it; `false` if nobody sleeps. */
  advanceToNext(): Promise<boolean>;
  /** Sets the time without waking anyone: a clock that jumps, also backwards. */
  set(now: number): void;
  /** Lets everything that can go on without time go on: promises, hashes, files; not sockets. */
  settle(): Promise<void>;
  /**
   * Moves time on, sleeper by sleeper, until `work` is done, and returns its outcome. Fails if `work` waits for
   * something that no sleeper brings about. For work without sockets.
   */
  run<T>(work: Promise<T> | (() => Promise<T>)): Promise<T>;
}

/** Where test clocks start unless told otherwise: 2027-01-15T08:00:00Z. */
export const TEST_CLOCK_START = 1_800_000_000_000;

interface Sleeper {
  readonly due: number;
  readonly order: number;
  wake(): void;
}

/** A manual clock, at `start` (epoch ms). */
export function createTestClock(start: number = TEST_CLOCK_START): TestClock {
  let now = start;
  let order = 0;
  const sleepers = new Set<Sleeper>();

  const next = (): Sleeper | undefined => {
    let first: Sleeper | undefined;
    for (const sleeper of sleepers) {
      if (first === undefined || sleeper.due < first.due || (sleeper.due === first.due && sleeper.order < first.order)) first = sleeper;
    }
    return first;
  };

  // All microtasks run before an immediate does; a few idle rounds cover work that takes an immediate itself.
  watchBackground();
  const settle = async (): Promise<void> => {
    for (let idle = 0; idle < 4; idle = backgroundWork() > 0 ? 0 : idle + 1) await immediate();
  };

  const wakeUntil = async (target: number): Promise<void> => {
    await settle();
    for (let sleeper = next(); sleeper !== undefined && sleeper.due <= target; sleeper = next()) {
      now = Math.max(now, sleeper.due);
      sleeper.wake();
      await settle();
    }
    now = Math.max(now, target);
  };

  const clock: TestClock = {
    now: () => now,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason as Error);
        if (!(ms > 0)) return resolve();
        const aborted = (): void => {
          sleepers.delete(sleeper);
          reject(signal?.reason as Error);
        };
        const sleeper: Sleeper = {
          due: now + ms,
          order: (order += 1),
          wake() {
            sleepers.delete(sleeper);
            signal?.removeEventListener("abort", aborted);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", aborted, { once: true });
      });
    },
    get pending() {
      return sleepers.size;
    },
    get nextAt() {
      return next()?.due;
    },
    advance: (ms) => wakeUntil(now + ms),
    async advanceToNext() {
      await settle();
      const sleeper = next();
      if (sleeper === undefined) return false;
      await wakeUntil(Math.max(now, sleeper.due));
      return true;
    },
    set(value) {
      now = value;
    },
    settle,
    async run(work) {
      const promise = typeof work === "function" ? work() : work;
      let done = false;
      const over = (): void => {
        done = true;
      };
      promise.then(over, over);
      for (let idle = 0; ; ) {
        await settle();
        if (done) return promise;
        if (sleepers.size > 0) {
          idle = 0;
          await clock.advanceToNext();
        } else if ((idle += 1) > 1000) {
          throw new Error("clock.run: the work is not done, and nobody sleeps: it waits for something that time does not bring");
        }
      }
    },
  };
  return clock;
}
