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
