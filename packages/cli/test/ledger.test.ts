/** What the commands say of a ledger, and how open payments come to an end. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { NewPayment } from "@l402-tools/core";
import { sqliteStore } from "@l402-tools/stores/sqlite";
import { describe, expect, test } from "vitest";
import { createPlace, isAskedToPay, until, type Ended, type Place } from "./run.ts";

const WEATHER = { "/weather": { priceSats: 10, body: { sunny: true } } };
const NO_WALLET = { PHOENIXD_PASSWORD: undefined, PHOENIXD_URL: undefined };
const READING = [["report"], ["payments"], ["holds"], ["credentials", "list"], ["verify"]] as const;

const parsed = ({ stdout }: Ended): Record<string, unknown> & { holds: Record<string, unknown>[]; payments: Record<string, unknown>[]; credentials: Record<string, unknown>[]; open: Record<string, unknown>[] } =>
  JSON.parse(stdout) as never;

test("the reading commands work without a wallet, and make no ledger", async () => {
  const place = await createPlace(WEATHER);
  const others = [["recover"], ["resolve", "ab".repeat(32), "failed", "--why", "x"], ["credentials", "remove", "ab".repeat(32)], ["resume", "--why", "x"], ["accept-restored", "--why", "x"]];
  for (const args of [...READING, ...others]) {
    const ended = await place.run(args);
    expect(ended, args.join(" ")).toMatchObject({ code: 7, stdout: "" });
    expect(ended.stderr).toContain(`There is no ledger at ${place.ledger}, and none was made.`);
    expect(await place.run(args, { env: { L402_LEDGER: undefined } }), args.join(" ")).toMatchObject({ code: 2, stdout: "" });
  }
  await expect(stat(place.ledger)).rejects.toThrow("ENOENT");

  await place.file("empty.db", "");
  expect(await place.run(["report", "--ledger", "empty.db"])).toMatchObject({ code: 7 });
  expect((await stat(join(place.dir, "empty.db"))).size).toBe(0);

  expect(await place.run(["fetch", `${place.paywall.url}/weather`])).toMatchObject({ code: 0 });
  for (const args of READING) expect(await place.run(args, { env: NO_WALLET }), args.join(" ")).toMatchObject({ code: 0, stderr: "" });
});

test("report: sums, hosts and limits, for people and for programs", async () => {
  const place = await createPlace(WEATHER);
  await place.run(["fetch", `${place.paywall.url}/weather`]);
  const env = { ...NO_WALLET, BUDGET_SATS: "100", BUDGET_PER_DOMAIN: "127.0.0.1=40, api.example.com=7" };
  expect(parsed(await place.run(["report"], { env }))).toMatchObject({
    ledger: place.ledger,
    budgetId: "default",
    totalSats: 100,
    spentSats: 12,
    heldSats: 0,
    remainingSats: 88,
    byDomain: { "127.0.0.1": { spentSats: 12, remainingSats: 28 }, "api.example.com": { spentSats: 0, remainingSats: 7 } },
    open: { payments: 0, heldSats: 0 },
    paused: null,
    unsafe: null,
  });
  const { stdout } = await place.run(["report", "--table"], { env });
  expect(stdout).toBe(`Budget default
Spent      12 sats
Held       0 sats
Remaining  88 of 100 sats

SPENT  HELD  LEFT  HOST
   12     0    28  127.0.0.1
    0     0     7  api.example.com

SPENT  HELD  LEFT  LIMIT
   12     0    88  100 sats
   12     0    28  40 sats on 127.0.0.1
    0     0     7  7 sats on api.example.com
`);
  expect((await place.run(["report", "--table"], { env: { ...NO_WALLET, BUDGET_SATS: undefined } })).stdout).toContain("no budget is set here");
  expect(parsed(await place.run(["report", "--budget-id", "another"]))).toMatchObject({ budgetId: "another", spentSats: 0 });
});

test("payments: filters, the newest ones, and URLs without their query in the table", async () => {
  const place = await createPlace({ "/one": { priceSats: 1, credential: "path" }, "/two": { priceSats: 2, credential: "path" }, "/three": { priceSats: 3, credential: "path" } });
  await place.run(["fetch", `${place.paywall.url}/one?token=query-canary`]);
  await place.run(["fetch", `${place.paywall.url}/two`]);
  place.world.sim.next("fail:no_route");
  await place.run(["fetch", `${place.paywall.url}/three`]);

  const urls = async (...args: string[]): Promise<unknown[]> => parsed(await place.run(["payments", ...args])).payments.map(({ url }) => new URL(String(url)).pathname);
  expect(await urls()).toEqual(["/one", "/two", "/three"]);
  expect(await urls("--state", "failed")).toEqual(["/three"]);
  expect(await urls("--state", "failed,settled", "--limit", "2")).toEqual(["/two", "/three"]);
  expect(await urls("--state", "open")).toEqual([]);
  expect(await urls("--limit", "0")).toEqual(["/one", "/two", "/three"]);
  expect(await urls("--host", "127.0.0.1")).toHaveLength(3);
  expect(await urls("--host", "api.example.com")).toEqual([]);
  expect(await urls("--since", "1h")).toHaveLength(3);
  expect(await urls("--since", "2999-01-01")).toEqual([]);
  expect(parsed(await place.run(["payments", "--limit", "1"]))).toMatchObject({ omitted: 2 });

  const table = await place.run(["payments", "--table", "--limit", "2"]);
  expect(table.stderr).toContain("1 older payment is not shown");
  expect(table.stdout.split("\n")[0]).toMatch(/^TIME +PAYMENT +STATE +SATS +FEE +HELD +REQUEST$/);
  expect(table.stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}[0-9a-f]{12} {2}settled +2 +2 +0 {2}GET http:.*\/two$/m);
  const all = (await place.run(["payments", "--table"])).stdout;
  expect(all).toContain("/one?…");
  expect(all).not.toContain("query-canary");
  expect((await place.run(["payments", "--table", "--state", "open"])).stdout).toBe("No payments.\n");
  for (const wrong of [["--state", "lost"], ["--since", "yesterday"], ["--limit", "-1"], ["--limit=x"], ["surplus"]]) expect(await place.run(["payments", ...wrong]), wrong.join(" ")).toMatchObject({ code: 2 });
});

/** A purchase whose payment the wallet holds, and the child that waits for it. */
async function heldPurchase(env: Record<string, string> = {}): Promise<{ place: Place; purchase: ReturnType<Place["start"]>; url: string }> {
  const place = await createPlace(WEATHER);
  place.world.sim.hold();
  const url = `${place.paywall.url}/weather`;
  const purchase = place.start(["fetch", url], { env });
  await until(() => isAskedToPay(place));
  return { place, purchase, url };
}

