/**
 * One HTTP exchange: sends a request, follows redirects by hand, and carries a credential only to the origin that it
 * was bought from. Policy is checked on every hop. Nothing here pays.
 */
import { alarm } from "./clock.ts";
import { TransportError } from "./errors.ts";
import type { Fetch, Rules } from "./options.ts";
import { authorizeHost } from "./policy.ts";
import type { Clock, KeptCredential } from "./ports.ts";
import { hostOf, type Call, type Hop } from "./request.ts";

/** Redirects followed for one call. */
export const REDIRECTS_MAX = 5;
/** Most bytes of a 402's body that are read. */
export const CHALLENGE_BODY_MAX_BYTES: number = 64 * 1024;
/** Longest wait, ms, for a body that nobody will read. */
const DRAIN_MS = 1_000;
/** Longest wait, ms, for a 402's body. */
const CHALLENGE_BODY_MS = 5_000;

/** Headers that may follow a redirect to another origin; every other one may hold a secret of the first. */
const HARMLESS: ReadonlySet<string> = new Set(["accept", "accept-language", "accept-encoding", "cache-control", "content-language", "content-type", "if-modified-since", "if-none-match", "range", "user-agent"]);

export interface Reply {
  readonly response: Response;
  /** The hop that was answered. */
  readonly hop: Hop;
  /** The kept credential that this hop carried. */
  readonly credential: KeptCredential | undefined;
}

export interface Exchange {
  readonly clock: Clock;
  readonly rules: Rules;
  readonly fetch: Fetch;
  readonly insecureHosts: readonly string[];
}

/** Whether a credential may travel to this URL: https, loopback, `.onion`, or a host that was named. */
export function mayCarryCredential(url: URL, insecureHosts: readonly string[]): boolean {
  if (url.protocol === "https:") return true;
  const host = hostOf(url);
  return (
    host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host) ||
    host.endsWith(".onion") || insecureHosts.includes(host)
  );
}

/** The next hop of a redirect, by the rules of the Fetch standard (HTTP-redirect fetch), or `undefined` if it is none. */
function redirected(hop: Hop, response: Response): Hop | undefined {
  if (![301, 302, 303, 307, 308].includes(response.status)) return undefined;
  const location = response.headers.get("location");
  if (location === null) return undefined;
  let url: URL;
  try {
    url = new URL(location, hop.url);
  } catch {
    throw new TransportError("transport_failed", `The server at ${hop.url.host} redirects to something that is not a URL.`);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new TransportError("transport_blocked", `The server at ${hop.url.host} redirects to a URL that is neither https nor http, which is not followed.`);
  }
  if (url.hash === "" && hop.url.hash !== "") url.hash = hop.url.hash;
  const toGet = (response.status === 303 && hop.method !== "GET" && hop.method !== "HEAD") || ((response.status === 301 || response.status === 302) && hop.method === "POST");
  const headers = new Headers();
  for (const [name, value] of hop.headers) {
    if (url.origin !== hop.url.origin && !HARMLESS.has(name)) continue;
    if (toGet && name.startsWith("content-")) continue;
    headers.append(name, value);
  }
  return { url, method: toGet ? "GET" : hop.method, headers, body: toGet ? undefined : hop.body };
}

/**
 * Sends `from` and what it redirects to. `choose` names the kept credential for a hop; one of another origin is never
 * sent, nor any over plain http.
 *
 * @throws {PolicyError} when a hop's host is not allowed. @throws {TransportError} after too many redirects.
 */
export async function send(
  exchange: Exchange,
  call: Call,
  from: Hop,
  choose: (hop: Hop) => Promise<KeptCredential | undefined> | KeptCredential | undefined,
): Promise<Reply> {
  let hop = from;
  for (let redirects = 0; ; redirects += 1) {
    authorizeHost(exchange.rules, hop.url);
    let credential: KeptCredential | undefined;
    if (mayCarryCredential(hop.url, exchange.insecureHosts)) {
      credential = await choose(hop);
      if (credential !== undefined && credential.origin !== hop.url.origin) credential = undefined;
    }
    const init: RequestInit = { ...call.rest, method: hop.method, headers: hop.headers, redirect: call.redirect === "error" ? "error" : "manual" };
    if (hop.body !== undefined) init.body = hop.body;
    if (call.signal !== undefined) init.signal = call.signal;
    if (credential !== undefined) {
      const headers = new Headers(hop.headers);
      headers.set("authorization", `${credential.scheme} ${credential.credential}:${credential.preimage}`);
      init.headers = headers;
      call.hooks.onShow?.(credential);
    }
    const response = await (call.hooks.transport ?? exchange.fetch)(hop.url.href, init);
    const next = call.redirect === "follow" ? redirected(hop, response) : undefined;
    if (next === undefined) return { response, hop, credential };
    discard(response, exchange.clock);
    if (call.hooks.transport !== undefined && hop.url.protocol === "https:" && next.url.protocol === "http:") {
      throw new TransportError("transport_blocked", `The server at ${hop.url.host} redirects from https to plain http, which is not followed.`);
    }
    if (redirects >= REDIRECTS_MAX) {
      throw new TransportError("transport_limit", `The server at ${from.url.host} redirects more than ${REDIRECTS_MAX} times.`);
    }
    hop = next;
  }
}

/** Lets go of a body nobody will read: a small one is drained so that the connection can be used again. */
export function discard(response: Response, clock: Clock): void {
  if (response.body === null || response.bodyUsed || response.body.locked) return;
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  if (length >= 0 && length <= CHALLENGE_BODY_MAX_BYTES) void readText(response, clock, DRAIN_MS, false);
  else response.body.cancel().catch(() => {});
}

/** At most `CHALLENGE_BODY_MAX_BYTES` of a body as text, and what had arrived when the time was up; never throws. */
export async function readText(response: Response, clock: Clock, ms: number = CHALLENGE_BODY_MS, awaited = true): Promise<string> {
  if (response.body === null || response.bodyUsed) return "";
  const reader = response.body.getReader();
  const late = alarm(clock, ms, awaited);
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  try {
    for (;;) {
      const step = await Promise.race([reader.read(), late.over]);
      if (step === undefined || step.done) break;
      size += step.value.byteLength;
      text += decoder.decode(step.value, { stream: true });
      if (size >= CHALLENGE_BODY_MAX_BYTES) break;
    }
  } catch {
    // A body that breaks off says no more than it said.
  } finally {
    late.stop();
    reader.cancel().catch(() => {});
  }
  return text;
}
