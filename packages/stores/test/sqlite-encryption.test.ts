/** With a key, no credential, preimage or invoice is readable in any file of the ledger; a wrong key is told at once. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isL402Error } from "@l402-tools/core";
import { expect, test } from "vitest";
import { sqliteStore, type SqliteStore, type SqliteStoreOptions } from "../src/sqlite/index.ts";
import { paymentNamed, preimageNamed } from "./children/payment.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();
const KEY = "5a".repeat(32);
const CANARY = /canary-(?:credential|invoice)/;

async function use(options: SqliteStoreOptions, name: string): Promise<SqliteStore> {
  const store = sqliteStore(options);
  for (const kind of ["bought", "sent"]) {
    const payment = paymentNamed(`${name} ${kind}`);
    await store.reserve({ payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
    await store.dispatch(payment.paymentHash, payment.owner, Number.MAX_SAFE_INTEGER);
    if (kind === "bought") await store.settle(payment.paymentHash, { preimage: preimageNamed(`${name} ${kind}`), feeMsat: 0n, resolution: "paid" });
  }
  return store;
}

/** All bytes of all files of a ledger, as text. */
const bytesOf = (name: string): string =>
  readdirSync(folder)
    .filter((file) => file.startsWith(name))
    .map((file) => readFileSync(join(folder, file), "latin1"))
    .join("\n");

test("with a key nothing secret is in the files, and everything comes back; without one it is", async () => {
  for (const { name, key } of [
    { name: "with", key: KEY },
    { name: "without", key: undefined },
  ]) {
    const options = { path: join(folder, `${name}.db`), ...(key === undefined ? {} : { encryptionKey: key }) };
    const store = await use(options, name);
    const readable = [CANARY.test(bytesOf(name)), bytesOf(name).includes(preimageNamed(`${name} bought`))];
    expect(readable).toEqual(key === undefined ? [true, true] : [false, false]);
    await store.close();
    expect(CANARY.test(bytesOf(name))).toBe(key === undefined);

    const again = sqliteStore(options);
    expect(await again.credential({ budgetId: "default", origin: "https://api.example.com", method: "GET", path: "/v1/data", anyPath: false })).toMatchObject({
      credential: `canary-credential-${name} bought`,
      preimage: preimageNamed(`${name} bought`),
    });
    expect(await again.payment(paymentNamed(`${name} sent`).paymentHash)).toMatchObject({ invoice: `lnbcrt-canary-invoice-${name} sent` });
    await again.close();
  }
});

test("a wrong key, or none, is told when the ledger is opened; nobody can put a key over another", async () => {
  const path = join(folder, "key.db");
  await (await use({ path, encryptionKey: KEY }, "key")).close();
  for (const extra of [{ encryptionKey: "00".repeat(32) }, {}]) {
    expect(() => sqliteStore({ path, ...extra })).toThrow(expect.toSatisfy((error) => isL402Error(error) && error.code === "invalid_options" && error.message.includes("encryptionKey")));
  }
  for (const encryptionKey of [Buffer.from(KEY, "hex"), Buffer.from(KEY, "hex").toString("base64"), KEY.toUpperCase()]) await sqliteStore({ path, encryptionKey }).close();
});

test("a ledger gets a key later: what is written from then on is encrypted, and all of it is read", async () => {
  const path = join(folder, "later.db");
  await (await use({ path }, "before")).close();
  const store = await use({ path, encryptionKey: KEY }, "after");
  const urls: string[] = [];
  for await (const payment of store.payments("default")) urls.push(payment.credential);
  expect(urls).toEqual(["before bought", "before sent", "after bought", "after sent"].map((name) => `canary-credential-${name}`));
  await store.close();
  expect(bytesOf("later")).not.toContain("canary-credential-after");
});