async function isPaid(place: Place): Promise<void> {
  place.world.sim.unhold();
  await until(() => place.paywall.paidSales.length === 1);
}

/** It is in the books once, and its credential serves the next call. */
async function assertRecovered(place: Place, url: string): Promise<void> {
  const recovered = await place.run(["recover"]);
  expect(recovered.code).toBe(0);
  expect(parsed(recovered)).toMatchObject({ settled: 1, failed: 0, voided: 0, open: [] });
  const again = await place.run(["fetch", "--json", url]);
  expect(again).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
  expect(JSON.parse(again.stderr)).toMatchObject({ paidSats: 0, reused: true });
  expect(parsed(await place.run(["report"]))).toMatchObject({ spentSats: 12, heldSats: 0 });
  expect(place.paywall.paidSales).toHaveLength(1);
  expect(place.world.sim.payments).toHaveLength(1);
}

describe("a payment whose end is not known", () => {
  test("exits with 5, is held and explained, and is recovered", async () => {
    const { place, purchase, url } = await heldPurchase({ L402_PAYMENT_TIMEOUT_MS: "500" });
    const { code, stderr, stdout } = await purchase.ended;
    expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
    expect(stderr).toMatch(/Up to 15 sats may have been paid and stays held as payment [0-9a-f]{12}: l402-tools recover finds out/);

    const [hold] = parsed(await place.run(["holds"])).holds;
    expect(hold).toMatchObject({ state: "unknown", amountSats: 10, heldSats: 15, host: "127.0.0.1", wallet: "phoenixd", reason: "no answer from the wallet in time" });
    expect(hold?.["releasedWhen"]).toMatch(/^`l402-tools recover` looks it up: .* a payment that the wallet has never seen is released from \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ on/);
    const shown = (await place.run(["holds", "--table"])).stdout;
    expect(shown).toMatch(/^PAYMENT +STATE +AGE +HELD +REQUEST\n[0-9a-f]{12} +unknown +\d+ s +15 {2}http.*\n {2}Why: {6}no answer from the wallet in time\n {2}Released: `l402-tools recover` looks it up/);
    expect((await place.run(["holds", "--table"], { env: NO_WALLET })).stdout).toContain("with the wallet (phoenixd) configured, looks it up");
    const another = { ...NO_WALLET, LNBITS_URL: "http://127.0.0.1:9", LNBITS_ADMIN_KEY: "some-key-of-lnbits" };
    expect((await place.run(["holds", "--table"], { env: another })).stdout).toContain("It was made with the wallet phoenixd, and lnbits is configured, which cannot tell");
    expect((await place.run(["report", "--table"])).stdout).toContain("Held       15 sats, by 1 open payment: l402-tools holds");

    // Still held by the wallet; and another wallet is not even asked.
    const early = await place.run(["recover", "--table"]);
    expect(early.code).toBe(5);
    expect(early.stdout).toContain("Still held: 1");
    expect(await place.run(["recover"], { env: another })).toMatchObject({ code: 5 });
    expect(await place.run(["recover"], { env: NO_WALLET })).toMatchObject({ code: 2 });
    // The purchase gets no second payment.
    expect(await place.run(["fetch", url], { env: { L402_PAYMENT_TIMEOUT_MS: "500" } })).toMatchObject({ code: 5 });

    await isPaid(place);
    await assertRecovered(place, url);
    expect((await place.run(["holds", "--table"])).stdout).toBe("Nothing is held.\n");
  });

  test("is recovered when its process was killed", async () => {
    const { place, purchase, url } = await heldPurchase();
    purchase.child.kill("SIGKILL");
    expect(await purchase.ended).toMatchObject({ code: null, signal: "SIGKILL" });
    const [hold] = parsed(await place.run(["holds"])).holds;
    expect(hold).toMatchObject({ state: "sending", reason: "its process ended while the wallet (phoenixd) had it" });
    await isPaid(place);
    await assertRecovered(place, url);
  });

  test("is told of while its process lives, and left alone", async () => {
    const { place, purchase, url } = await heldPurchase();
    const [hold] = parsed(await place.run(["holds"])).holds;
    expect(hold).toMatchObject({ state: "sending", reason: "it was sent to the wallet (phoenixd), whose answer is awaited" });
    expect(hold?.["releasedWhen"]).toContain("Its process is at work and books the wallet's answer.");
    expect(await place.run(["recover"])).toMatchObject({ code: 5 });
    place.world.sim.unhold();
    expect(await purchase.ended).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
    expect(await place.run(["fetch", url])).toMatchObject({ code: 0 });
    expect(place.paywall.paidSales).toHaveLength(1);
  });

  test("Ctrl-C waits a short while, says what it knows, and exits with 5", async () => {
    const { place, purchase, url } = await heldPurchase();
    purchase.child.kill("SIGINT");
    const { code, stderr } = await purchase.ended;
    expect(stderr).toContain("A payment is with the wallet; waiting up to 5 s for its end.");
    expect(stderr).toContain("Up to 15 sats may have been paid");
    expect(code).toBe(5);
    await isPaid(place);
    await assertRecovered(place, url);
  });

  test("Ctrl-C, and the payment ends in that while: it was paid, and the same command gets what was bought", async () => {
    const { place, purchase, url } = await heldPurchase();
    let told = "";
    purchase.child.stderr?.on("data", (chunk: Buffer) => (told += String(chunk)));
    purchase.child.kill("SIGINT");
    await until(() => told.includes("waiting up to 5 s"));
    await isPaid(place);
    const { code, stderr } = await purchase.ended;
    expect(stderr).toContain("The payment of 12 sats was made, though its answer came late.");
    expect(code).toBe(6);
    expect(await place.run(["fetch", url])).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
    expect(place.paywall.paidSales).toHaveLength(1);
  });

  test("a second Ctrl-C leaves at once, with 5", async () => {
    const { place, purchase, url } = await heldPurchase();
    let told = "";
    purchase.child.stderr?.on("data", (chunk: Buffer) => (told += String(chunk)));
    purchase.child.kill("SIGINT");
    await until(() => told.includes("waiting up to 5 s"));
    purchase.child.kill("SIGINT");
    const { code, stderr } = await purchase.ended;
    expect(stderr).toContain("Left while a payment was with the wallet: it may have been paid.");
    expect(code).toBe(5);
    await isPaid(place);
    await assertRecovered(place, url);
  });
});

