/**
 * The challenge of a 402: what the server asks for, read from `WWW-Authenticate` and from a JSON body.
 *
 * One pass over the value, character by character: no regular expression runs over the whole of it, since one that
 * does takes the credential of another scheme as soon as two challenges share a line (RFC 9110, section 11.6.1, and
 * Node joins several header lines into one). Parameters stay with the challenge that they were written in.
 */
import { ChallengeError, InvoiceError } from "./errors.ts";
import type { Invoice } from "./invoice.ts";
import { MSAT_PER_SAT } from "./money.ts";

export interface Challenge {
  /** Scheme of the challenge to answer. */
  readonly scheme: "L402" | "LSAT";
  /** The value of `macaroon=` or `token=`, byte for byte: it is sent back, never decoded and encoded again. */
  readonly credential: string;
  /** BOLT11 text as the server sent it; not decoded yet. */
  readonly invoice: string;
  /** Prices that the server states beside the invoice. They can make the client refuse, never pay more. */
  readonly declared: readonly DeclaredPrice[];
  /** Payment hashes that the server states beside the invoice, 64 lower-case hex digits each, if any. Same rule. */
  readonly declaredHashes?: readonly string[];
}

export interface DeclaredPrice {
  readonly unit: "sat" | "msat";
  /** As stated; a string is a decimal number. */
  readonly amount: number | string;
  /** Where it was stated: `header:<parameter>` or `body:<field>`. */
  readonly source: string;
}

/** Longest `WWW-Authenticate` value read, in characters: what Node lets through for all headers together. */
const MAX_HEADER_CHARS = 16 * 1024;
const MAX_CHALLENGES = 16;
const MAX_PARAMETERS = 32;
/** Longest credential; it has to fit into one request header, and servers seldom take more than 8 KiB there. */
const MAX_CREDENTIAL_CHARS = 8 * 1024;
/** Longest 402 body read for what it declares, in characters. */
const MAX_BODY_CHARS = 64 * 1024;

/** Parameters that say what to pay for; two values of one are a contradiction, where of any other the first one counts. */
const IDENTIFYING: ReadonlySet<string> = new Set(["macaroon", "token", "invoice"]);

/** What servers use in a credential: base64, base64url, hex, JWT, lists. Nothing in it can end or split a header. */
const CREDENTIAL = /^[A-Za-z0-9+/=_.,:~-]+$/;
const HASH = /^[0-9a-f]{64}$/i;
const DECIMAL = /^[0-9]{1,30}(?:\.[0-9]{1,9})?$/;

/**
 * The L402 (or LSAT) challenge to answer; L402 where both are offered. `null`: there is nothing for us (no such
 * challenge, a bare `L402`, a price-only one, a proof-of-work one), and the 402 goes back to the caller as it is.
 *
 * An unusable offer beside a usable one is skipped. Two usable ones of one scheme must agree: which of two different
 * invoices or credentials to pay for is not ours to guess.
 *
 * @throws {ChallengeError} when the only offers are unusable, or when they contradict each other (`paid: "no"`).
 */
export function parseChallenge(wwwAuthenticate: string | null): Challenge | null {
  if (wwwAuthenticate === null || !/l402|lsat/i.test(wwwAuthenticate)) return null;
  const offers: Challenge[] = [];
  let problem: string | undefined;
  for (const challenge of scan(unfold(wwwAuthenticate))) {
    if (challenge.scheme !== "L402" && challenge.scheme !== "LSAT") continue;
    const read = readOffer(challenge, challenge.scheme);
    if (typeof read === "string") problem ??= read;
    else if (read !== null) offers.push(read);
  }
  const offer = choose(offers);
  if (offer === null && problem !== undefined) throw new ChallengeError(problem);
  return offer;
}

/**
 * What a 402's JSON body adds. With `challenge` (from the header): declared prices and payment hashes, nothing else.
 * Without one, a body that has both a credential and an invoice is a challenge of its own. Any other body changes
 * nothing. Never throws.
 */
export function withBody(challenge: Challenge | null, contentType: string | null, body: string): Challenge | null {
  const json = parseObject(contentType, body);
  if (json === null) return challenge;
  const base = challenge ?? bodyChallenge(json);
  if (base === null) return null;
  return declaring(base, "body", Object.entries(json));
}

/**
 * Compares what the server states with what its invoice says. Only a contradiction matters: a statement that is not
 * there proves nothing.
 *
 * @throws {InvoiceError} `invoice_amount` when a declared price is another than the invoice's, taken exactly or
 *   rounded to whole sats either way; `invoice_mismatch` when a declared payment hash is another.
 */
