import type { Response as UndiciResponse } from "undici";
import { TransportError } from "../errors.ts";
import { type Exchange, limit } from "./exchange.ts";

const BODILESS = new Set([204, 205, 304]);

/** undici's response as one of the platform's own class, with its body bounded by `exchange`. */
export function toResponse(from: UndiciResponse, exchange: Exchange, isRedirected: boolean): Response {
  const codings = (from.headers.get("content-encoding") ?? "").split(",").filter((coding) => !/^\s*(identity)?\s*$/i.test(coding));
  if (codings.length > 1) throw limit("The body is compressed more than once.");
  if (from.status > 599) throw new TransportError("transport_failed", `The server answered with status ${from.status}, which is not HTTP.`);
  const bodiless = from.body === null || BODILESS.has(from.status);
  if (bodiless) {
    exchange.finish();
    void from.body?.cancel();
  }
  const response = new Response(bodiless ? null : exchange.bound(from.body as unknown as ReadableStream<Uint8Array>, from.status), {
    status: from.status,
    statusText: from.statusText.replace(/[^\t\x20-\x7e\x80-\xff]/g, ""),
    headers: [...from.headers],
  });
  return describe(response, { url: from.url, redirected: isRedirected });
}

/** A constructed `Response` knows no URL: gives it one, and its clones. */
function describe(response: Response, facts: { url: string; redirected: boolean }): Response {
  return Object.defineProperties(response, {
    url: { value: facts.url, configurable: true },
    redirected: { value: facts.redirected, configurable: true },
    clone: { value: () => describe(Response.prototype.clone.call(response), facts), configurable: true, writable: true },
  });
}
