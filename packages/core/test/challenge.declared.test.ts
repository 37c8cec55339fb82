/** What a server states beside its invoice: it can make the client refuse, and must not do so without reason. */
import { describe, expect, test } from "vitest";

import { checkDeclared, parseChallenge, withBody } from "../src/challenge.ts";
import { InvoiceError } from "../src/errors.ts";
import { decodeInvoice } from "../src/invoice.ts";
import type { Invoice } from "../src/invoice.ts";
import { wild, wwwAuthenticate } from "./data/corpus.ts";

const HASH = "30a47a6e9b0b3ab9f4280f08932cd7207b440f508580d3eb5563eb4a3d8009ff";
const OFFER = 'macaroon="AgEEbHNh", invoice="lnbcrt100n1p"';

function invoiceOver(amountMsat: bigint): Invoice {
  return { invoice: "lnbcrt100n1p", network: "regtest", amountMsat, paymentHash: HASH, payee: "", description: "", createdAt: 0, expiresAt: 1, minFinalCltv: 18 };
}

/** `agrees`, or the code of the refusal. */
function outcome(header: string, body: object | null, amountMsat: bigint): string {
  const challenge = withBody(parseChallenge(header), "application/json", JSON.stringify(body));
  try {
    checkDeclared(challenge!, invoiceOver(amountMsat));
    return "agrees";
  } catch (error) {
    if (!(error instanceof InvoiceError)) throw error;
    return error.code;
  }
}

describe("in the body", () => {
  const fields: [body: object, amountMsat: bigint, outcome: string][] = [
    [{ price_sats: 10 }, 10_000n, "agrees"],
    [{ price_sats: 1 }, 10_000n, "invoice_amount"],
    [{ price_sats: 11 }, 10_000n, "invoice_amount"],
    [{ price_sats: 0 }, 10_000n, "invoice_amount"],
    [{ price_sats: -10 }, 10_000n, "invoice_amount"],
    [{ price_sats: "10" }, 10_000n, "agrees"],
    [{ price_sats: "9" }, 10_000n, "invoice_amount"],
    [{ price_sats: "1".repeat(30) }, 10_000n, "invoice_amount"],
    [{ price_sats: 1e21 }, 10_000n, "invoice_amount"],
    [{ priceSats: 9 }, 10_000n, "invoice_amount"],
    [{ amountSats: 9 }, 10_000n, "invoice_amount"],
    [{ amount_sats: 9 }, 10_000n, "invoice_amount"],
    [{ amount_sat: 9 }, 10_000n, "invoice_amount"],
    [{ price: { sats: 10, usd: "0.05" } }, 10_000n, "agrees"],
    [{ price: { sats: 9, usd: "0.05" } }, 10_000n, "invoice_amount"],
    [{ price: { msats: 10_000 } }, 10_000n, "agrees"],
    [{ amount_msats: 10_000 }, 10_000n, "agrees"],
    [{ amount_msat: 10 }, 10_000n, "invoice_amount"],
    [{ amountMsat: "9999" }, 10_000n, "invoice_amount"],
    [{ price_sats: 10, amount_msats: 9_000 }, 10_000n, "invoice_amount"],
    // rounded down, rounded up, exact
    [{ price_sats: 1 }, 1_500n, "agrees"],
    [{ price_sats: 2 }, 1_500n, "agrees"],
    [{ price_sats: 1.5 }, 1_500n, "agrees"],
    [{ price_sats: "1.5" }, 1_500n, "agrees"],
    [{ price_sats: 1.4 }, 1_500n, "invoice_amount"],
    [{ price_sats: 3 }, 1_500n, "invoice_amount"],
    [{ price_sats: 0 }, 1_500n, "invoice_amount"],
    [{ price_sats: 0 }, 999n, "agrees"],
    [{ amount_msats: 1_501 }, 1_500n, "invoice_amount"],
    [{ amount_msats: 1_500.5 }, 1_500n, "invoice_amount"],
    [{ price_sats: 9_007_199_254_740_991 }, 9_007_199_254_740_991_000n, "agrees"],
    // without a unit, or not a price
    [{ price: 1, amount: 1, cost: 1, total: 1 }, 10_000n, "agrees"],
    [{ amount: 500, currency: "USD" }, 10_000n, "agrees"],
    [{ price: { usd: 1 }, balance_sats: 1, min_sats: 1, sats: 1 }, 10_000n, "agrees"],
    [{ price_sats: null, amountSats: true, amount_sats: [1], priceSats: { a: 1 } }, 10_000n, "agrees"],
    [{ price_sats: "free", amount_sats: "", amountSats: "about 5" }, 10_000n, "agrees"],
    [{ details: { price_sats: 1 } }, 10_000n, "agrees"],
    // payment hashes
    [{ payment_hash: HASH, paymentHash: HASH.toUpperCase() }, 10_000n, "agrees"],
    [{ payment_hash: "00".repeat(32) }, 10_000n, "invoice_mismatch"],
    [{ paymentHash: "00".repeat(32) }, 10_000n, "invoice_mismatch"],
    [{ payment_hash: "...", paymentHash: 7 }, 10_000n, "agrees"],
  ];
  for (const [body, amountMsat, expected] of fields) {
    test(`${JSON.stringify(body).slice(0, 90)} for ${amountMsat} msat: ${expected}`, () => {
      expect(outcome(`L402 ${OFFER}`, body, amountMsat)).toBe(expected);
    });
  }
});