export function checkDeclared(challenge: Challenge, invoice: Invoice): void {
  for (const price of challenge.declared) {
    if (!agrees(price, invoice.amountMsat)) {
      throw new InvoiceError(
        "invoice_amount",
        "The price that the server states is not the amount of its invoice; nothing was paid. The operator of the server has to correct one of them.",
      );
    }
  }
  for (const hash of challenge.declaredHashes ?? []) {
    if (hash !== invoice.paymentHash) {
      throw new InvoiceError(
        "invoice_mismatch",
        "The payment hash that the server states is not the one of its invoice; nothing was paid. Ask again for a fresh invoice.",
      );
    }
  }
}

/** A challenge as it stands in the header. */
interface RawChallenge {
  readonly scheme: string;
  /** By lower-case name; the first value of a name stays. */
  readonly parameters: Map<string, string>;
  parameterCount: number;
  /** A credential or invoice parameter came again with another value. */
  contradicts: boolean;
  /** Something in it is no parameter and no `token68`, or a quote in it never ends. */
  damaged: boolean;
}

/** An offer to answer; `null` if it does not concern us; a string says why it cannot be answered. */
function readOffer(raw: RawChallenge, scheme: "L402" | "LSAT"): Challenge | string | null {
  const { parameters } = raw;
  const macaroon = parameters.get("macaroon");
  const token = parameters.get("token");
  const credential = macaroon ?? token;
  const invoice = parameters.get("invoice");
  if (raw.contradicts || (macaroon !== undefined && token !== undefined && macaroon !== token)) {
    throw new ChallengeError("The challenge names two different credentials or invoices; nothing was paid. The server has to send one of each.");
  }
  if (parameters.size === 0 && !raw.damaged) return null;
  if (invoice === undefined && parameters.has("pow")) return null;
  const version = parameters.get("version");
  if (version !== undefined && version !== "0") return "The challenge has a version that is not supported (only 0 is); nothing was paid.";
  if (raw.damaged) return "The challenge cannot be read: a quotation mark is missing or out of place; nothing was paid.";
  if (credential === undefined || credential === "") return "The challenge has no macaroon and no token; nothing was paid.";
  if (credential.length > MAX_CREDENTIAL_CHARS) return `The challenge's credential is longer than ${MAX_CREDENTIAL_CHARS} characters; nothing was paid.`;
  if (!CREDENTIAL.test(credential)) return "The challenge's credential has characters that no credential has; nothing was paid.";
  if (invoice === undefined || invoice === "") return "The challenge has no invoice; nothing was paid.";

  return declaring({ scheme, credential: detached(credential), invoice, declared: [] }, "header", parameters);
}

/**
 * The same ASCII text as a string of its own. What `slice` makes may share, and keep alive, all of the header it was cut
 * from, for as long as the credential is on record.
 */
function detached(text: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(text));
}

function choose(offers: readonly Challenge[]): Challenge | null {
  const l402 = offers.filter((offer) => offer.scheme === "L402");
  const [first, ...others] = l402.length > 0 ? l402 : offers;
  if (first === undefined) return null;
  if (others.some((other) => !same(first, other))) {
    throw new ChallengeError("The server offers several challenges that differ; nothing was paid, since which one to pay is not clear.");
  }
  // An LSAT twin states the same offer in other words; what it declares counts too.
  const twins = offers.filter((offer) => same(first, offer));
  return withDeclared(first, twins.flatMap((twin) => twin.declared), twins.flatMap((twin) => twin.declaredHashes ?? []));
}

function same(one: Challenge, other: Challenge): boolean {
  return one.credential === other.credential && one.invoice === other.invoice;
}

// --- the header, character by character ---

const TAB = 0x09;
const SPACE = 0x20;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;
const BACKSLASH = 0x5c;

const IS_TOKEN = 1;
const IS_TOKEN68 = 2;
/** Character classes by ASCII code. The single quote, a token character by RFC 9110, is a delimiter in the wild. */
const CLASSES: Uint8Array = classes();

function classes(): Uint8Array {
  const table = new Uint8Array(128);
  const mark = (characters: string, flag: number) => {
    for (const character of characters) table[character.charCodeAt(0)]! |= flag;
  };
  const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  mark(`${alphanumeric}!#$%&*+-.^_\`|~`, IS_TOKEN);
  mark(`${alphanumeric}-._~+/`, IS_TOKEN68);
  return table;
}

