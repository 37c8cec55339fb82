/** Programs that die, and words that are lost on the way: LND killed, our process killed, requests and answers kept back. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { receiptOf, systemClock, type Clock, type LookupResult } from "@l402-tools/core";
import { sqliteStore } from "@l402-tools/stores/sqlite";
import { paywall } from "./paywall.ts";
import { until } from "./processes.ts";
import { relay } from "./wire.ts";
import { alice, buyer, carol, control, hold, invoiceIs, killNode, leave, ledgerPath, listed, network, rowsOf, startNode, wallet, type Buyer } from "./world.ts";

const PRICE_MSAT = 50_000n;

/** A service whose first invoice is this one; every further one is an ordinary invoice, and would be paid. */
function shopOf(first: { bolt11: string; paymentHash: string }): ReturnType<typeof paywall> {
  const invoices = [first];
  return paywall(async () => invoices.shift() ?? (await carol.invoice({ valueMsat: PRICE_MSAT })));
}

/** The system's clock, as many seconds ahead as the test says. */
class AheadClock implements Clock {
  seconds = 0;
  now(): number {
    return systemClock.now() + this.seconds * 1_000;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal);
  }
}

/** LND has never heard of a payment whose invoice lives 600 s: it is held until then, and two minutes more for a clock that is wrong. */
async function releasedAfterExpiry(client: Buyer, clock: AheadClock, paymentHash: string): Promise<void> {
  for (const seconds of [0, 599, 700]) {
    clock.seconds = seconds;
    expect(await client.recover(), `after ${seconds} s`).toMatchObject({ failed: 0, stillUnknown: [{ paymentHash }] });
  }
  clock.seconds = 800;
  expect(await client.recover()).toMatchObject({ failed: 1, stillUnknown: [] });
}

describe("LND is killed while a payment is on its way", () => {
  test("it is started again in time: the waiting call gets what it paid for", async () => {
    const held = await hold(PRICE_MSAT);
    const shop = await shopOf(held);
    const call = buyer().fetch(shop.url);
    await held.arrived();
    await killNode("alice");
    await startNode("alice");
    await held.settle();
    expect(await (await call).text()).toBe("open");
    expect(await listed()).toHaveLength(1);
  });

  test("nobody releases the hold while it is down; it is booked when LND is back", async () => {
    const held = await hold(PRICE_MSAT);
    const shop = await shopOf(held);
    const client = buyer({ budgetSats: 1_000, paymentTimeoutMs: 5_000 });
    const call = expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown", paid: "unknown" });
    await held.arrived();
    await killNode("alice");
    await call;
    expect(await client.recover()).toMatchObject({ settled: 0, failed: 0, stillUnknown: [{ paymentHash: held.paymentHash }] });
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 60 });
    await startNode("alice");
    expect(await client.recover()).toMatchObject({ settled: 0, failed: 0, stillUnknown: [{ paymentHash: held.paymentHash }] });
    await held.settle();
    expect(await client.recover()).toMatchObject({ settled: 1, stillUnknown: [] });
    expect(await (await client.fetch(shop.url)).text()).toBe("open");
    expect(await listed()).toHaveLength(1);
  });

  test("carol refuses it after the restart: released, and bought anew", async () => {
    const held = await hold(PRICE_MSAT);
    const shop = await shopOf(held);
    const client = buyer({ budgetSats: 1_000, paymentTimeoutMs: 5_000 });
    const call = expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown" });
    await held.arrived();
    await killNode("alice");
    await call;
    await startNode("alice");
    await held.cancel();
    expect(await client.recover()).toMatchObject({ failed: 1, stillUnknown: [] });
    expect(await (await client.fetch(shop.url)).text()).toBe("open");
    expect((await listed()).map((payment) => payment.status)).toEqual(["FAILED", "SUCCEEDED"]);
  });

  test("a node that is starting is not paid with, which is certain, and a later call pays", async () => {
    const shop = await paywall(() => carol.invoice({ valueMsat: PRICE_MSAT }));
    const client = buyer({ budgetSats: 1_000 });
    await killNode("alice");
    await control("start", "alice");
    await until("a call is refused by the starting node", async () => {
      // Nothing is held by any of these, so that the purchase stays as it was.
      const refused = await client.fetch(shop.url).then(() => "paid", (error: { code: string; reason: string; message: string }) => `${error.code} ${error.reason} ${/LND says/.test(error.message) ? "by LND" : ""}`);
      expect(refused).toMatch(/^payment_failed unreachable/);
      return refused.endsWith("by LND");
    });
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
    await startNode("alice");
    expect((await client.fetch(shop.url)).status).toBe(200);
    expect(await listed()).toHaveLength(1);
  });
});