describe("resolve", () => {
  async function unknown(): Promise<{ place: Place; hash: string; url: string }> {
    const { place, purchase, url } = await heldPurchase();
    purchase.child.kill("SIGKILL");
    await purchase.ended;
    return { place, url, hash: String(parsed(await place.run(["holds"])).holds[0]?.["paymentHash"]) };
  }

  test("failed releases the hold, with the reason on record", async () => {
    const { place, hash } = await unknown();
    for (const [args, code] of [
      [[hash, "failed"], 2],
      [[hash, "failed", "--why", " "], 2],
      [[hash, "lost", "--why", "x"], 2],
      [[hash, "failed", "--why", "x", "--preimage", "00"], 2],
      [["abc", "failed", "--why", "x"], 2],
      [["ab".repeat(32), "failed", "--why", "x"], 2],
      [[hash, "settled", "--why", "x", "--preimage", "00".repeat(32)], 2],
    ] as const) {
      expect(await place.run(["resolve", ...args]), args.join(" ")).toMatchObject({ code });
    }
    const ended = await place.run(["resolve", hash.slice(0, 12), "failed", "--why", "not in the node's list"], { env: NO_WALLET });
    expect(ended.code).toBe(0);
    expect(parsed(ended)).toMatchObject({ paymentHash: hash, state: "failed", bookedSats: 0 });
    const [payment] = parsed(await place.run(["payments"])).payments;
    expect(payment).toMatchObject({ state: "failed", heldSats: 0 });
    expect(payment?.["resolution"]).toContain("not in the node's list");
    expect(await place.run(["resolve", hash, "failed", "--why", "again"])).toMatchObject({ code: 2 });
  });

  test("settled with the preimage from standard input makes the credential usable", async () => {
    const { place, hash, url } = await unknown();
    await isPaid(place);
    const preimage = place.paywall.payee.preimageOf(hash);
    const ended = await place.run(["resolve", hash, "settled", "--why", "in the node's list", "--preimage", "-", "--table"], { input: `${preimage}\n`, env: NO_WALLET });
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/^Settled by hand: \d+ sats booked\.\n$/);
    expect(await place.run(["fetch", url])).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
    expect(place.paywall.paidSales).toHaveLength(1);
    for (const outcome of ["settled", "failed"]) {
      const again = await place.run(["resolve", hash, outcome, "--why", "again", "--json"], { env: NO_WALLET });
      expect(again.code).toBe(2);
      expect(JSON.parse(again.stderr)).toMatchObject({ error: { code: "not_resolvable", message: "This payment is settled already.", paid: "yes" }, exitCode: 2 });
    }
    expect(place.output.join("")).not.toContain(preimage);
  });
});

