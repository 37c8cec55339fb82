/**
 * Whether a credential commits to a payment hash. Credentials are the server's business and are sent back as they
 * came; but most expose the hash of the invoice that unlocks them, and an invoice that was exchanged on the way (its
 * payee gets the money, the credential stays locked) shows here.
 *
 * Bytes are strings of characters 0 to 255, as `atob` makes them.
 */

/** Longest credential looked into, in characters. */
const MAX_CREDENTIAL_CHARS = 16 * 1024;
/** Containers in containers: base64 of base64 of JSON with JSON in it. */
const MAX_DEPTH = 3;

/**
 * `match`: the hash is among those that the credential exposes. `unknown`: it exposes none (an opaque token).
 * `mismatch`: it exposes one, and it is another; paying cannot be proved to unlock it. Never throws.
 *
 * @param paymentHash 64 hex digits.
 */
export function bindingOf(credential: string, paymentHash: string): "match" | "unknown" | "mismatch" {
  const wanted = paymentHash.toLowerCase();
  if (!isHex(wanted, 64) || credential.length > MAX_CREDENTIAL_CHARS) return "unknown";
  const hashes = new Set<string>();
  // Specifications allow several macaroons in one credential.
  for (const part of credential.split(",")) collectFromText(part, hashes, 0);
  if (hashes.has(wanted) || isItself(credential, wanted)) return "match";
  return hashes.size === 0 ? "unknown" : "mismatch";
}

/** A token that is nothing but the hash. One that is 32 other bytes may well be random, so it proves nothing. */
function isItself(credential: string, wanted: string): boolean {
  const bytes = credential.length <= 44 ? fromBase64(credential) : null;
  return credential.toLowerCase() === wanted || (bytes !== null && toHex(bytes) === wanted);
}

function collectFromText(text: string, hashes: Set<string>, depth: number): void {
  if (depth > MAX_DEPTH || text === "") return;
  if (text.includes(".")) {
    // A JWT, or JSON and its signature: only the JSON in it counts, the rest is random to us.
    for (const part of text.split(".", 3)) {
      const bytes = fromBase64(part);
      if (bytes?.startsWith("{")) collectFromJson(bytes, hashes, depth);
    }
    return;
  }
  if (isHex(text) && collectFromBytes(fromHex(text), hashes, depth)) return;
  const bytes = fromBase64(text);
  if (bytes !== null) collectFromBytes(bytes, hashes, depth);
}

/** Whether the bytes are a container that is known. */
function collectFromBytes(bytes: string, hashes: Set<string>, depth: number): boolean {
  if (bytes.startsWith("\x02")) return collectFromMacaroonV2(bytes, hashes);
  if (/^[0-9a-fA-F]{4}(?:location|identifier) /.test(bytes)) return collectFromMacaroonV1(bytes, hashes);
  if (bytes.startsWith("{")) return collectFromJson(bytes, hashes, depth);
  for (const found of bytes.matchAll(/payment_?hash=([0-9a-f]{64})(?![0-9a-f])/gi)) hashes.add(found[1]!.toLowerCase());
  if (/^[A-Za-z0-9+/=_.-]+$/.test(bytes)) collectFromText(bytes, hashes, depth + 1);
  return false;
}

// --- macaroons ---

/**
 * libmacaroons' binary format, version 2: fields of `tag, length, data`, a zero byte after each section; first the
 * macaroon's own identifier, then one section for each caveat.
 */
function collectFromMacaroonV2(bytes: string, hashes: Set<string>): boolean {
  const IDENTIFIER = 2;
  const END = 0;
  let at = 1;
  let section = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 28 && at < bytes.length; shift += 7) {
      const byte = bytes.charCodeAt(at);
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return -1;
  };
  let sectionIsEmpty = true;
  while (at < bytes.length) {
    const tag = varint();
    if (tag === END) {
      if (sectionIsEmpty) return true; // what follows is the signature
      sectionIsEmpty = true;
      section += 1;
      continue;
    }
    const length = varint();
    if (tag < 0 || length < 0 || at + length > bytes.length) return section > 0;
    if (tag === IDENTIFIER) {
      const data = bytes.slice(at, at + length);
      if (section === 0) collectFromIdentifier(data, hashes);
      else collectFromCaveat(data, hashes);
    }
    at += length;
    sectionIsEmpty = false;
  }
  return section > 0;
}

