import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { createLightning, createPaywall, createTestClock, type Paywall, type SimWallet } from "../src/index.ts";

export async function buy(paywall: Paywall, wallet: SimWallet, path: string, fetch_ = fetch) {
  const first = await fetch_(paywall.url + path);
  const header = first.headers.get("www-authenticate")!;
  const [, macaroon, invoice] = /L402 macaroon="([^"]+)", invoice="([^"]+)"/.exec(header)!;
  const { preimage } = await wallet.asSimple().payInvoice(invoice!);
  return fetch_(paywall.url + path, { headers: { authorization: `L402 ${macaroon}:${preimage}` } });
}
test("buys over a socket", async () => {
  const lightning = createLightning({ clock: createTestClock(), seed: "x" });
  const wallet = lightning.wallet({ balanceSats: 1000 });
  await using paywall = await createPaywall({ lightning, name: "weather", routes: { "/weather": { priceSats: 10, body: { sunny: true } }, "/free": {} } });
  expect((await fetch(paywall.url + "/free")).status).toBe(200);
  const response = await buy(paywall, wallet, "/weather");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ sunny: true });
  const again = await buy(paywall, wallet, "/weather", paywall.fetch);
  expect(again.status).toBe(200);
  expect(wallet.spentMsat).toBe(20000n);
  lightning.assertConserved();
  void createHash;
});