test("a reservation of a process that is gone is explained, and released by recover", async () => {
  const place = await createPlace(WEATHER);
  const store = sqliteStore({ path: place.ledger });
  const payment = (paymentHash: string, leaseUntil: number): NewPayment => ({
    paymentHash, leaseUntil, budgetId: "default", scopes: ["default"], requestKey: paymentHash, url: "https://api.example.com/x", method: "GET", origin: "https://api.example.com",
    host: "api.example.com", path: "/x", amountMsat: 10_000n, payee: "02".repeat(33), wallet: "phoenixd", invoice: "lnbcrt1", expiresAt: Date.now() + 3_600_000, scheme: "L402", credential: "x", owner: `${paymentHash}/1`,
  });
  await store.reserve({ payment: payment("aa".repeat(32), Date.now() - 1), maxFeeMsat: 1_500n, minFeeMsat: 0n, limits: [] });
  await store.reserve({ payment: payment("bb".repeat(32), Date.now() + 3_600_000), maxFeeMsat: 1_500n, minFeeMsat: 0n, limits: [] });
  const [gone, alive] = parsed(await place.run(["holds"])).holds;
  expect(gone).toMatchObject({ state: "reserved", heldSats: 12, reason: "its process ended before anything was sent to a wallet" });
  expect(gone?.["releasedWhen"]).toContain("releases it, and so does the next payment: it was never sent");
  expect(alive).toMatchObject({ reason: "a purchase is under way; nothing was sent to a wallet yet" });
  expect(alive?.["releasedWhen"]).toMatch(/^Its process is at work and will pay it or release it\. From \d{4}.*Z on, `l402-tools recover` releases it in any case/);
  const recovered = await place.run(["recover"]);
  expect(recovered.code).toBe(5);
  expect(parsed(recovered)).toMatchObject({ voided: 1, recoveredSats: 12, open: [{ paymentHash: "bb".repeat(32) }] });
  await store.void("bb".repeat(32), "test");
  await store.close();
});

