/**
 * The caller's request, captured once so that it can be sent again after the payment: the body is buffered, the caller's
 * `init` is never changed.
 */
import { TransportError } from "./errors.ts";
import { readCallOptions, type Fetch, type L402RequestInit } from "./options.ts";
import type { KeptCredential } from "./ports.ts";
import type { PaymentIntent } from "./types.ts";

/** Most bytes of a one-shot request body (stream, blob, form) that are buffered. */
export const REQUEST_BODY_MAX_BYTES: number = 16 * 1024 * 1024;

/** What the tools add to a call, under a key that no model and no JSON can name. */
export const HOOKS: unique symbol = Symbol.for("@l402-tools/hooks") as never;

export interface CallHooks {
  /** The guarded transport. */
  readonly transport?: Fetch | undefined;
  /**
   * Asked before each payment of this call, after the client's own `approve`. `required`: a rule of the client wants a
   * yes and has nobody to ask. A throw leaves the question open: the same call, under the same idempotency key, goes on
   * with the same invoice.
   */
  readonly approve?: ((intent: PaymentIntent, required: boolean) => boolean | Promise<boolean>) | undefined;
  /** Told what the call waits for from now on. */
  readonly onWait?: ((wait: CallWait) => unknown) | undefined;
  /** Told of each credential before a server gets to see it, so that it can be taken out of what the server says. */
  readonly onShow?: ((credential: KeptCredential) => unknown) | undefined;
}

export interface CallWait {
  readonly stage: "approval" | "payment" | "body";
  readonly amountSats: number;
  readonly paymentHash: string;
}

/** One request to one URL: the caller's own, or what a redirect made of it. */
export interface Hop {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string | Uint8Array<ArrayBuffer> | undefined;
}

export interface Call {
  readonly first: Hop;
  /** Everything else of `init`: passed on as it is. */
  readonly rest: RequestInit;
  readonly redirect: NonNullable<RequestInit["redirect"]>;
  readonly signal: AbortSignal | undefined;
  readonly hooks: CallHooks;
  readonly idempotencyKey?: string;
  readonly maxPriceMsat?: bigint;
  readonly quoteId?: string;
}

/** Methods that `fetch` writes in upper case. */
const NORMALIZED = /^(?:delete|get|head|options|post|put)$/i;

async function bounded(stream: AsyncIterable<unknown>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : (chunk as Uint8Array);
    size += bytes.byteLength;
    if (size > REQUEST_BODY_MAX_BYTES) {
      throw new TransportError("transport_limit", `The request body is larger than ${REQUEST_BODY_MAX_BYTES} bytes. A body must be kept to be sent again after a payment; send a smaller one, or a string or buffer.`);
    }
    chunks.push(bytes);
  }
  const joined = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return joined;
}

/** The body as something that can be sent twice, with the content type that `fetch` would give it. */
async function replayable(body: unknown): Promise<{ body: string | Uint8Array<ArrayBuffer>; type: string | null }> {
  if (typeof body === "string") return { body, type: "text/plain;charset=UTF-8" };
  if (body instanceof ArrayBuffer) return { body: new Uint8Array(body.slice(0)), type: null };
  if (ArrayBuffer.isView(body)) {
    const copy = new Uint8Array(body.byteLength);
    copy.set(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
    return { body: copy, type: null };
  }
  if (typeof (body as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function") {
    return { body: await bounded(body as AsyncIterable<unknown>), type: null };
  }
  const encoded = new Response(body as ConstructorParameters<typeof Response>[0]);
  return { body: await bounded((encoded.body ?? new ReadableStream()) as unknown as AsyncIterable<unknown>), type: encoded.headers.get("content-type") };
}

/** @throws {TypeError} as `fetch` does for a URL or method that is none. @throws {TransportError} for a body that is too large. */
export async function captureCall(input: string | URL | Request, init: L402RequestInit | undefined): Promise<Call> {
  const own = readCallOptions(init);
  if (typeof input === "object" && "method" in input && "headers" in input) {
    const request = new Request(input, init);
    const headers = new Headers(request.headers);
    const body = request.body === null ? undefined : await bounded(request.body as unknown as AsyncIterable<unknown>);
    return {
      first: { url: new URL(request.url), method: request.method, headers, body },
      rest: restOf(init),
      redirect: request.redirect,
      signal: request.signal,
      hooks: (init as { [HOOKS]?: CallHooks } | undefined)?.[HOOKS] ?? {},
      ...own,
    };
  }
  let url: URL;
  try {
    url = new URL(String(input));
  } catch (cause) {
    throw new TypeError("Failed to parse URL", { cause: (cause as { code?: unknown }).code });
  }
  const redirect = init?.redirect ?? "follow";
  if (redirect !== "follow" && redirect !== "manual" && redirect !== "error") throw new TypeError("Request init's redirect must be follow, manual or error");
  const given = init?.method ?? "GET";
  const method = given !== "GET" && NORMALIZED.test(given) ? given.toUpperCase() : given;
  const headers = new Headers(init?.headers);
  let body: Hop["body"];
  if (init?.body !== undefined && init.body !== null) {
    if (method === "GET" || method === "HEAD") throw new TypeError("Request with GET/HEAD method cannot have body");
    const made = await replayable(init.body);
    body = made.body;
    if (made.type !== null && !headers.has("content-type")) headers.set("content-type", made.type);
  }
  return {
    first: { url, method, headers, body },
    rest: restOf(init),
    redirect,
    signal: init?.signal ?? undefined,
    hooks: (init as { [HOOKS]?: CallHooks } | undefined)?.[HOOKS] ?? {},
    ...own,
  };
}

function restOf(init: L402RequestInit | undefined): RequestInit {
  if (init === undefined) return {};
  const {
    method: _method, headers: _headers, body: _body, redirect: _redirect, signal: _signal,
    idempotencyKey: _key, maxPriceSats: _price, quoteId: _quote, ...rest
  } = init;
  delete (rest as { duplex?: unknown }).duplex;
  delete (rest as { [HOOKS]?: unknown })[HOOKS];
  return rest;
}

/** Host name for limits and policy: lower case (the URL parser's doing), without port and trailing dot. */
export function hostOf(url: URL): string {
  return url.hostname.endsWith(".") ? url.hostname.slice(0, -1) : url.hostname;
}
