/** An old copy of the ledger that was put back is told by its guard: nothing is paid until a person has looked. */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isL402Error, type LimitRule } from "@l402-tools/core";
import { describe, expect, test } from "vitest";
import { acceptRestored, sqliteStore, type SqliteStore } from "../src/sqlite/index.ts";
import { paymentNamed, preimageNamed } from "./children/payment.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();
const limits: readonly LimitRule[] = [{ scope: "default", maxMsat: 10_000n }];
const refusal = expect.toSatisfy((error) => isL402Error(error) && error.code === "store_corrupt" && error.paid === "no");
let made = 0;

async function buy(store: SqliteStore, name = `bought ${(made += 1)}`): Promise<string> {
  const payment = paymentNamed(name);
  const { status } = await store.reserve({ payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits });
  if (status !== "reserved") return status;
  await store.dispatch(payment.paymentHash, payment.owner, Number.MAX_SAFE_INTEGER);
  return (await store.settle(payment.paymentHash, { preimage: preimageNamed(name), feeMsat: 0n, resolution: "paid" })).status;
}

/** A ledger with 3 payments, a copy of it, and then 4 more payments. */
async function spentAfterCopy(name: string): Promise<{ path: string; copy: string }> {
  const path = join(folder, `${name}.db`);
  let store = sqliteStore({ path });
  for (let n = 0; n < 3; n += 1) await buy(store);
  const waiting = paymentNamed(`waiting ${name}`);
  await store.reserve({ payment: waiting, maxFeeMsat: 0n, minFeeMsat: 0n, limits });
  await store.close();
  copyFileSync(path, `${path}.copy`);
  store = sqliteStore({ path });
  for (let n = 0; n < 4; n += 1) await buy(store);
  await store.close();
  return { path, copy: `${path}.copy` };
}

describe("an old copy", () => {
  test("put back: nothing is reserved or dispatched, reading goes on", async () => {
    const { path, copy } = await spentAfterCopy("back");
    copyFileSync(copy, path);
    const store = sqliteStore({ path });
    expect(store.unsafe()).toMatch(/old copy.*acceptRestored/);
    const waiting = paymentNamed("waiting back");
    await expect(store.reserve({ payment: paymentNamed("new"), maxFeeMsat: 0n, minFeeMsat: 0n, limits })).rejects.toEqual(refusal);
    await expect(store.dispatch(waiting.paymentHash, waiting.owner, Number.MAX_SAFE_INTEGER)).rejects.toEqual(refusal);
    expect((await store.usage(limits))[0]).toMatchObject({ spentMsat: 3_000n, heldMsat: 1_000n });
    expect((await store.payment(waiting.paymentHash))?.state).toBe("reserved");
    // What is proven is booked all the same; and that does not hide what was lost.
    expect((await store.settle(waiting.paymentHash, { preimage: null, feeMsat: 0n, resolution: "looked up" })).status).toBe("settled");
    await store.close();
    const again = sqliteStore({ path });
    expect(again.unsafe()).toMatch(/old copy/);
    await again.close();
  });

  test("accepted by a person: paid with again, and the reason is on record", async () => {
    const { path, copy } = await spentAfterCopy("accepted");
    copyFileSync(copy, path);
    expect(() => acceptRestored({ path, why: " " })).toThrow(/reason/);
    acceptRestored({ path, why: "the disk broke; the wallet shows 4 more payments" });
    const store = sqliteStore({ path });
    expect(store.unsafe()).toBe(null);
    expect(await buy(store)).toBe("settled");
    const entries = [];
    for await (const entry of store.entries({ subject: "ledger" })) entries.push(entry);
    expect(entries).toMatchObject([{ kind: "restored", note: expect.stringMatching(/the disk broke.*at entry 10; the guard knew entry 22/) as string }]);
    expect(await store.verify()).toEqual({ ok: true, problems: [] });
    await store.close();
    expect(() => acceptRestored({ path, why: "again" })).toThrow(/nothing to accept/);
  });

  test("of which more was paid than the newest had: its other history is told", async () => {
    const { path, copy } = await spentAfterCopy("forked");
    const guard = readFileSync(`${path}.guard`);
    copyFileSync(copy, path);
    acceptRestored({ path, why: "test" });
    const store = sqliteStore({ path });
    for (let n = 0; n < 6; n += 1) await buy(store);
    await store.close();
    writeFileSync(`${path}.guard`, guard);
    const forked = sqliteStore({ path });
    expect(forked.unsafe()).toMatch(/another history/);
    await forked.close();
  });

  test("put back with its folder, but with the guard elsewhere", async () => {
    const path = join(folder, "elsewhere.db");
    const guardPath = join(folder, "guards-elsewhere");
    let store = sqliteStore({ path, guardPath });
    await buy(store);
    await store.close();
    copyFileSync(path, `${path}.copy`);
    store = sqliteStore({ path, guardPath });
    await buy(store);
    await store.close();
    copyFileSync(`${path}.copy`, path);
    store = sqliteStore({ path, guardPath });
    expect(store.unsafe()).toMatch(/old copy/);
    await store.close();
    expect(existsSync(`${path}.guard`)).toBe(false);
  });

  test("written over the ledger while that is open", async () => {
    const path = join(folder, "running.db");
    const store = sqliteStore({ path });
    for (let n = 0; n < 3; n += 1) await buy(store);
    const other = new DatabaseSync(path);
    // Through SQLite, so that the file stays sound: the ledger as it was three entries ago.
    other.exec("DELETE FROM entry WHERE seq > 6");
    other.close();
    await expect(store.reserve({ payment: paymentNamed("more"), maxFeeMsat: 0n, minFeeMsat: 0n, limits })).rejects.toThrow(/put back/);
    await store.close();
  });
});

