/**
 * BOLT11: what an invoice asks for, and whether it may be paid at all.
 *
 * `bolt11` decodes (bech32 checksum, amounts, field values, recovery of the payee's key). What it lets through is
 * checked here, most of it before it gets to see the text: its time grows faster than the length of its input, and of
 * two payment hashes it takes the last where nodes take the first.
 *
 * @see BOLT 11, https://github.com/lightning/bolts/blob/master/11-payment-encoding.md
 */
import type { PaymentRequestObject, TagsObject } from "bolt11";
import { InvoiceError } from "./errors.ts";

export type Network = "bitcoin" | "testnet" | "signet" | "regtest" | "simnet";

export interface Invoice {
  /** The invoice in lower case, without a `lightning:` in front: what goes to the wallet. */
  readonly invoice: string;
  readonly network: Network;
  /** The price. Always above 0: an invoice that leaves the amount open is refused. */
  readonly amountMsat: bigint;
  /** 64 lower-case hex digits. */
  readonly paymentHash: string;
  /** Public key of the payee's node, hex, recovered from the signature. */
  readonly payee: string;
  /**
   * Words of a stranger, without control, bidi and other invisible characters; `""` where the invoice has only a hash
   * of its description. At most 639 characters: no field holds more bytes.
   */
  readonly description: string;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms. */
  readonly expiresAt: number;
  /** Blocks that the last hop may hold the payment at least. */
  readonly minFinalCltv: number;
}

/** Longest invoice decoded, in characters. */
const MAX_INVOICE_CHARS = 4096;
/** Fields in an invoice; real ones have about ten. */
const MAX_FIELDS = 64;
const MIN_LIFE_MS = 10_000;
const MAX_SKEW_MS = 60_000;
/**
 * From creation to expiry. Long-lived invoices are in real use (7 days, and one service has 125 days); more than a
 * year serves no purchase, and would hold an unresolved payment's budget for as long.
 */
const MAX_LIFE_SECONDS = 366 * 24 * 3600;
/** BOLT 11, field `x`. */
const DEFAULT_EXPIRY_SECONDS = 3600;
/** BOLT 11, field `c`. */
const DEFAULT_MIN_FINAL_CLTV = 18;
/** Two weeks of blocks, the most that nodes route by default. More only serves to lock up the payer's money. */
const MAX_MIN_FINAL_CLTV = 2016;

const NETWORKS: ReadonlyMap<string, Network> = new Map([
  ["bc", "bitcoin"],
  ["tb", "testnet"],
  ["tbs", "signet"],
  ["bcrt", "regtest"],
  ["sb", "simnet"],
]);

/** bolt11 does not know signet by itself. */
const SIGNET = { bech32: "tbs", pubKeyHash: 0x6f, scriptHash: 0xc4, validWitnessVersions: [0, 1] };

type Decode = (invoice: string, network?: typeof SIGNET) => PaymentRequestObject & { tagsObject: TagsObject };
let decode: Decode | undefined;

/**
 * Decodes an invoice and refuses each one that must not be paid. Loads the decoder on first use, which takes 0.05 to
 * 0.3 s; a program that meets no 402 never does.
 *
 * @param options.now Epoch ms.
 * @throws {InvoiceError} with fixed words: the invoice is never in an error. `invoice_network` when it is not for
 *   `options.network`; `invoice_amount` when it names no amount, or zero; `invoice_expired` when less than 10 s of its
 *   life are left; `invoice_invalid` for everything else.
 */
