/** Observers: told of every step, isolated from it. A throw or a rejection of theirs changes nothing. */
import type { Clock } from "./ports.ts";
import type { L402Event, L402EventType } from "./types.ts";

/** Calls an observer, and swallows whatever it does wrong. */
export function tell<Arguments extends unknown[]>(observer: ((...args: Arguments) => unknown) | undefined, ...args: Arguments): void {
  if (observer === undefined) return;
  try {
    const result = observer(...args);
    if (result instanceof Promise) result.catch(() => {});
    else if (typeof (result as PromiseLike<unknown> | undefined)?.then === "function") (result as PromiseLike<unknown>).then(undefined, () => {});
  } catch {
    // Isolated: see above.
  }
}

/** `emit(type, url, rest)`, which costs nothing while nobody listens. */
export function emitter(
  clock: Clock,
  observer: ((event: L402Event) => unknown) | undefined,
): (type: L402EventType, url: string, rest?: Partial<Pick<L402Event, "paymentHash" | "amountSats" | "detail">>) => void {
  if (observer === undefined) return () => {};
  return (type, url, rest) => tell(observer, { type, at: clock.now(), url, ...rest });
}