/** libmacaroons' packets, version 1: `hhhh key SP value LF`. Values hold line feeds, so the length decides. */
function collectFromMacaroonV1(bytes: string, hashes: Set<string>): boolean {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const size = bytes.slice(at, at + 4);
    const length = isHex(size) ? Number.parseInt(size, 16) : 0;
    if (length <= 5 || at + length > bytes.length) break;
    const packet = bytes.slice(at + 4, at + length - 1);
    const space = packet.indexOf(" ");
    const key = packet.slice(0, Math.max(space, 0));
    const value = packet.slice(space + 1);
    if (key === "identifier") collectFromIdentifier(value, hashes);
    else if (key === "cid") collectFromCaveat(value, hashes);
    at += length;
  }
  return true;
}

/** The layouts of identifiers that hold a payment hash. Anything else (a name, a number, a gob) is opaque. */
function collectFromIdentifier(identifier: string, hashes: Set<string>): void {
  if (isVersion0(identifier)) {
    addBytes(identifier.slice(2, 34), hashes);
  } else if (isHex(identifier, 132)) {
    const bytes = fromHex(identifier);
    if (isVersion0(bytes)) addBytes(bytes.slice(2, 34), hashes);
  } else if (isHex(identifier, 64)) {
    hashes.add(identifier.toLowerCase());
  } else if (identifier.length === 32 && !/^[\x20-\x7e]*$/.test(identifier)) {
    // 32 bytes, and not 32 letters: a UUID without its dashes is no hash.
    addBytes(identifier, hashes);
  } else if (identifier.length === 33 && identifier.startsWith("\xff")) {
    addBytes(identifier.slice(1), hashes);
  } else if (identifier.length === 88) {
    const bytes = fromBase64(identifier) ?? "";
    // As text, one server writes the hash last and another after the version.
    if (isVersion0(bytes)) for (const from of [2, 34]) addBytes(bytes.slice(from, from + 32), hashes);
  }
}

/** Version (two bytes, 0), payment hash (32), token id (32). */
function isVersion0(bytes: string): boolean {
  return bytes.length === 66 && bytes.startsWith("\0\0");
}

function collectFromCaveat(caveat: string, hashes: Set<string>): void {
  const equals = caveat.indexOf("=");
  const name = caveat.slice(0, Math.max(equals, 0)).trim().toLowerCase();
  if (name === "payment_hash" || name === "paymenthash" || name === "ph") addText(caveat.slice(equals + 1).trim(), hashes);
}

// --- JSON ---

function collectFromJson(text: string, hashes: Set<string>, depth: number): boolean {
  try {
    collectFromValue(JSON.parse(text), hashes, depth);
    return true;
  } catch {
    return false;
  }
}

function collectFromValue(value: unknown, hashes: Set<string>, depth: number): void {
  if (depth > MAX_DEPTH || typeof value !== "object" || value === null || Array.isArray(value)) return;
  for (const [name, field] of Object.entries(value)) {
    if (name === "paymentHash" || name === "payment_hash" || name === "hash") addText(field, hashes);
    else if (typeof field === "object") collectFromValue(field, hashes, depth + 1);
    else if (name === "payload" && typeof field === "string") {
      if (field.startsWith("{")) collectFromJson(field, hashes, depth + 1);
      else collectFromText(field, hashes, depth + 1);
    }
  }
}

// --- bytes and text ---

function addBytes(bytes: string, hashes: Set<string>): void {
  hashes.add(toHex(bytes));
}

/** 64 hex digits, or base64 of 32 bytes; anything else is not a hash. */
function addText(value: unknown, hashes: Set<string>): void {
  if (typeof value !== "string") return;
  if (isHex(value, 64)) {
    hashes.add(value.toLowerCase());
    return;
  }
  const bytes = fromBase64(value);
  if (bytes?.length === 32) addBytes(bytes, hashes);
}

function isHex(text: string, length?: number): boolean {
  return (length === undefined ? text.length % 2 === 0 : text.length === length) && /^[0-9a-fA-F]+$/.test(text);
}

function fromHex(hex: string): string {
  let bytes = "";
  for (let at = 0; at < hex.length; at += 2) bytes += String.fromCharCode(Number.parseInt(hex.slice(at, at + 2), 16));
  return bytes;
}

function toHex(bytes: string): string {
  let hex = "";
  for (let at = 0; at < bytes.length; at += 1) hex += bytes.charCodeAt(at).toString(16).padStart(2, "0");
  return hex;
}

/** Standard or URL alphabet, padded or not; `null` if it is neither. */
function fromBase64(text: string): string | null {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return null;
  const unpadded = text.replace(/=+$/, "");
  if (unpadded.length % 4 === 1) return null;
  try {
    return atob(unpadded.replace(/-/g, "+").replace(/_/g, "/"));
  } catch {
    return null;
  }
}
