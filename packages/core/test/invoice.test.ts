import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { InvoiceError } from "../src/errors.ts";
import type { InvoiceCode } from "../src/errors.ts";
import { decodeInvoice } from "../src/invoice.ts";
import type { Network } from "../src/invoice.ts";
import { bolt11Vectors, wild } from "./data/corpus.ts";
import {
  HASH,
  MADE_AT,
  PAYEE,
  SECRET,
  TYPE,
  bech32,
  bytesField,
  featuresField,
  makeInvoice,
  numberField,
  soundFields,
  textField,
} from "./data/make-invoice.ts";
import type { Field, Make } from "./data/make-invoice.ts";

const NOW = (MADE_AT + 1) * 1000;
const DAY = 24 * 3600;

async function refusal(invoice: string, now = NOW, network: Network = "bitcoin"): Promise<InvoiceError> {
  const error: unknown = await decodeInvoice(invoice, { network, now }).then(
    () => new Error("it was accepted"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof InvoiceError)) throw error;
  return error;
}

function decodeMade(make: Make, now = NOW) {
  return decodeInvoice(makeInvoice(make), { network: "bitcoin", now });
}

describe("the official vectors", () => {
  // The text has two rules for fields of a wrong length: an older one to skip them, a newer one to fail. We fail.
  const KNOWN_DIFFERENCE = "Same, but including fields which must be ignored.";

  for (const { title, invoice, expected } of bolt11Vectors.valid) {
    const options = { network: expected.network, now: (expected.timestamp + 1) * 1000 };
    if (title === KNOWN_DIFFERENCE) {
      test(`is refused, unlike the vector says: ${title}`, async () => {
        expect((await refusal(invoice, options.now)).code).toBe("invoice_invalid");
      });
    } else if (expected.amountMsat === null) {
      test(`has no amount: ${title}`, async () => {
        expect((await refusal(invoice, options.now)).code).toBe("invoice_amount");
      });
    } else {
      test(`is decoded: ${title}`, async () => {
        expect(await decodeInvoice(invoice, options)).toEqual({
          invoice: invoice.toLowerCase(),
          network: expected.network,
          amountMsat: BigInt(expected.amountMsat!),
          paymentHash: expected.paymentHash,
          payee: expected.payee,
          description: expected.description ?? "",
          createdAt: expected.timestamp * 1000,
          expiresAt: (expected.timestamp + expected.expiry) * 1000,
          minFinalCltv: expected.minFinalCltvExpiryDelta,
        });
      });
    }
  }

  for (const { title, invoice } of bolt11Vectors.invalid) {
    test(`is refused: ${title}`, async () => {
      const error = await refusal(invoice, 1_496_314_659_000);
      expect(error.code).toBe("invoice_invalid");
    });
  }

  test("all were read", () => {
    expect([bolt11Vectors.valid.length, bolt11Vectors.invalid.length]).toEqual([16, 10]);
  });
});

describe("invoices of the corpus", () => {
  for (const { id, expect: expected } of wild) {
    if (typeof expected === "string") continue;
    const { invoiceInfo: info, invoice } = expected;
    test(id, async () => {
      const options = { network: info.network ?? "bitcoin", now: ((info.timestamp ?? 0) + 1) * 1000 };
      if (!info.valid || !info.hasPaymentSecret || info.amountMsat === null) {
        await refusal(invoice, options.now, options.network);
        return;
      }
      const decoded = await decodeInvoice(invoice, options);
      expect(decoded).toMatchObject({
        network: info.network,
        amountMsat: BigInt(info.amountMsat),
        paymentHash: info.paymentHash,
        payee: info.payee,
        createdAt: info.timestamp * 1000,
        expiresAt: (info.timestamp + info.expirySeconds) * 1000,
      });
    });
  }
});