describe("our process is killed", () => {
  const children = new Set<ChildProcess>();
  afterEach(() => children.forEach((child) => child.kill("SIGKILL")));

  /** Starts a purchase in a process of its own, which kills itself at `step`. */
  function begin(url: string, path: string, step?: string): { kill(): Promise<void>; gone: Promise<unknown> } {
    const child = spawn(process.execPath, [fileURLToPath(new URL("./child.ts", import.meta.url)), url, path, ...(step === undefined ? [] : [step])], { stdio: "inherit", env: { ...process.env, NODE_OPTIONS: "" } });
    children.add(child);
    const gone = once(child, "exit").then(([, signal]) => expect(signal).toBe("SIGKILL"));
    return {
      gone,
      async kill() {
        child.kill("SIGKILL");
        await gone;
      },
    };
  }

  test("while the payment is in flight; carol takes it while nobody runs: found, booked and used", async () => {
    const [held, path] = [await hold(PRICE_MSAT), ledgerPath()];
    const shop = await shopOf(held);
    const first = begin(shop.url, path);
    await held.arrived();
    await first.kill();
    await held.settle();
    const client = buyer({ store: sqliteStore({ path }), budgetSats: 1_000 });
    expect(await client.recover()).toMatchObject({ settled: 1, failed: 0, stillUnknown: [] });
    const response = await client.fetch(shop.url);
    expect(await response.text()).toBe("open");
    expect(receiptOf(response)?.paymentHash).toBe(held.paymentHash);
    expect(await listed()).toHaveLength(1);
  });

  test("while the payment is in flight: it stays held, and is released when carol refuses it", async () => {
    const [held, path] = [await hold(PRICE_MSAT), ledgerPath()];
    const shop = await shopOf(held);
    const first = begin(shop.url, path);
    await held.arrived();
    await first.kill();
    const client = buyer({ store: sqliteStore({ path }), budgetSats: 1_000, paymentTimeoutMs: 5_000 });
    expect(await client.recover()).toMatchObject({ stillUnknown: [{ paymentHash: held.paymentHash }] });
    await expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown" });
    await held.cancel();
    expect(await client.recover()).toMatchObject({ failed: 1, stillUnknown: [] });
    expect(await (await client.fetch(shop.url)).text()).toBe("open");
    expect((await listed()).map((payment) => payment.status)).toEqual(["FAILED", "SUCCEEDED"]);
  });

  test.each(["challenge", "reserved", "queued", "settled", "redeemed"])("at Aperture, at the step %s: the next process pays what is not paid yet, and no more", async (step) => {
    const path = ledgerPath();
    const url = `${network.aperture}/weather/today`;
    await begin(url, path, step).gone;
    const client = buyer({ store: sqliteStore({ path }), budgetSats: 1_000 });
    expect(await client.recover()).toMatchObject({ stillUnknown: [] });
    expect((await client.fetch(url)).status).toBe(200);
    expect(await listed()).toMatchObject([{ status: "SUCCEEDED" }]);
  });

  test("when the dispatch was on record and nothing was sent: held until the invoice has expired, and then bought anew", async () => {
    const [path, invoice] = [ledgerPath(), await carol.invoice({ valueMsat: PRICE_MSAT, expirySeconds: 600 })];
    const shop = await shopOf(invoice);
    await begin(shop.url, path, "dispatched").gone;
    const later = new AheadClock();
    const client = buyer({ store: sqliteStore({ path }), clock: later, budgetSats: 1_000 });
    await releasedAfterExpiry(client, later, invoice.paymentHash);
    await leave(client);
    const next = buyer({ store: sqliteStore({ path }), budgetSats: 1_000 });
    expect(await (await next.fetch(shop.url)).text()).toBe("open");
    expect(await listed()).toMatchObject([{ status: "SUCCEEDED" }]);
  });
});

describe("words that are lost on the way to LND", () => {
  test("the answer of a payment is lost: it is looked up, and used", async () => {
    const line = await relay(alice.facts.url);
    const held = await hold(PRICE_MSAT);
    const shop = await shopOf(held);
    const client = buyer({ wallet: wallet({ url: line.url }) });
    line.mode = "lose-answers";
    const call = client.fetch(shop.url);
    await held.arrived();
    await held.settle();
    line.mode = "pass";
    line.cut();
    expect(await (await call).text()).toBe("open");
    expect(await rowsOf(client.store)).toMatchObject([{ state: "settled", resolution: "looked up at the wallet" }]);
    expect(await listed()).toHaveLength(1);
  });

  test("the request arrives long after the call gave up: not found proves nothing, and the late payment is booked", async () => {
    const line = await relay(alice.facts.url);
    const invoice = await carol.invoice({ valueMsat: PRICE_MSAT });
    const shop = await shopOf(invoice);
    const client = buyer({ wallet: wallet({ url: line.url }), budgetSats: 1_000, paymentTimeoutMs: 5_000 });
    line.mode = "keep-requests";
    const call = expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown", paid: "unknown" });
    await until("the request is on its way", async () => line.kept > 0);
    line.mode = "pass";
    await call;
    expect(await wallet().lookup?.({ paymentHash: invoice.paymentHash })).toEqual({ status: "not_found" } satisfies LookupResult);
    expect(await client.recover()).toMatchObject({ failed: 0, stillUnknown: [{ paymentHash: invoice.paymentHash }] });
    expect(await client.balance()).toMatchObject({ heldSats: 60 });
    line.deliver();
    await invoiceIs(invoice.paymentHash, "SETTLED");
    await until("LND lists it as paid", async () => (await listed())[0]?.status === "SUCCEEDED");
    expect(await client.recover()).toMatchObject({ settled: 1, stillUnknown: [] });
    expect(await (await client.fetch(shop.url)).text()).toBe("open");
    expect(await listed()).toHaveLength(1);
  });

  test("the request never arrives: it is held until the invoice has expired, and then released", async () => {
    const line = await relay(alice.facts.url);
    const invoice = await carol.invoice({ valueMsat: PRICE_MSAT, expirySeconds: 600 });
    const shop = await shopOf(invoice);
    const later = new AheadClock();
    const client = buyer({ wallet: wallet({ url: line.url }), budgetSats: 1_000, paymentTimeoutMs: 5_000, clock: later });
    line.mode = "keep-requests";
    const call = expect(client.fetch(shop.url)).rejects.toMatchObject({ code: "payment_unknown" });
    await until("the request is on its way", async () => line.kept > 0);
    line.mode = "pass";
    await call;
    line.cut();
    await releasedAfterExpiry(client, later, invoice.paymentHash);
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
    expect(await listed()).toEqual([]);
  });
});
