/** Every row of Blink's answers. */
import { describe, expect, test } from "vitest";
import { BlinkWallet } from "../src/blink.ts";
import { API_KEY, fakeBlink, row, WALLET_ID, type FakeBlink, type SendPayload } from "./fakes/blink.ts";
import { json, type Answer } from "./fakes/server.ts";
import { requestOf, setUp, type Setup } from "./fakes/setup.ts";

const set = (): Promise<Setup<FakeBlink, BlinkWallet>> => setUp<FakeBlink, BlinkWallet>(fakeBlink, (url) => new BlinkWallet(API_KEY, WALLET_ID, { url }));
const failure = (code: string | undefined, message: string): SendPayload => ({ status: "FAILURE", errors: [{ ...(code === undefined ? {} : { code }), message }], transaction: null });

test("pays with one operation a request, and the key in its header", async () => {
  const { wallet, server, request, preimage } = await set();
  expect(await wallet.pay(request())).toEqual({ status: "settled", preimage, feeMsat: 2_000n, ref: "tx-1" });
  expect(server.operations).toEqual(["Pay"]);
  expect(server.asked[0]?.headers["x-api-key"]).toBe(API_KEY);
});

describe("FAILURE that proves that nothing was paid", () => {
  test.each<[string | undefined, string, string]>([
    ["LIGHTNING_PAYMENT_ERROR", "Temporary failure when trying to pay, please try again.", "no_route"],
    ["LIGHTNING_PAYMENT_ERROR", "Payment was rejected by destination as invalid", "rejected_by_payee"],
    ["LIGHTNING_PAYMENT_ERROR", "Invoice already expired, or has bad payment hash", "invoice_expired"],
    ["LIGHTNING_PAYMENT_ERROR", "Issue with lightning payment, please try again.", "other"],
    ["LIGHTNING_PAYMENT_ERROR", "Invoice may have invalid feature bits set, please check", "invalid_invoice"],
    ["ROUTE_FINDING_ERROR", "Unable to find a route for payment.", "no_route"],
    ["ROUTE_FINDING_ERROR", "Unable to pay incompatible recipient.", "no_route"],
    ["INSUFFICIENT_BALANCE", "Payment amount exceeds balance", "insufficient_balance"],
    ["TRANSACTION_RESTRICTED", "Cannot transfer more than 1000 sats in 24 hours", "limit_exceeded"],
    ["CANT_PAY_SELF", "User tried to pay themselves", "self_payment"],
    ["INVOICE_DECODE_ERROR", "Invalid invoice", "invalid_invoice"],
    ["TOO_MANY_REQUEST", "Too many requests", "rate_limited"],
    ["DEALER_ERROR", "Error with dealer", "other"],
    ["DEALER_OFFLINE", "Dealer is offline", "unreachable"],
    ["PRICE_SERVICE_OFFLINE", "Price server is down", "unreachable"],
    ["NOT_FOUND", "Wallet not found", "other"],
    ["INVALID_INPUT", "Invalid invoice amount", "invalid_invoice"],
    ["RECEIVE_DISABLED", "Custodial accounts are closed in your country", "unsupported"],
    ["UNKNOWN_CLIENT_ERROR", "Unexpected error occurred, please try again (code: ResourceAttemptsRedlockServiceError)", "rate_limited"],
    ["UNEXPECTED_CLIENT_ERROR", "Unexpected error occurred, please try again (code: ResourceExpiredLockServiceError: x)", "rate_limited"],
    ["UNKNOWN_CLIENT_ERROR", "Unexpected error occurred, please try again (code: AuthorizationError)", "unauthorized"],
  ])("%s, %s", async (code, message, reason) => {
    const { wallet, server, request } = await set();
    server.nextSend = failure(code, message);
    expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason });
  });

  test("arguments that cannot be read have neither status nor code", async () => {
    const { wallet, server, request } = await set();
    server.nextSend = { status: null, errors: [{ message: "Invalid value for WalletId" }], transaction: null };
    expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason: "invalid_invoice" });
  });
});

