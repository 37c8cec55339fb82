import { isL402Error, L402Client, memoryStore } from "@l402-tools/core";
import { expect, test } from "vitest";
import { audit, createLightning, createPaywall, createTestClock, watchSpending } from "../src/index.ts";

test("the engine buys over a socket, and the books are right", async () => {
  const lightning = createLightning();
  const wallet = lightning.wallet({ balanceSats: 1_000, feeMsat: 123n });
  await using paywall = await createPaywall({ lightning, routes: { "/weather": { priceSats: 10, body: "sunny" } } });
  await using client = new L402Client({ wallet, network: "regtest", budgetSats: 100 });
  for (let i = 0; i < 3; i += 1) expect(await (await client.fetch(`${paywall.url}/weather`)).text()).toBe("sunny");
  expect(await audit({ lightning, client })).toMatchObject({ settledMsat: 10_123n, walletSpentMsat: 10_123n, payments: 1 });
  expect(client.spendingReport()).toMatchObject({ total: 11, remaining: 89 });
});

test("in virtual time, without a socket: an hour of a wallet that answers late takes no time", async () => {
  const clock = createTestClock();
  const lightning = createLightning({ clock, seed: "engine" });
  const store = memoryStore({ clock });
  const wallet = lightning.wallet({ balanceSats: 1_000, behave: "timeout-after-pay", lookupLag: 2 });
  const watch = watchSpending({ wallets: [wallet], store, limitMsat: 50_000n });
  const paywall = await createPaywall({ lightning, listen: false, routes: { "/weather/*": { priceSats: 10, credential: "single-use" } } });
  const client = new L402Client({ wallet, store, clock, network: "regtest", fetch: paywall.fetch, budgetSats: 50, maxFee: { sats: 0, percent: 0 } });
  const codes: (string | number)[] = [];
  for (let i = 0; i < 8; i += 1) {
    const outcome = await clock.run(client.fetch(`${paywall.url}/weather/${i}`).then((response) => response.status, (error: unknown) => (isL402Error(error) ? error.code : String(error))));
    codes.push(outcome);
  }
  for (let unknown = 1; unknown > 0; await clock.advance(60_000)) unknown = (await clock.run(client.recover())).stillUnknown.length;
  await watch.done();
  expect(codes.filter((code) => code === "budget_exceeded")).toHaveLength(3);
  expect(await audit({ lightning, store })).toMatchObject({ walletSpentMsat: 50_000n });
});
