/** The request that `fetch` and `quote` make, as their flags describe it. The letters mean what they mean to curl. */
import type { GuardedFetch } from "@l402-tools/core/transport";
import type { ParseArgsOptionsConfig } from "node:util";
import { expect, text, texts, whole, type Values } from "./arguments.ts";
import { UsageError } from "./errors.ts";
import { readData } from "./input.ts";
import type { Settings } from "./settings.ts";
import type { Io } from "./terminal.ts";

export const REQUEST_OPTIONS: ParseArgsOptionsConfig = {
  "max-price": { type: "string" },
  request: { type: "string", short: "X" },
  header: { type: "string", short: "H", multiple: true },
  data: { type: "string", short: "d", multiple: true },
  "allow-host": { type: "string", multiple: true },
};

export const REQUEST_HELP = `  --max-price SATS      refuse a dearer invoice (without fee)
  -X, --request METHOD  the method (default GET; with -d POST)
  -H, --header LINE     a header, "Name: value"; may be given more than once
  -d, --data DATA       the body: text, @FILE, or @- for standard input; several are joined by "&".
                        Without a Content-Type of yours it is application/x-www-form-urlencoded
  --allow-host HOST     also reach this host, "localhost:8402": plain http, and private addresses.
                        All else is https on the public internet; may be given more than once`;

export interface RequestCall {
  readonly url: URL;
  readonly init: { method: string; headers: Headers; body?: Uint8Array<ArrayBuffer> };
  readonly maxPriceSats: number | undefined;
}

/** @throws {UsageError} which never shows a header's value. */
export async function readRequest(values: Values, positionals: readonly string[], io: Io): Promise<RequestCall> {
  const [given = ""] = expect(positionals, "URL");
  const url = URL.parse(given);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) throw new UsageError("URL must be an absolute https URL (or http, for a host that --allow-host names).");
  const maxPriceSats = whole(values, "max-price");
  const headers = new Headers();
  for (const line of texts(values, "header")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).trim();
    if (colon < 1 || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new UsageError('A header is written "Name: value".');
    try {
      headers.append(name, line.slice(colon + 1).trim());
    } catch {
      throw new UsageError(`The value of the header ${name} has a character that none may have.`);
    }
  }
  const method = text(values, "request") ?? (texts(values, "data").length > 0 ? "POST" : "GET");
  if (!/^[A-Za-z][A-Za-z-]{0,30}$/.test(method)) throw new UsageError("-X must be a method such as GET or POST.");
  const body = await readData(texts(values, "data"), io);
  if (body !== undefined && /^(get|head)$/i.test(method)) throw new UsageError("GET and HEAD take no body: leave -d, or -X, away.");
  if (body !== undefined && !headers.has("content-type")) headers.set("content-type", "application/x-www-form-urlencoded");
  return { url, init: { method, headers, ...(body === undefined ? {} : { body: Uint8Array.from(body) }) }, maxPriceSats };
}

/** Bytes of a body that are taken, and how long that may last, ms: a person can see it, and end it. */
const MAX_BODY_BYTES = 1024 ** 3;
const TOTAL_TIMEOUT_MS = 3_600_000;

export async function transport({ allowHosts }: Settings): Promise<GuardedFetch> {
  const { guardedFetch } = await import("@l402-tools/core/transport");
  return guardedFetch({ allowHosts, maxBodyBytes: MAX_BODY_BYTES, totalTimeoutMs: TOTAL_TIMEOUT_MS });
}
