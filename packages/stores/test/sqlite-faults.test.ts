/** Disks and files that fail: what was answered is on record, what is not on record was not answered, and the error says so. */
import { copyFileSync, chmodSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isL402Error } from "@l402-tools/core";
import { describe, expect, test } from "vitest";
import { sqliteStore, type SqliteStore } from "../src/sqlite/index.ts";
import { paymentNamed } from "./children/payment.ts";
import { start } from "./children/run.ts";
import { scratch } from "./scratch.ts";
import { withoutStrace } from "./strace.ts";

const folder = scratch();
const reserve = (store: SqliteStore, name: string) => store.reserve({ payment: paymentNamed(name), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
const refusal = (code: string) => expect.toSatisfy((error) => isL402Error(error) && error.code === code && error.paid === "no");

/** Every line that a `loop` child said. */
async function heard(child: ReturnType<typeof start>): Promise<string[]> {
  const lines: string[] = [];
  for (let line = await child.line(); line !== undefined; line = await child.line()) lines.push(line);
  return lines;
}

const RANK: Record<string, number> = { reserved: 1, sending: 2, settled: 3 };

/** What a child was told is on record, and the ledger adds up. */
async function audit(path: string, lines: readonly string[]): Promise<void> {
  const store = sqliteStore({ path });
  expect(store.unsafe()).toBe(null);
  for (const [status, hash] of lines.map((line) => line.split(" ")) as [string, string][]) {
    if (RANK[status] === undefined) continue;
    const row = await store.payment(hash);
    expect(RANK[row?.state ?? ""] ?? 0, `${status} ${hash}`).toBeGreaterThanOrEqual(RANK[status] as number);
  }
  expect(await store.verify()).toEqual({ ok: true, problems: [] });
  expect((await reserve(store, "after the fault")).status).toMatch(/reserved|exists/);
  await store.close();
}

test("a disk that takes no more: a typed error, nothing lost, and it goes on when there is room", async () => {
  const path = join(folder, "full.db");
  // 400 blocks of 1,024 bytes a file: writes beyond it fail.
  const child = start("loop", [path, "full"], { wrapper: ["bash", "-c", 'ulimit -f 400; exec "$@"', "bash"] });
  const lines = await heard(child);
  expect(lines.filter((line) => line.startsWith("error"))).toEqual(Array.from({ length: 3 }, () => "error store_unavailable"));
  expect(lines.filter((line) => line.startsWith("settled")).length).toBeGreaterThan(0);
  await audit(path, lines);
});

describe.skipIf(withoutStrace)("system calls that fail", () => {
  test.each([
    { title: "no room", inject: "pwrite64:error=ENOSPC:when=120+" },
    { title: "no room, now and then", inject: "pwrite64:error=ENOSPC:when=100+7" },
    { title: "an I/O error while writing", inject: "pwrite64:error=EIO:when=131+" },
    { title: "an I/O error in a sync", inject: "fsync,fdatasync:error=EIO:when=20+" },
    { title: "an I/O error in a sync, now and then", inject: "fsync,fdatasync:error=EIO:when=15+5" },
  ])("$title ($inject)", async ({ title, inject }) => {
    const path = join(folder, `${title.replaceAll(/\W+/g, "-")}.db`);
    const wrapper = ["strace", "-f", "-o", "/dev/null", "-e", "trace=pwrite64,fsync,fdatasync", "-e", `inject=${inject}`];
    const lines = await heard(start("loop", [path, "fault", "60"], { wrapper }));
    const errors = lines.filter((line) => line.startsWith("error"));
    expect(errors.length).toBeGreaterThan(0);
    expect(new Set(errors)).toEqual(new Set(["error store_unavailable"]));
    // After an error nothing is said of that payment any more: it was not sent.
    await audit(path, lines);
  });
});

test("a ledger that another process keeps locked: waits, then a typed error, then it works", async () => {
  const path = join(folder, "locked.db");
  const store = sqliteStore({ path, busyTimeoutMs: 50 });
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  await expect(reserve(store, "locked")).rejects.toEqual(refusal("store_unavailable"));
  await expect(reserve(store, "locked")).rejects.toThrow(/locked by another process/);
  expect((await store.usage([{ scope: "default" }]))[0]?.heldMsat).toBe(0n);
  // It can be opened meanwhile.
  const waiting = sqliteStore({ path, busyTimeoutMs: 60_000 });
  const reserved = reserve(waiting, "locked");
  other.exec("ROLLBACK");
  other.close();
  expect((await reserved).status).toBe("reserved");
  expect((await reserve(store, "locked, too")).status).toBe("reserved");
  await store.close();
  await waiting.close();
});

async function ledgerWith(path: string, payments: number): Promise<void> {
  const store = sqliteStore({ path });
  await Promise.all(Array.from({ length: payments }, (_, n) => reserve(store, `${path} ${n}`)));
  await store.close();
}

describe("files that are no ledger", () => {
  const opening = (name: string, content: string | Uint8Array) => () => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return sqliteStore({ path });
  };

  test.each([
    { title: "a long text", content: "just some text, and more of it\n".repeat(200) },
    { title: "a few characters", content: "text" },
    { title: "zeros", content: new Uint8Array(8_192) },
    { title: "the header of a database, one character off", content: "SQLite format 2\0".padEnd(4_096) },
  ])("$title: not a database, which is not touched", ({ title, content }) => {
    const name = `${title.replaceAll(/\W+/g, "-")}.db`;
    expect(opening(name, content)).toThrow(refusal("store_corrupt"));
    expect(opening(name, content)).toThrow(/not a ledger of l402-tools.*it was not changed/);
    expect(readFileSync(join(folder, name))).toEqual(Buffer.from(content));
    expect(readdirSync(folder).filter((file) => file.startsWith(name))).toEqual([name]);
  });

  test("a database whose header is damaged is called so", () => {
    const open = opening("header.db", "SQLite format 3\0".padEnd(4_096, "x"));
    expect(open).toThrow(refusal("store_corrupt"));
    expect(open).toThrow(/is damaged/);
  });

  test("somebody else's database is not touched", () => {
    const path = join(folder, "foreign.db");
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE mine (x)");
    db.close();
    const before = readFileSync(path);
    expect(() => sqliteStore({ path })).toThrow(refusal("store_corrupt"));
    expect(() => sqliteStore({ path })).toThrow(/not a ledger of l402-tools/);
    expect(readFileSync(path)).toEqual(before);
  });

  test("one of a newer version", async () => {
    const path = join(folder, "newer.db");
    await ledgerWith(path, 1);
    const open = sqliteStore({ path });
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 1000; UPDATE ledger SET version = 1000");
    db.close();
    expect(() => sqliteStore({ path })).toThrow(refusal("store_unavailable"));
    expect(() => sqliteStore({ path })).toThrow(/newer version/);
    // A process that was there before does not write to what it does not know.
    await expect(reserve(open, "older")).rejects.toThrow(/newer version/);
    await open.close();
  });

  test("a folder, and a place where nothing can be made", () => {
    mkdirSync(join(folder, "folder.db"));
    expect(() => sqliteStore({ path: join(folder, "folder.db") })).toThrow(refusal("store_unavailable"));
    expect(() => sqliteStore({ path: "/proc/none/ledger.db" })).toThrow(refusal("store_unavailable"));
  });
});

describe("a damaged ledger", () => {
  test.each([
    { title: "its first page", damage: (path: string) => overwrite(path, 100, 2_000) },
    { title: "pages in the middle", damage: (path: string) => overwrite(path, Math.floor(statSync(path).size / 2 / 4096) * 4096, 3 * 4096) },
    { title: "its end is missing", damage: (path: string) => truncateSync(path, Math.floor(statSync(path).size / 2 / 4096) * 4096) },
  ])("$title: nothing is paid", async ({ title, damage }) => {
    const path = join(folder, `damaged-${title}.db`);
    await ledgerWith(path, 300);
    damage(path);
    let store: SqliteStore;
    try {
      store = sqliteStore({ path });
    } catch (error) {
      expect(error).toEqual(refusal("store_corrupt"));
      return;
    }
    expect(store.unsafe()).toMatch(/damaged|changed by something else/);
    await expect(reserve(store, "new")).rejects.toEqual(refusal("store_corrupt"));
    await store.close();
  });

  test("rows that something else changed are told", async () => {
    const path = join(folder, "changed.db");
    await ledgerWith(path, 10);
    const db = new DatabaseSync(path);
    db.exec("UPDATE account SET held_msat = held_msat - 1000; UPDATE entry SET held_msat = 1 WHERE seq = 5");
    db.close();
    const store = sqliteStore({ path });
    expect(store.unsafe()).toMatch(/entry 5 does not follow/);
    const report = await store.verify();
    expect(report.ok).toBe(false);
    expect(report.problems.join("\n")).toMatch(/entry 5[^]*sums of default at api\.example\.com/);
    await store.close();
  });
});

function overwrite(path: string, from: number, length: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0xa5, from, from + length);
  writeFileSync(path, bytes);
}