/** A folded header line is one line (RFC 9112, section 5.2); any other line break or NUL was smuggled in. */
function unfold(value: string): string {
  if (value.length > MAX_HEADER_CHARS) {
    throw new ChallengeError(`The challenge is longer than ${MAX_HEADER_CHARS} characters; nothing was paid.`);
  }
  const unfolded = value.replace(/\r?\n(?=[ \t])/g, " ");
  if (/[\0\r\n]/.test(unfolded)) throw new ChallengeError("The challenge has a line break or a NUL in it; nothing was paid.");
  return unfolded;
}

/**
 * All challenges of the value, in order. Every character is looked at a bounded number of times: what a look-ahead
 * passes over is consumed by the step that follows it.
 */
function scan(text: string): RawChallenge[] {
  const found: RawChallenge[] = [];
  let current: RawChallenge | undefined;
  let at = 0;

  const is = (flag: number): boolean => {
    const code = text.charCodeAt(at);
    return code < 128 && (CLASSES[code]! & flag) !== 0;
  };
  const skipSpace = (): void => {
    for (let code = text.charCodeAt(at); code === SPACE || code === TAB; code = text.charCodeAt(at)) at += 1;
  };

  /** From an opening quote to past its partner; `null` and at the end of the text if there is none. */
  const quoted = (): string | null => {
    const quote = text.charCodeAt(at);
    let value = "";
    let from = ++at;
    for (; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === quote) {
        value += text.slice(from, at);
        at += 1;
        return value;
      }
      if (code === BACKSLASH && at + 1 < text.length) {
        value += text.slice(from, at);
        from = ++at;
      }
    }
    return null;
  };

  /** Past the `=`; unquoted values may hold `=`, `+` and `/`, as unquoted base64 does in the wild. */
  const value = (): string | null => {
    skipSpace();
    const code = text.charCodeAt(at);
    if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) return quoted();
    const from = at;
    for (; at < text.length; at += 1) {
      const next = text.charCodeAt(at);
      if (next === COMMA || next === SEMICOLON || next === SPACE || next === TAB) break;
    }
    return text.slice(from, at);
  };

  const parameter = (name: string): void => {
    const read = value();
    if (current === undefined) return;
    current.parameterCount += 1;
    if (current.parameterCount > MAX_PARAMETERS) {
      throw new ChallengeError(`A challenge has more than ${MAX_PARAMETERS} parameters; nothing was paid.`);
    }
    if (read === null) current.damaged = true;
    const key = name.toLowerCase();
    const before = current.parameters.get(key);
    if (before === undefined) current.parameters.set(key, read ?? "");
    else if (before !== read && IDENTIFYING.has(key)) current.contradicts = true;
  };

  /** After a scheme: passes over a `token68` up to a comma or the end, else moves nothing. */
  const token68 = (ours: boolean): void => {
    const start = at;
    skipSpace();
    const from = at;
    while (is(IS_TOKEN68)) at += 1;
    const name = text.slice(from, at).toLowerCase();
    const equals = at;
    while (text.charCodeAt(at) === EQUALS) at += 1;
    const padded = at > equals;
    skipSpace();
    const ends = at >= text.length || text.charCodeAt(at) === COMMA;
    // `L402 macaroon=` is a parameter without a value, not a token68.
    const emptyParameter = ours && padded && (name === "version" || IDENTIFYING.has(name));
    if (name === "" || !ends || emptyParameter) at = start;
  };

  while (at < text.length) {
    skipSpace();
    if (at >= text.length) break;
    if (text.charCodeAt(at) === COMMA) {
      at += 1;
      continue;
    }
    const from = at;
    while (is(IS_TOKEN)) at += 1;
    if (at === from) {
      const code = text.charCodeAt(at);
      if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) {
        // What stands between stray quotes is nobody's parameter.
        if (current !== undefined) current.damaged = true;
        quoted();
      } else {
        at += 1;
      }
      continue;
    }
    const name = text.slice(from, at);
    const end = at;
    skipSpace();
    if (text.charCodeAt(at) === EQUALS) {
      at += 1;
      parameter(name);
      continue;
    }
    at = end;
    if (found.length === MAX_CHALLENGES) throw new ChallengeError(`The server sends more than ${MAX_CHALLENGES} challenges; nothing was paid.`);
    const scheme = name.toUpperCase();
    const ours = scheme === "L402" || scheme === "LSAT";
    current = { scheme, parameters: new Map(), parameterCount: 0, contradicts: false, damaged: false };
    found.push(current);
    token68(ours);
  }
  return found;
}

