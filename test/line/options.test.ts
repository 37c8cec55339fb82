import { inspect } from "node:util";
import { isL402Error, L402Client, L402Error, PaymentUnknownError, type L402ClientOptions } from "@l402-tools/core";
import { describe, expect, test } from "vitest";

const wallet = { payInvoice: async () => ({ preimage: "" }) };
const make = (options: Record<string, unknown>) => () => new L402Client({ wallet, ...options } as unknown as L402ClientOptions);

describe("options that cannot be meant are refused, by name", () => {
  const numbers = [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, 2 ** 53, "10", null, 10n, {}];
  test.each(["budgetSats", "maxSatsPerRequest", "paymentConcurrency", "maxQueuedPayments", "paymentTimeoutMs", "approvalTimeoutMs"])("%s", (name) => {
    for (const value of numbers) {
      let error: unknown;
      try {
        make({ [name]: value })();
      } catch (caught) {
        error = caught;
      }
      expect(isL402Error(error), `${name}: ${String(value)}`).toBe(true);
      expect(error).toMatchObject({ code: "invalid_options", paid: "no" });
      expect((error as Error).message).toContain(`\`${name}\``);
    }
  });

  test.each<[string, Record<string, unknown>]>([
    ["budgetPerDomain", { budgetPerDomain: { "api.example.com": -1 } }],
    ["budgetPerDomain", { budgetPerDomain: { "https://api.example.com": 1 } }],
    ["budgetPerDomain", { budgetPerDomain: { "api.example.com:443": 1 } }],
    ["budgetPerDomain", { budgetPerDomain: { "api.example.com/path": 1 } }],
    ["budgetPerDomain", { budgetPerDomain: { "*": 1 } }],
    ["budgetPerDomain", { budgetPerDomain: { "": 1 } }],
    ["budgetPerDomain", { budgetPerDomain: [] }],
    ["limits.0", { limits: [{}] }],
    ["limits.0.per", { limits: [{ sats: 1, per: "1" }] }],
    ["limits.0.per", { limits: [{ sats: 1, per: "0h" }] }],
    ["limits.0.per", { limits: [{ sats: 1, per: "99999w" }] }],
    ["limits.0.per", { limits: [{ sats: 1, per: "1.5h" }] }],
    ["limits.0.sats", { limits: [{ sats: Number.NaN }] }],
    ["limits.0.domain", { limits: [{ sats: 1, domain: "a b" }] }],
    ["limits.0.hosts", { limits: [{ sats: 1, hosts: [] }] }],
    ["limits", { limits: {} }],
    ["maxFee.percent", { maxFee: { percent: Number.NaN } }],
    ["maxFee.percent", { maxFee: { percent: 101 } }],
    ["maxFee.sats", { maxFee: { sats: -1 } }],
    ["maxFee", { maxFee: 10 }],
    ["wallet", { wallet: undefined }],
    ["wallet", { wallet: {} }],
    ["wallet", { wallet: { pay: () => {} } }],
    ["network", { network: "mainnet" }],
    ["credentialScope", { credentialScope: "host" }],
    ["approve", { approve: true }],
    ["onSpend", { onSpend: {} }],
    ["allowedDomains", { allowedDomains: "api.example.com" }],
    ["allowedDomains.0", { allowedDomains: ["https://api.example.com"] }],
    ["store", { store: {} }],
    ["clock", { clock: { now: () => 0 } }],
    ["fetch", { fetch: {} }],
    ["budgetId", { budgetId: "" }],
    ["budgetId", { budgetId: "a/b" }],
    ["budgetSat", { budgetSat: 1 }],
  ])("%s: %o", (name, options) => {
    expect(make(options)).toThrowError(expect.objectContaining({ code: "invalid_options", message: expect.stringContaining(`\`${name}\``) as string }) as Error);
  });

  test("no options at all", () => {
    for (const options of [undefined, null, 1, "x", []]) expect(() => new L402Client(options as never)).toThrowError(L402Error);
  });

  test("of a child and of a call too", async () => {
    const client = make({ budgetSats: 1 })();
    for (const options of [{ budgetSats: -1 }, { wallet }, { label: "a/b" }, { paymentTimeoutMs: 1 }]) expect(() => client.child(options as never)).toThrowError(L402Error);
    for (const init of [{ maxPriceSats: Number.NaN }, { maxPriceSats: -1 }, { idempotencyKey: "" }, { idempotencyKey: 1 }, { quoteId: {} }]) {
      await expect(client.fetch("https://api.example.com/", init as never)).rejects.toMatchObject({ code: "invalid_options" });
    }
  });

  test("what can be meant is taken", () => {
    for (const options of [
      { budgetSats: 0, maxQueuedPayments: 0, maxSatsPerRequest: 2 ** 53 - 1, maxFee: {} },
      { budgetSats: undefined, budgetPerDomain: { "münchen.example": 1, "[::1]": 2, "*.EXAMPLE.com.": 3 } },
      { limits: [{ sats: 1, per: "24h" }, { payments: 0 }, { sats: 1, payments: 2, domain: "*.a.example", per: "1w" }] },
      { maxFee: { percent: 0.5 }, allowedDomains: [], blockedDomains: ["*.example.com"] },
    ]) {
      expect(make(options)).not.toThrow();
    }
  });
});

test("errors show no cause, in JSON or by inspect, and keep it for the code", () => {
  const cause = Object.assign(new Error("secret-in-message"), { key: "secret-key" });
  const error = new PaymentUnknownError("It is not known.", "ab".repeat(32), { cause });
  for (const text of [inspect(error), inspect(error, { depth: 10, showHidden: true }), JSON.stringify(error), String(error)]) expect(text).not.toContain("secret");
  expect(error.cause).toBe(cause);
  expect(inspect(error)).toContain("payment_unknown");
  expect(JSON.parse(JSON.stringify(error))).toEqual({ name: "PaymentUnknownError", message: "It is not known.", code: "payment_unknown", paid: "unknown", retryable: false, paymentHash: "ab".repeat(32) });
});