const reserve = (store: SqliteStore, name: string): ReturnType<SqliteStore["reserve"]> => store.reserve({ payment: paymentNamed(name), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
const dispatch = (store: SqliteStore, name: string): ReturnType<SqliteStore["dispatch"]> => store.dispatch(paymentNamed(name).paymentHash, paymentNamed(name).owner, Number.MAX_SAFE_INTEGER);
const settle = (store: SqliteStore, name: string): ReturnType<SqliteStore["settle"]> => store.settle(paymentNamed(name).paymentHash, { preimage: preimageNamed(name), feeMsat: 0n, resolution: "paid" });
const opens = async (options: SqliteStoreOptions): Promise<boolean> => {
  try {
    await sqliteStore(options).close();
    return true;
  } catch (error) {
    if (isL402Error(error) && error.code === "invalid_options") return false;
    throw error;
  }
};

test("a ledger without a key gets one when the first secret is written, and not by being opened, read or refused", async () => {
  const path = join(folder, "bound.db");
  await (await use({ path }, "plain")).close();
  const store = sqliteStore({ path, encryptionKey: KEY });
  expect(await store.payment(paymentNamed("plain sent").paymentHash)).toMatchObject({ state: "sending" });
  expect(await store.verify()).toMatchObject({ ok: true });
  expect(await store.reserve({ payment: paymentNamed("dear"), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [{ scope: "default", maxMsat: 1n }] })).toMatchObject({ status: "over_limit" });
  expect(await store.fail(paymentNamed("plain sent").paymentHash, 1, "no route")).toBe(true);
  expect(await opens({ path })).toBe(true);
  await reserve(store, "first");
  expect(await opens({ path })).toBe(false);
  expect(await opens({ path, encryptionKey: "00".repeat(32) })).toBe(false);
  await reserve(store, "second");
  await store.close();
  expect(await opens({ path, encryptionKey: KEY })).toBe(true);

  // One that is made with a key has it from its first moment.
  await sqliteStore({ path: join(folder, "made.db"), encryptionKey: KEY }).close();
  expect(await opens({ path: join(folder, "made.db") })).toBe(false);
});

test("a preimage alone gives the ledger its key as well", async () => {
  const path = join(folder, "preimage.db");
  await (await use({ path }, "early")).close();
  const store = sqliteStore({ path, encryptionKey: KEY });
  expect(await settle(store, "early sent")).toEqual({ status: "settled" });
  await store.close();
  expect(await opens({ path })).toBe(false);
  expect(bytesOf("preimage.db")).not.toContain(preimageNamed("early sent"));
});

test.each([
  { title: "without a key", own: {} },
  { title: "with another key", own: { encryptionKey: "11".repeat(32) } },
])("who has the ledger open $title, when another process gives it one, pays nothing and writes no secret", async ({ title, own }) => {
  const name = title.replaceAll(" ", "-");
  const path = join(folder, `${name}.db`);
  await (await use({ path }, "before")).close();
  const late = sqliteStore({ path, ...own });
  const plain = sqliteStore({ path });
  for (const payment of ["waiting", "sent", "failing"]) await reserve(plain, `${name} ${payment}`);
  for (const payment of ["sent", "failing"]) await dispatch(plain, `${name} ${payment}`);
  await plain.close();

  const keyed = sqliteStore({ path, encryptionKey: KEY });
  await reserve(keyed, `${name} bound`);
  const refused = expect.toSatisfy((error) => isL402Error(error) && error.code === "store_unavailable" && !error.retryable && /encryptionKey.*start this process anew/i.test(error.message)) as unknown;
  await expect(reserve(late, `${name} later`)).rejects.toEqual(refused);
  await expect(dispatch(late, `${name} waiting`)).rejects.toEqual(refused);
  await expect(settle(late, `${name} sent`)).rejects.toEqual(refused);
  expect(bytesOf(name)).not.toContain(`canary-credential-${name} later`);
  expect(bytesOf(name)).not.toContain(preimageNamed(`${name} sent`));
  if (title === "without a key") await expect(late.payment(paymentNamed(`${name} bound`).paymentHash)).rejects.toEqual(refused);
  // What releases money, or books it without a secret, goes on.
  expect(await late.fail(paymentNamed(`${name} failing`).paymentHash, 1, "no route")).toBe(true);
  expect(await late.void(paymentNamed(`${name} waiting`).paymentHash, "left")).toBe(true);
  await late.close();

  // The payment that was with the wallet meanwhile is booked by whoever has the key.
  expect(await keyed.payment(paymentNamed(`${name} sent`).paymentHash)).toMatchObject({ state: "sending" });
  expect(await settle(keyed, `${name} sent`)).toEqual({ status: "settled" });
  expect(await keyed.verify()).toMatchObject({ ok: true });
  await keyed.close();
});

test("a value that was moved to another payment does not decrypt", async () => {
  const path = join(folder, "moved.db");
  await (await use({ path, encryptionKey: KEY }, "moved")).close();
  const db = new DatabaseSync(path);
  db.exec("UPDATE payment SET credential = (SELECT credential FROM payment WHERE number = 1) WHERE number = 2");
  db.close();
  const store = sqliteStore({ path, encryptionKey: KEY });
  await expect(store.payment(paymentNamed("moved sent").paymentHash)).rejects.toEqual(expect.toSatisfy((error) => isL402Error(error) && error.code === "store_corrupt"));
  await store.close();
});
