import type { BodyInit as UndiciBody } from "undici";
import { blocked, type Rules } from "./rules.ts";

/** What is sent on one hop. */
export interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | null;
}

/** The parts of `fetch`'s arguments that this transport honours. */
export interface Call extends Outgoing {
  readonly redirect: "error" | "follow" | "manual";
  readonly signal: AbortSignal | undefined;
}

/** Set by the transport itself: they frame the message, name the host that was checked, or address a proxy. */
const OWN_HEADERS = [
  "host", "connection", "keep-alive", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "proxy-authorization", "proxy-connection",
];
/** What a redirect may take along to another origin; any other header may be a credential. */
const PORTABLE_HEADERS = new Set(["accept", "accept-language", "content-type", "content-language", "content-encoding", "range", "user-agent"]);

/** @throws {TransportError} `transport_blocked`, before anything else is looked at, for a URL that may not be requested. */
export async function readCall(rules: Rules, input: string | URL | Request, init: RequestInit | undefined): Promise<Call> {
  const request = typeof input === "object" && "url" in input ? input : undefined;
  const url = parseUrl(request?.url ?? String(input));
  rules.check(url);
  const headers = new Headers(init?.headers ?? request?.headers);
  for (const name of OWN_HEADERS) headers.delete(name);
  const body = init?.body === undefined || init.body === null ? (request?.body ?? null) : await readBody(init.body, headers);
  return {
    url,
    method: normalizeMethod(init?.method ?? request?.method ?? "GET"),
    headers,
    body,
    redirect: init?.redirect ?? request?.redirect ?? "follow",
    signal: (init?.signal === undefined ? request?.signal : init.signal) ?? undefined,
  };
}

/** The next hop of a redirect as `fetch` makes it, with fewer headers; `undefined` if `status` and `location` ask for none. */
export function redirected(from: Outgoing, status: number, location: string | null): Outgoing | undefined {
  if (location === null || ![301, 302, 303, 307, 308].includes(status)) return undefined;
  const url = parseUrl(location, from.url);
  const headers = new Headers(from.headers);
  const toGet = status === 303 ? !["GET", "HEAD"].includes(from.method) : status < 303 && from.method === "POST";
  if (toGet) for (const name of ["content-type", "content-language", "content-encoding", "content-location"]) headers.delete(name);
  if (url.origin !== from.url.origin) for (const name of [...headers.keys()]) if (!PORTABLE_HEADERS.has(name)) headers.delete(name);
  return { url, method: toGet ? "GET" : from.method, headers, body: toGet ? null : from.body };
}

/** For undici, whose types name the same things differently. */
export function undiciBody(body: Outgoing["body"]): UndiciBody | null {
  return body as UndiciBody | null;
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null || url.hostname === "" && /^https?:$/.test(url.protocol)) throw blocked("this is not a valid URL.", "Give an absolute https URL.");
  return url;
}

/** As `fetch`, which upper-cases these only. */
function normalizeMethod(method: string): string {
  const upper = method.toUpperCase();
  return ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"].includes(upper) ? upper : method;
}

/** Text and bytes as they are, so that a redirect can send them again; forms and blobs as bytes; streams untouched. */
async function readBody(body: NonNullable<RequestInit["body"]>, headers: Headers): Promise<Outgoing["body"]> {
  if (typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream) return body as Outgoing["body"];
  const encoded = new Response(body);
  const type = encoded.headers.get("content-type");
  if (type !== null && !headers.has("content-type")) headers.set("content-type", type);
  return new Uint8Array(await encoded.arrayBuffer());
}
