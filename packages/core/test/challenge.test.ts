import { describe, expect, test } from "vitest";

import { parseChallenge, withBody } from "../src/challenge.ts";
import type { Challenge } from "../src/challenge.ts";
import { ChallengeError } from "../src/errors.ts";
import { wild, wwwAuthenticate } from "./data/corpus.ts";

const M = "AgEEbHNhdAJCAAAwpHpu+/9mws6ufQo==";
const P = "lnbc100n1pexample";

function refused(value: string): ChallengeError {
  try {
    const accepted = parseChallenge(value);
    throw new Error(`not refused: ${JSON.stringify(accepted)}`);
  } catch (error) {
    if (!(error instanceof ChallengeError)) throw error;
    return error;
  }
}

function offer(scheme: "L402" | "LSAT" = "L402"): Challenge {
  return { scheme, credential: M, invoice: P, declared: [] };
}

describe("the corpus", () => {
  for (const entry of wild) {
    const { id, expect: expected } = entry;
    // Only a 402 is ever read as a challenge, which is the engine's business.
    if (entry.status !== 402) continue;
    test(id, () => {
      const read = () => withBody(parseChallenge(wwwAuthenticate(entry)), entry.headers["content-type"]?.[0] ?? null, entry.body ?? "");
      if (expected === "malformed" || (typeof expected === "object" && expected.ambiguous)) expect(read).toThrow(ChallengeError);
      else if (expected === "not-l402" || expected.profile !== "l402") expect(read()).toBeNull();
      else expect(read()).toMatchObject({ scheme: expected.scheme, credential: expected.macaroon, invoice: expected.invoice });
    });
  }

  test("was read as a whole", () => {
    expect(wild.length).toBe(60);
  });
});

describe("there is nothing for us in", () => {
  const values: [title: string, value: string | null][] = [
    ["no header", null],
    ["an empty header", ""],
    ["commas and spaces", " , ,, \t"],
    ["a bare L402", "L402"],
    ["a bare LSAT in a list", 'Basic realm="x", LSAT'],
    ["a bare L402 before another scheme", 'L402, Bearer realm="x"'],
    ["a price-only challenge", "L402 price-only"],
    ["a price-only challenge in a list", 'L402 price-only, Payment id="a", method="lightning"'],
    ["a proof of work", `L402 macaroon="${M}", pow="20"`],
    ["Basic", 'Basic realm="L402 users"'],
    ["Negotiate with a token", "Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+gJDAi=="],
    ["Payment with an invoice", `Payment id="x", method="lightning", macaroon="${M}", invoice="${P}", realm="L402"`],
    ["a scheme that only begins like ours", `L402X macaroon="${M}", invoice="${P}"`],
    ["a scheme that only ends like ours", `X-L402 macaroon="${M}", invoice="${P}"`],
    ["parameters without a scheme", `macaroon="${M}", invoice="${P}", lsat="1"`],
    ["a challenge inside a quoted string", `Bearer realm="x, L402 macaroon='${M}', invoice='${P}'"`],
    ["a challenge after a quote that swallows it", `Bearer realm="x, L402 macaroon="${M}", invoice="${P}"`],
    ["a header that is one quoted string", `"L402 macaroon='${M}', invoice='${P}'"`],
    ["a look-alike scheme", `L\uff1402 macaroon="${M}", invoice="${P}", realm="L402"`],
    ["prose", "Payment required: see our L402 documentation"],
  ];
  for (const [title, value] of values) {
    test(title, () => {
      expect(parseChallenge(value)).toBeNull();
    });
  }
});

