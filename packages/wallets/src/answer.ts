/** What answers and failures of a service look like, whatever carries them. Nothing here needs Node. */

/** How long a call may take that the engine sets no deadline for, ms. */
export const CALL_TIMEOUT_MS = 30_000;
/** Words of the service that get into a message. */
const QUOTED_CHARS_MAX = 200;
/** What `setTimeout` can take. */
const TIMER_MAX_MS = 2 ** 31 - 1;


/** The exchange failed. `dispatched`: the request may have reached the service. */
export class ServiceError extends Error {
  readonly dispatched: boolean;
  /** Of Node (`ECONNREFUSED`, …), or `TIMEOUT`, `ABORTED`, `TOO_LARGE`, `TRUNCATED`, `CLOSED`. */
  readonly code: string;

  constructor(message: string, code: string, dispatched: boolean) {
    super(message);
    this.name = "ServiceError";
    this.code = code;
    this.dispatched = dispatched;
  }
}

export type Json = Readonly<Record<string, unknown>>;

export function asObject(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

export function parseObject(text: string): Json | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** A timer that fires at `deadline`, epoch ms; a deadline of infinity is none. */
export function timerAt(deadline: number, fire: () => void): { stop(): void } {
  const timer = setTimeout(
    () => {
      if (Date.now() >= deadline) fire();
      else timers.stop = timerAt(deadline, fire).stop;
    },
    Math.min(Math.max(deadline - Date.now(), 0), TIMER_MAX_MS),
  );
  const timers = { stop: (): void => clearTimeout(timer) };
  return { stop: () => timers.stop() };
}

/** Words of a stranger, fit for a message: short, of one line, without secrets, invoices and long hex. */
export function quote(text: unknown, secrets: readonly string[] = []): string {
  if (typeof text !== "string" || text === "") return "no reason given";
  let quoted = text;
  for (const secret of secrets) if (secret !== "") quoted = quoted.replaceAll(secret, "[redacted]");
  return quoted
    .replaceAll(/[0-9a-f]{32,}/gi, "[redacted]")
    .replaceAll(/ln[a-z0-9]{40,}/gi, "[invoice]")
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
    .trim()
    .slice(0, QUOTED_CHARS_MAX);
}