// --- what is declared beside the invoice ---

/**
 * Names of price fields, lower case and without `_`, `-` and `.`. Only names that carry the unit: a plain `price` or
 * `amount` may be cents, and a refusal over it would be wrong.
 */
const PRICE_UNITS: ReadonlyMap<string, "sat" | "msat"> = new Map(
  ["price", "amount"].flatMap((what) => [
    [`${what}sat`, "sat"],
    [`${what}sats`, "sat"],
    [`${what}satoshi`, "sat"],
    [`${what}satoshis`, "sat"],
    [`${what}msat`, "msat"],
    [`${what}msats`, "msat"],
    [`${what}millisat`, "msat"],
    [`${what}millisats`, "msat"],
    [`${what}millisatoshi`, "msat"],
    [`${what}millisatoshis`, "msat"],
  ]),
);

/** The challenge with what these fields declare added to it. */
function declaring(challenge: Challenge, where: "header" | "body", fields: Iterable<[string, unknown]>): Challenge {
  const declared = [...challenge.declared];
  const hashes = [...(challenge.declaredHashes ?? [])];
  for (const [name, value] of fields) declare(name, value, where, declared, hashes);
  return withDeclared(challenge, declared, hashes);
}

function withDeclared(challenge: Challenge, declared: readonly DeclaredPrice[], hashes: readonly string[]): Challenge {
  const { scheme, credential, invoice } = challenge;
  return { scheme, credential, invoice, declared, ...(hashes.length > 0 && { declaredHashes: hashes }) };
}

function declare(name: string, value: unknown, where: "header" | "body", declared: DeclaredPrice[], hashes: string[]): void {
  const key = plain(name);
  if (key === "paymenthash") {
    if (typeof value === "string" && HASH.test(value)) hashes.push(value.toLowerCase());
    return;
  }
  // `price: { sats: 100 }`
  if (key === "price" && where === "body" && isRecord(value)) {
    for (const [unit, amount] of Object.entries(value)) declare(`price.${unit}`, amount, "body", declared, hashes);
    return;
  }
  const unit = PRICE_UNITS.get(key);
  if (unit === undefined) return;
  if (typeof value === "number" || (typeof value === "string" && DECIMAL.test(value))) {
    declared.push({ unit, amount: value, source: `${where}:${name}` });
  }
}

function plain(name: string): string {
  return name.length > 32 ? "" : name.toLowerCase().replace(/[._-]/g, "");
}

/** Whether a stated price is the invoice's: exactly, or rounded to whole sats in either direction. */
function agrees(price: DeclaredPrice, amountMsat: bigint): boolean {
  const text = String(price.amount);
  if (!DECIMAL.test(text)) return false;
  const [whole = "", fraction = ""] = text.split(".");
  // In units of 10^-9 of the stated unit, so that no fraction is rounded.
  const stated = BigInt(whole) * NANO + BigInt(fraction.padEnd(9, "0"));
  if (price.unit === "msat") return stated === amountMsat * NANO;
  const floor = amountMsat / MSAT_PER_SAT;
  const ceil = (amountMsat + MSAT_PER_SAT - 1n) / MSAT_PER_SAT;
  return stated === floor * NANO || stated === ceil * NANO || stated * MSAT_PER_SAT === amountMsat * NANO;
}

const NANO = 1_000_000_000n;

// --- the body ---

function parseObject(contentType: string | null, body: string): Record<string, unknown> | null {
  if (contentType !== null && contentType !== "" && !/json/i.test(contentType)) return null;
  if (body.length > MAX_BODY_CHARS) return null;
  try {
    const value: unknown = JSON.parse(body);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `{ macaroon | token, invoice }` at the top of the body. An invoice of another kind (a bill's number) is not ours. */
function bodyChallenge(json: Record<string, unknown>): Challenge | null {
  const { macaroon, token, invoice } = json;
  if (macaroon !== undefined && token !== undefined && macaroon !== token) return null;
  const credential = macaroon ?? token;
  if (typeof credential !== "string" || credential.length > MAX_CREDENTIAL_CHARS || !CREDENTIAL.test(credential)) return null;
  if (typeof invoice !== "string" || !/^(?:lightning:)?ln/i.test(invoice)) return null;
  return { scheme: "L402", credential, invoice, declared: [] };
}
