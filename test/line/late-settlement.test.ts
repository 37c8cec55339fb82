/** Payments that turn out to be paid while another call for the same thing is on its way to buy it. */
import { fetchOf } from "@l402-tools/testing";
import { expect, test } from "vitest";
import { all, failure, world } from "./harness.ts";

test("an open payment that is settled between the next call's challenge and its reservation is used, and nothing is bought anew", async () => {
  const { client: make, paywall, wallet, clock } = await world({ "/held": { priceSats: 10 } });
  let meanwhile: (() => Promise<unknown>) | undefined;
  const transport = fetchOf(paywall);
  const client = make({
    paymentTimeoutMs: 5_000,
    fetch: async (input, init) => {
      const response = await transport(input, init);
      await meanwhile?.();
      meanwhile = undefined;
      return response;
    },
  });
  wallet.next("hang-in-flight");
  const first = failure(client.fetch(`${paywall.url}/held`));
  await clock.advance(6_000);
  expect(await first).toMatchObject({ code: "payment_unknown" });
  const [sale] = paywall.sales;
  meanwhile = async () => {
    wallet.settle(sale?.paymentHash as string);
    expect(await client.recover()).toMatchObject({ settled: 1 });
  };
  expect((await client.fetch(`${paywall.url}/held`)).status).toBe(200);
  expect(paywall.paidSales).toHaveLength(1);
  expect((await all(client)).map((payment) => payment.state)).toEqual(["settled", "voided"]);
});
