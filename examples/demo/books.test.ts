/** The demo's check is real: whichever sum is off by the least amount, it says so. */
import { expect, test } from "vitest";
import { type Books, faultsOf } from "./books.ts";

const good: Books = {
  budgetSats: 100,
  toldSats: 50,
  ledger: { settledMsat: 50_000n, heldSats: 0, settled: ["a", "b"] },
  report: { totalSats: 50, heldSats: 0, remainingSats: 50, listedSats: 50 },
  balance: { spentSats: 50, heldSats: 0, remainingSats: 50 },
  wallet: { beforeMsat: 5_000_000n, afterMsat: 4_950_000n, inFlightMsat: 0n, paid: ["a", "b"] },
  shop: { receivedMsat: 48_000n, soldMsat: 48_000n, delivered: ["a", "b"] },
  network: { feesMsat: 2_000n, beforeMsat: 5_000_000n, afterMsat: 5_000_000n, doublePayments: 0 },
};

/** The value with each of its amounts and lists changed, one at a time. */
function* spoiled(value: unknown): Generator {
  if (typeof value === "number") yield value + 1;
  else if (typeof value === "bigint") yield value + 1n;
  else if (Array.isArray(value)) yield value.slice(1);
  else for (const [key, part] of Object.entries(value as object)) for (const other of spoiled(part)) yield { ...(value as object), [key]: other };
}

test("books that agree have no faults", () => {
  expect(faultsOf(good)).toEqual([]);
});

test("each sum that is off, and each payment that is missing, is a fault", () => {
  const all = [...spoiled(good)] as Books[];
  expect(all).toHaveLength(23);
  for (const books of all) expect(faultsOf(books), JSON.stringify(books, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value))).not.toEqual([]);
});

test("spending beyond the budget is a fault, also if all books agree", () => {
  const budgetSats = 40;
  const beyond = { ...good, budgetSats, report: { ...good.report, remainingSats: -10 }, balance: { ...good.balance, remainingSats: -10 } };
  expect(faultsOf(beyond)).toEqual(["spent 50 sats of a budget of 40"]);
});
