/** A service, its wallet and an invoice, for tests of single answers. */
import type { PayRequest, Wallet } from "@l402-tools/core";
import type { IssuedInvoice } from "@l402-tools/testing";
import { onTestFinished } from "vitest";
import type { FakeServer } from "./server.ts";
import { createWorld, type World } from "./world.ts";

export interface Setup<F extends FakeServer, W extends Wallet> {
  readonly world: World;
  readonly server: F;
  readonly wallet: W;
  readonly invoice: IssuedInvoice;
  readonly preimage: string;
  request(fields?: Partial<PayRequest>): PayRequest;
}

export const AMOUNT_MSAT = 100_000n;

export async function setUp<F extends FakeServer, W extends Wallet>(fake: (world: World) => Promise<F>, make: (url: string) => W): Promise<Setup<F, W>> {
  const world = createWorld({ feeLimit: "none" });
  const server = await fake(world);
  const wallet = make(server.url);
  onTestFinished(async () => {
    await wallet.close?.();
    await server.close();
  });
  const invoice = world.payee.invoice({ amountMsat: AMOUNT_MSAT });
  return {
    world,
    server,
    wallet,
    invoice,
    preimage: world.payee.preimageOf(invoice.paymentHash),
    request: (fields = {}) => ({ ...requestOf(invoice), ...fields }),
  };
}

export function requestOf(invoice: IssuedInvoice): PayRequest {
  return { invoice: invoice.invoice, paymentHash: invoice.paymentHash, amountMsat: invoice.amountMsat ?? 0n, maxFeeMsat: 10_000n, deadline: Date.now() + 20_000, attemptId: "attempt-1" };
}
