/**
 * The relays of an NWC connection: connected when something is asked, asked again after a break, and let go soon after.
 * Signatures are verified by nostr-tools before an event gets here.
 */
import type { Event } from "nostr-tools/core";
import type { Filter } from "nostr-tools/filter";
import type { Relay } from "nostr-tools/relay";
import { ServiceError, timerAt } from "./answer.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/** A relay's OK that takes longer is not waited for; the wallet's reply still is. */
const PUBLISH_TIMEOUT_MS = 2_000;
const RECONNECT_FIRST_MS = 250;
const RECONNECT_MAX_MS = 5_000;
/** How long an unused connection stays open, for the next question. */
const IDLE_MS = 1_000;

export interface Exchange<T> {
  readonly filter: Filter;
  /** Sent to every relay, and again, as it is, after every break of a connection. */
  readonly publish?: Event;
  /** Just before it leaves for the first time. */
  readonly onPublish?: () => void;
  /** The value of an event ends the exchange; `undefined` lets it pass. */
  readonly read: (event: Event) => T | undefined;
  /** Ends the exchange when every relay that was reached has sent all that it has stored. */
  readonly whenStored?: () => T;
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

interface Line {
  readonly ready: Promise<Relay>;
  users: number;
  idle: { stop(): void } | undefined;
  close(): void;
}

export class Relays {
  readonly #urls: readonly string[];
  readonly #lines = new Map<string, Line>();
  readonly #running = new Set<() => void>();

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  /**
   * Subscribes at all relays, publishes, and waits for what `read` takes.
   *
   * @throws {ServiceError} not `dispatched` if no relay was reached
   */
  exchange<T>({ filter, publish, onPublish, read, whenStored, deadline, signal }: Exchange<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const over = new AbortController();
      const states: ("new" | "asked" | "stored" | "refused" | "unreachable")[] = this.#urls.map(() => "new");
      let dispatched = false;
      const end = (finish: () => void): void => {
        if (over.signal.aborted) return;
        timer.stop();
        signal?.removeEventListener("abort", aborted);
        this.#running.delete(closed);
        over.abort();
        finish();
      };
      const fail = (why: string, code: string): void => end(() => reject(new ServiceError(`nwc: ${why}${dispatched ? "" : "; nothing was sent"}`, code, dispatched)));
      const aborted = (): void => fail("nobody waits any more", "ABORTED");
      const closed = (): void => fail("the wallet was closed", "CLOSED");
      const timer = timerAt(deadline, () => fail("no answer in time", "TIMEOUT"));
      signal?.addEventListener("abort", aborted, { once: true });
      this.#running.add(closed);
      if (signal?.aborted === true) return aborted();

      const note = (index: number, state: (typeof states)[number]): void => {
        states[index] = state;
        const isDead = (one: string): boolean => one === "refused" || one === "unreachable";
        if (!dispatched && states.every((one) => one === "unreachable")) return fail("no relay of the connection could be reached", "UNREACHABLE");
        if (states.includes("refused") && states.every(isDead)) return fail("the relays refuse the request", "REFUSED");
        if (whenStored !== undefined && states.includes("stored") && states.every((one) => one === "stored" || isDead(one))) end(() => resolve(whenStored()));
      };
      for (const [index, url] of this.#urls.entries()) {
        void this.#tend(url, over.signal, {
          unreachable: () => note(index, "unreachable"),
          talk: (relay, broken) => {
            states[index] = "asked";
            const subscription = relay.subscribe([filter], {
              onevent: (event) => {
                const value = read(event);
                if (value !== undefined) end(() => resolve(value));
              },
              oneose: () => note(index, "stored"),
              onclose: broken,
            });
            if (publish !== undefined) {
              dispatched = true;
              onPublish?.();
              relay.publish(publish).catch((error: unknown) => {
                const reason = error instanceof Error ? error.message : String(error);
                if (relay.connected && reason !== "publish timed out" && !reason.startsWith("duplicate")) note(index, "refused");
              });
            }
            return () => {
              subscription.oneose = undefined;
              subscription.receivedEose(); // ends its timer
              subscription.close();
            };
          },
        });
      }
    });
  }

  /** Keeps one relay in an exchange until that is over. */
  async #tend(url: string, over: AbortSignal, hooks: { unreachable(): void; talk(relay: Relay, broken: () => void): () => void }): Promise<void> {
    for (let pause = RECONNECT_FIRST_MS; !over.aborted; pause = Math.min(2 * pause, RECONNECT_MAX_MS)) {
      const line = this.#line(url);
      line.users += 1;
      try {
        const relay = await line.ready;
        if (!relay.connected) throw new Error("gone again");
        if (!over.aborted) {
          await new Promise<void>((broken) => {
            const hangUp = hooks.talk(relay, broken);
            over.addEventListener("abort", () => {
              hangUp();
              broken();
            }, { once: true });
          });
        }
      } catch {
        if (!over.aborted) hooks.unreachable();
      } finally {
        this.#release(url, line);
      }
      if (!over.aborted) await sleep(pause, over);
    }
  }

  #line(url: string): Line {
    const known = this.#lines.get(url);
    if (known !== undefined) {
      known.idle?.stop();
      known.idle = undefined;
      return known;
    }
    const line = open(url, () => {
      if (this.#lines.get(url) === line) this.#lines.delete(url);
    });
    this.#lines.set(url, line);
    return line;
  }

  #release(url: string, line: Line): void {
    line.users -= 1;
    if (line.users > 0 || this.#lines.get(url) !== line) return;
    line.idle = timerAt(Date.now() + IDLE_MS, () => line.close());
  }

  close(): void {
    for (const closed of this.#running) closed();
    for (const line of this.#lines.values()) line.close();
  }
}

function open(url: string, gone: () => void): Line {
  let relay: Relay | undefined;
  let settle = (): void => {};
  let isClosed = false;
  const line: Line = {
    users: 0,
    idle: undefined,
    ready: new Promise<Relay>((resolve, reject) => {
      const fail = (): void => {
        timer.stop();
        line.close();
        reject(new Error("not connected"));
      };
      const timer = timerAt(Date.now() + CONNECT_TIMEOUT_MS, fail);
      settle = fail;
      connect(url, () => isClosed)
        .then(async (made) => {
          relay = made;
          relay.publishTimeout = PUBLISH_TIMEOUT_MS;
          // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a relay is no event target
          relay.onclose = gone;
          relay.onnotice = () => {}; // a stranger's words; nostr-tools would print them
          await relay.connect();
          timer.stop();
          if (isClosed) relay.close();
          else resolve(relay);
        })
        .catch(fail);
    }),
    close() {
      if (isClosed) return;
      isClosed = true;
      line.idle?.stop();
      gone();
      settle();
      relay?.close();
    },
  };
  line.ready.catch(() => {});
  return line;
}

/** nostr-tools is loaded by the first one who connects. */
async function connect(url: string, isClosed: () => boolean): Promise<Relay> {
  const { Relay } = await import("nostr-tools/relay");
  if (isClosed()) throw new Error("closed");
  return new Relay(url);
}

function sleep(ms: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      over.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    over.addEventListener("abort", done, { once: true });
  });
}
