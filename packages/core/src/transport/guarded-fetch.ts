import { Agent, fetch as undiciFetch } from "undici";
import { TransportError } from "../errors.ts";
import { guardedConnector, type OpenSocket } from "./connector.ts";
import { Exchange, limit, readable } from "./exchange.ts";
import { type GuardedFetchOptions, readBounds } from "./options.ts";
import { type Outgoing, readCall, redirected, undiciBody } from "./request.ts";
import { toResponse } from "./response.ts";
import { blocked, readRules } from "./rules.ts";

const MAX_REDIRECTS = 5;

/** `fetch`, and the end of its connections. */
export type GuardedFetch = typeof globalThis.fetch & {
  /** Ends all connections, those in use too. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** @throws {TransportError} `transport_failed` on Bun, whose own `undici` ignores the agent, and every check with it. */
export function requireAgent(versions: NodeJS.ProcessVersions): void {
  if (versions["bun"] === undefined) return;
  throw new TransportError("transport_failed", "The guarded transport cannot check addresses on Bun. Run on Node.js or Deno, or give a fetch of your own.");
}

/** `guardedFetch`, with the opening of sockets replaceable by tests. */
export function createGuardedFetch(options: GuardedFetchOptions, open?: OpenSocket): GuardedFetch {
  requireAgent(process.versions);
  const bounds = readBounds(options);
  const rules = readRules(options.allowHosts, options.allowPorts);
  const { ca, lookup } = options;
  const connector = guardedConnector({
    rules,
    timeoutMs: bounds.firstByteTimeoutMs,
    ...(ca === undefined ? {} : { ca }),
    ...(lookup === undefined ? {} : { lookup }),
    ...(open === undefined ? {} : { open }),
  });
  const agent = new Agent({
    connect: connector,
    maxHeaderSize: bounds.maxHeaderBytes,
    // Counts bytes on the wire, which no honest body has many more of than decoded ones.
    maxResponseSize: Math.min(bounds.maxBodyBytes + 64 * 1024, Number.MAX_SAFE_INTEGER),
    headersTimeout: 0, // Exchange keeps the time, from before the look-up on.
    bodyTimeout: 0,
  });

  async function hop(outgoing: Outgoing, exchange: Exchange): ReturnType<typeof undiciFetch> {
    rules.check(outgoing.url);
    const { url, method, headers, body } = outgoing;
    return exchange.untilHeaders(
      undiciFetch(url.href, {
        method,
        headers: [...headers],
        body: undiciBody(body),
        ...(body instanceof ReadableStream ? { duplex: "half" as const } : {}),
        redirect: "manual",
        signal: exchange.signal,
        dispatcher: agent,
      }),
    );
  }

  async function guarded(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const call = await readCall(rules, input, init);
    const exchange = new Exchange(bounds, call.signal);
    try {
      let outgoing: Outgoing = call;
      for (let hops = 0; ; hops += 1) {
        const response = await hop(outgoing, exchange);
        const next = call.redirect === "manual" ? undefined : redirected(outgoing, response.status, response.headers.get("location"));
        if (next === undefined) return toResponse(response, exchange, hops > 0);
        if (call.redirect === "error") throw new TransportError("transport_failed", "The server redirects, and redirect is \"error\".");
        if (hops === MAX_REDIRECTS) throw limit(`The server redirects more than ${MAX_REDIRECTS} times.`);
        rules.check(next.url);
        if (outgoing.url.protocol === "https:" && next.url.protocol === "http:") {
          throw blocked(`a redirect from https leads to plain http at ${next.url.host}.`, "Request that URL itself if it is meant.");
        }
        if (next.body instanceof ReadableStream) throw new TransportError("transport_failed", "The server redirects, and a streamed body cannot be sent again.");
        await response.body?.cancel();
        outgoing = next;
      }
    } catch (error) {
      const reason = exchange.signal.aborted ? exchange.signal.reason : readable(error);
      exchange.fail(reason);
      throw reason;
    }
  }

  const close = (): Promise<void> => agent.destroy();
  return Object.assign(guarded, { close, [Symbol.asyncDispose]: close });
}