describe("it is a ChallengeError", () => {
  const q = `macaroon="${M}", invoice="${P}"`;
  const many = (count: number) => Array.from({ length: count }, (_, index) => `p${index}=1`).join(", ");
  const values: [title: string, value: string][] = [
    ["without an invoice", `L402 macaroon="${M}"`],
    ["with an empty invoice", `L402 macaroon="${M}", invoice=""`],
    ["with an empty unquoted invoice", `L402 macaroon=${M}, invoice=`],
    ["without a credential", `L402 invoice="${P}"`],
    ["with an empty credential", `L402 macaroon="", invoice="${P}"`],
    ["with an empty unquoted credential", `L402 macaroon=, invoice=${P}`],
    ["with nothing but an empty credential", "L402 token="],
    ["with parameters, none of them ours", 'L402 realm="api"'],
    ["with a proof of work and no credential, but an invoice", `L402 pow="20", invoice="${P}"`],
    ["of an unknown version", `L402 version="1", ${q}`],
    ["of an unknown version, unquoted", `L402 version=2 ${q}`],
    ["of an empty version", `L402 version="", ${q}`],
    ["of an empty unquoted version", `L402 version=, ${q}`],
    ["with a macaroon and another token", `L402 macaroon="${M}", token="${M}x", invoice="${P}"`],
    ["with a macaroon and an empty token", `L402 macaroon="${M}", token="", invoice="${P}"`],
    ["with two macaroons", `L402 macaroon="${M}", macaroon="${M}x", invoice="${P}"`],
    ["with two macaroons of another case", `L402 macaroon="${M}", MACAROON="${M}x", invoice="${P}"`],
    ["with two tokens", `L402 token="${M}", token="${M}x", invoice="${P}"`],
    ["with two invoices", `L402 macaroon="${M}", invoice="${P}", invoice="${P}x"`],
    ["with two invoices, the first empty", `L402 macaroon="${M}", invoice="", invoice="${P}"`],
    ["twice, with two invoices", `L402 macaroon="${M}", invoice="${P}", L402 macaroon="${M}", invoice="${P}x"`],
    ["twice, with two credentials", `L402 macaroon="${M}", invoice="${P}", L402 token="${M}x", invoice="${P}"`],
    ["twice as LSAT, with two credentials", `LSAT macaroon="${M}", invoice="${P}", LSAT macaroon="${M}x", invoice="${P}"`],
    ["that contradicts itself beside a sound one", `LSAT macaroon="${M}", token="x", invoice="${P}", L402 ${q}`],
    ["with a quote that never ends", `L402 macaroon="${M}", invoice="${P}`],
    ["with a single quote that never ends", `L402 macaroon='${M}' invoice='${P}`],
    ["with another parameter's quote that never ends", `L402 ${q}, realm="x`],
    ["with quotes that do not pair", `L402 macaroon="${M}', invoice='${P}"`],
    ["with a missing closing quote", `L402 macaroon="${M}, invoice="${P}"`],
    ["with all of it quoted", `L402 "${q.replaceAll('"', "'")}"`],
    ["with a stray quote", `L402 "token=${M}, invoice=${P}`],
    ["with a quote right after the scheme", `L402' ${q}`],
    ["with escaped quotes", `L402 macaroon=\\"${M}\\", invoice=\\"${P}\\"`],
    ["with a space in the credential", `L402 macaroon="${M} x", invoice="${P}"`],
    ["with a space before the credential", `L402 macaroon=" ${M}", invoice="${P}"`],
    ["with a quote in the credential", `L402 macaroon="ab\\"cd", invoice="${P}"`],
    ["with a bang in the credential", `L402 macaroon="not!valid@chars", invoice="${P}"`],
    ["with a brace in the credential", `L402 macaroon="{}", invoice="${P}"`],
    ["with an accent in the credential", `L402 macaroon="caf\u00e9", invoice="${P}"`],
    ["with a wide character in the credential", `L402 macaroon="\u{1f4a9}", invoice="${P}"`],
    ["with a control character in the credential", `L402 macaroon=ab\x07cd, invoice=${P}`],
    ["with a NUL in the credential", `L402 macaroon="${M}\0", invoice="${P}"`],
    ["with a NUL between", `L402\0 ${q}`],
    ["with a line break that is no fold", `L402 ${q}\r\nSet-Cookie: x=1`],
    ["with a line feed that is no fold", `L402 macaroon="${M}",\ninvoice="${P}"`],
    ["with a carriage return", `L402 macaroon="${M}",\rinvoice="${P}"`],
    ["with a fold in the credential", `L402 macaroon="${M}\r\n x", invoice="${P}"`],
    ["with a credential above 8 KiB", `L402 macaroon="${"A".repeat(8193)}", invoice="${P}"`],
    ["longer than 16 KiB", `L402 ${q}${" ".repeat(16 * 1024)}`],
    ["as the 17th challenge", `${"Foo a=1, ".repeat(16)}L402 ${q}`],
    ["before 16 others", `L402 ${q}${", Foo".repeat(16)}`],
    ["with 33 parameters", `L402 ${q}, ${many(31)}`],
    ["after a challenge with 33 parameters", `Foo ${many(33)}, L402 ${q}`],
  ];
  for (const [title, value] of values) {
    test(title, () => {
      const error = refused(value);
      expect([error.code, error.paid]).toEqual(["challenge_invalid", "no"]);
      expect(error.message).not.toContain(M.slice(0, 12));
      expect(error.message).not.toContain(P);
    });
  }
});

