/**
 * The world of this example, in the server's memory: a Lightning network, a shop behind a paywall on a loopback port, a wallet, and
 * the client that spends from it. With a real wallet, only the client is left of it.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { L402Client } from "@l402-tools/core";
import { createLightning, createPaywall, type Lightning, type Paywall, type SimWallet } from "@l402-tools/testing";
import { catalogue } from "./catalogue";
import type { Budget } from "./messages";

export const BUDGET_SATS = 300;
export const ASK_ABOVE_SATS = 20;

export interface World {
  /** A new one at each start of the server: what a browser kept from an earlier one is worth nothing. */
  readonly id: string;
  readonly lightning: Lightning;
  readonly wallet: SimWallet;
  readonly shop: Paywall;
  readonly client: L402Client;
  /** Signs the questions that the page answers. */
  readonly secret: string;
  budget(): Promise<Budget>;
  /** Told whenever money was held, spent or released. Returns how to stop it. */
  watch(listener: (budget: Budget) => void): () => void;
}

async function createWorld(): Promise<World> {
  const lightning = createLightning();
  const wallet = lightning.wallet({
    balanceSats: 5_000,
    feeMsat: (amountMsat) => 1_000n + (amountMsat / 100_000n) * 1_000n,
    delayMs: Number(process.env.CHAT_PAYMENT_MS ?? 900),
  });
  const routes = Object.fromEntries(catalogue.map(({ path, priceSats, memo, body }) => [path, { priceSats, description: memo, body }]));
  const shop = await createPaywall({ lightning, name: "harbour-data", credential: "single-use", routes });

  // What lasts no longer than a glance, such as the hold while a price is asked, is not told.
  const listeners = new Set<(budget: Budget) => void>();
  let telling: NodeJS.Timeout | undefined;
  const tell = async (): Promise<void> => {
    telling = undefined;
    const now = await budget();
    for (const listener of listeners) listener(now);
  };
  const client = new L402Client({
    wallet,
    network: "regtest",
    budgetSats: BUDGET_SATS,
    approveAbove: ASK_ABOVE_SATS,
    onEvent: () => void (telling ??= setTimeout(tell, 80)),
  });

  const budget = async (): Promise<Budget> => {
    const { totalSats, spentSats, heldSats, remainingSats } = await client.balance();
    const receipts = (client.spendingReport()?.transactions ?? []).map(({ url, sats, feeSats, ts, paymentHash }) => ({ path: new URL(url).pathname, sats: sats - feeSats, feeSats, at: ts, paymentHash }));
    return { totalSats: totalSats ?? 0, spentSats, heldSats, remainingSats: remainingSats ?? 0, receipts };
  };

  return {
    id: randomUUID(),
    lightning,
    wallet,
    shop,
    client,
    secret: randomBytes(32).toString("hex"),
    budget,
    watch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

// Routes are bundled apart, and reloaded while one develops; what they share lives beside them.
const shared = globalThis as { l402ChatWorld?: Promise<World> };

export function getWorld(): Promise<World> {
  return (shared.l402ChatWorld ??= createWorld());
}
