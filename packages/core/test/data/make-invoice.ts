/** Signed BOLT11 invoices for tests, field by field, so that they can be wrong in any way but the one under test. */
import { createECDH, createPrivateKey, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";

import { decode } from "bolt11";

const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

export const TYPE = { hash: 1, hint: 3, features: 5, expiry: 6, fallback: 9, description: 13, secret: 16, payee: 19, descriptionHash: 23, cltv: 24, metadata: 27 } as const;

export interface Field {
  readonly type: number;
  readonly words: readonly number[];
  /** Length written into the field; default: the true one. */
  readonly length?: number;
}

export interface Make {
  readonly prefix?: string;
  /** Epoch seconds. */
  readonly timestamp?: number;
  readonly fields?: readonly Field[];
  /** Words between the last field and the signature. */
  readonly tail?: readonly number[];
}

/** 2026-01-01T00:00:00Z, in epoch seconds. */
export const MADE_AT = 1_767_225_600;
export const HASH = "0001020304050607080900010203040506070809000102030405060708090102";
export const SECRET: string = "11".repeat(32);

const KEY: KeyObject = keyOf("e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734");
/** Public key of the maker: the example key of BOLT 11. */
export const PAYEE = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad";

export function bytesField(type: number, bytes: Uint8Array | string): Field {
  return { type, words: toWords(typeof bytes === "string" ? Buffer.from(bytes, "hex") : bytes) };
}

export function textField(type: number, text: string): Field {
  return { type, words: toWords(Buffer.from(text)) };
}

export function numberField(type: number, value: bigint | number): Field {
  const words: number[] = [];
  for (let rest = BigInt(value); rest > 0n; rest /= 32n) words.unshift(Number(rest % 32n));
  return { type, words };
}

/** Feature bits, numbered from the lowest bit of the last word. */
export function featuresField(...bits: number[]): Field {
  const words: number[] = new Array<number>(Math.floor(Math.max(...bits) / 5) + 1).fill(0);
  for (const bit of bits) words[words.length - 1 - Math.floor(bit / 5)]! |= 1 << bit % 5;
  return { type: TYPE.features, words };
}

/** The fields of a sound invoice. `except` leaves types out. */
export function soundFields(...except: number[]): Field[] {
  return [
    bytesField(TYPE.hash, HASH),
    bytesField(TYPE.secret, SECRET),
    textField(TYPE.description, "a cup of coffee"),
    featuresField(8, 14),
  ].filter((field) => !except.includes(field.type));
}

/** A sound invoice over 10 sats on bitcoin, made at `MADE_AT`, unless told otherwise. */
export function makeInvoice(make: Make = {}): string {
  const prefix = make.prefix ?? "lnbc100n";
  const words = [...numberWords(make.timestamp ?? MADE_AT, 7)];
  for (const field of make.fields ?? soundFields()) {
    words.push(field.type, ...numberWords(field.length ?? field.words.length, 2), ...field.words);
  }
  words.push(...(make.tail ?? []));
  const signature = sign("sha256", Buffer.concat([Buffer.from(prefix), toBytes(words)]), { key: KEY, dsaEncoding: "ieee-p1363" });
  const candidates = [0, 1, 2, 3].map((flag) => bech32(prefix, [...words, ...toWords(Buffer.concat([signature, Buffer.from([flag])]))]));
  // The flag under which the decoder finds the key; invoices that it refuses for another reason get the first.
  return candidates.find((candidate) => payeeOf(candidate) === PAYEE) ?? candidates[0]!;
}

function payeeOf(invoice: string): string | undefined {
  try {
    return decode(invoice, invoice.startsWith("lntbs") ? { bech32: "tbs", pubKeyHash: 0x6f, scriptHash: 0xc4, validWitnessVersions: [0, 1] } : undefined).payeeNodeKey;
  } catch {
    return undefined;
  }
}

/** The same words under a correct checksum. */
export function bech32(prefix: string, words: readonly number[]): string {
  const expanded = [...[...prefix].map((c) => c.charCodeAt(0) >> 5), 0, ...[...prefix].map((c) => c.charCodeAt(0) & 31)];
  const sum = polymod([...expanded, ...words, 0, 0, 0, 0, 0, 0]) ^ 1;
  const checksum = [0, 1, 2, 3, 4, 5].map((index) => (sum >> (5 * (5 - index))) & 31);
  return `${prefix}1${[...words, ...checksum].map((word) => ALPHABET[word]).join("")}`;
}

function polymod(values: readonly number[]): number {
  const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, generator] of generators.entries()) if ((top >> bit) & 1) sum ^= generator;
  }
  return sum;
}

function numberWords(value: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor(value / 32 ** (count - 1 - index)) % 32);
}

function toWords(bytes: Uint8Array): number[] {
  return regroup([...bytes], 8, 5);
}

function toBytes(words: readonly number[]): Buffer {
  return Buffer.from(regroup(words, 5, 8));
}

function regroup(values: readonly number[], from: number, to: number): number[] {
  const out: number[] = [];
  let bits = 0;
  let held = 0;
  for (const value of values) {
    held = ((held << from) | value) & 0xffff;
    bits += from;
    while (bits >= to) {
      bits -= to;
      out.push((held >> bits) & (2 ** to - 1));
    }
  }
  if (bits > 0) out.push((held << (to - bits)) & (2 ** to - 1));
  return out;
}

function keyOf(secret: string): KeyObject {
  const ecdh = createECDH("secp256k1");
  ecdh.setPrivateKey(Buffer.from(secret, "hex"));
  const point = ecdh.getPublicKey();
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
  return createPrivateKey({
    key: { kty: "EC", crv: "secp256k1", d: text(Buffer.from(secret, "hex")), x: text(point.subarray(1, 33)), y: text(point.subarray(33)) },
    format: "jwk",
  });
}
