/** Ctrl-C: the first ends the waiting, the second the program. */
import { EXIT, Interrupted } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Interrupt {
  readonly signal: AbortSignal;
  /** Payments that were sent to the wallet, and have not ended. */
  readonly sent: Set<string>;
  close(): void;
}

export function onInterrupt(terminal: Terminal): Interrupt {
  const controller = new AbortController();
  const sent = new Set<string>();
  const handle = (signal: (typeof SIGNALS)[number]): void => {
    const reason = new Interrupted(signal);
    if (controller.signal.aborted) {
      if (sent.size > 0) terminal.warn("Left while a payment was with the wallet: it may have been paid. l402-tools recover finds out.");
      // oxlint-disable-next-line unicorn/no-process-exit -- a person asked twice
      process.exit(sent.size > 0 ? EXIT.unknown : reason.exitCode);
    }
    if (sent.size > 0) terminal.note("A payment is with the wallet; waiting up to 5 s for its end. The same signal again ends this at once.");
    controller.abort(reason);
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return {
    signal: controller.signal,
    sent,
    close() {
      for (const signal of SIGNALS) process.off(signal, handle);
    },
  };
}
