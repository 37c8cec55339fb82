/** Lightning Labs' Aperture as the server, over a route of which the middle charges. */
import { describe, expect, test } from "vitest";
import { isL402Error, receiptOf, type L402Event } from "@l402-tools/core";
import { sqliteStore } from "@l402-tools/stores/sqlite";
import { until } from "./processes.ts";
import { bobsFee, buyer, carol, invoiceIs, leave, ledgerPath, listed, network, rowsOf, setPrices } from "./world.ts";

const { aperture, apertureMpp } = network;

/** The scheme, macaroon and invoice of each `WWW-Authenticate` line, in its order. */
async function challengesOf(url: string): Promise<{ scheme: string; macaroon: string; invoice: string }[]> {
  const response = await fetch(url);
  expect(response.status).toBe(402);
  const value = response.headers.get("www-authenticate") ?? "";
  return [...value.matchAll(/(LSAT|L402) macaroon="([^"]+)", invoice="([^"]+)"/g)].map(([, scheme = "", macaroon = "", invoice = ""]) => ({ scheme, macaroon, invoice }));
}

test("Aperture sends LSAT and L402 lines with one macaroon and one invoice", async () => {
  const [lsat, l402, ...more] = await challengesOf(`${aperture}/weather/today`);
  expect(more).toEqual([]);
  expect([lsat?.scheme, l402?.scheme]).toEqual(["LSAT", "L402"]);
  expect(l402).toEqual({ ...lsat, scheme: "L402" });
  const quote = await buyer().quote(`${aperture}/weather/today`);
  expect(quote).toMatchObject({ amountMsat: 100_000, network: "simnet", payee: await carol.publicKey(), description: "L402" });
});

test("buys, and books price and routing fee to the msat", async () => {
  const spent: [number, string][] = [];
  const client = buyer({ budgetSats: 1_000, onSpend: (sats, url) => spent.push([sats, url]) });
  const response = await client.fetch(`${aperture}/weather/today`);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ path: "/weather/today" });
  const fee = bobsFee(100_000n);
  expect(fee % 1_000n).not.toBe(0n);
  expect(receiptOf(response)).toMatchObject({ amountMsat: 100_000, feeMsat: Number(fee), reused: false });
  expect(await rowsOf(client.store)).toMatchObject([{ state: "settled", amountMsat: 100_000n, feeMsat: fee, scheme: "L402", payee: await carol.publicKey() }]);
  const [bought] = await rowsOf(client.store);
  // A macaroon of version 2: its identifier (field 2, 66 bytes) is version 0, the payment hash, and a random token.
  expect(Buffer.from(bought?.credential ?? "", "base64").toString("hex")).toContain(`02420000${bought?.paymentHash}`);
  expect(await listed()).toMatchObject([{ status: "SUCCEEDED", valueMsat: 100_000n, feeMsat: fee }]);
  expect(spent).toEqual([[102, `${aperture}/weather/today`]]);
  expect(await client.balance()).toMatchObject({ spentSats: 102, heldSats: 0, remainingSats: 898 });
});

test("a credential opens every path of its service: 100 calls at once, one payment", async () => {
  const client = buyer({ budgetSats: 1_000 });
  const paths = Array.from({ length: 100 }, (_, i) => `/weather/place-${i}`);
  const bodies = await Promise.all(paths.map(async (path) => (await client.fetch(`${aperture}${path}`)).json()));
  expect(bodies).toEqual(paths.map((path) => ({ path })));
  expect(await listed()).toHaveLength(1);
});

test("a credential of one service does not open another: each is bought once, at its own price", async () => {
  const client = buyer({ budgetSats: 1_000 });
  for (let round = 0; round < 2; round += 1) {
    expect((await client.fetch(`${aperture}/weather/today`)).status).toBe(200);
    expect((await client.fetch(`${aperture}/books/1`)).status).toBe(200);
  }
  expect((await listed()).map((payment) => payment.valueMsat)).toEqual([100_000n, 250_000n]);
});

