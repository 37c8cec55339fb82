/** What a purchase is known by. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Hop } from "./request.ts";

/** Identity of a purchase by its request: method, origin, path and query, and a hash of the body. */
export function requestKeyOf(hop: Hop): string {
  const line = `${hop.method} ${hop.url.origin}${hop.url.pathname}${hop.url.search}`;
  if (hop.body === undefined && line.length <= 256) return line;
  const bytes = typeof hop.body === "string" ? new TextEncoder().encode(hop.body) : hop.body;
  return `${line.length <= 256 ? line : `${hop.method} ${hop.url.origin} ${sha256Hex(new TextEncoder().encode(line))}`}${bytes === undefined ? "" : ` ${sha256Hex(bytes)}`}`;
}

/**
 * SHA-256, 64 hex digits. Synchronous on purpose: WebCrypto answers from another thread, and a check of a preimage or
 * the identity of a purchase must not let anything happen in between.
 */
export function sha256Hex(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}
