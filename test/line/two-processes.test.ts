/** Two clients that share a ledger on disk, as two processes do, and buy the same thing at once. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { L402Client } from "@l402-tools/core";
import { sqliteStore } from "@l402-tools/stores/sqlite";
import { createLightning, createPaywall, type RouteOptions } from "@l402-tools/testing";
import { expect, onTestFinished, test } from "vitest";

async function two(route: RouteOptions) {
  const dir = mkdtempSync(join(tmpdir(), "l402-two-"));
  const lightning = createLightning();
  const wallet = lightning.wallet({ balanceSats: 10_000 });
  const total = lightning.totalMsat();
  const paywall = await createPaywall({ lightning, routes: { "/goods": { body: "goods", priceSats: 10, ...route } }, listen: false });
  let pay = (): void => {};
  const paying = new Promise<void>((resolve) => (pay = resolve));
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  const real = wallet.pay.bind(wallet);
  // The first payment waits at the wallet until both have asked.
  const gated = Object.assign(Object.create(wallet) as typeof wallet, {
    pay: async (request: Parameters<typeof real>[0]) => {
      pay();
      await gate;
      return real(request);
    },
  });
  const clients = [0, 1].map(() => new L402Client({ wallet: gated, network: "regtest", fetch: paywall.fetch, store: sqliteStore({ path: join(dir, "ledger.db") }), budgetSats: 100, maxFee: { sats: 0 } }));
  onTestFinished(async () => {
    for (const client of clients) await client.close();
    rmSync(dir, { recursive: true, force: true });
    expect(lightning.totalMsat()).toBe(total);
    expect(lightning.doublePayments()).toEqual([]);
  });
  return { wallet, paywall, clients: clients as [L402Client, L402Client], paying, release };
}

const url = "https://paywall.example/goods";

test.each([
  { credential: "single-use" as const, payments: 2 },
  { credential: "service" as const, payments: 1 },
])("$credential: the one that waits gets the goods too, for $payments payments in all", async ({ credential, payments }) => {
  const { clients: [first, second], paywall, wallet, paying, release } = await two({ credential });
  const one = first.fetch(url);
  await paying;
  const other = second.fetch(url);
  while (paywall.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
  release();
  const responses = await Promise.all([one, other]);
  expect(responses.map(({ status }) => status)).toEqual([200, 200]);
  expect(await Promise.all(responses.map((response) => response.text()))).toEqual(["goods", "goods"]);
  expect(wallet.payCalls()).toBe(payments);
  for (const client of [first, second]) expect(await client.balance()).toMatchObject({ spentSats: 10 * payments, heldSats: 0 });
});

test("under one idempotency key the one that waits is told that its purchase was delivered, and pays nothing", async () => {
  const { clients: [first, second], paywall, wallet, paying, release } = await two({ credential: "single-use" });
  const one = first.fetch(url, { idempotencyKey: "key" });
  await paying;
  const other = second.fetch(url, { idempotencyKey: "key" }).catch((error: unknown) => error);
  while (paywall.requests.length < 1) await new Promise((resolve) => setImmediate(resolve));
  release();
  expect((await one).status).toBe(200);
  expect(await other).toMatchObject({ code: "credential_rejected", paid: "yes" });
  expect(wallet.payCalls()).toBe(1);
});