describe("the offer is found", () => {
  const q = `macaroon="${M}", invoice="${P}"`;
  const many = (count: number) => Array.from({ length: count }, (_, index) => `p${index}=1`).join(", ");
  const values: [title: string, value: string, scheme?: "L402" | "LSAT"][] = [
    ["beside an offer without an invoice", `L402 macaroon="x", L402 ${q}`],
    ["beside an offer without a credential", `LSAT invoice="${P}x", L402 ${q}`],
    ["beside one with an impossible credential", `L402 macaroon="!", invoice="y", L402 ${q}`],
    ["before an offer of an unknown version", `L402 ${q}, L402 version="7", macaroon="x", invoice="y"`],
    ["after an offer of an unknown version", `L402 version="7", macaroon="x", invoice="y", L402 ${q}`],
    ["beside a proof of work", `L402 macaroon="x", pow="20", L402 ${q}`],
    ["beside a bare one", `L402, L402 ${q}`],
    ["beside a price-only one", `L402 price-only, L402 ${q}`],
    ["as L402 where LSAT has other values", `LSAT macaroon="x", invoice="y", L402 ${q}`],
    ["as L402 where LSAT comes after", `L402 ${q}, LSAT macaroon="x", invoice="y"`],
    ["as LSAT where L402 is incomplete", `L402 macaroon="x", LSAT ${q}`, "LSAT"],
    ["once, said twice", `L402 ${q}, L402 ${q}`],
    ["once, said as macaroon and as token", `L402 ${q}, L402 token="${M}", invoice="${P}"`],
    ["with a parameter said twice alike", `L402 ${q}, macaroon="${M}", invoice="${P}"`],
    ["with version 0", `L402 version="0", ${q}`],
    ["with version 0, where the first one counts", `L402 version="0", ${q}, version="1"`],
    ["with 32 parameters", `L402 ${q}, ${many(30)}`],
    ["as the 16th challenge", `${"Foo a=1, ".repeat(15)}L402 ${q}`],
    ["in a header of 16 KiB", `L402 ${q}`.padEnd(16 * 1024, " ")],
    ["with folds between", `L402\r\n macaroon="${M}",\r\n\tinvoice="${P}"`],
    ["with bare line feed folds", `L402 macaroon="${M}",\n  invoice="${P}"`],
    ["with tabs", `L402\tmacaroon\t=\t"${M}"\t,\tinvoice\t=\t"${P}"`],
    ["with empty list elements", `,, L402 ,,macaroon="${M}",, ,invoice="${P}",`],
    ["with semicolons", `L402 macaroon="${M}"; invoice="${P}"`],
    ["with semicolons, unquoted", `L402 macaroon=${M}; invoice=${P}`],
    ["with nothing between quoted values", `L402 macaroon="${M}"invoice="${P}"`],
    ["with a quoted pair", `L402 macaroon="${M.slice(0, 3)}\\${M.slice(3)}", invoice="${P}"`],
    ["with names like an object's own", `L402 __proto__="x", constructor="y", ${q}, toString="z"`],
    ["with an accent in another parameter", `L402 realm="caf\u00e9", ${q}`],
    ["with a challenge inside another parameter", `L402 description="a, macaroon=b, L402 macaroon=c, invoice=d", ${q}`],
    ["with an apostrophe in another parameter", `L402 description="the server's price", ${q}`],
    ["with an escaped quote in another parameter", `L402 description="a \\", macaroon=\\"b", ${q}`],
    ["after a foreign unquoted value with an apostrophe", `Bearer realm=Bob's, L402 ${q}`],
    ["after Negotiate", `Negotiate YIIJvwYGKw/+BBQ==, L402 ${q}`],
    ["after Negotiate without padding", `Negotiate abc, L402 ${q}`],
    ["after bare schemes", `Negotiate, NTLM, L402 ${q}`],
    ["after a scheme without a comma", `Bearer realm="x" L402 ${q}`],
    ["after a foreign challenge with the same names", `Foo macaroon="x", invoice="y", token="z", L402 ${q}`],
    ["before a foreign challenge with the same names", `L402 ${q}, Foo macaroon="x", invoice="y", token="z"`],
    ["before a foreign quote that never ends", `L402 ${q}, Bearer realm="x`],
    ["after a Digest challenge", `Digest realm="a@b", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv", opaque="FQhe/qaU925==", L402 ${q}`],
  ];
  for (const [title, value, scheme] of values) {
    test(title, () => {
      expect(parseChallenge(value)).toEqual(offer(scheme));
    });
  }

  const credentials = ["a", "eyJhIjoxfQ.eyJiIjoyfQ.c2ln", "AgE_-~x", "M1==,M2==", "id:4711", "0a1b", "a=b", "====", "A".repeat(8192)];
  for (const credential of credentials) {
    test(`byte for byte: ${credential.slice(0, 40)}`, () => {
      expect(parseChallenge(`L402 token="${credential}", invoice="${P}"`)?.credential).toBe(credential);
    });
  }
});

