/** What the decoder gets to see. */
import { expect, test, vi } from "vitest";

import { decodeInvoice } from "../src/invoice.ts";
import { TYPE, MADE_AT, bech32, makeInvoice, soundFields } from "./data/make-invoice.ts";

const seen = vi.hoisted(() => ({ decoded: [] as string[] }));

// The invoice maker asks the decoder as well, so `decoded` is emptied after invoices were made.
vi.mock("bolt11", async (original) => {
  const real = await original<typeof import("bolt11")>();
  return { ...real, decode: (text: string, network?: never) => (seen.decoded.push(text), real.decode(text, network)) };
});

const options = { network: "bitcoin", now: (MADE_AT + 1) * 1000 } as const;

test("the decoder sees no text that is too long, has too many fields, or is not for us", async () => {
  const fields = Array.from({ length: 1000 }, () => [TYPE.hint, 0, 0]).flat();
  const bomb = bech32("lnbc100n", [...new Array<number>(7).fill(0), ...fields, ...new Array<number>(104).fill(0)]);
  expect(bomb.length).toBeLessThanOrEqual(4096);
  const unknown = { type: 2, words: new Array<number>(1023).fill(0) };
  const long = makeInvoice({ fields: [...soundFields(), ...["2", "4", "8", "10"].map((type) => ({ ...unknown, type: Number(type) }))] });
  expect(long.length).toBeGreaterThan(4096);
  const texts = [bomb, long, makeInvoice({ fields: soundFields(TYPE.hash) }), `lnbc100n1${"q".repeat(5000)}`, makeInvoice({ prefix: "lntb100n" }), makeInvoice({ prefix: "lnbc" }), makeInvoice({ fields: soundFields(TYPE.secret) })];
  seen.decoded.length = 0;
  for (const text of texts) await expect(decodeInvoice(text, options)).rejects.toThrow();
  expect(seen.decoded).toEqual([]);
});

test("the decoder is asked once for each invoice", async () => {
  const invoice = makeInvoice();
  seen.decoded.length = 0;
  await decodeInvoice(invoice, options);
  await decodeInvoice(invoice, options);
  expect(seen.decoded).toEqual([invoice, invoice]);
});