describe("a sound invoice", () => {
  test("is read in full", async () => {
    const invoice = makeInvoice();
    expect(await decodeInvoice(invoice, { network: "bitcoin", now: NOW })).toEqual({
      invoice,
      network: "bitcoin",
      amountMsat: 10_000n,
      paymentHash: HASH,
      payee: PAYEE,
      description: "a cup of coffee",
      createdAt: MADE_AT * 1000,
      expiresAt: (MADE_AT + 3600) * 1000,
      minFinalCltv: 18,
    });
  });

  test("may be all upper case, and may have a lightning: in front; the wallet gets it bare and in lower case", async () => {
    const invoice = makeInvoice();
    for (const text of [invoice.toUpperCase(), `lightning:${invoice}`, `LIGHTNING:${invoice.toUpperCase()}`]) {
      expect((await decodeInvoice(text, { network: "bitcoin", now: NOW })).invoice).toBe(invoice);
    }
  });

  const networks: [string, Network][] = [
    ["bc", "bitcoin"],
    ["tb", "testnet"],
    ["tbs", "signet"],
    ["bcrt", "regtest"],
    ["sb", "simnet"],
  ];
  for (const [prefix, network] of networks) {
    test(`of ${network} is for ${network} only`, async () => {
      const invoice = makeInvoice({ prefix: `ln${prefix}100n` });
      expect(await decodeInvoice(invoice, { network, now: NOW })).toMatchObject({ network, amountMsat: 10_000n, payee: PAYEE });
      for (const [, other] of networks) {
        if (other !== network) expect((await refusal(invoice, NOW, other)).code).toBe("invoice_network");
      }
    });
  }

  const amounts: [string, bigint][] = [
    ["10p", 1n],
    ["15490p", 1549n],
    ["1n", 100n],
    ["1u", 100_000n],
    ["1m", 100_000_000n],
    ["1", 100_000_000_000n],
    ["21", 2_100_000_000_000n],
    ["1111n", 111_100n],
  ];
  for (const [written, amountMsat] of amounts) {
    test(`over ${written} is over ${amountMsat} msat`, async () => {
      expect((await decodeMade({ prefix: `lnbc${written}` })).amountMsat).toBe(amountMsat);
    });
  }

  test("may have several fallbacks, hints and an unknown field", async () => {
    const hint = bytesField(TYPE.hint, `${PAYEE}00000000000000010000000a0000000a0001`);
    const fallback: Field = { type: TYPE.fallback, words: [17, ...bytesField(0, "3172b5654f6683c8fb146959d347ce303cae4ca7").words] };
    await expect(decodeMade({ fields: [...soundFields(), hint, hint, fallback, fallback, { type: 2, words: [1, 2, 3] }] })).resolves.toBeDefined();
  });

  test("may demand what every node knows, and may offer anything", async () => {
    await expect(decodeMade({ fields: [...soundFields(TYPE.features), featuresField(8, 14, 16, 24, 36, 48)] })).resolves.toBeDefined();
    await expect(decodeMade({ fields: [...soundFields(TYPE.features), featuresField(9, 15, 17, 25, 49, 101, 263)] })).resolves.toBeDefined();
  });

  test("with the hash of a description has no description", async () => {
    const fields = [...soundFields(TYPE.description), bytesField(TYPE.descriptionHash, SECRET)];
    expect((await decodeMade({ fields })).description).toBe("");
  });

  test("names its payee, if it does, truly", async () => {
    await expect(decodeMade({ fields: [...soundFields(), bytesField(TYPE.payee, PAYEE)] })).resolves.toMatchObject({ payee: PAYEE });
    const other = `02${PAYEE.slice(2)}`;
    expect((await refusal(makeInvoice({ fields: [...soundFields(), bytesField(TYPE.payee, other)] }))).code).toBe("invoice_invalid");
  });

  test("shows its description without what is not seen", async () => {
    const hidden = "\u0000\u0007\u001b\u009b\u200b\u200e\u202e\u2066\u2028\ufeff\u{e0041}";
    const fields = [...soundFields(TYPE.description), textField(TYPE.description, `Käse${hidden} für 1 ₿ 🧀`)];
    expect((await decodeMade({ fields })).description).toBe("Käse für 1 ₿ 🧀");
  });

  test("has a description of at most 639 characters, whatever its bytes are", async () => {
    const full = [...soundFields(TYPE.description), bytesField(TYPE.description, Buffer.alloc(639, 0xff))];
    expect((await decodeMade({ fields: full })).description.length).toBeLessThanOrEqual(639);
  });
});

