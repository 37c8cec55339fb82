/** Headers and body of a challenge. */
export interface WireChallenge {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly contentType: string;
}

export interface WireFields {
  readonly macaroon: string;
  readonly invoice: string;
  readonly amountMsat: bigint;
  readonly paymentHash: string;
}

const header = (...values: string[]): [string, string][] => values.map((value) => ["WWW-Authenticate", value]);
const pair = ({ macaroon, invoice }: WireFields): string => `macaroon="${macaroon}", invoice="${invoice}"`;

const FOREIGN_ID = "x7Tg2pLqR9vKwYhN3hF2Cg";
/** A challenge of the Payment scheme, with a request that our own must not be mixed with. */
const paymentScheme = `Payment id="${FOREIGN_ID}", realm="api", method="lightning", intent="charge", request="eyJhbW91bnQiOiIxIn0"`;
const cashuScheme = `Cashu mint="https://mint.example", amount="1", unit="sat", macaroon="bm90LW91cnM="`;

/**
 * The forms of a challenge that exist in the wild. `lsat-l402` is aperture's: two lines, LSAT first. All carry the same
 * macaroon and invoice, except the last ones, which cannot be paid.
 */
export const wires = {
  "lsat-l402": (f: WireFields) => header(`LSAT ${pair(f)}`, `L402 ${pair(f)}`),
  l402: (f: WireFields) => header(`L402 ${pair(f)}`),
  lsat: (f: WireFields) => header(`LSAT ${pair(f)}`),
  "one-line": (f: WireFields) => header(`LSAT ${pair(f)}, L402 ${pair(f)}`),
  "token-version": (f: WireFields) => header(`L402 version="0", token="${f.macaroon}", invoice="${f.invoice}"`),
  "version-without-comma": (f: WireFields) => header(`L402 version="0" token="${f.macaroon}", invoice="${f.invoice}"`),
  "token-and-macaroon": (f: WireFields) => header(`L402 version="0", token="${f.macaroon}", ${pair(f)}`),
  token: (f: WireFields) => header(`L402 token="${f.macaroon}", invoice="${f.invoice}"`),
  unquoted: (f: WireFields) => header(`L402 macaroon=${f.macaroon}, invoice=${f.invoice}`),
  "space-separated": (f: WireFields) => header(`LSAT macaroon="${f.macaroon}" invoice="${f.invoice}"`),
  "single-quotes": (f: WireFields) => header(`LSAT macaroon='${f.macaroon}' invoice='${f.invoice}'`),
  "comma-without-space": (f: WireFields) => header(`L402 macaroon="${f.macaroon}",invoice="${f.invoice}"`),
  "spaces-around-equals": (f: WireFields) => header(`L402 macaroon = "${f.macaroon}" , invoice = "${f.invoice}"`),
  "lower-case": (f: WireFields) => header(`l402 MACAROON="${f.macaroon}", Invoice="${f.invoice}"`),
  "invoice-first": (f: WireFields) => header(`L402 invoice="${f.invoice}", macaroon="${f.macaroon}"`),
  "extra-parameters": (f: WireFields) => header(`L402 issuer="sim", ${pair(f)}, amount_msats="${f.amountMsat}", description="a, b=\\"c\\""`),
  "l402-then-payment": (f: WireFields) => header(`L402 ${pair(f)}, ${paymentScheme}`),
  "payment-then-l402": (f: WireFields) => header(`${paymentScheme}, L402 ${pair(f)}`),
  "cashu-then-l402": (f: WireFields) => header(`${cashuScheme}, L402 ${pair(f)}`),
  "bearer-and-l402": (f: WireFields) => header(`Bearer realm="api"`, `Negotiate YWJjZA==`, `L402 ${pair(f)}`, `Basic realm="api, L402"`),
  "json-body": (): [string, string][] => [],
  "price-only": (f: WireFields): [string, string][] => [...header("L402 price-only"), ["X-L402-Price-Sats", String(f.amountMsat / 1000n)]],
  bare: () => header("L402"),
  "empty-invoice": (f: WireFields) => header(`L402 macaroon="${f.macaroon}", invoice=""`),
  "no-invoice": (f: WireFields) => header(`L402 macaroon="${f.macaroon}", pow="20"`),
  "two-credentials": (f: WireFields) => header(`L402 token="b3RoZXI=", ${pair(f)}`),
  "unknown-version": (f: WireFields) => header(`L402 version="7", token="${f.macaroon}", invoice="${f.invoice}"`),
  "unterminated-quote": (f: WireFields) => header(`L402 "token=${f.macaroon}, invoice=${f.invoice}`),
} satisfies Record<string, (fields: WireFields) => [string, string][]> as Readonly<Record<WireName, (fields: WireFields) => [string, string][]>>;

/** The forms that a client can pay from. */
export type PayableWire =
  | "lsat-l402"
  | "l402"
  | "lsat"
  | "one-line"
  | "token-version"
  | "version-without-comma"
  | "token-and-macaroon"
  | "token"
  | "unquoted"
  | "space-separated"
  | "single-quotes"
  | "comma-without-space"
  | "spaces-around-equals"
  | "lower-case"
  | "invoice-first"
  | "extra-parameters"
  | "l402-then-payment"
  | "payment-then-l402"
  | "cashu-then-l402"
  | "bearer-and-l402";

/** The forms that a client cannot, or must not, pay from; `json-body` has everything in its body. */
export type UnpayableWire = "json-body" | "price-only" | "bare" | "empty-invoice" | "no-invoice" | "two-credentials" | "unknown-version" | "unterminated-quote";

export type WireName = PayableWire | UnpayableWire;

const UNPAYABLE: ReadonlySet<WireName> = new Set<UnpayableWire>([
  "json-body",
  "price-only",
  "bare",
  "empty-invoice",
  "no-invoice",
  "two-credentials",
  "unknown-version",
  "unterminated-quote",
]);

/** Every form that a client should be able to pay from. */
export const payableWires: readonly PayableWire[] = (Object.keys(wires) as WireName[]).filter((name): name is PayableWire => !UNPAYABLE.has(name));

/** The challenge in one of its forms. */
export function challengeOn(wire: WireName, fields: WireFields): WireChallenge {
  const headers = wires[wire](fields);
  if (wire !== "json-body") return { headers, body: "payment required\n", contentType: "text/plain" };
  const body = { error: "payment required", macaroon: fields.macaroon, invoice: fields.invoice, priceSats: Number(fields.amountMsat) / 1000 };
  return { headers, body: JSON.stringify(body), contentType: "application/json" };
}