describe("FAILURE that may still settle", () => {
  const doubted: [string | undefined, string][] = [
    ["LIGHTNING_PAYMENT_ERROR", "Payment was sent and is still in transition."],
    ["LIGHTNING_PAYMENT_ERROR", "Unknown error occurred (code: UnknownLightningServiceError)"],
    ["LIGHTNING_PAYMENT_ERROR", "Words that nobody has seen"],
    ["LND_OFFLINE", "Offchain action failed, please try again in a few minutes."],
    ["DB_ERROR", "Unexpected error occurred, please try again or contact support (code: UnknownRepositoryError)"],
    ["UNKNOWN_CLIENT_ERROR", "Unexpected error occurred, please try again (code: UnknownLedgerError)"],
    ["UNEXPECTED_CLIENT_ERROR", "Unexpected error occurred"],
    ["A_NEW_CODE", "Something"],
    [undefined, "Something without a code"],
  ];
  test.each(doubted)("%s, %s: unknown, and its look-up's failure is soft", async (code, message) => {
    const { wallet, server, request, invoice } = await set();
    server.nextSend = failure(code, message);
    // Blink has taken its own entry back.
    server.rows = [row({ status: "FAILURE", amount: -102, fee: 2 }), row({ direction: "RECEIVE", amount: 102 })];
    const result = await wallet.pay(request());
    expect(result).toMatchObject({ status: "unknown", ref: expect.any(String) });
    const ref = result.status === "unknown" ? (result.ref ?? "") : "";
    expect(await wallet.lookup({ paymentHash: invoice.paymentHash, ref })).toEqual({ status: "failed", soft: true });
  });

  test("the failure was none: paid, says the look-up", async () => {
    const { wallet, server, request, preimage } = await set();
    server.nextSend = failure("UNKNOWN_CLIENT_ERROR", "Unexpected error occurred (code: CouldNotFindTransactionError)");
    server.rows = [row({ amount: -102, fee: 2, preImage: preimage })];
    expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage, feeMsat: 2_000n });
  });
});

test("PENDING, and an earlier payment that is pending: in flight", async () => {
  const { wallet, server, request } = await set();
  server.nextSend = { status: "PENDING", errors: [], transaction: row({ status: "PENDING", amount: -102 }) };
  expect(await wallet.pay(request())).toMatchObject({ status: "in_flight" });
  server.nextSend = failure("INVALID_INPUT", "There is a pending payment for this invoice");
  expect(await wallet.pay(request())).toEqual({ status: "in_flight" });
});

describe("ALREADY_PAID", () => {
  const already = (transaction: object | null): SendPayload => ({ status: "ALREADY_PAID", errors: [], transaction });

  test("by this wallet, with its preimage", async () => {
    const { wallet, server, request, preimage } = await set();
    server.nextSend = already(row({ amount: -101, fee: 1, preImage: preimage }));
    expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage, feeMsat: 1_000n });
    expect(server.operations).toEqual(["Pay"]);
  });

  test.each<[string, object | null]>([
    ["a null transaction", null],
    ["the voided attempt", row({ status: "FAILURE", amount: -101 })],
    ["no preimage", row({ amount: -101 })],
    ["a credit", row({ direction: "RECEIVE", amount: 101, preImage: "ab".repeat(32) })],
  ])("%s: looked up, and unknown where that finds nothing of this wallet's", async (_, transaction) => {
    const { wallet, server, request, preimage } = await set();
    server.nextSend = already(transaction);
    server.rows = [];
    expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
    server.nextSend = already(transaction);
    server.rows = [row({ status: "FAILURE", amount: -101 })];
    expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
    server.nextSend = already(transaction);
    server.rows = [row({ amount: -101, fee: 1, preImage: preimage })];
    expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage });
  });
});

describe("SUCCESS", () => {
  test("within Blink: the preimage of the intraledger payment, and no fee", async () => {
    const { wallet, server, request, preimage } = await set();
    server.nextSend = { status: "SUCCESS", errors: [], transaction: row({ via: "SettlementViaIntraLedger", amount: -100, preImage: preimage.toUpperCase() }) };
    expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage, feeMsat: 0n });
  });

  test.each<[string, object | null]>([["no transaction", null], ["no preimage", row({ amount: -100 })], ["an empty one", row({ amount: -100, preImage: "" })]])("%s: paid, without proof", async (_, transaction) => {
    const { wallet, server, request } = await set();
    server.nextSend = { status: "SUCCESS", errors: [], transaction };
    expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage: null });
  });

  test("from a dollar wallet: the fee in satoshi is not known", async () => {
    const { wallet, server, request, preimage } = await set();
    server.nextSend = { status: "SUCCESS", errors: [], transaction: row({ amount: -7, fee: 1, currency: "USD", preImage: preimage }) };
    expect(await wallet.pay(request())).toMatchObject({ status: "settled", preimage, feeMsat: null });
  });
});

