import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { parseChallenge, withBody } from "../src/challenge.ts";
import type { Challenge } from "../src/challenge.ts";
import { ChallengeError } from "../src/errors.ts";

// A failure prints the seed and the path that repeat it.

function sound(read: Challenge | null): void {
  if (read === null) return;
  expect(read.credential).toMatch(/^[A-Za-z0-9+/=_.,:~-]{1,8192}$/);
  expect(read.invoice).not.toBe("");
  expect(["L402", "LSAT"]).toContain(read.scheme);
}

function parse(value: string): Challenge | null {
  try {
    return parseChallenge(value);
  } catch (error) {
    if (!(error instanceof ChallengeError)) throw error;
    return null;
  }
}

const piece = fc.constantFrom(
  ..."L402 |LSAT |Payment |macaroon|token|invoice|version|pow|=|==|\"|'|\\|,| |\t|;|:|/|\0|\r\n |\n|é|💥|0|AgEE|lnbc1p|price_sats|=\"x\"|='y'|=z, ".split("|"),
);
const header = fc.oneof(
  fc.string().map((s) => `L402 ${s}`),
  fc.string({ unit: "binary" }).map((s) => `L402 ${s}`),
  fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join("")),
  fc.array(piece, { maxLength: 40 }).map((pieces) => `L402 macaroon="a", ${pieces.join("")}`),
);

test("any header: a sound challenge, nothing, or a ChallengeError", () => {
  fc.assert(
    fc.property(header, (value) => sound(parse(value))),
    { numRuns: 20_000 },
  );
});

test("what a foreign challenge says never changes the offer", () => {
  const own = `L402 macaroon="${"M".repeat(8)}", invoice="lnbc1own"`;
  const name = fc.constantFrom("macaroon", "token", "invoice", "version", "realm", "amount_sats", "payment_hash");
  const value = fc.stringMatching(/^[ -!#-&(-[\]-~]{0,20}$/);
  const parameter = fc.tuple(name, value).map(([key, text]) => `${key}="${text}"`);
  const foreign = fc.tuple(fc.constantFrom("Payment", "Cashu", "Bearer", "X-L402"), fc.array(parameter, { minLength: 1, maxLength: 6 })).map(([s, p]) => `${s} ${p.join(", ")}`);
  fc.assert(
    fc.property(fc.array(foreign, { maxLength: 3 }), fc.array(foreign, { maxLength: 3 }), (before, after) => {
      expect(parse([...before, own, ...after].join(", "))).toEqual(parseChallenge(own));
      expect(parse([...before, ...after].join(", "))).toBeNull();
    }),
    { numRuns: 2000 },
  );
});

test("any body: the challenge of the header stays, and nothing is thrown", () => {
  const given = parseChallenge("L402 macaroon=\"m\", invoice=\"lnbc1own\"");
  const key = fc.constantFrom("macaroon", "token", "invoice", "price", "price_sats", "amountMsat", "sats", "payment_hash", "__proto__", "toString");
  const json = fc.oneof(fc.dictionary(key, fc.jsonValue()), fc.jsonValue()).map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(fc.oneof(json, fc.string()), fc.constantFrom("application/json", null, "text/html"), (body, contentType) => {
      expect(withBody(given, contentType, body)).toMatchObject({ scheme: "L402", credential: "m", invoice: "lnbc1own" });
      sound(withBody(null, contentType, body));
    }),
    { numRuns: 5000 },
  );
});

test("reading takes a bounded number of looks at each character", () => {
  const looks = (value: string): number => {
    const spy = vi.spyOn(String.prototype, "charCodeAt");
    try {
      parse(value);
      return spy.mock.calls.length;
    } finally {
      spy.mockRestore();
    }
  };
  const shapes = [
    "\"", "'", "\\", "\"\\", ",", " ", "=", "a", "a ", "a=", "a=\"", "a='", "a=b", "a=b,", "a =", "a  ", "a==", "a\"", "\"a", "é", "\t", "a/", "a=;", "L402 ", "L402\t\t", "L402 a", "L402 a=",
    "L402 a==", "L402 macaroon=", "L402 macaroon=\"", "L402 a/b",
  ];
  for (const shape of shapes) {
    for (const start of ["L402 ", "L402 macaroon=\"", "L402 macaroon=", "L402"]) {
      const value = (start + shape.repeat(16 * 1024)).slice(0, 16 * 1024);
      expect(looks(value), JSON.stringify(start + shape)).toBeLessThanOrEqual(6 * value.length);
    }
  }
});