describe("in the header", () => {
  const values: [value: string, outcome: string][] = [
    [`L402 ${OFFER}, amount_msats="10000", price_sats=10, payment_hash="${HASH}"`, "agrees"],
    [`L402 ${OFFER}, amount_msats="1000"`, "invoice_amount"],
    [`L402 amount_sats=1, ${OFFER}`, "invoice_amount"],
    [`L402 ${OFFER}, payment_hash="${"00".repeat(32)}"`, "invoice_mismatch"],
    [`LSAT ${OFFER}, price_sats="1", L402 ${OFFER}`, "invoice_amount"],
    [`LSAT macaroon="x", invoice="y", price_sats="1", L402 ${OFFER}`, "agrees"],
    [`Foo amount_sats=1, L402 ${OFFER}, amount="1", price="1", Bar amount_msats=1`, "agrees"],
  ];
  for (const [value, expected] of values) {
    test(`${value}: ${expected}`, () => {
      expect(outcome(value, null, 10_000n)).toBe(expected);
    });
  }
});

test("header and body are both kept, and say where it stood", () => {
  const challenge = parseChallenge(`L402 ${OFFER}, amount_msats="10000"`);
  expect(withBody(challenge, "application/json", JSON.stringify({ priceSats: 10, price: { sats: 10 } }))?.declared).toEqual([
    { unit: "msat", amount: "10000", source: "header:amount_msats" },
    { unit: "sat", amount: 10, source: "body:priceSats" },
    { unit: "sat", amount: 10, source: "body:price.sats" },
  ]);
});

test("a body's own challenge declares as well", () => {
  const body = JSON.stringify({ macaroon: "m", invoice: "lnbc1p", priceSats: 100, paymentHash: HASH });
  expect(withBody(null, "application/json", body)).toEqual({
    scheme: "L402",
    credential: "m",
    invoice: "lnbc1p",
    declared: [{ unit: "sat", amount: 100, source: "body:priceSats" }],
    declaredHashes: [HASH],
  });
});

test("the corpus' servers agree with their own invoices", async () => {
  let declared = 0;
  for (const entry of wild) {
    const { expect: expected } = entry;
    if (entry.status !== 402 || typeof expected === "string" || expected.profile !== "l402") continue;
    if (!expected.invoiceInfo.valid || !expected.invoiceInfo.hasPaymentSecret) continue;
    const challenge = withBody(parseChallenge(wwwAuthenticate(entry)), null, entry.body ?? "")!;
    const { network, timestamp } = expected.invoiceInfo;
    checkDeclared(challenge, await decodeInvoice(challenge.invoice, { network, now: (timestamp + 1) * 1000 }));
    declared += challenge.declared.length + (challenge.declaredHashes ?? []).length;
  }
  expect(declared).toBe(5);
});
