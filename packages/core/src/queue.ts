/**
 * Waiting for the wallet. The p-queue runs at most `paymentConcurrency` payments of a client at a time; a desk per
 * origin sees that at most as many credentials of one origin are bought and not yet answered by its server, so that a
 * credential which covers the whole service is found out before the next one is bought.
 */
import PQueue from "p-queue";
import { QueueFullError } from "./errors.ts";
import type { Line } from "./line.ts";

/** A place in the line to the wallet; given back once, whatever happens. */
export interface Place {
  leave(): void;
}

export class PaymentQueue {
  readonly #queue: PQueue;
  readonly #most: number;
  readonly #waitingMax: number;
  #inside = 0;

  constructor(concurrency: number, waitingMax: number) {
    // No `timeout` and no `signal`: either would free the slot of a payment that is still running.
    this.#queue = new PQueue({ concurrency });
    this.#most = concurrency + waitingMax;
    this.#waitingMax = waitingMax;
  }

  /** @throws {QueueFullError} `queue_full` when as many payments wait as may. Nothing is held then. */
  enter(): Place {
    if (this.#inside >= this.#most) {
      throw new QueueFullError("queue_full", `${this.#waitingMax} payments already wait for the wallet. Nothing was paid; try again when some are done, or raise maxQueuedPayments.`);
    }
    this.#inside += 1;
    let left = false;
    return {
      leave: () => {
        if (left) return;
        left = true;
        this.#inside -= 1;
      },
    };
  }

  /** Runs `task` when a slot is free; the slot is its until it ends. */
  run<T>(task: () => Promise<T>): Promise<T> {
    return this.#queue.add(task);
  }
}

/** The right to buy one more credential of an origin; given back when the server has answered it. */
export interface Permit {
  release(): void;
}

interface Waiter {
  wake(permit: Permit | undefined): void;
}

/** What one client knows of one origin while calls to it are under way. */
export class OriginDesk {
  readonly #permits: number;
  #out = 0;
  #waiters: Waiter[] = [];
  #changed: (() => void)[] = [];
  /** Calls that hold money for this origin, or whose credential is not answered yet. */
  underWay = 0;
  /** Whether a credential of this origin ever served a call that it was not bought for. */
  reusable = false;

  constructor(permits: number) {
    this.#permits = permits;
  }

  /**
   * Waits for a permit. `undefined` when there is a credential to try instead, or when `signal` aborts.
   */
  enter(signal: AbortSignal): Promise<Permit | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    if (this.#out < this.#permits) return Promise.resolve(this.#permit());
    return new Promise((resolve) => {
      const waiter: Waiter = {
        wake: (permit) => {
          signal.removeEventListener("abort", onAbort);
          resolve(permit);
        },
      };
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        resolve(undefined);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  #permit(): Permit {
    this.#out += 1;
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.#out -= 1;
        const next = this.#waiters.shift();
        if (next !== undefined) next.wake(this.#permit());
        this.change();
      },
    };
  }

  /** Tells those who wait that something ended: a hold, a payment, an answer. */
  change(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const wake of waiting) wake();
  }

  /** Resolves at the next change. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  /** The server took a credential. Where one serves many calls, all who wait may try it at once. */
  noteAccepted(reused: boolean): void {
    if (reused) this.reusable = true;
    if (this.reusable) {
      const waiting = this.#waiters;
      this.#waiters = [];
      for (const waiter of waiting) waiter.wake(undefined);
    }
    this.change();
  }
}

/** The queue of a client, made when it is first needed. */
export function queueOf(line: Line): PaymentQueue {
  return (line.state.queue ??= new PaymentQueue(line.config.paymentConcurrency, line.config.maxQueuedPayments));
}

/** The desk of an origin, for as long as a call to it is under way. */
export function visitDesk(line: Line, origin: string): { desk: OriginDesk; leave: () => void } {
  const { desks } = line.state;
  let entry = desks.get(origin);
  if (entry === undefined) desks.set(origin, (entry = { desk: new OriginDesk(line.config.paymentConcurrency), users: 0 }));
  const visited = entry;
  visited.users += 1;
  return {
    desk: visited.desk,
    leave: () => {
      visited.users -= 1;
      if (visited.users === 0) desks.delete(origin);
    },
  };
}