test("what is free is not paid for", async () => {
  const client = buyer({ budgetSats: 0 });
  expect(await (await client.fetch(`${aperture}/free/sample`)).json()).toEqual({ path: "/free/sample" });
  expect(await listed()).toEqual([]);
});

test("a credential outlives the process: a new client on the same ledger pays nothing", async () => {
  const path = ledgerPath();
  const first = buyer({ store: sqliteStore({ path }) });
  await first.fetch(`${aperture}/weather/today`);
  await leave(first);
  const client = buyer({ store: sqliteStore({ path }) });
  const response = await client.fetch(`${aperture}/weather/tomorrow`);
  expect(response.status).toBe(200);
  expect(receiptOf(response)).toMatchObject({ reused: true, paidSats: 0 });
  expect(await listed()).toHaveLength(1);
});

describe("dynamic prices", () => {
  test("the price of the moment is paid, once for each path", async () => {
    setPrices({ "/dynamic/report": 40, "/dynamic/chart": 7 });
    const client = buyer({ budgetSats: 1_000 });
    expect(await client.quote(`${aperture}/dynamic/report`)).toMatchObject({ amountSats: 40 });
    expect((await client.fetch(`${aperture}/dynamic/report`)).status).toBe(200);
    setPrices({ "/dynamic/report": 90, "/dynamic/chart": 8 });
    expect((await client.fetch(`${aperture}/dynamic/report`)).status).toBe(200);
    expect((await client.fetch(`${aperture}/dynamic/chart`)).status).toBe(200);
    expect((await listed()).map((payment) => payment.valueMsat)).toEqual([40_000n, 8_000n]);
  });

  test("a price that rose since it was asked for is refused, and the quoted one is still paid", async () => {
    setPrices({ "/dynamic/report": 40 });
    const client = buyer();
    const quote = await client.quote(`${aperture}/dynamic/report`);
    setPrices({ "/dynamic/report": 41 });
    await expect(client.fetch(`${aperture}/dynamic/report`, { maxPriceSats: 40 })).rejects.toMatchObject({ code: "policy_price", paid: "no" });
    expect(await listed()).toEqual([]);
    expect((await client.fetch(`${aperture}/dynamic/report`, { quoteId: quote?.id })).status).toBe(200);
    expect((await listed()).map((payment) => payment.valueMsat)).toEqual([40_000n]);
  });
});

describe("budgets", () => {
  test("over budget: refused before anything is sent, and the invoice stays open", async () => {
    const refused: [string, number][] = [];
    const events: L402Event[] = [];
    const client = buyer({ budgetSats: 99, onBudgetExceeded: (url, sats) => refused.push([url, sats]), onEvent: (event) => events.push(event) });
    await expect(client.fetch(`${aperture}/weather/today`)).rejects.toMatchObject({ code: "budget_exceeded", paid: "no", remaining: 99 });
    expect(refused).toHaveLength(1);
    expect(await listed()).toEqual([]);
    const paymentHash = events.find((event) => event.type === "challenge")?.paymentHash ?? "";
    await invoiceIs(paymentHash, "OPEN");
  });

  test("room for the price and not for the fee: the node keeps to it, and nothing is paid", async () => {
    const client = buyer({ budgetSats: 100 });
    await expect(client.fetch(`${aperture}/weather/today`)).rejects.toMatchObject({ code: "payment_failed", reason: "no_route", paid: "no" });
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  });

  test("20 purchases at once stay within the budget", async () => {
    const paths = Array.from({ length: 20 }, (_, i) => `/dynamic/item-${i}`);
    setPrices(Object.fromEntries(paths.map((path) => [path, 10])));
    const client = buyer({ budgetSats: 100, maxFee: { sats: 2 }, paymentConcurrency: 5 });
    const results = await Promise.allSettled(paths.map((path) => client.fetch(`${aperture}${path}`)));
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused.every(({ reason }) => isL402Error(reason) && (reason.code === "budget_exceeded" || reason.code === "payment_failed") && reason.paid === "no")).toBe(true);
    const paid = await listed();
    const total = paid.filter((payment) => payment.status === "SUCCEEDED").reduce((sum, payment) => sum + payment.valueMsat + payment.feeMsat, 0n);
    expect(total).toBeLessThanOrEqual(100_000n);
    expect(results.length - refused.length).toBe(paid.filter((payment) => payment.status === "SUCCEEDED").length);
    expect(results.length - refused.length).toBeGreaterThanOrEqual(8);
  });
});