export async function decodeInvoice(text: string, options: { network: Network; now: number }): Promise<Invoice> {
  const invoice = canonical(text);
  const separator = invoice.lastIndexOf("1");
  const { network, priced } = checkPrefix(invoice.slice(0, separator), options.network);
  const fieldTypes = checkFields(invoice, separator + 1);
  if (!priced) throw noAmount();
  checkPresence(fieldTypes);

  decode ??= await loadDecoder();
  let decoded: ReturnType<Decode>;
  try {
    decoded = network === "signet" ? decode(invoice, SIGNET) : decode(invoice);
  } catch {
    // Its messages hold the whole invoice, so they stop here.
    throw invalid("it does not decode");
  }

  const { tagsObject: fields, timestamp, payeeNodeKey: payee, millisatoshis } = decoded;
  const paymentHash = fields.payment_hash;
  if (timestamp === undefined || payee === undefined || paymentHash?.length !== 64) throw invalid("it does not decode");
  const amountMsat = BigInt(millisatoshis ?? 0);
  if (amountMsat <= 0n) throw noAmount();
  const minFinalCltv = fields.min_final_cltv_expiry ?? DEFAULT_MIN_FINAL_CLTV;
  if (!(minFinalCltv <= MAX_MIN_FINAL_CLTV)) throw invalid("it may lock up the payment for weeks");

  const expirySeconds = fields.expire_time ?? DEFAULT_EXPIRY_SECONDS;
  const createdAt = timestamp * 1000;
  const expiresAt = createdAt + expirySeconds * 1000;
  checkTimes({ createdAt, expirySeconds, expiresAt, now: options.now });

  return { invoice, network, amountMsat, paymentHash, payee, description: visible(fields.description ?? ""), createdAt, expiresAt, minFinalCltv };
}

async function loadDecoder(): Promise<Decode> {
  // A CommonJS module: some loaders put its exports on `default` only.
  const module: { decode?: Decode; default?: { decode: Decode } } = await import("bolt11");
  return (module.decode ?? module.default?.decode)!;
}

/** Lower case, as wallets expect it. All upper case is the same invoice (QR codes); mixed case is none (BIP 173). */
function canonical(text: string): string {
  if (text.length > MAX_INVOICE_CHARS) throw invalid(`it is longer than ${MAX_INVOICE_CHARS} characters`);
  const bare = /^lightning:/i.test(text) ? text.slice("lightning:".length) : text;
  const lower = bare.toLowerCase();
  if (!/^[\x21-\x7e]+$/.test(bare) || (bare !== lower && bare !== bare.toUpperCase())) throw invalid("it is not bech32 text");
  return lower;
}

/** `ln`, the network, and the amount: digits without a leading zero, then at most one multiplier. */
function checkPrefix(prefix: string, wanted: Network): { network: Network; priced: boolean } {
  const match = /^ln([a-z]+)(?:([0-9]+)([a-z]?))?$/.exec(prefix);
  if (match === null) throw invalid("it does not begin like one");
  const [, chain = "", digits, multiplier = ""] = match;
  const network = NETWORKS.get(chain);
  if (network !== wanted) {
    throw new InvoiceError(
      "invoice_network",
      `The invoice is for ${network ?? "a network that is not supported"}, and this client pays on ${wanted}; nothing was paid.`,
    );
  }
  if (!"munp".includes(multiplier)) throw invalid("its amount is not written as one");
  if (digits === undefined || /^0+$/.test(digits)) return { network, priced: false };
  if (digits.startsWith("0")) throw invalid("its amount is not written as one");
  return { network, priced: true };
}

const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/** 5-bit value by character code; 255: no bech32 character. */
const WORDS: Uint8Array = new Uint8Array(128).fill(255);
for (let word = 0; word < ALPHABET.length; word += 1) WORDS[ALPHABET.charCodeAt(word)] = word;

const TIMESTAMP_WORDS = 7;
const SIGNATURE_WORDS = 104;
const CHECKSUM_WORDS = 6;

// Field types, by their 5-bit value.
const PAYMENT_HASH = 1;
const ROUTE_HINT = 3;
const FEATURES = 5;
const FALLBACK = 9;
const DESCRIPTION = 13;
const PAYMENT_SECRET = 16;
const PAYEE = 19;
const DESCRIPTION_HASH = 23;

/** Words that a field of this type has; another length makes the invoice invalid. */
const FIELD_WORDS: ReadonlyMap<number, number> = new Map([
  [PAYMENT_HASH, 52],
  [PAYMENT_SECRET, 52],
  [DESCRIPTION_HASH, 52],
  [PAYEE, 53],
]);