describe("HTTP", () => {
  test.each<[number, string]>([[401, "unauthorized"], [403, "unauthorized"], [404, "unsupported"], [405, "unsupported"], [429, "rate_limited"], [400, "other"], [413, "other"]])("%i: stopped at the gateway", async (status, reason) => {
    const { wallet, server, request } = await set();
    server.next = json(status, { error: "no" });
    expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason });
  });

  test.each<[string, Answer]>([
    ["500", json(500, {})],
    ["502", { status: 502, body: "<html>" }],
    ["504", { status: 504, body: "" }],
    ["408", json(408, {})],
    ["409", json(409, {})],
    ["data null", json(200, { data: null })],
    ["no data", json(200, {})],
    ["an unknown status", json(200, { data: { lnInvoicePaymentSend: { status: "MAYBE", errors: [], transaction: null } } })],
    ["FAILURE without an error", json(200, { data: { lnInvoicePaymentSend: { status: "FAILURE", errors: [], transaction: null } } })],
    ["an unexpected error at the top", json(200, { data: null, errors: [{ message: "Internal", code: "INTERNAL_SERVER_ERROR" }] })],
  ])("%s: unknown", async (_, answer) => {
    const { wallet, server, request } = await set();
    server.next = answer;
    expect(await wallet.pay(request())).toMatchObject({ status: "unknown" });
  });

  test.each<[string, object, string]>([
    ["a bad key", { message: "Not authorized", code: "NOT_AUTHENTICATED" }, "unauthorized"],
    ["a limit", { message: "Too many", code: "TOO_MANY_REQUEST" }, "rate_limited"],
    ["an old schema", { message: "Cannot query field", extensions: { code: "GRAPHQL_VALIDATION_FAILED" } }, "unsupported"],
  ])("top-level error: %s", async (_, error, reason) => {
    const { wallet, server, request } = await set();
    server.next = json(200, { data: null, errors: [error] });
    expect(await wallet.pay(request())).toMatchObject({ status: "failed", reason });
  });
});

describe("the fee", () => {
  test("is probed where Blink's worst case is above the limit, and the probe binds", async () => {
    const { wallet, server, request } = await set();
    expect(await wallet.pay(request({ maxFeeMsat: 2_000n }))).toMatchObject({ status: "settled", feeMsat: 2_000n });
    expect(server.operations).toEqual(["FeeProbe", "Pay"]);
  });

  test("too high: nothing is sent", async () => {
    const { wallet, server, request, world } = await set();
    expect(await wallet.pay(request({ maxFeeMsat: 1_999n }))).toMatchObject({ status: "failed", reason: "fee_too_high" });
    expect(server.operations).toEqual(["FeeProbe"]);
    expect(world.sim.payments).toEqual([]);
  });

  test("quoted once, is not probed again", async () => {
    const { wallet, server, request } = await set();
    expect(await wallet.quoteFee(request())).toEqual({ feeMsat: 2_000n, binding: true });
    await wallet.pay(request({ maxFeeMsat: 2_000n }));
    expect(server.operations).toEqual(["FeeProbe", "Pay"]);
  });

  test("an amount with an error is the worst case, and no promise", async () => {
    const { wallet, server, request, world } = await set();
    server.nextProbe = { amount: 10, errors: [{ code: "ROUTE_FINDING_ERROR", message: "Unable to find a route for payment." }] };
    expect(await wallet.quoteFee(request())).toEqual({ feeMsat: 10_000n, binding: false });
    server.nextProbe = { amount: 10, errors: [{ code: "ROUTE_FINDING_ERROR", message: "Unable to find a route for payment." }] };
    expect(await wallet.pay(request({ maxFeeMsat: 9_999n }))).toMatchObject({ status: "failed", reason: "fee_too_high" });
    expect(world.sim.payments).toEqual([]);
  });

  test("whatever goes wrong with a probe, nothing was paid", async () => {
    const { wallet, server, request } = await set();
    server.nextProbe = { amount: null, errors: [{ code: "INSUFFICIENT_BALANCE", message: "no" }] };
    expect(await wallet.pay(request({ maxFeeMsat: 0n }))).toMatchObject({ status: "failed", reason: "insufficient_balance" });
    server.nextProbe = { amount: null, errors: [{ code: "LND_OFFLINE", message: "Offchain action failed" }] };
    expect(await wallet.pay(request({ maxFeeMsat: 0n }))).toMatchObject({ status: "failed", reason: "other" });
    server.nextProbe = { amount: null, errors: [{ code: "LND_OFFLINE", message: "Offchain action failed" }] };
    await expect(wallet.quoteFee(request())).rejects.toThrow(/fee/);
  });

  test("worst case: 10 sat or 0.5 %, and the rounding to whole satoshi", () => {
    const { worstCaseFeeMsat } = new BlinkWallet(API_KEY, WALLET_ID).capabilities;
    expect(worstCaseFeeMsat?.(1_000n)).toBe(10_000n);
    expect(worstCaseFeeMsat?.(2_000_000n)).toBe(10_000n);
    expect(worstCaseFeeMsat?.(2_001_000n)).toBe(11_000n);
    expect(worstCaseFeeMsat?.(1_500n)).toBe(10_500n);
  });
});

