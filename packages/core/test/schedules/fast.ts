/**
 * What makes so many schedules possible: an invoice is decoded (and its signature checked) by the real decoder, but only
 * once, since the pool's invoices come back in every schedule. Import it before anything that imports bolt11.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";

type Decode = (invoice: string, network?: unknown) => unknown;

const bolt11 = createRequire(import.meta.url)("bolt11") as { decode: Decode };
const { decode } = bolt11;
const decoded = new Map<string, unknown>();
bolt11.decode = (invoice, network) => {
  if (network !== undefined) return decode(invoice, network);
  const known = decoded.get(invoice) ?? decode(invoice);
  decoded.set(invoice, known);
  return known;
};

export function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}