test("credentials are listed and given up, without being shown; the next call buys anew", async () => {
  const place = await createPlace(WEATHER);
  const url = `${place.paywall.url}/weather`;
  expect((await place.run(["fetch", url, "--idempotency-key", "first"])).code).toBe(0);
  const listed = parsed(await place.run(["credentials", "list"], { env: NO_WALLET })).credentials;
  expect(listed).toEqual([{ paymentHash: expect.stringMatching(/^[0-9a-f]{64}$/) as string, origin: place.paywall.url, method: "GET", path: "/weather", scheme: expect.stringMatching(/^L(402|SAT)$/) as string, boughtAt: expect.any(Number) as number, acceptedAt: expect.any(Number) as number }]);
  const hash = String(listed[0]?.["paymentHash"]);
  expect((await place.run(["credentials", "list", "--table"])).stdout).toMatch(new RegExp(`^PAYMENT +BOUGHT +LAST ACCEPTED +OPENS\n${hash.slice(0, 12)} .*GET ${place.paywall.url}/weather\n$`));
  expect(parsed(await place.run(["credentials", "list", "--host", "api.example.com"])).credentials).toEqual([]);

  for (const wrong of [[], ["show"], ["remove"], ["list", "x"], ["remove", "ffffffff"]]) expect(await place.run(["credentials", ...wrong]), wrong.join(" ")).toMatchObject({ code: 2 });
  expect(parsed(await place.run(["credentials", "remove", hash.slice(0, 10)], { env: NO_WALLET })).credentials).toEqual([{ paymentHash: hash, removed: true }]);
  expect((await place.run(["credentials", "remove", hash, "--table"])).stdout).toContain("was not offered any more already");
  expect(parsed(await place.run(["credentials", "list"])).credentials).toEqual([]);
  expect(parsed(await place.run(["payments"])).payments).toMatchObject([{ paymentHash: hash, state: "settled" }]);

  // Any other call buys; the very purchase is still its own.
  expect(await place.run(["fetch", url, "--idempotency-key", "second"])).toMatchObject({ code: 0 });
  expect(place.paywall.paidSales).toHaveLength(2);
  expect(await place.run(["fetch", url, "--idempotency-key", "first"])).toMatchObject({ code: 0 });
  expect(place.paywall.paidSales).toHaveLength(2);
});

