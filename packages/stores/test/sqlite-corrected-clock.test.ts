/** A clock that ran ahead and was set right stops no purchase: an invoice lives by the clock, windows by the ledger's time. */
import { expect, test } from "vitest";
import { createLightning, createPaywall } from "@l402-tools/testing";
import { L402Client } from "@l402-tools/core";
import { sqliteStore } from "../src/sqlite/index.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();

test("three hours ahead, a purchase, set right, another purchase", async () => {
  let ahead = 3 * 3_600_000;
  const clock = { now: () => 1_800_000_000_000 + ahead, sleep: (_: number, signal?: AbortSignal) => new Promise<void>((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error))) };
  const lightning = createLightning({ clock });
  const paywall = await createPaywall({ lightning, listen: false, credential: "path", routes: { "/1": { priceSats: 10 }, "/2": { priceSats: 10 } } });
  const store = sqliteStore({ path: `${folder}/ledger.db`, clock });
  const client = new L402Client({ wallet: lightning.wallet({ balanceSats: 1_000 }), store, clock, network: "regtest", fetch: paywall.fetch, budgetSats: 100, credentialScope: "path" });
  expect((await client.fetch(`${paywall.url}/1`)).status).toBe(200);
  ahead = 0;
  expect((await client.fetch(`${paywall.url}/2`)).status).toBe(200);
  expect(await client.balance()).toMatchObject({ spentSats: 20, heldSats: 0 });
  lightning.assertConserved();
  await client.close();
  await store.close();
});