describe("an invoice is refused", () => {
  const cases: [title: string, code: InvoiceCode, make: Make][] = [
    ["without an amount", "invoice_amount", { prefix: "lnbc" }],
    ["over zero", "invoice_amount", { prefix: "lnbc0" }],
    ["over zero with a multiplier", "invoice_amount", { prefix: "lnbc0n" }],
    ["over an amount with a leading zero", "invoice_invalid", { prefix: "lnbc0100n" }],
    ["over less than a millisatoshi", "invoice_invalid", { prefix: "lnbc1p" }],
    ["over a fraction of a millisatoshi", "invoice_invalid", { prefix: "lnbc101p" }],
    ["with an unknown multiplier", "invoice_invalid", { prefix: "lnbc1k" }],
    ["over more than there is", "invoice_invalid", { prefix: "lnbc21000001" }],
    ["over a number of 300 digits", "invoice_invalid", { prefix: `lnbc${"9".repeat(300)}` }],
    ["of another chain", "invoice_network", { prefix: "lndcr100n" }],
    ["of another chain with a known beginning", "invoice_network", { prefix: "lnbcx100n" }],
    ["with two payment hashes", "invoice_invalid", { fields: [...soundFields(), bytesField(TYPE.hash, SECRET)] }],
    ["with the same payment hash twice", "invoice_invalid", { fields: [...soundFields(), bytesField(TYPE.hash, HASH)] }],
    ["without a payment hash", "invoice_invalid", { fields: soundFields(TYPE.hash) }],
    ["with a short payment hash", "invoice_invalid", { fields: [...soundFields(TYPE.hash), bytesField(TYPE.hash, HASH.slice(2))] }],
    ["with a long payment hash", "invoice_invalid", { fields: [...soundFields(TYPE.hash), bytesField(TYPE.hash, `${HASH}00`)] }],
    ["with a second payment hash of a wrong length", "invoice_invalid", { fields: [...soundFields(), bytesField(TYPE.hash, HASH.slice(2))] }],
    ["with two payment secrets", "invoice_invalid", { fields: [...soundFields(), bytesField(TYPE.secret, HASH)] }],
    ["without a payment secret", "invoice_invalid", { fields: soundFields(TYPE.secret) }],
    ["with a short payment secret", "invoice_invalid", { fields: [...soundFields(TYPE.secret), bytesField(TYPE.secret, "11")] }],
    ["with two descriptions", "invoice_invalid", { fields: [...soundFields(), textField(TYPE.description, "two")] }],
    ["with a description and a hash of one", "invoice_invalid", { fields: [...soundFields(), bytesField(TYPE.descriptionHash, HASH)] }],
    ["with neither", "invoice_invalid", { fields: soundFields(TYPE.description) }],
    ["with a short payee", "invoice_invalid", { fields: [...soundFields(), bytesField(TYPE.payee, HASH)] }],
    ["with two expiries", "invoice_invalid", { fields: [...soundFields(), numberField(TYPE.expiry, 60), numberField(TYPE.expiry, 3600)] }],
    ["with two CLTV deltas", "invoice_invalid", { fields: [...soundFields(), numberField(TYPE.cltv, 9), numberField(TYPE.cltv, 18)] }],
    ["with two feature fields", "invoice_invalid", { fields: [...soundFields(), featuresField(9)] }],
    ["with metadata twice", "invoice_invalid", { fields: [...soundFields(), bytesField(TYPE.metadata, "01"), bytesField(TYPE.metadata, "02")] }],
    ["with more fields than make sense", "invoice_invalid", { fields: [...soundFields(), ...Array.from({ length: 61 }, () => ({ type: TYPE.hint, words: [] }))] }],
    ["that demands feature 20", "invoice_invalid", { fields: [...soundFields(TYPE.features), featuresField(8, 14, 20)] }],
    ["that demands feature 30", "invoice_invalid", { fields: [...soundFields(TYPE.features), featuresField(8, 14, 30)] }],
    ["that demands feature 100", "invoice_invalid", { fields: [...soundFields(TYPE.features), featuresField(8, 14, 100)] }],
    ["whose last field is longer than the rest", "invoice_invalid", { fields: [...soundFields(), { type: 2, words: [1, 2, 3], length: 4 }] }],
    ["whose last field is much longer than the rest", "invoice_invalid", { fields: [...soundFields(), { type: 2, words: [], length: 1023 }] }],
    ["whose last field has no length", "invoice_invalid", { tail: [2] }],
    ["whose last field has half a length", "invoice_invalid", { tail: [2, 0] }],
    ["with nothing but a timestamp", "invoice_invalid", { fields: [] }],
    ["that may lock up a payment for more than two weeks", "invoice_invalid", { fields: [...soundFields(), numberField(TYPE.cltv, 2017)] }],
    ["that may lock up a payment for ever", "invoice_invalid", { fields: [...soundFields(), numberField(TYPE.cltv, 2n ** 60n)] }],
    ["that lives 367 days", "invoice_invalid", { fields: [...soundFields(), numberField(TYPE.expiry, 367 * DAY)] }],
    ["that lives ten years", "invoice_invalid", { fields: [...soundFields(), numberField(TYPE.expiry, 3650 * DAY)] }],
    ["that lives 2^50 seconds", "invoice_invalid", { fields: [...soundFields(), numberField(TYPE.expiry, 2n ** 50n)] }],
    ["that lives 2^2000 seconds", "invoice_invalid", { fields: [...soundFields(), numberField(TYPE.expiry, 2n ** 2000n)] }],
    ["that never lived", "invoice_expired", { fields: [...soundFields(), numberField(TYPE.expiry, 0)] }],
    ["of the future", "invoice_invalid", { timestamp: MADE_AT + 62 }],
    ["of the year 3058", "invoice_invalid", { timestamp: 2 ** 35 - 1 }],
    ["of 1970", "invoice_expired", { timestamp: 0 }],
  ];
  for (const [title, code, make] of cases) {
    test(title, async () => {
      const invoice = makeInvoice(make);
      const error = await refusal(invoice);
      expect(error.code).toBe(code);
      expect(error.paid).toBe("no");
    });
  }

  test("and its neighbours are not: 2016 blocks, 366 days, 61 s ahead of a slow clock", async () => {
    await expect(decodeMade({ fields: [...soundFields(), numberField(TYPE.cltv, 2016)] })).resolves.toMatchObject({ minFinalCltv: 2016 });
    await expect(decodeMade({ fields: [...soundFields(), numberField(TYPE.expiry, 366 * DAY)] })).resolves.toBeDefined();
    await expect(decodeMade({ timestamp: MADE_AT + 61 })).resolves.toBeDefined();
  });

  test("less than 10 s before it expires, by default after an hour", async () => {
    const expiresAt = (MADE_AT + 3600) * 1000;
    await expect(decodeMade({}, expiresAt - 10_000)).resolves.toMatchObject({ expiresAt });
    const error = await refusal(makeInvoice(), expiresAt - 9_999);
    expect([error.code, error.retryable]).toEqual(["invoice_expired", true]);
    expect((await refusal(makeInvoice(), expiresAt + 1)).code).toBe("invoice_expired");
    const short = makeInvoice({ fields: [...soundFields(), numberField(TYPE.expiry, 30)] });
    expect((await refusal(short, (MADE_AT + 21) * 1000)).code).toBe("invoice_expired");
  });

  test("if the clock tells no time", async () => {
    await refusal(makeInvoice(), Number.NaN);
  });

  const invoice = makeInvoice();
  const texts: [title: string, text: string][] = [
    ["that is empty", ""],
    ["with a space in front", ` ${invoice}`],
    ["with a line feed behind", `${invoice}\n`],
    ["in mixed case", `${invoice.slice(0, 40)}${invoice.slice(40).toUpperCase()}`],
    ["in mixed case, by one letter of the prefix", invoice.replace("lnbc", "lnBc")],
    ["with one character changed", `${invoice.slice(0, 60)}${invoice[60] === "q" ? "p" : "q"}${invoice.slice(61)}`],
    ["without its last character", invoice.slice(0, -1)],
    ["without a separator", invoice.replaceAll("1", "q")],
    ["with a character that bech32 does not have", `${invoice.slice(0, 60)}b${invoice.slice(61)}`],
    ["with a full-width letter", invoice.replace("lnbc", "lnｂc")],
    ["with a Kelvin sign for a k", `${invoice.slice(0, 60)}\u212a${invoice.slice(61)}`],
    ["twice in a row", `${invoice}${invoice}`],
    ["in a URI with an address", `bitcoin:bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq?lightning=${invoice}`],
    ["that is an LNURL", "lnurl1dp68gurn8ghj7um9wfmxjcm99e3k7mf0v9cxj0m385ekvcenxc6r2c35xvukxefcv5mkvv34x5ekzd3ev56nyd3hxqurzepexejxxepnxscrvwfnv9nxzcn9xq6xyefhvgcxxcmyxymnserxfq5fns"],
    ["that is an offer", "lno1qgsqvgnwgcg35z6ee2h3yczraddm72xrfua9uve2rlrm9deu7xyfzrcgqyqs5ys5zsq"],
    ["that is an address", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"],
    ["of 4097 characters", invoice.padEnd(4097, "q")],
    ["of 10 MB", `lnbc1${"q".repeat(10_000_000)}`],
    ["of 4096 characters of prefix", "lnbc".padEnd(4096, "1")],
  ];
  for (const [title, text] of texts) {
    test(title, async () => {
      await refusal(text);
    });
  }
});

describe("errors", () => {
  test("never hold the invoice, nor a cause that does", async () => {
    const damaged = makeInvoice().replace(/.$/, (last) => (last === "q" ? "p" : "q"));
    const error = await refusal(damaged);
    const everything = [error.message, error.stack, JSON.stringify(error), String(error.cause)].join("\n");
    expect(everything).not.toContain(damaged.slice(0, 20));
    expect(everything).not.toContain(damaged.slice(-20));
    expect("cause" in error).toBe(false);
  });

  test("name the network that is wrong, in our words", async () => {
    expect((await refusal(makeInvoice({ prefix: "lntb100n" }))).message).toContain("testnet");
    expect((await refusal(makeInvoice({ prefix: "lnignorealllimits100n" }))).message).not.toContain("ignore");
  });
});

describe("whatever the server sends", () => {
  // A failure prints the seed and the path that repeat it.
  const only = async (text: string) => {
    try {
      const decoded = await decodeInvoice(text, { network: "bitcoin", now: NOW });
      expect(decoded.amountMsat > 0n && decoded.paymentHash.length === 64).toBe(true);
    } catch (error) {
      if (!(error instanceof InvoiceError)) throw error;
      if (text.length >= 24) expect(error.message).not.toContain(text.slice(0, 24));
    }
  };

  test("text: nothing but an InvoiceError comes out", async () => {
    await fc.assert(fc.asyncProperty(fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.string().map((s) => `lnbc1${s}`)), only), { numRuns: 2000 });
  });

  test("a sound invoice with characters changed is refused", async () => {
    const invoice = makeInvoice();
    const change = fc.tuple(fc.nat(invoice.length - 1), fc.constantFrom(..."qpzry9x8gf2tvdw0s3jn54khce6mua7l1"));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const characters = [...invoice];
        for (const [at, character] of changes) characters[at] = character;
        const changed = characters.join("");
        if (changed !== invoice) await refusal(changed);
      }),
      { numRuns: 1000 },
    );
  });

  test("fields of any kind under a right checksum and signature: a sound invoice or an InvoiceError", async () => {
    const field = fc.record({ type: fc.nat(31), words: fc.array(fc.nat(31), { maxLength: 60 }) });
    const known = fc.constantFrom(...soundFields());
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(field, known), { maxLength: 12 }), fc.constantFrom("lnbc100n", "lnbc", "lnbc1"), async (fields, prefix) =>
        only(makeInvoice({ prefix, fields })),
      ),
      { numRuns: 300 },
    );
  });

  test("words of any kind under a right checksum: a sound invoice or an InvoiceError", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(31), { maxLength: 400 }), fc.constantFrom("lnbc100n", "lntb1", "lnbc"), async (words, prefix) => only(bech32(prefix, words))),
      { numRuns: 1000 },
    );
  });
});
