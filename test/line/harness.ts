/** What the tests of the line share: a simulated network, a paywall, and a client between them. */
import { L402Client, type L402ClientOptions, type L402Event, type PaymentRecord } from "@l402-tools/core";
import { createLightning, createPaywall, createTestClock, fetchOf, type Lightning, type Paywall, type PaywallOptions, type SimWallet, type SimWalletOptions, type TestClock } from "@l402-tools/testing";
import { expect, onTestFinished } from "vitest";

// The part that pays is loaded when the first 402 comes. Here it is loaded before, since no manual clock waits for a file.
await new L402Client({ wallet: { payInvoice: () => Promise.reject(new Error("nothing to pay")) } }).recover();

export interface World {
  readonly lightning: Lightning;
  readonly wallet: SimWallet;
  readonly paywall: Paywall;
  readonly clock: TestClock;
  readonly events: L402Event[];
  client(options?: Partial<L402ClientOptions>): L402Client;
}

/** A world on a manual clock, without sockets: every wait is a step of the test. */
export async function world(routes: PaywallOptions["routes"], options: { paywall?: Partial<PaywallOptions>; wallet?: SimWalletOptions } = {}): Promise<World> {
  const clock = createTestClock();
  const lightning = createLightning({ clock, seed: "test" });
  const wallet = lightning.wallet({ balanceSats: 1_000_000, ...options.wallet });
  const paywall = await createPaywall({ lightning, routes, listen: false, ...options.paywall });
  const total = lightning.totalMsat();
  onTestFinished(() => {
    // The sum of all money is constant, and no invoice was paid twice.
    expect(lightning.totalMsat()).toBe(total);
    expect(lightning.doublePayments()).toEqual([]);
  });
  const events: L402Event[] = [];
  return {
    lightning, wallet, paywall, clock, events,
    client: (own = {}) => new L402Client({ wallet, network: "regtest", clock, fetch: fetchOf(paywall), onEvent: (event) => events.push(event), ...own }),
  };
}

export async function all(client: L402Client): Promise<PaymentRecord[]> {
  const found: PaymentRecord[] = [];
  for await (const payment of client.payments()) found.push(payment);
  return found;
}

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  return call.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => error as Error & Record<string, unknown>,
  );
}
