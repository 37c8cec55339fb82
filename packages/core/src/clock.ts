import type { Clock } from "./ports.ts";

/** The longest delay `setTimeout` takes; a longer one would fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** The system's time. The only place in core that reads it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise<void>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, Math.min(Math.max(ms, 0), TIMER_MAX_MS));
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};

/** Sleeps without keeping the process alive, where the clock is the system's. */
export function idle(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (clock !== systemClock) return clock.sleep(ms, signal);
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const timer = setTimeout(resolve, Math.min(ms, TIMER_MAX_MS));
    (timer as { unref?: () => void }).unref?.();
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason as Error)), { once: true });
  });
}

/**
 * Waits for `work`, at most until `deadline` (epoch ms by `clock`) and until `signal` aborts. It stops the waiting only:
 * `work` goes on, and its late rejection is not an unhandled one.
 */
export async function within<T>(
  clock: Clock,
  deadline: number,
  signal: AbortSignal | undefined,
  work: Promise<T>,
): Promise<{ status: "done"; value: T } | { status: "timeout" } | { status: "aborted"; reason: unknown }> {
  work.catch(() => {});
  if (signal?.aborted) return { status: "aborted", reason: signal.reason };
  const stop = new AbortController();
  let onAbort: (() => void) | undefined;
  const waits: Promise<{ status: "done"; value: T } | { status: "timeout" } | { status: "aborted"; reason: unknown }>[] = [
    work.then((value) => ({ status: "done", value }) as const),
    clock.sleep(Math.max(0, deadline - clock.now()), stop.signal).then(
      () => ({ status: "timeout" }) as const,
      () => new Promise<never>(() => {}),
    ),
  ];
  if (signal !== undefined) {
    waits.push(
      new Promise((resolve) => {
        onAbort = () => resolve({ status: "aborted", reason: signal.reason });
        signal.addEventListener("abort", onAbort, { once: true });
      }),
    );
  }
  try {
    return await Promise.race(waits);
  } finally {
    stop.abort();
    if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
  }
}
