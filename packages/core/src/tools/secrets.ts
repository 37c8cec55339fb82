/** Takes credentials out of what a server says: whoever was shown one can send it back, in many spellings. */
import { lettersOf, placesOf } from "./letters.ts";
import type { KeptCredential } from "../ports.ts";

/** Letters compared at a time: so many are in no other text by chance. */
const WINDOW = 12;
/** Letters between two comparisons. A run of 15 is always found. */
const STEP = 4;
const MARK = "[credential removed]";
/** What may be a header with any credential, and where that would end. Two steps, so that no text takes quadratic time. */
const IN_HEADER = /\b(L402|LSAT)(?:\s|%20|\+)+([\w+/=%\\.:-]+)/gi;
const END_OF_CREDENTIAL = /^.{16,}?(?::|%3A)[0-9a-f]{64}/i;

/**
 * `conceal(text)`: `text` without the credentials, also where they are in base64, hex, percent, JSON or HTML escapes,
 * reversed, in another case, interspersed with other characters, or there in part.
 */
export function concealing(credentials: readonly KeptCredential[]): (text: string) => string {
  const secret = new Set<string>();
  for (const { credential, preimage } of credentials) {
    addWindows(secret, [`${credential}:${preimage}`, ...spellings(`${credential}:${preimage}`), ...spellings(bytesOfHex(preimage)), ...spellings(bytesOfBase64(credential))]);
  }
  // A macaroon holds its payment hash, which is no secret.
  const known = new Set<string>();
  for (const { paymentHash } of credentials) addWindows(known, [paymentHash, ...spellings(bytesOfHex(paymentHash))]);
  for (const window of known) secret.delete(window);
  return (text) => {
    const clean = text.replaceAll(IN_HEADER, (all, scheme: string, value: string) => (END_OF_CREDENTIAL.test(value) ? `${scheme} ${value.replace(END_OF_CREDENTIAL, MARK)}` : all));
    if (secret.size === 0) return clean;
    const plain = without(clean, secret, false);
    return /[%\\&]/.test(plain) ? without(plain, secret, true) : plain;
  };
}

function without(text: string, secret: ReadonlySet<string>, escapes: boolean): string {
  const letters = lettersOf(text, escapes);
  const isSecret = (from: number): boolean => secret.has(letters.slice(from, from + WINDOW));
  let places: ReturnType<typeof placesOf> | undefined;
  let clean = "";
  let done = 0;
  let next = 0;
  for (let at = 0; at + WINDOW <= letters.length; at += STEP) {
    if (at < next || !isSecret(at)) continue;
    places ??= placesOf(text, escapes);
    let first = at;
    let last = at;
    while (first > next && isSecret(first - 1)) first -= 1;
    while (isSecret(last + 1)) last += 1;
    next = last + WINDOW;
    clean += text.slice(done, places.starts[first]) + MARK;
    done = places.ends[next - 1] as number;
  }
  return clean + text.slice(done);
}

/** All windows of these, as they are and backwards. */
function addWindows(windows: Set<string>, texts: readonly string[]): void {
  for (const text of texts) {
    const letters = text.replaceAll(/[^0-9A-Za-z]/g, "").toLowerCase();
    for (const way of [letters, [...letters].reverse().join("")]) {
      for (let at = 0; at + WINDOW <= way.length; at += 1) windows.add(way.slice(at, at + WINDOW));
    }
  }
}

/** Bytes, one character each, in hex, as a list of numbers, and in base64 wherever in a longer text they begin. */
function spellings(bytes: string): string[] {
  let hex = "";
  let numbers = "";
  for (let at = 0; at < bytes.length; at += 1) {
    hex += bytes.charCodeAt(at).toString(16).padStart(2, "0");
    numbers += String(bytes.charCodeAt(at));
  }
  return [hex, numbers, btoa(bytes), btoa(`\0${bytes}`).slice(2), btoa(`\0\0${bytes}`).slice(3)];
}

function bytesOfHex(hex: string): string {
  return hex.replaceAll(/../g, (pair) => String.fromCharCode(Number.parseInt(pair, 16)));
}

function bytesOfBase64(text: string): string {
  try {
    return atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return "";
  }
}
