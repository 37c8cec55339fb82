/** How a ledger is opened: options, modes of its files, and what kind of disk it is on. */
import { mkdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { isL402Error } from "@l402-tools/core";
import { expect, test } from "vitest";
import { sqliteStore, type SqliteStore, type SqliteStoreOptions } from "../src/sqlite/index.ts";
import { networkFileSystem } from "../src/sqlite/place.ts";
import { paymentNamed } from "./children/payment.ts";
import { scratch } from "./scratch.ts";

const folder = scratch();
const path = join(folder, "options.db");

test.each([
  { title: "no options", options: undefined, names: "options" },
  { title: "no path", options: {}, names: "path" },
  { title: "an empty path", options: { path: " " }, names: "path" },
  { title: "a path with a NUL", options: { path: "a\0b" }, names: "path" },
  { title: "memory", options: { path: ":memory:" }, names: "memoryStore" },
  { title: "a URI", options: { path: "file:a.db" }, names: "path" },
  { title: "an unknown name", options: { path, pth: 1 }, names: "pth" },
  { title: "a short key", options: { path, encryptionKey: "abc" }, names: "encryptionKey" },
  { title: "a key of 31 bytes", options: { path, encryptionKey: new Uint8Array(31) }, names: "encryptionKey" },
  { title: "a key of another type", options: { path, encryptionKey: 7 }, names: "encryptionKey" },
  { title: "a negative wait", options: { path, busyTimeoutMs: -1 }, names: "busyTimeoutMs" },
  { title: "a wait that is no number", options: { path, busyTimeoutMs: Number.NaN }, names: "busyTimeoutMs" },
  { title: "a clock without now", options: { path, clock: {} }, names: "clock" },
  { title: "the ledger as its own guard", options: { path, guardPath: path }, names: "guardPath" },
  { title: "a word for yes", options: { path, allowNetworkFileSystem: "yes" }, names: "allowNetworkFileSystem" },
])("$title is refused, by name", ({ options, names }) => {
  expect(() => sqliteStore(options as unknown as SqliteStoreOptions)).toThrow(expect.toSatisfy((error) => isL402Error(error) && error.code === "invalid_options" && error.message.includes(names)));
});

test("only its user may read its files, and the folder that was made for it", async () => {
  const home = join(folder, "home", "deep");
  const ledger = join(home, "ledger.db");
  const store = sqliteStore({ path: relative(process.cwd(), ledger) });
  await store.reserve({ payment: paymentNamed("mode"), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
  for (const suffix of ["", "-wal", "-shm", ".guard"]) expect(statSync(`${ledger}${suffix}`).mode & 0o777, suffix).toBe(0o600);
  for (const made of [home, join(folder, "home")]) expect(statSync(made).mode & 0o777).toBe(0o700);
  await store.close();
  const shared = join(folder, "shared");
  mkdirSync(shared, { mode: 0o755 });
  await sqliteStore({ path: join(shared, "ledger.db") }).close();
  expect(statSync(shared).mode & 0o777, "a folder that was there stays as it is").toBe(0o755);
});

test("network file systems are told by their type", () => {
  expect(networkFileSystem(0x6969)).toBe("NFS");
  expect(networkFileSystem(0xff534d42)).toBe("CIFS");
  expect(networkFileSystem(-11317950n), "signed, as some systems give it").toBe("CIFS");
  for (const local of [0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630]) expect(networkFileSystem(local)).toBe(undefined);
});

test("`await using` closes it, with work under way too", async () => {
  const path = join(folder, "using.db");
  const reserve = (store: SqliteStore, name: string): ReturnType<SqliteStore["reserve"]> => store.reserve({ payment: paymentNamed(name), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
  const { store: kept, reserving } = await (async () => {
    await using store = sqliteStore({ path });
    return { store, reserving: reserve(store, "using") };
  })();
  expect((await reserving).status).toBe("reserved");
  await expect(reserve(kept, "closed")).rejects.toThrow(/closed/);
});

test("closed: twice is fine, with work under way too", async () => {
  const store = sqliteStore({ path: join(folder, "closing.db") });
  const reserving = store.reserve({ payment: paymentNamed("closing"), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
  const listing = store.payments("default");
  await Promise.all([store.close(), store.close()]);
  expect((await reserving).status).toBe("reserved");
  await expect(listing[Symbol.asyncIterator]().next()).rejects.toThrow(/closed/);
});