test("the newest credentials of one place are listed, and that there are more is said", async () => {
  const place = await createPlace({});
  const store = sqliteStore({ path: place.ledger });
  const hashOf = (number: number): string => number.toString(16).padStart(64, "0");
  for (let number = 1; number <= 102; number += 1) {
    const paymentHash = hashOf(number);
    const payment: NewPayment = {
      paymentHash, leaseUntil: 0, budgetId: "default", scopes: ["default"], requestKey: paymentHash, url: "https://api.example.com/x", method: "GET", origin: "https://api.example.com",
      host: "api.example.com", path: "/x", amountMsat: 1_000n, payee: "02".repeat(33), wallet: "phoenixd", invoice: "lnbcrt1", expiresAt: 0, scheme: "L402", credential: "x", owner: "a/1",
    };
    await store.reserve({ payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
    await store.settle(paymentHash, { preimage: "11".repeat(32), feeMsat: 0n, resolution: "paid" });
  }
  await store.close();
  const list = async (...args: string[]): Promise<Ended & { hashes: unknown[]; more: unknown }> => {
    const ended = await place.run(["credentials", "list", ...args], { env: NO_WALLET });
    const { credentials, more } = parsed(ended);
    return { ...ended, hashes: credentials.map(({ paymentHash }) => paymentHash), more };
  };
  const newest = (from: number, count: number): string[] => Array.from({ length: count }, (_, at) => hashOf(from - at));
  expect(await list()).toMatchObject({ code: 0, hashes: newest(102, 100), more: true, stderr: "Only the newest 100 of GET https://api.example.com/x are shown; see --limit.\n" });
  expect(await list("--limit", "2")).toMatchObject({ hashes: newest(102, 2), more: true });
  for (const limit of ["0", "102"]) expect(await list("--limit", limit)).toMatchObject({ hashes: newest(102, 102), more: false, stderr: "" });
  // One that is not among the newest is given up just the same.
  expect(parsed(await place.run(["credentials", "remove", hashOf(1)])).credentials).toEqual([{ paymentHash: hashOf(1), removed: true }]);
  expect(await list("--limit", "101")).toMatchObject({ hashes: newest(102, 101), more: false });
});

test("an encrypted ledger opens with its key only, from the environment or a file", async () => {
  const place = await createPlace(WEATHER);
  const key = "5a".repeat(32);
  expect((await place.run(["fetch", `${place.paywall.url}/weather`], { env: { L402_ENCRYPTION_KEY: key } })).code).toBe(0);
  const without = await place.run(["report"]);
  expect(without.code).toBe(2);
  expect(without.stderr).toContain("Its key comes from L402_ENCRYPTION_KEY or L402_ENCRYPTION_KEY_FILE.");
  expect(await place.run(["report"], { env: { L402_ENCRYPTION_KEY: "11".repeat(32) } })).toMatchObject({ code: 2 });
  await place.file("key", `${key}\n`);
  expect(await place.run(["credentials", "list"], { env: { L402_ENCRYPTION_KEY_FILE: "key" } })).toMatchObject({ code: 0 });
  expect(place.output.join("")).not.toContain(key);
});

test("a key at hand while reading gives a ledger without one no key; buying with it does", async () => {
  const place = await createPlace({ "/one": { priceSats: 1, credential: "path" }, "/two": { priceSats: 2, credential: "path" } });
  const env = { L402_ENCRYPTION_KEY: "5a".repeat(32) };
  expect((await place.run(["fetch", `${place.paywall.url}/one`])).code).toBe(0);
  for (const args of [["report"], ["payments"], ["holds"], ["recover"], ["credentials", "list"], ["verify"], ["resume", "--why", "x"]]) expect(await place.run(args, { env }), args.join(" ")).toMatchObject({ code: 0 });
  expect((await place.run(["fetch", `${place.paywall.url}/one`])).code).toBe(0);
  expect((await place.run(["fetch", `${place.paywall.url}/two`], { env })).code).toBe(0);
  expect((await place.run(["report"])).code).toBe(2);
  expect((await place.run(["fetch", `${place.paywall.url}/one`], { env })).code).toBe(0);
  expect(place.paywall.paidSales).toHaveLength(2);
});

test("an old copy put back is readable, pays nothing, and is accepted by a person with a reason", async () => {
  const place = await createPlace({ "/one": { priceSats: 1, credential: "path" }, "/two": { priceSats: 2, credential: "path" } });
  const fs = await import("node:fs/promises");
  await place.run(["fetch", `${place.paywall.url}/one`]);
  await fs.copyFile(place.ledger, `${place.ledger}.backup`);
  await place.run(["fetch", `${place.paywall.url}/two`]);
  for (const suffix of ["-wal", "-shm"]) await fs.rm(place.ledger + suffix, { force: true });
  await fs.copyFile(`${place.ledger}.backup`, place.ledger);

  const report = await place.run(["report", "--table"]);
  expect(report.code).toBe(0);
  expect(report.stderr).toContain("is an old copy that was put back");
  expect(report.stderr).toContain('l402-tools accept-restored --why "…"');
  expect(await place.run(["fetch", `${place.paywall.url}/two`])).toMatchObject({ code: 7 });
  expect(await place.run(["verify"])).toMatchObject({ code: 7 });
  expect(await place.run(["accept-restored"])).toMatchObject({ code: 2 });
  expect(await place.run(["accept-restored", "--why", "the disk failed"])).toMatchObject({ code: 0 });
  expect(await place.run(["accept-restored", "--why", "twice"])).toMatchObject({ code: 2 });
  expect(await place.run(["verify", "--table"])).toMatchObject({ code: 0, stdout: "Everything adds up.\n" });
  expect(await place.run(["fetch", `${place.paywall.url}/two`])).toMatchObject({ code: 0 });
});

test("a budget that was paused after an overrun says so, and goes on when a person says so", async () => {
  const place = await createPlace({ "/one": { priceSats: 10, credential: "path" }, "/two": { priceSats: 2, credential: "path" } });
  place.world.sim.next("overcharge");
  await place.run(["fetch", `${place.paywall.url}/one`]);
  const paused = parsed(await place.run(["report"]))["paused"];
  expect(paused).toEqual(expect.any(String));
  const refused = await place.run(["fetch", `${place.paywall.url}/two`]);
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain('l402-tools resume --why "…"');
  expect((await place.run(["report", "--table"])).stderr).toContain("This budget is paused");
  expect(await place.run(["resume"])).toMatchObject({ code: 2 });
  expect(parsed(await place.run(["resume", "--why", "fee of the channel opening"]))).toEqual({ resumed: true });
  expect(parsed(await place.run(["resume", "--why", "again"]))).toEqual({ resumed: false });
  expect(parsed(await place.run(["report"]))).toMatchObject({ paused: null });
});
