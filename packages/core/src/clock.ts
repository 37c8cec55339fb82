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

/** What a sleep that is not needed any more is aborted with; one for all, since making an error costs more than the sleep. */
const NOT_NEEDED = new Error("The wait is over.");

/**
 * A sleep that can be called off: `over` resolves at its end, and never once `stop` was called. The system's keeps the
 * process alive unless `awaited` is false.
 */
export function alarm(clock: Clock, ms: number, awaited = true): { readonly over: Promise<void>; stop(): void } {
  if (clock !== systemClock) {
    const stop = new AbortController();
    const over = clock.sleep(ms, stop.signal).catch(() => new Promise<never>(() => {}));
    return { over, stop: () => stop.abort(NOT_NEEDED) };
  }
  let timer: ReturnType<typeof setTimeout>;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.min(Math.max(ms, 0), TIMER_MAX_MS));
    if (!awaited) (timer as { unref?: () => void }).unref?.();
  });
  return { over, stop: () => clearTimeout(timer) };
}

/**
 * Waits for `work`, at most until `deadline` (epoch ms by `clock`) and until `signal` aborts. It stops the waiting only:
 * `work` goes on, and its late rejection is not an unhandled one. With `awaited` false it does not keep the process alive.
 */
export async function within<T>(
  clock: Clock,
  deadline: number,
  signal: AbortSignal | undefined,
  work: Promise<T>,
  awaited = true,
): Promise<{ status: "done"; value: T } | { status: "timeout" } | { status: "aborted"; reason: unknown }> {
  work.catch(() => {});
  if (signal?.aborted) return { status: "aborted", reason: signal.reason };
  const late = alarm(clock, Math.max(0, deadline - clock.now()), awaited);
  let onAbort: (() => void) | undefined;
  const waits: Promise<{ status: "done"; value: T } | { status: "timeout" } | { status: "aborted"; reason: unknown }>[] = [
    work.then((value) => ({ status: "done", value }) as const),
    late.over.then(() => ({ status: "timeout" }) as const),
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
    late.stop();
    if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
  }
}
