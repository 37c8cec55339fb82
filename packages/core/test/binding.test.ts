import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { bindingOf } from "../src/binding.ts";
import { wild } from "./data/corpus.ts";

const H = "a7160d40fca55fe9f76e5d64cba21d4952480821925c4307c083b58260ec372c";
const OTHER = "30a47a6e9b0b3ab9f4280f08932cd7207b440f508580d3eb5563eb4a3d8009ff";
const TOKEN_ID = "5a".repeat(32);

const hex = (text: string) => Buffer.from(text, "hex");
const v0 = (hash: string, tokenId = TOKEN_ID) => hex(`0000${hash}${tokenId}`);

/** A macaroon in libmacaroons' version 2, binary. */
function v2(identifier: Uint8Array | string, caveats: readonly (Uint8Array | string)[] = [], location = "lsat"): Buffer {
  const field = (tag: number, data: Uint8Array | string) => {
    const bytes = Buffer.from(data);
    const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
    return Buffer.concat([Buffer.from([tag, ...length]), bytes]);
  };
  const end = Buffer.from([0]);
  const head = location === "" ? [field(2, identifier)] : [field(1, location), field(2, identifier)];
  return Buffer.concat([Buffer.from([2]), ...head, end, ...caveats.flatMap((caveat) => [field(2, caveat), end]), end, field(6, Buffer.alloc(32, 7))]);
}

/** A macaroon in libmacaroons' version 1, packets. */
function v1(identifier: Uint8Array | string, caveats: readonly string[] = []): Buffer {
  const packet = (key: string, value: Uint8Array | string) => {
    const data = Buffer.concat([Buffer.from(`${key} `), Buffer.from(value), Buffer.from("\n")]);
    return Buffer.concat([Buffer.from((data.length + 4).toString(16).padStart(4, "0")), data]);
  };
  return Buffer.concat([packet("location", "lsat"), packet("identifier", identifier), ...caveats.map((caveat) => packet("cid", caveat)), packet("signature", Buffer.alloc(32, 7))]);
}

const jwt = (claims: object) => [{ alg: "HS256" }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".") + `.${"c2ln".repeat(10)}w`;
const json = (value: object) => Buffer.from(JSON.stringify(value));

describe("the corpus", () => {
  for (const { id, expect: expected } of wild) {
    if (typeof expected === "string" || !expected.invoiceInfo.valid || expected.tokenInfo?.binding === undefined) continue;
    test(`${id}: ${expected.tokenInfo.binding}`, () => {
      expect(bindingOf(expected.macaroon, expected.invoiceInfo.paymentHash)).toBe(expected.tokenInfo!.binding);
    });
  }
});