describe("look-up", () => {
  const PREIMAGE = "cd".repeat(32);
  const paymentHash = "11".repeat(32);
  test.each<[string, object[], object]>([
    ["no rows", [], { status: "not_found" }],
    ["pending", [row({ status: "PENDING", amount: -101 })], { status: "in_flight" }],
    ["failed", [row({ status: "FAILURE", amount: -101 }), row({ direction: "RECEIVE", amount: 101 })], { status: "failed", soft: false }],
    ["failed, then pending", [row({ status: "FAILURE", amount: -101 }), row({ status: "PENDING", amount: -101 })], { status: "in_flight" }],
    [
      "failed, then paid, then a part of the fee given back",
      [row({ direction: "RECEIVE", amount: 3 }), row({ amount: -110, fee: 10, preImage: PREIMAGE }), row({ direction: "RECEIVE", amount: 110 }), row({ status: "FAILURE", amount: -110, fee: 10 })],
      { status: "settled", preimage: PREIMAGE, feeMsat: 7_000n },
    ],
    ["paid from dollars", [row({ amount: -9, fee: 1, currency: "USD", preImage: PREIMAGE })], { status: "settled", preimage: PREIMAGE, feeMsat: null }],
    ["paid, without its preimage", [row({ amount: -100 })], { status: "settled", preimage: null, feeMsat: 0n }],
  ])("%s", async (_, rows, expected) => {
    const { wallet, server } = await set();
    server.rows = rows;
    expect(await wallet.lookup({ paymentHash })).toEqual(expected);
  });

  test("within Blink, the payee's invoice is the second source of the preimage", async () => {
    const { wallet, server } = await set();
    server.rows = [row({ via: "SettlementViaIntraLedger", amount: -100 })];
    expect(await wallet.lookup({ paymentHash })).toEqual({ status: "settled", preimage: null, feeMsat: 0n });
    server.intraledgerPreimage = PREIMAGE;
    expect(await wallet.lookup({ paymentHash })).toEqual({ status: "settled", preimage: PREIMAGE, feeMsat: 0n });
  });

  test("only credits, a wrong key or wallet: throws, and is never not_found", async () => {
    const { wallet, server } = await set();
    server.rows = [row({ direction: "RECEIVE", amount: 100 })];
    await expect(wallet.lookup({ paymentHash })).rejects.toThrow(/blink/);
    await expect(new BlinkWallet("blink_wrong", WALLET_ID, { url: server.url }).lookup({ paymentHash })).rejects.toThrow(/check the key/);
    await expect(new BlinkWallet(API_KEY, "another", { url: server.url }).lookup({ paymentHash })).rejects.toThrow(/wallet id/);
  });
});

test("one payment of a wallet at a time; who waits too long was not sent", async () => {
  const { wallet, server, request, world } = await set();
  const held = world.payee.invoice({ amountMsat: 1_000n, hold: true });
  const first = wallet.pay({ ...requestOf(held), deadline: Date.now() + 1_000 });
  await expect.poll(() => server.operations).toEqual(["Pay"]);
  expect(await wallet.pay(request({ deadline: Date.now() + 100 }))).toMatchObject({ status: "failed", reason: "rate_limited" });
  world.payee.settleHold(held.paymentHash);
  expect(await first).toMatchObject({ status: "settled" });
  expect(server.operations).toEqual(["Pay"]);
  expect(await wallet.pay(request())).toMatchObject({ status: "settled" });
});