describe("a body", () => {
  const json = "application/json";
  const complete = { macaroon: M, invoice: P };

  test("with a credential and an invoice is a challenge of its own", () => {
    expect(withBody(null, json, JSON.stringify(complete))).toEqual(offer());
    expect(withBody(null, json, JSON.stringify({ token: M, invoice: P }))).toEqual(offer());
    expect(withBody(null, json, JSON.stringify({ macaroon: M, token: M, invoice: P }))).toEqual(offer());
    expect(withBody(null, "application/problem+json; charset=utf-8", JSON.stringify(complete))).toEqual(offer());
    expect(withBody(null, null, JSON.stringify(complete))).toEqual(offer());
  });

  test("never replaces what the header says", () => {
    const header = parseChallenge(`LSAT macaroon="${M}", invoice="${P}"`);
    expect(withBody(header, json, JSON.stringify({ macaroon: "other", invoice: "lnbc1other", scheme: "L402" }))).toEqual(offer("LSAT"));
    expect(withBody(header, json, JSON.stringify({ macaroon: "other", token: "another", invoice: "lnbc1other" }))).toEqual(offer("LSAT"));
  });

  const others: [title: string, contentType: string | null, body: string][] = [
    ["that is empty", json, ""],
    ["that is not JSON", json, "payment required\n"],
    ["that is cut off", json, JSON.stringify(complete).slice(0, -1)],
    ["that is HTML", "text/html", JSON.stringify(complete)],
    ["that is plain text", "text/plain", JSON.stringify(complete)],
    ["that is a list", json, JSON.stringify([complete])],
    ["that is a string", json, JSON.stringify(JSON.stringify(complete))],
    ["that is null", json, "null"],
    ["that is a number", json, "402"],
    ["that is nested without end", json, "[".repeat(60_000)],
    ["that is too long", json, JSON.stringify({ ...complete, padding: "x".repeat(65_536) })],
    ["with an invoice and no credential", json, JSON.stringify({ invoice: P, payment_hash: "..." })],
    ["with a credential and no invoice", json, JSON.stringify({ macaroon: M })],
    ["with an empty credential", json, JSON.stringify({ macaroon: "", invoice: P })],
    ["with a credential that could split a header", json, JSON.stringify({ macaroon: "a\r\nX: y", invoice: P })],
    ["with a credential that is no string", json, JSON.stringify({ macaroon: { a: 1 }, invoice: P })],
    ["with two credentials", json, JSON.stringify({ macaroon: M, token: "x", invoice: P })],
    ["with a credential above 8 KiB", json, JSON.stringify({ macaroon: "A".repeat(8193), invoice: P })],
    ["with a bill's number for an invoice", json, JSON.stringify({ token: M, invoice: "in_1MtHbELkdIwHu7ixl4OzzPMv" })],
    ["with an invoice that is no string", json, JSON.stringify({ macaroon: M, invoice: { bolt11: P } })],
    ["that refuses", json, JSON.stringify({ error: "Credit exhausted", code: "bundle_exhausted" })],
    ["with the challenge deeper down", json, JSON.stringify({ data: complete })],
  ];
  for (const [title, contentType, body] of others) {
    test(`${title} changes nothing`, () => {
      expect(withBody(null, contentType, body)).toBeNull();
      expect(withBody(offer(), contentType, body)).toEqual(offer());
    });
  }
});
