/** Whatever servers and wallets do: a tool answers with a result, and what it says of the money is what happened to it. */
import { fetchTool, quoteTool } from "@l402-tools/core/tools";
import { behaviours, misbehaviours, type BehaviourName, type MisbehaviourName } from "@l402-tools/testing";
import { describe, expect, test } from "vitest";
import { world } from "../line/harness.ts";

const servers = Object.keys(misbehaviours) as MisbehaviourName[];
const wallets = [...(Object.keys(behaviours) as BehaviourName[]), "fail:no_route", "fail:unauthorized"] as BehaviourName[];
/** Wallets whose word is false; the result can be no truer than it. */
const LIARS = new Set<string>(["lie-failed-but-paid", "lie-failed-pays-later", "lie-settled-unpaid"]);

async function buy(misbehave: MisbehaviourName | undefined, behave: BehaviourName | undefined): Promise<void> {
  const routes = { "/it": { priceSats: 10, body: "goods", headers: { "content-type": "text/plain" }, ...(misbehave === undefined ? {} : { misbehave: { name: misbehave, to: "/else" } }) }, "/else": { body: "else" } };
  const it = await world(routes, { wallet: { ...(behave === undefined ? {} : { behave }), feeMsat: 1_000n } });
  const client = it.client({ budgetSats: 15, maxFee: { sats: 3 } });
  const tool = fetchTool(client, { unguarded: true, clock: it.clock, maxBytes: 10_000 });
  for (let call = 0; call < 3; call += 1) {
    const before = it.wallet.spentMsat;
    const result = await it.clock.run(tool.execute({ url: `${it.paywall.url}/it` }, { idempotencyKey: `call-${call}` }));
    const text = tool.renderForModel(result);
    const moved = it.wallet.spentMsat - before;
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
    expect(text).toMatch(/^(\[Paid \d+ sats\] HTTP \d{3}|HTTP \d{3}|\[Not paid\] |\[Paid( \d+ sats)? for this purchase\] |\[Payment unknown: (up to \d+ sats|money) may have been spent\] )/);
    if (behave !== undefined && LIARS.has(behave)) continue;
    if (behave !== "overcharge") expect(it.wallet.spentMsat).toBeLessThanOrEqual(15_000n);
    if (text.startsWith("[Not paid]")) expect(moved).toBe(0n);
    if (result.paidSats > 0 && result.status !== null && behave !== "overcharge") expect(moved).toBe(11_000n);
    if (text.startsWith("HTTP")) expect(moved).toBe(0n);
    if (moved > 0n) expect(result.paidSats > 0 || result.error?.paid === "unknown" || result.error?.paid === "yes").toBe(true);
    if (result.error?.paid === "unknown") expect(result.heldSats).toBeGreaterThanOrEqual(10);
    const secrets = it.paywall.sales.flatMap((sale) => [it.paywall.payee.preimageOf(sale.paymentHash), sale.invoice]);
    for (const secret of secrets) expect(text + JSON.stringify(result)).not.toContain(secret);
  }
  const quote = quoteTool(client, { unguarded: true });
  expect(quote.renderForModel(await it.clock.run(quote.execute({ url: `${it.paywall.url}/it` })))).toMatch(/^\[Not paid\] /);
}

describe("servers", () => {
  test.each(servers)("%s", (name) => buy(name, undefined));
});
describe("wallets", () => {
  test.each(wallets)("%s", (name) => buy(undefined, name));
});

test("a payment that ends while its caller waits is told as it ended, also if the background look-up saw it first", async () => {
  const it = await world({ "/it": { priceSats: 10 } }, { wallet: { behave: "in-flight-then-fail" } });
  const tool = fetchTool(it.client({ budgetSats: 15, maxFee: { sats: 3 } }), { unguarded: true, clock: it.clock });
  for (let call = 0; call < 3; call += 1) {
    const result = await it.clock.run(tool.execute({ url: `${it.paywall.url}/it` }, { idempotencyKey: `call-${call}` }));
    expect(result.error).toMatchObject({ code: "payment_failed", paid: "no" });
  }
  expect(it.clock.now() - 1_800_000_000_000).toBeLessThan(40_000);
});