/** Containers that commit to a hash; each must match its own and mismatch another. */
const committing: [title: string, make: (hash: string) => Uint8Array | string][] = [
  ["V2, 66 bytes", (hash) => v2(v0(hash))],
  ["V2, 66 bytes, without a location", (hash) => v2(v0(hash), [], "")],
  ["V2, 66 bytes, a long location", (hash) => v2(v0(hash), [], "x".repeat(300))],
  ["V2, 66 bytes, other caveats", (hash) => v2(v0(hash), ["services=meme:0", "expires=1", hex("ff95c0")])],
  ["V2, 132 hex digits", (hash) => v2(v0(hash).toString("hex"))],
  ["V2, 132 upper-case hex digits", (hash) => v2(v0(hash).toString("hex").toUpperCase())],
  ["V2, 64 hex digits", (hash) => v2(hash)],
  ["V2, 32 bytes", (hash) => v2(hex(hash))],
  ["V2, 33 bytes", (hash) => v2(hex(`ff${hash}`))],
  ["V2, base64 text, hash first", (hash) => v2(v0(hash).toString("base64"))],
  ["V2, base64 text, hash last", (hash) => v2(v0(TOKEN_ID, hash).toString("base64"))],
  ["V2, caveat payment_hash", (hash) => v2("sg:opaque", [`payment_hash = ${hash}`])],
  ["V2, caveat ph, after others", (hash) => v2("sg:opaque", ["a=b", "exp=1", `ph=${hash}`])],
  ["V2, caveat in base64", (hash) => v2("sg:opaque", [`payment_hash = ${hex(hash).toString("base64")}`])],
  ["V2, caveat in upper case", (hash) => v2("sg:opaque", [`Payment_Hash=${hash.toUpperCase()}`])],
  ["V1, 66 bytes", (hash) => v1(v0(hash))],
  ["V1, 32 bytes", (hash) => v1(hex(hash))],
  ["V1, 64 hex digits", (hash) => v1(hash)],
  ["V1, base64 text, hash last", (hash) => v1(v0(TOKEN_ID, hash).toString("base64"))],
  ["V1, caveat ph", (hash) => v1("id", ["exp=1", `ph=${hash}`])],
  ["JSON paymentHash", (hash) => json({ a: 1, paymentHash: hash })],
  ["JSON payment_hash, upper case", (hash) => json({ payment_hash: hash.toUpperCase() })],
  ["JSON hash, base64", (hash) => json({ hash: hex(hash).toString("base64"), exp: 1 })],
  ["JSON, nested", (hash) => json({ payload: { paymentHash: hash }, sig: "00" })],
  ["JSON, nested text", (hash) => json({ payload: JSON.stringify({ paymentHash: hash }), sig: "00" })],
  ["JSON, nested base64", (hash) => json({ payload: json({ paymentHash: hash }).toString("base64url"), sig: "00" })],
  ["bytes and paymentHash=", (hash) => Buffer.concat([Buffer.alloc(32, 0xe3), Buffer.from(`paymentHash=${hash}&requestHash=${TOKEN_ID}`)])],
];

describe("a credential that commits", () => {
  const encodings: [string, (bytes: Buffer) => string][] = [
    ["base64", (bytes) => bytes.toString("base64")],
    ["base64 without padding", (bytes) => bytes.toString("base64").replace(/=+$/, "")],
    ["base64url", (bytes) => bytes.toString("base64url")],
    ["base64url with padding", (bytes) => bytes.toString("base64").replaceAll("+", "-").replaceAll("/", "_")],
    ["hex", (bytes) => bytes.toString("hex")],
    ["upper-case hex", (bytes) => bytes.toString("hex").toUpperCase()],
    ["base64 of base64url", (bytes) => Buffer.from(bytes.toString("base64url")).toString("base64")],
    ["base64 of base64", (bytes) => Buffer.from(bytes.toString("base64")).toString("base64url")],
    ["a list with an opaque one", (bytes) => `b3BhcXVl,${bytes.toString("base64")}`],
  ];
  for (const [title, make] of committing) {
    for (const [encoding, encode] of encodings) {
      test(`${title}, in ${encoding}`, () => {
        const credential = encode(Buffer.from(make(H)));
        expect(bindingOf(credential, H)).toBe("match");
        expect(bindingOf(credential, H.toUpperCase())).toBe("match");
        expect(bindingOf(credential, OTHER)).toBe("mismatch");
      });
    }
  }

  test("as a JWT, and as JSON with a signature", () => {
    for (const credential of [jwt({ payment_hash: H }), `${json({ paymentHash: H }).toString("base64url")}.${"ab".repeat(32)}`]) {
      expect([bindingOf(credential, H), bindingOf(credential, OTHER)]).toEqual(["match", "mismatch"]);
    }
  });

  test("as bytes that look like a packet's end and beginning", () => {
    const hash = Buffer.from("\n0010identifier x\n0010cid ph=abc", "latin1").subarray(0, 32).toString("hex");
    const credential = v1(hex(hash)).toString("base64url");
    expect([bindingOf(credential, hash), bindingOf(credential, OTHER)]).toEqual(["match", "mismatch"]);
  });

  test("in two places needs only one of them to agree", () => {
    const credential = v2(v0(OTHER), [`payment_hash=${H}`]).toString("base64");
    expect([bindingOf(credential, H), bindingOf(credential, OTHER), bindingOf(credential, TOKEN_ID)]).toEqual(["match", "match", "mismatch"]);
  });

  test("does not do so by its token id", () => {
    expect(bindingOf(v2(v0(OTHER, H)).toString("base64"), H)).toBe("mismatch");
    expect(bindingOf(v2(v0(OTHER, H).toString("hex")).toString("base64"), H)).toBe("mismatch");
  });
});

