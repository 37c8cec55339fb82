/**
 * One HTTP exchange with a wallet's service: a connection of its own, a deadline, a size cap, no redirects, certificates
 * always verified, and no secret in any error. A failure says whether the request may have been written.
 */
import { request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import type { TLSSocket } from "node:tls";
import { CALL_TIMEOUT_MS, parseObject, quote, ServiceError, timerAt, type Json } from "./answer.ts";

/** The longest answer that is read. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const TLS_HINTS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "give the node's own certificate to the wallet to trust it",
  SELF_SIGNED_CERT_IN_CHAIN: "give the node's own certificate to the wallet to trust it",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "give the certificate of its authority to the wallet to trust it",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "give the certificate of its authority to the wallet to trust it",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host name",
  CERT_HAS_EXPIRED: "its certificate has expired",
};

export interface Call {
  readonly method: "GET" | "POST";
  /** Below the service's base URL, with its query. */
  readonly path: string;
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  /** When to stop waiting, epoch ms. @default 30 s from now */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Looks at all that has arrived of a stream; `true` ends it. */
  readonly enough?: (text: string) => boolean;
}

/** An answer, whatever its status. */
export class Reply {
  readonly status: number;
  readonly text: string;

  constructor(status: number, text: string) {
    this.status = status;
    this.text = text;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** The body as an object; `undefined` for anything else. */
  get json(): Json | undefined {
    return parseObject(this.text);
  }
}

export interface ServiceOptions {
  /** Name of the wallet, for messages. */
  readonly name: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** What must never be in a message. */
  readonly secrets: readonly string[];
  /** PEM of the only certificate, or authority, to trust. */
  readonly ca?: string | undefined;
}

/** A wallet's service behind one base URL. */
export class Service {
  readonly #options: ServiceOptions;
  readonly #open = new Set<ClientRequest>();

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** @throws {ServiceError} when no whole answer came. */
  async send(call: Call): Promise<Reply> {
    const { url, headers, ca } = this.#options;
    const body = call.json === undefined ? (call.form === undefined ? "" : new URLSearchParams(call.form).toString()) : JSON.stringify(call.json);
    const deadline = call.deadline ?? Date.now() + CALL_TIMEOUT_MS;
    const where = `${call.method} ${url.origin}`;
    if (call.signal?.aborted === true) throw new ServiceError(`${this.name}: ${where}: stopped before anything was sent`, "ABORTED", false);
    if (deadline <= Date.now()) throw new ServiceError(`${this.name}: ${where}: the time was up before anything was sent`, "TIMEOUT", false);
    const options: RequestOptions & { ca?: string; rejectUnauthorized: true } = {
      method: call.method,
      agent: false,
      rejectUnauthorized: true,
      headers: {
        accept: "application/json",
        ...headers,
        ...(call.method === "GET" ? {} : { "content-type": call.form === undefined ? "application/json" : "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(body) }),
      },
      ...(ca === undefined ? {} : { ca }),
    };
    // Put together as text: as a relative reference, a path that begins with two slashes would name another host.
    const target = new URL(`${url.origin}${url.pathname.replace(/\/+$/, "")}${call.path}`);
    const outgoing = (target.protocol === "https:" ? httpsRequest : httpRequest)(target, options);
    this.#open.add(outgoing);
    try {
      return await exchange(outgoing, { body, deadline, signal: call.signal, enough: call.enough, where: `${this.name}: ${where}` });
    } finally {
      this.#open.delete(outgoing);
    }
  }

  /** Words of the service, fit for a message. */
  quote(text: unknown): string {
    return quote(text, this.#options.secrets);
  }

  /** Ends every exchange under way; what it paid, it paid. */
  close(): void {
    for (const outgoing of this.#open) outgoing.destroy(Object.assign(new Error("closed"), { code: "CLOSED" }));
  }
}

interface Exchange {
  readonly body: string;
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  readonly enough: ((text: string) => boolean) | undefined;
  readonly where: string;
}

function exchange(outgoing: ClientRequest, { body, deadline, signal, enough, where }: Exchange): Promise<Reply> {
  return new Promise((resolve, reject) => {
    // Not before the connection stands, and TLS with it, does one byte of the request leave this process.
    let dispatched = false;
    let answer: IncomingMessage | undefined;
    const stop = (code: string): void => void outgoing.destroy(Object.assign(new Error(code), { code }));
    const timer = timerAt(deadline, () => stop("TIMEOUT"));
    const aborted = (): void => stop("ABORTED");
    signal?.addEventListener("abort", aborted, { once: true });
    const over = (): void => {
      timer.stop();
      signal?.removeEventListener("abort", aborted);
    };
    const fail = (error: Error & { code?: string }, code: string = error.code ?? "UNKNOWN"): void => {
      over();
      outgoing.destroy();
      const hint = TLS_HINTS[code];
      const why = code === "TIMEOUT" ? "no answer in time" : code === "ABORTED" ? "nobody waits any more" : code;
      reject(new ServiceError(`${where}: ${why}${hint === undefined ? "" : ` (${hint})`}${dispatched ? "" : "; nothing was sent"}`, code, dispatched));
    };

    outgoing.once("socket", (socket) => {
      const ready = (): void => {
        dispatched = true;
      };
      if ("encrypted" in socket) (socket as TLSSocket).once("secureConnect", ready);
      else if (socket.connecting) socket.once("connect", ready);
      else ready();
    });
    outgoing.on("error", (error: Error & { code?: string }) => {
      // Once an answer has begun, its own end decides; a service may answer without reading all of the request.
      if (answer === undefined || error.code === "TIMEOUT" || error.code === "ABORTED" || error.code === "CLOSED") fail(error);
    });
    outgoing.once("response", (incoming) => {
      answer = incoming;
      dispatched = true;
      const decoder = new TextDecoder();
      let bytes = 0;
      let text = "";
      const done = (): void => {
        over();
        resolve(new Reply(incoming.statusCode ?? 0, text));
      };
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) return fail(new Error("too large"), "TOO_LARGE");
        text += decoder.decode(chunk, { stream: true });
        if (enough?.(text) === true) {
          done();
          outgoing.destroy();
        }
      });
      incoming.once("end", () => (incoming.complete ? done() : fail(new Error("truncated"), "TRUNCATED")));
      incoming.once("error", (error: Error & { code?: string }) => fail(error, error.code === "ECONNRESET" ? "TRUNCATED" : error.code));
      incoming.once("close", () => {
        if (!incoming.complete) fail(new Error("truncated"), "TRUNCATED");
      });
    });
    outgoing.once("close", () => {
      if (answer === undefined) fail(new Error("closed"), "ECONNRESET");
    });
    outgoing.end(body);
  });
}
