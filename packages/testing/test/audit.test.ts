import { memoryStore } from "@l402-tools/core";
import { expect, test } from "vitest";
import { audit, createLightning, createTestClock, watchSpending, type Lightning, type SimWallet } from "../src/index.ts";
import { fixtureOf, type StoreFixture } from "../src/contracts/store-fixture.ts";
import { requestFor } from "./buying.ts";

function world(): { lightning: Lightning; wallet: SimWallet; books: StoreFixture } {
  const clock = createTestClock();
  const lightning = createLightning({ clock, seed: "audit" });
  return { lightning, wallet: lightning.wallet({ balanceSats: 1_000, feeMsat: 7n }), books: fixtureOf(memoryStore({ clock }), clock) };
}

/** Books, pays, books; `fee` is what is booked. */
async function spend({ lightning, wallet, books }: ReturnType<typeof world>, fee = 7n): Promise<string> {
  const invoice = lightning.node("payee").invoice({ amountMsat: 10_000n });
  const { hash } = await books.send({ paymentHash: invoice.paymentHash, amount: 10_000n, fee: 10n });
  const result = await wallet.pay(requestFor(invoice));
  if (result.status === "settled") await books.store.settle(hash, { preimage: result.preimage, feeMsat: fee, resolution: "paid" });
  return hash;
}

test("books that tell the truth pass, with their numbers", async () => {
  const scene = world();
  const watch = watchSpending({ wallets: [scene.wallet], store: scene.books.store, limitMsat: 30_030n });
  for (let i = 0; i < 3; i += 1) await spend(scene);
  expect(await audit({ ...scene, store: scene.books.store })).toEqual({ settledMsat: 30_021n, heldMsat: 0n, walletSpentMsat: 30_021n, walletInFlightMsat: 0n, payments: 3, unresolved: 0 });
  await watch.done();
  expect(watch.checks).toBe(6);
});

test("a payment that is not resolved passes only when it may", async () => {
  const scene = world();
  scene.wallet.next("unknown-after-pay");
  await spend(scene);
  const options = { ...scene, store: scene.books.store };
  await expect(audit(options)).rejects.toThrow("not resolved");
  expect(await audit({ ...options, allowUnresolved: true })).toMatchObject({ settledMsat: 0n, heldMsat: 10_010n, walletSpentMsat: 10_007n, unresolved: 1 });
});

test("a fee that is booked wrongly is found", async () => {
  const scene = world();
  await spend(scene, 6n);
  await expect(audit({ ...scene, store: scene.books.store })).rejects.toThrow("booked otherwise");
});

test("a hold that was released without proof is found, at once and afterwards", async () => {
  const scene = world();
  const watch = watchSpending({ wallets: [scene.wallet], store: scene.books.store });
  scene.wallet.next("in-flight-then-settle");
  const hash = await spend(scene);
  await scene.books.store.fail(hash, 1, "a timeout is no proof");
  await scene.books.clock.advance(10_000);
  await expect(watch.done()).rejects.toThrow("are spent");
  await expect(audit({ ...scene, store: scene.books.store })).rejects.toThrow("booked as failed");
});

test("a payment past the books, and one that was never made, are found", async () => {
  const past = world();
  await past.wallet.pay(requestFor(past.lightning.node("payee").invoice({ amountMsat: 1_000n })));
  await expect(audit({ ...past, store: past.books.store })).rejects.toThrow("not on record");
  const never = world();
  await never.books.buy();
  await expect(audit({ ...never, store: never.books.store })).rejects.toThrow("booked otherwise");
});

test("a double payment is found", async () => {
  const scene = world();
  await spend(scene);
  scene.wallet.forget();
  const [payment] = scene.wallet.payments;
  const invoice = scene.lightning.find(payment?.invoice ?? "");
  if (invoice !== undefined) await scene.wallet.pay(requestFor(invoice));
  await expect(audit({ ...scene, store: scene.books.store })).rejects.toThrow("more than once");
});
