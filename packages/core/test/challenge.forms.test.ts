/** Wire forms by the thousand: each combination of how servers write a challenge, and of what stands around it. */
import { expect, test } from "vitest";

import { parseChallenge } from "../src/challenge.ts";

/** Unlike anything else in the forms, so that a leak shows. */
const CREDENTIAL = "AgEEbHNhdAJCAAA/pHpu+ws6ufQ==";
const INVOICE = "lnbc100n1ptheinvoice";

const schemes = ["L402", "LSAT", "l402", "lsat", "L402+LSAT"];
const names = ["macaroon", "token", "Macaroon", "TOKEN", "both"];
const quotes = ["\"", "'", "", "mixed"];
const equals = ["=", " = "];
const separators = [", ", ",", " ", " , "];
const orders = ["credential first", "invoice first"];
const extras = ["", "version first", "decoys last"];
/** Decoys have the names that matter: one taken from them is a leak. */
const surroundings: [before: string, after: string][] = [
  ["", ""],
  ["Negotiate YII/+abc==, ", ""],
  ["Payment id=\"x\", macaroon=\"decoy\", invoice=\"lnbc1decoy\", request=\"eyJh,IjoxfQ==\", ", ""],
  ["Cashu amount=100 unit=sat token=decoy, ", ", Bearer realm=\"L402 macaroon=decoy, invoice=lnbc1decoy\", token='decoy'"],
  ["", ", Payment id=\"x\", macaroon=\"decoy\", token=decoy, invoice=\"lnbc1decoy\""],
  [" , Basic realm=\"a \\\"quoted\\\" name\", ", ",, NTLM"],
];

interface Form {
  readonly value: string;
  readonly scheme: "L402" | "LSAT";
}

function* forms(): Generator<Form> {
  for (const scheme of schemes)
    for (const name of names)
      for (const quote of quotes)
        for (const equal of equals)
          for (const separator of separators)
            for (const order of orders)
              for (const extra of extras)
                for (const [before, after] of surroundings) {
                  const q = (index: number) => (quote === "mixed" ? (index % 2 === 0 ? "" : "\"") : quote);
                  const write = (key: string, value: string, index: number) => `${key}${equal}${q(index)}${value}${q(index)}`;
                  const credentials = name === "both" ? [write("token", CREDENTIAL, 0), write("macaroon", CREDENTIAL, 1)] : [write(name, CREDENTIAL, 0)];
                  const invoice = [write("invoice", INVOICE, 1)];
                  const parameters = order === "credential first" ? [...credentials, ...invoice] : [...invoice, ...credentials];
                  if (extra === "version first") parameters.unshift(write("version", "0", 1));
                  if (extra === "decoys last") parameters.push(write("x-macaroon", "decoy", 1), write("invoice2", "decoy", 0), write("sandbox", "true", 1));
                  const list = parameters.join(separator);
                  const own = scheme === "L402+LSAT" ? `LSAT ${list}, L402 ${list}` : `${scheme} ${list}`;
                  yield { value: `${before}${own}${after}`, scheme: scheme.toUpperCase() === "LSAT" ? "LSAT" : "L402" };
                }
}

test("every form gives exactly its credential and its invoice", () => {
  let count = 0;
  for (const { value, scheme } of forms()) {
    count += 1;
    const read = parseChallenge(value);
    // Compared by hand: 28,800 assertions would take longer than the parsing.
    if (read?.scheme !== scheme || read.credential !== CREDENTIAL || read.invoice !== INVOICE || read.declared.length > 0) {
      expect({ value, read }).toEqual({ value, read: { scheme, credential: CREDENTIAL, invoice: INVOICE, declared: [] } });
    }
  }
  expect(count).toBe(28_800);
});

test("without its own parameters, no form is taken from its surroundings", () => {
  for (const own of ["L402", "L402 price-only", "LSAT", "Foo macaroon=\"decoy\", invoice=\"lnbc1decoy\""]) {
    for (const [before, after] of surroundings) expect([own, before, after, parseChallenge(`${before}${own}${after}`)]).toEqual([own, before, after, null]);
  }
});