describe("a credential that exposes nothing is unknown", () => {
  const opaque: [string, string][] = [
    ["empty", ""],
    ["a word", "abc"],
    ["dots", "..."],
    ["four bytes", "AQIDBA=="],
    ["32 random bytes in base64", hex(TOKEN_ID).toString("base64")],
    ["64 hex digits", TOKEN_ID],
    ["a JWT without a hash", jwt({ sub: "x", exp: 1 })],
    ["a JWT whose signature is 32 bytes", `${jwt({ sub: "x" }).split(".").slice(0, 2).join(".")}.${hex(OTHER).toString("base64url")}`],
    ["JSON and an HMAC of 64 digits", `${json({ sub: "x" }).toString("base64url")}.${OTHER}`],
    ["JSON whose hash is none", json({ hash: "sha256-x", paymentHash: 7, payment_hash: null }).toString("base64")],
    ["V2, a name", v2("user-4711").toString("base64")],
    ["V2, a UUID", v2("b54e2ff4-21a4-40aa-8302-8abe919e675e").toString("base64")],
    ["V2, a UUID of 32 letters", v2("b54e2ff421a440aa83028abe919e675e").toString("base64")],
    ["V2, 16 random bytes", v2(hex("0123456789abcdef0123456789abcdef")).toString("base64")],
    ["V2, 33 bytes with another prefix", v2(hex(`00${OTHER}`)).toString("base64")],
    ["V2, 66 bytes of another version", v2(hex(`0001${OTHER}${TOKEN_ID}`)).toString("base64")],
    ["V2, part of a hash", v2(`sg:${OTHER.slice(0, 16)}:mbc1xyz`).toString("base64")],
    ["V2, caveats without a hash", v2("id", ["services=a:0", "ph=", "payment_hash = none", "hash", `bodyHash=${OTHER}`]).toString("base64")],
    ["V2, cut off in its identifier", v2(v0(OTHER)).subarray(0, 40).toString("base64")],
    ["V2, cut off after 32 bytes of its identifier", v2(v0(OTHER)).subarray(0, 9 + 32).toString("base64")],
    ["V2, an endless length", Buffer.from([2, 2, 255, 255, 255, 255, 255, 255, 255, 1]).toString("base64")],
    ["V1, a name", v1("user-4711").toString("base64")],
    ["V1, a packet of no length", Buffer.from("0000location x\n0000identifier y\n").toString("base64")],
    ["base64 of base64 of base64 of base64 of base64", ["", "", "", "", ""].reduce((text) => Buffer.from(text).toString("base64"), OTHER)],
    ["longer than we look", v2(v0(OTHER), ["x".repeat(16_000)]).toString("base64")],
  ];
  for (const [title, credential] of opaque) {
    test(title, () => {
      expect(bindingOf(credential, H)).toBe("unknown");
    });
  }

  test("unless it is the hash itself", () => {
    expect([bindingOf(H, H), bindingOf(hex(H).toString("base64"), H), bindingOf(hex(H).toString("base64url"), H)]).toEqual(["match", "match", "match"]);
  });

  test("and so is anything against a hash that is none", () => {
    for (const hash of ["", "00", `${H}00`, "zz".repeat(32)]) expect(bindingOf(v2(v0(H)).toString("base64"), hash)).toBe("unknown");
  });
});

test("never throws, and opaque tokens are never a mismatch", () => {
  // A failure prints the seed and the path that repeat it.
  const damaged = fc.tuple(fc.constantFrom(...committing.map(([, make]) => Buffer.from(make(OTHER)))), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 })).map(([bytes, changes]) => {
    const copy = Buffer.from(bytes);
    for (const [at, byte] of changes) copy[at % copy.length] = byte;
    return copy.toString("base64");
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.base64String(), damaged), (credential) => {
      expect(["match", "unknown", "mismatch"]).toContain(bindingOf(credential, H));
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      if (bytes[0] === 2) return;
      expect(bindingOf(Buffer.from(bytes).toString("base64"), H)).toBe("unknown");
    }),
    { numRuns: 2000 },
  );
});