describe("a guard that is missing", () => {
  test.each([
    { title: "deleted", spoil: (guard: string) => rmSync(guard) },
    { title: "emptied", spoil: (guard: string) => writeFileSync(guard, "") },
    { title: "changed", spoil: (guard: string) => writeFileSync(guard, readFileSync(guard, "latin1").replace(/ 0+(\d+) /, " 0000000000000001 ")) },
    { title: "another ledger's", spoil: (guard: string) => writeFileSync(guard, readFileSync(join(folder, "other.db.guard"))) },
  ])("$title: nothing is paid until it was accepted", async ({ title, spoil }) => {
    const other = sqliteStore({ path: join(folder, "other.db") });
    await buy(other);
    await other.close();
    const path = join(folder, `guard-${title}.db`);
    let store = sqliteStore({ path });
    await buy(store);
    await store.close();
    spoil(`${path}.guard`);
    store = sqliteStore({ path });
    expect(await store.reserve({ payment: paymentNamed("new"), maxFeeMsat: 0n, minFeeMsat: 0n, limits }).catch((error: unknown) => error)).toEqual(refusal);
    await store.close();
    acceptRestored({ path, why: "I moved it" });
    store = sqliteStore({ path });
    expect(await buy(store)).toBe("settled");
    await store.close();
  });

  test("a ledger that was deleted is not simply begun anew", async () => {
    const path = join(folder, "deleted.db");
    let store = sqliteStore({ path });
    for (let n = 0; n < 10; n += 1) await buy(store);
    expect(await buy(store)).toBe("over_limit");
    await store.close();
    rmSync(path);
    store = sqliteStore({ path });
    await expect(buy(store)).rejects.toEqual(refusal);
    await store.close();
  });

  test("a guard that lags, as after a power cut, is no alarm", async () => {
    const path = join(folder, "lags.db");
    let store = sqliteStore({ path });
    await buy(store);
    const guard = readFileSync(`${path}.guard`);
    await buy(store);
    await store.close();
    writeFileSync(`${path}.guard`, guard);
    store = sqliteStore({ path });
    expect(store.unsafe()).toBe(null);
    expect(await buy(store)).toBe("settled");
    await store.close();
  });
});
