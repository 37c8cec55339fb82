/** The real client, buying from a paywall through a wallet, with books to compare. */
import { L402Client, type L402ClientOptions, type PaymentState, type Wallet } from "@l402-tools/core";
import { audit, createPaywall, type AuditReport, type Paywall } from "@l402-tools/testing";
import type { World } from "./fakes/world.ts";

export const PRICE_SATS = 100;
/** The fake money behind the wallets charges this. */
export const FEE_MSAT = 2_000n;

export interface Shop {
  readonly client: L402Client;
  readonly paywall: Paywall;
  /** Buys; the outcome in words. */
  buy(path?: string): Promise<{ outcome: "bought" } | { outcome: "refused"; code: string; paid: string; error: unknown }>;
  /** States of all payments on record, oldest first. */
  states(): Promise<PaymentState[]>;
  /** Fails where the books and the money differ. */
  agree(allowUnresolved?: boolean): Promise<AuditReport>;
}

export async function openShop(world: World, wallet: Wallet, options: Partial<L402ClientOptions> = {}): Promise<Shop> {
  const paywall = await createPaywall({ lightning: world.lightning, payee: world.payee, credential: "path", routes: { "/a": { priceSats: PRICE_SATS }, "/b": { priceSats: PRICE_SATS } }, listen: false });
  const client = new L402Client({ wallet, network: "regtest", fetch: paywall.fetch, budgetSats: 1_000, paymentTimeoutMs: 5_000, ...options });
  return {
    client,
    paywall,
    async buy(path = "/a") {
      try {
        const response = await client.fetch(paywall.url + path);
        await response.text();
        return { outcome: "bought" };
      } catch (error) {
        const { code, paid } = error as { code: string; paid: string };
        return { outcome: "refused", code, paid, error };
      }
    },
    async states() {
      const states: PaymentState[] = [];
      for await (const { state } of client.payments()) states.push(state);
      return states;
    },
    async agree(allowUnresolved = false) {
      world.lightning.assertConserved();
      if (world.lightning.doublePayments().length > 0) throw new Error("an invoice was paid twice");
      return audit({ lightning: world.lightning, client, allowUnresolved });
    },
  };
}
