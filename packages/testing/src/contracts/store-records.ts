import assert from "node:assert/strict";
import type { Store } from "@l402-tools/core";
import type { ContractCase } from "./case.ts";
import { listOf, preimageFor, storeCase, type MakeStore } from "./store-fixture.ts";

type Query = Parameters<Store["credential"]>[0];
const HERE: Query = { budgetId: "default", origin: "https://api.example.com", method: "GET", path: "/a", anyPath: false };
const ANY: Query = { ...HERE, anyPath: true };
const at = (path: string): { url: string } => ({ url: `https://api.example.com${path}` });

export const recordCases: readonly ContractCase<MakeStore>[] = [
  storeCase("payments: oldest first, of one budget, filtered", async ({ store, clock, reserve, send, buy }) => {
    const first = await buy(at("/1"));
    await clock.advance(10);
    const since = clock.now();
    const second = (await send({ url: "https://b.example.com/" })).hash;
    await clock.advance(10);
    const third = (await reserve(at("/3"))).hash;
    const other = (await reserve({ budgetId: "other" })).hash;
    const hashes = async (filter?: Parameters<Store["payments"]>[1]): Promise<string[]> => (await listOf(store.payments("default", filter))).map((row) => row.paymentHash);
    assert.deepEqual(await hashes(), [first, second, third]);
    assert.deepEqual(await hashes({ state: "settled" }), [first]);
    assert.deepEqual(await hashes({ state: ["reserved", "sending"] }), [second, third]);
    assert.deepEqual(await hashes({ state: [] }), []);
    assert.deepEqual(await hashes({ host: "b.example.com" }), [second]);
    assert.deepEqual(await hashes({ since }), [second, third]);
    assert.deepEqual(await hashes({ since, host: "api.example.com", state: "reserved" }), [third]);
    assert.deepEqual((await listOf(store.payments("other"))).map((row) => row.paymentHash), [other]);
    assert.deepEqual(await listOf(store.payments("nobody")), []);
  }),

  storeCase("payments: may be left early, and written to meanwhile", async ({ store, reserve }) => {
    const hashes = [];
    for (let i = 0; i < 30; i += 1) hashes.push((await reserve()).hash);
    for await (const row of store.payments("default")) {
      assert.equal(row.paymentHash, hashes[0]);
      break;
    }
    const seen: string[] = [];
    for await (const row of store.payments("default", { state: "reserved" })) {
      seen.push(row.paymentHash);
      await store.void(row.paymentHash, "left");
    }
    assert.deepEqual(seen, hashes);
  }),

  storeCase("purchase: by key whatever its state, by request while unresolved", async ({ store, send }) => {
    const { hash } = await send({ requestKey: "request", idempotencyKey: "key", callKey: "call" });
    const byKey = { idempotencyKey: "key" };
    const byRequest = { requestKey: "request" };
    assert.equal((await store.purchase("default", byKey))?.paymentHash, hash);
    assert.equal((await store.purchase("default", byKey))?.callKey, "call");
    assert.equal((await store.purchase("default", byRequest))?.paymentHash, hash);
    assert.equal(await store.purchase("other", byKey), undefined);
    assert.equal(await store.purchase("other", byRequest), undefined);
    assert.equal(await store.purchase("default", { idempotencyKey: "request" }), undefined);
    await store.fail(hash, 1, "no route");
    assert.equal((await store.purchase("default", byKey))?.state, "failed");
    assert.equal(await store.purchase("default", byRequest), undefined);
  }),

  storeCase("link: another key's purchase is this payment as well", async ({ store, reserve, buy }) => {
    const hash = await buy({ idempotencyKey: "key-1", callKey: "call-1" });
    assert.equal(await store.link("default", "key-2", "call-2", hash), true);
    const linked = await store.purchase("default", { idempotencyKey: "key-2" });
    assert.equal(linked?.paymentHash, hash);
    assert.equal(linked?.callKey, "call-2");
    assert.equal((await store.purchase("default", { idempotencyKey: "key-1" }))?.callKey, "call-1");
    assert.equal((await reserve({ idempotencyKey: "key-2" })).status, "purchase");
    assert.equal(await store.link("default", "key-2", "call-2", hash), true, "again is fine");
  }),

  storeCase("link: not over a purchase that is made, but over one that came to nothing", async ({ store, reserve, buy }) => {
    const bought = await buy({ idempotencyKey: "made" });
    const waiting = (await reserve({ idempotencyKey: "waiting" })).hash;
    const gone = (await reserve({ idempotencyKey: "gone" })).hash;
    await store.void(gone, "left");
    const other = await buy();
    assert.equal(await store.link("default", "made", "call", other), false);
    assert.equal(await store.link("default", "waiting", "call", other), false);
    assert.equal(await store.link("default", "gone", "call", other), true);
    assert.equal((await store.purchase("default", { idempotencyKey: "made" }))?.paymentHash, bought);
    assert.equal((await store.purchase("default", { idempotencyKey: "waiting" }))?.paymentHash, waiting);
    assert.equal((await store.purchase("default", { idempotencyKey: "gone" }))?.paymentHash, other);
  }),

  storeCase("credential: there in the same write that settles, byte for byte", async ({ store, clock, send }) => {
    const { hash } = await send({ ...at("/a"), scheme: "LSAT", credential: "AgEE+/ab==" });
    assert.equal(await store.credential(HERE), undefined);
    await store.settle(hash, { preimage: preimageFor(hash), feeMsat: 0n, resolution: "paid" });
    assert.deepEqual(
      { ...(await store.credential(HERE)) },
      { paymentHash: hash, origin: HERE.origin, method: "GET", path: "/a", scheme: "LSAT", credential: "AgEE+/ab==", preimage: preimageFor(hash), settledAt: clock.now() },
    );
  }),

  storeCase("credential: none without a preimage; one for late proof", async ({ store, send }) => {
    const byHand = await send(at("/a"));
    await store.settle(byHand.hash, { preimage: null, feeMsat: 0n, resolution: "by hand" });
    assert.equal(await store.credential(HERE), undefined);
    const late = await send(at("/a"));
    await store.fail(late.hash, 1, "no route");
    await store.settle(late.hash, { preimage: preimageFor(late.hash), feeMsat: 0n, resolution: "paid after all" });
    assert.equal((await store.credential(HERE))?.paymentHash, late.hash);
  }),

  storeCase("credential: the newest of the exact method and path", async ({ store, clock, buy }) => {
    await buy(at("/a"));
    await clock.advance(10);
    const newest = await buy(at("/a?other=query"));
    await buy({ ...at("/a"), method: "POST" });
    await buy(at("/a/b"));
    assert.equal((await store.credential(HERE))?.paymentHash, newest);
  }),

  storeCase("credential: never of another origin, method, path or budget", async ({ store, buy }) => {
    for (const url of ["http://api.example.com/a", "https://api.example.com:8443/a", "https://example.com/a", "https://api.example.com/b"]) {
      await store.accepted(await buy({ url }));
    }
    await buy({ ...at("/a"), method: "POST" });
    await buy({ ...at("/a"), budgetId: "other" });
    assert.equal(await store.credential(HERE), undefined);
  }),

  storeCase("credential: anyPath offers an accepted one of the origin, after those of the path", async ({ store, clock, buy }) => {
    const other = await buy(at("/b"));
    assert.equal(await store.credential(ANY), undefined, "it was not accepted yet");
    await store.accepted(other);
    const offered = await store.credential(ANY);
    assert.equal(offered?.paymentHash, other);
    assert.equal(offered?.acceptedAt, clock.now());
    assert.equal(await store.credential(HERE), undefined);
    assert.equal((await store.credential({ ...ANY, method: "POST" }))?.paymentHash, other);
    assert.equal(await store.credential({ ...ANY, origin: "http://api.example.com" }), undefined);
    assert.equal(await store.credential({ ...ANY, budgetId: "other" }), undefined);
    await clock.advance(10);
    const newer = await buy(at("/c"));
    await store.accepted(newer);
    assert.equal((await store.credential(ANY))?.paymentHash, newer);
    const own = await buy(at("/a"));
    await store.accepted(newer);
    assert.equal((await store.credential(ANY))?.paymentHash, own);
  }),

  storeCase("credential: one that was refused for a method and path is not tried there again", async ({ store, buy }) => {
    const hash = await buy(at("/b"));
    await store.accepted(hash);
    await store.refused(hash, { method: "GET", path: "/a" });
    assert.equal(await store.credential(ANY), undefined);
    assert.equal((await store.credential({ ...ANY, method: "POST" }))?.paymentHash, hash);
    assert.equal((await store.credential({ ...ANY, path: "/c" }))?.paymentHash, hash);
    assert.equal((await store.credential({ ...HERE, path: "/b" }))?.paymentHash, hash);
    await store.refused(hash, { method: "GET", path: "/b" });
    assert.equal(await store.credential({ ...HERE, path: "/b" }), undefined);
  }),

  storeCase("credential: an older one is left when the newest was refused", async ({ store, clock, buy }) => {
    const older = await buy(at("/a"));
    await clock.advance(10);
    const newer = await buy(at("/a"));
    await store.refused(newer, { method: "GET", path: "/a" });
    assert.equal((await store.credential(HERE))?.paymentHash, older);
    await store.refused(older, { method: "GET", path: "/a" });
    assert.equal(await store.credential(HERE), undefined);
  }),

  storeCase("credential: none of those to be left out", async ({ store, clock, buy }) => {
    const older = await buy(at("/a"));
    await clock.advance(10);
    const newer = await buy(at("/a"));
    const elsewhere = await buy(at("/b"));
    await store.accepted(elsewhere);
    const except = (...hashes: string[]): Query => ({ ...ANY, except: new Set(hashes) });
    assert.equal((await store.credential(except(newer)))?.paymentHash, older);
    assert.equal((await store.credential(except(newer, older)))?.paymentHash, elsewhere);
    assert.equal(await store.credential(except(newer, older, elsewhere)), undefined);
  }),

  storeCase("credential: accepted is on the payment's record", async ({ store, clock, buy, payment }) => {
    const hash = await buy(at("/a"));
    assert.equal((await payment(hash)).acceptedAt, undefined);
    await clock.advance(10);
    await store.accepted(hash);
    assert.equal((await payment(hash)).acceptedAt, clock.now());
    assert.equal((await store.credential(HERE))?.acceptedAt, clock.now());
    await store.accepted("00".repeat(32));
    await store.refused("00".repeat(32), { method: "GET", path: "/a" });
  }),
];
