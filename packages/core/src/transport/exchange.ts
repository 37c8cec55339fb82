import { TransportError } from "../errors.ts";
import type { Bounds } from "./options.ts";

/** A 402 says what to pay; its body is advice and needs no more. */
const CHALLENGE_BODY_MAX_BYTES = 64 * 1024;
const CHALLENGE_BODY_MAX_MS = 10_000;

export function limit(message: string, cause?: unknown): TransportError {
  return new TransportError("transport_limit", message, { cause });
}

/**
 * The bounds of one call: whichever is passed first, the caller's signal too, aborts `signal`, which destroys the
 * connection. Its reason is what the caller gets to see.
 */
export class Exchange {
  readonly #abort: AbortController = new AbortController();
  readonly #bounds: Bounds;
  readonly #caller: AbortSignal | undefined;
  readonly #onCallerAbort: () => void;
  #total: NodeJS.Timeout;

  constructor(bounds: Bounds, caller: AbortSignal | undefined) {
    this.#bounds = bounds;
    this.#caller = caller;
    this.#onCallerAbort = () => this.fail(caller?.reason);
    this.#total = this.#timer(bounds.totalTimeoutMs, "The response took longer than totalTimeoutMs allows");
    if (caller?.aborted === true) this.#onCallerAbort();
    else caller?.addEventListener("abort", this.#onCallerAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Waits for the headers of one hop. */
  async untilHeaders<T>(headers: Promise<T>): Promise<T> {
    return this.#within(this.#bounds.firstByteTimeoutMs, "The server did not answer within firstByteTimeoutMs", headers);
  }

  /** Ends the exchange early. */
  fail(reason: unknown): void {
    this.finish();
    this.#abort.abort(reason);
  }

  /** Nothing more will happen: lets go of timers and of the caller's signal. */
  finish(): void {
    clearTimeout(this.#total);
    this.#caller?.removeEventListener("abort", this.#onCallerAbort);
  }

  /** `body`, chunk by chunk as the reader asks for it, until a bound is passed. */
  bound(body: ReadableStream<Uint8Array>, status: number): ReadableStream<Uint8Array> {
    const isChallenge = status === 402;
    const maxBytes = isChallenge ? Math.min(this.#bounds.maxBodyBytes, CHALLENGE_BODY_MAX_BYTES) : this.#bounds.maxBodyBytes;
    if (isChallenge && this.#bounds.totalTimeoutMs > CHALLENGE_BODY_MAX_MS) {
      clearTimeout(this.#total);
      this.#total = this.#timer(CHALLENGE_BODY_MAX_MS, "The body of the 402 took too long");
    }
    const reader = body.getReader();
    let bytes = 0;
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      try {
        const { done, value } = await this.#within(this.#bounds.idleTimeoutMs, "The body fell silent for longer than idleTimeoutMs", reader.read());
        if (done) {
          this.finish();
          controller.close();
          return;
        }
        bytes += value.byteLength;
        if (bytes > maxBytes) throw limit(`The body is longer than ${maxBytes} bytes${isChallenge ? ", the bound for a 402" : " (maxBodyBytes)"}.`);
        controller.enqueue(value);
      } catch (error) {
        const reason = this.signal.aborted ? this.signal.reason : readable(error);
        this.fail(reason);
        throw reason;
      }
    };
    const cancel = async (reason: unknown): Promise<void> => {
      this.finish();
      await reader.cancel(reason);
    };
    return new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 });
  }

  #timer(ms: number, message: string): NodeJS.Timeout {
    return setTimeout(() => this.fail(limit(`${message} (${ms} ms).`)), ms).unref();
  }

  async #within<T>(ms: number, message: string, work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.fail(limit(`${message} (${ms} ms).`)), ms);
    try {
      return await work;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Names undici's own bounds; everything else stays what `fetch` throws. */
export function readable(error: unknown): unknown {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    if (at instanceof TransportError) return at;
    const { code } = at as { code?: unknown };
    if (code === "UND_ERR_HEADERS_OVERFLOW") return limit("The response headers are longer than maxHeaderBytes.");
    if (at.message.startsWith("too many content-encodings")) return limit("The body is compressed more than once.");
    if (code === "UND_ERR_RES_EXCEEDED_MAX_SIZE") return limit("The body is longer than maxBodyBytes.");
    if (at.message === "bad port") return new TransportError("transport_blocked", "Blocked: the Fetch standard closes this port to all requests. Serve on another.");
  }
  return error;
}