/**
 * Even feature bits, those that a payer must know, of BOLT 9's invoice features: onion with variable length, payment
 * secret, multi-part payments, blinded routes, attribution data, payment metadata. The wallet deals with them.
 */
const KNOWN_REQUIRED_FEATURES: ReadonlySet<number> = new Set([8, 14, 16, 24, 36, 48]);

/**
 * Walks the fields once, from the first word after the separator: each is whole, of its proper length, and there at
 * most once, so that our row and the wallet mean the same payment. Returns the set of their types, one bit each.
 */
function checkFields(invoice: string, start: number): number {
  const end = invoice.length - CHECKSUM_WORDS - SIGNATURE_WORDS;
  if (start + TIMESTAMP_WORDS > end) throw invalid("it is too short");
  const word = (at: number): number => {
    const value = WORDS[invoice.charCodeAt(at)] ?? 255;
    if (value === 255) throw invalid("it is not bech32 text");
    return value;
  };

  let seen = 0;
  let count = 0;
  for (let at = start + TIMESTAMP_WORDS; at < end; ) {
    const type = word(at);
    const length = word(at + 1) * 32 + word(at + 2);
    const from = at + 3;
    at = from + length;
    count += 1;
    // Also where type and length were read from the signature already.
    if (at > end) throw invalid("its last field is cut off");
    if (count > MAX_FIELDS) throw invalid(`it has more than ${MAX_FIELDS} fields`);
    if ((FIELD_WORDS.get(type) ?? length) !== length) throw invalid("one of its fields has a wrong length");
    if (type !== ROUTE_HINT && type !== FALLBACK) {
      if (has(seen, type)) throw invalid("one of its fields is there twice");
      seen |= 1 << type;
    }
    if (type === FEATURES) checkFeatures(word, from, length);
  }
  return seen;
}

function checkPresence(seen: number): void {
  if (!has(seen, PAYMENT_HASH)) throw invalid("it has no payment hash");
  if (!has(seen, PAYMENT_SECRET)) throw invalid("it has no payment secret");
  if (has(seen, DESCRIPTION) === has(seen, DESCRIPTION_HASH)) throw invalid("it needs either a description or the hash of one");
}

function has(set: number, type: number): boolean {
  return (set & (1 << type)) !== 0;
}

/** Bits are numbered from the last word's lowest one. */
function checkFeatures(word: (at: number) => number, from: number, length: number): void {
  for (let index = 0; index < length; index += 1) {
    const bits = word(from + length - 1 - index);
    for (let bit = 0; bit < 5; bit += 1) {
      const feature = index * 5 + bit;
      if (((bits >> bit) & 1) === 1 && feature % 2 === 0 && !KNOWN_REQUIRED_FEATURES.has(feature)) {
        throw invalid("it demands a feature that is not known");
      }
    }
  }
}

/** Written so that a time which is not a number refuses. */
function checkTimes(times: { createdAt: number; expirySeconds: number; expiresAt: number; now: number }): void {
  if (!(times.createdAt - times.now <= MAX_SKEW_MS)) throw invalid("it was made in the future; check this machine's clock");
  if (!(times.expirySeconds <= MAX_LIFE_SECONDS)) throw invalid("it lives longer than a year");
  if (!(times.expiresAt - times.now >= MIN_LIFE_MS)) {
    throw new InvoiceError("invoice_expired", "The invoice has expired, or does so within 10 s; nothing was paid. Repeat the request to get a fresh one.", {
      retryable: true,
    });
  }
}

/** Without what is not seen: control, format (bidi, zero-width, tags), line and paragraph separators. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "");
}

function invalid(why: string): InvoiceError {
  return new InvoiceError("invoice_invalid", `The server's invoice must not be paid: ${why}. Nothing was paid.`);
}

function noAmount(): InvoiceError {
  return new InvoiceError("invoice_amount", "The server's invoice names no amount; nothing was paid, since the price must be in the invoice.");
}