test("a ledger that may only be read: it is read, and nothing is paid", async () => {
  const home = join(folder, "read-only");
  const path = join(home, "ledger.db");
  await ledgerWith(path, 3);
  const script = `
    const { sqliteStore } = await import(${JSON.stringify(new URL("../src/sqlite/index.ts", import.meta.url).href)});
    const store = sqliteStore({ path: ${JSON.stringify(path)} });
    const [usage] = await store.usage([{ scope: "default" }]);
    const { paymentNamed } = await import(${JSON.stringify(new URL("children/payment.ts", import.meta.url).href)});
    const error = await store.reserve({ payment: paymentNamed("new"), maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] }).catch((error) => error);
    console.log(JSON.stringify([usage.heldPayments, error.code, error.message]));`;
  // Root may write to anything; as somebody else, or as we are.
  const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  for (const file of [path, `${path}.guard`]) chmodSync(file, 0o444);
  chmodSync(folder, 0o755);
  chmodSync(home, 0o777); // the lock's files are made beside it
  const { spawnSync } = await import("node:child_process");
  const { stdout, stderr } = spawnSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", script], { ...asNobody, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual([3, "store_unavailable", expect.stringMatching(/read-only/)]);
});

test("a ledger that is replaced while it is open takes no more payments", async () => {
  const path = join(folder, "moved.db");
  await ledgerWith(path, 3);
  copyFileSync(path, `${path}.copy`);
  const store = sqliteStore({ path });
  expect((await reserve(store, "before")).status).toBe("reserved");
  const { renameSync } = await import("node:fs");
  renameSync(`${path}.copy`, path);
  await expect(reserve(store, "after")).rejects.toThrow(/moved or replaced/);
  await expect(reserve(store, "after")).rejects.toEqual(refusal("store_corrupt"));
  await store.close();
});