describe("credentials that do not open", () => {
  test("one that has expired is replaced by a new purchase, on the books as well", async () => {
    const client = buyer({ budgetSats: 1_000 });
    expect((await client.fetch(`${aperture}/minutes/1`)).status).toBe(200);
    const [bought] = await rowsOf(client.store);
    const authorization = `L402 ${bought?.credential}:${bought?.preimage}`;
    await until("Aperture refuses the credential", async () => (await fetch(`${aperture}/minutes/1`, { headers: { authorization } })).status === 402);
    expect((await client.fetch(`${aperture}/minutes/2`)).status).toBe(200);
    expect(await listed()).toHaveLength(2);
  });

  test("a wrong preimage, a changed macaroon and another service's credential are refused by Aperture; none of them makes the client pay twice", async () => {
    const client = buyer({ budgetSats: 1_000 });
    await client.fetch(`${aperture}/weather/today`);
    const [bought] = await rowsOf(client.store);
    const bytes = Buffer.from(bought?.credential ?? "", "base64");
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    const wrong = [`L402 ${bought?.credential}:${"ab".repeat(32)}`, `L402 ${bytes.toString("base64")}:${bought?.preimage}`, "L402 nothing:nothing", `LSAT ${bought?.credential}`];
    for (const authorization of wrong) {
      expect((await fetch(`${aperture}/weather/today`, { headers: { authorization } })).status).toBe(402);
      // The caller's own header goes out first; what was bought is used after it.
      expect((await client.fetch(`${aperture}/weather/today`, { headers: { authorization } })).status).toBe(200);
    }
    const own = `L402 ${bought?.credential}:${bought?.preimage}`;
    expect((await fetch(`${aperture}/books/1`, { headers: { authorization: own } })).status).toBe(402);
    expect((await fetch(`${aperture}/weather/today`, { headers: { authorization: own } })).status).toBe(200);
    expect((await fetch(`${aperture}/weather/today`, { headers: { authorization: own.replace("L402", "LSAT") } })).status).toBe(200);
    expect(await listed()).toHaveLength(1);
  });
});

describe("the Payment scheme beside L402", () => {
  test("L402 is picked: of the three invoices offered, its own is paid", async () => {
    const offered = await fetch(`${apertureMpp}/weather/today`);
    expect(offered.headers.get("www-authenticate")).toMatch(/LSAT macaroon=.*L402 macaroon=.*Payment id=.*intent="charge".*Payment id=.*intent="session"/);
    expect(offered.headers.get("content-type")).toBe("application/problem+json");
    const client = buyer({ budgetSats: 1_000 });
    const response = await client.fetch(`${apertureMpp}/weather/today`);
    expect(await response.json()).toEqual({ path: "/weather/today" });
    expect((await client.fetch(`${apertureMpp}/weather/tomorrow`)).status).toBe(200);
    expect(await rowsOf(client.store)).toMatchObject([{ state: "settled", scheme: "L402", amountMsat: 100_000n }]);
    expect(await listed()).toHaveLength(1);
  });

  test("a service that takes Payment only, and offers L402 all the same: after two refusals nothing more is bought there", async () => {
    const client = buyer({ budgetSats: 1_000 });
    const url = `${apertureMpp}/payment-only/1`;
    for (let call = 0; call < 2; call += 1) await expect(client.fetch(url)).rejects.toMatchObject({ code: "credential_rejected", paid: "yes", status: 402 });
    await expect(client.fetch(url)).rejects.toMatchObject({ code: "origin_suspended", paid: "no" });
    expect(await listed()).toHaveLength(2);
  });
});
