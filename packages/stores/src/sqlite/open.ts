/** Opens a ledger: place, pragmas, schema, and the checks that tell whether it may be paid with. */
import { L402Error, StoreError } from "@l402-tools/core";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { brokenLink, same, type EntryRow } from "./chain.ts";
import { keyCheck } from "./cipher.ts";
import { isBusy, isDamage, isNoDatabase, storeError } from "./errors.ts";
import { guardAt, type Guard } from "./guard.ts";
import type { ReadOptions } from "./options.ts";
import { preparePlace } from "./place.ts";
import { inspectHeader, ledgerRow, migrate, SCHEMA_VERSION, type LedgerRow } from "./schema.ts";
import { sqlOn, type Sql } from "./sql.ts";

/** Most bytes of a ledger that is read through at each opening; of a longer one, its newest part is checked. */
const CHECK_WHOLE_MAX = 8 * 1024 * 1024;
/** Newest entries whose chain is followed at each opening. */
const CHECK_ENTRIES = 200n;

export interface OpenLedger {
  readonly sql: Sql;
  readonly guard: Guard;
  /** The file that `path` named when it was opened. */
  readonly inode: bigint;
  /** What the ledger has on record of a key like the one it was opened with. */
  readonly keyCheck: Uint8Array | undefined;
  /** Why nothing may be paid with it; reading goes on. */
  unsafe: string | undefined;
  /** Whether that is because it is an old copy, which a person may accept. */
  readonly isOldCopy: boolean;
}

export function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** When the file at a path was made, ns. A copy is made anew; a file system that numbers files afresh keeps it. */
export function bornAt(path: string): bigint | undefined {
  const born = statSync(path, { bigint: true, throwIfNoEntry: false })?.birthtimeNs;
  return born === 0n ? undefined : born;
}

/** @throws {StoreError} when there is no ledger to work with. */
export function openLedger(options: ReadOptions): OpenLedger {
  const { path, guardPath, key, busyTimeoutMs } = options;
  preparePlace(path, options.allowNetworkFileSystem);
  const guard = guardAt(guardPath);
  let sql: Sql | undefined;
  try {
    sql = sqlOn(new DatabaseSync(path, { enableForeignKeyConstraints: false, enableDoubleQuotedStringLiterals: false }));
    sql.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    inspectFile(sql, path); // before anything is written to a file that may be somebody else's
    setUp(sql, guard, options);
    const keyCheck = checkedKey(ledgerRow(sql), key);
    const damage = damageOf(sql, path);
    const lost = damage === undefined ? historyLost(sql, path, guard, guardPath) : undefined;
    // From here on, waiting is ours: a wait inside SQLite would stop the whole process.
    sql.exec("PRAGMA busy_timeout = 0");
    return { sql, guard, inode: inodeOf(path) as bigint, keyCheck, unsafe: damage ?? lost, isOldCopy: lost !== undefined };
  } catch (error) {
    guard.close();
    sql?.close();
    throw isNoDatabase(error) && !isSqlite(path) ? notALedger(path) : storeError(error, "opening it", path);
  }
}

/** What every SQLite file begins with (sqlite.org/fileformat.html). */
const MAGIC = "SQLite format 3\0";

/** Closing the file takes its locks from a store that this process has open on it, so this is asked only where there can be none. */
function isSqlite(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const start = Buffer.alloc(MAGIC.length);
    readSync(file, start, 0, start.length, 0);
    return start.equals(Buffer.from(MAGIC));
  } finally {
    closeSync(file);
  }
}

function notALedger(path: string): StoreError {
  return new StoreError("store_corrupt", `The file ${path} is no database, and so not a ledger of l402-tools. Give another path; it was not changed. If there was a ledger, something has overwritten it: restore the newest backup.`);
}

/** What the header says, at one moment: another process may be making the ledger. */
function inspectFile(sql: Sql, path: string): { isNew: boolean; version: number } {
  try {
    sql.run("BEGIN");
    return inspectHeader(sql, path);
  } finally {
    rollback(sql);
  }
}

/** Turns the file to WAL; SQLite itself does not wait where two do so at once. */
function useWal(sql: Sql, busyTimeoutMs: number): void {
  const start = performance.now();
  for (;;) {
    try {
      sql.get("PRAGMA journal_mode = WAL");
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() - start >= busyTimeoutMs) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** Sets the connection up, and makes the schema, or brings it up to date; a ledger that is in order is not locked for it. */
function setUp(sql: Sql, guard: Guard, { path, key, busyTimeoutMs }: ReadOptions): void {
  useWal(sql, busyTimeoutMs);
  sql.exec("PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1; PRAGMA trusted_schema = 0; PRAGMA journal_size_limit = 67108864");
  const { isNew, version } = inspectFile(sql, path);
  if (!isNew && version === SCHEMA_VERSION) return;
  sql.run("BEGIN IMMEDIATE");
  try {
    const { isNew: isStillNew } = inspectHeader(sql, path); // another process may have made it meanwhile
    migrate(sql, path);
    if (isStillNew && key !== undefined) bindKey(sql, keyCheck(key, ledgerRow(sql).id));
    // The guard of a new ledger is there before the ledger is; one that is there already tells of a ledger that is gone.
    if (isStillNew && (guard.read()?.seq ?? 0n) === 0n) writeGuard(guard, ledgerRow(sql));
    sql.run("COMMIT");
  } catch (error) {
    rollback(sql);
    throw error;
  }
}

export function rollback(sql: Sql): void {
  try {
    sql.run("ROLLBACK");
  } catch {
    // SQLite has rolled back by itself.
  }
}

export function writeGuard(guard: Guard, row: Pick<LedgerRow, "id" | "seq" | "head">): void {
  try {
    guard.writeThrough({ ledger: row.id, seq: row.seq, head: Buffer.from(row.head).toString("hex") });
  } catch (error) {
    throw new StoreError("store_unavailable", "The ledger's guard, a small file that tells when an old copy of the ledger was put back, cannot be written. See guardPath.", { cause: error });
  }
}

/** The check of `key`, which is that of the ledger, if it has one. A ledger without one gets it with the first secret that is written. */
function checkedKey(row: LedgerRow, key: Uint8Array | undefined): Uint8Array | undefined {
  if (key === undefined) {
    if (row.key_check !== null) throw new L402Error("invalid_options", "sqliteStore: this ledger is encrypted; it needs its encryptionKey.");
    return undefined;
  }
  const check = keyCheck(key, row.id);
  if (row.key_check !== null && !same(row.key_check, check)) throw new L402Error("invalid_options", "sqliteStore: encryptionKey is not the key of this ledger.");
  return check;
}

/** From now on the ledger has this key, for good; what was written before stays as it is. */
export function bindKey(sql: Sql, check: Uint8Array): void {
  sql.run("UPDATE ledger SET key_check = ?", check);
}

/** What can be told of damage without reading a long ledger through; `verify()` does that. */
function damageOf(sql: Sql, path: string): string | undefined {
  try {
    if (statSync(path).size <= CHECK_WHOLE_MAX) {
      const found = sql.get<{ quick_check: string }>("PRAGMA quick_check(1)");
      if (found?.quick_check !== "ok") return `The ledger ${path} is damaged (${found?.quick_check ?? "no answer"}). Keep the file and restore the newest backup.`;
    }
    sql.exec("BEGIN"); // one state of the ledger: others go on writing
    const row = ledgerRow(sql);
    const after = row.seq - CHECK_ENTRIES > row.base_seq ? row.seq - CHECK_ENTRIES : row.base_seq;
    const start = after === row.base_seq ? row.base_head : sql.get<EntryRow>("SELECT * FROM entry WHERE seq = ?", after)?.hash;
    const broken = start === undefined ? after : brokenLink(sql, { seq: after, head: start }, { seq: row.seq, head: row.head });
    if (broken !== undefined) return `The ledger ${path} was changed by something else: entry ${broken} does not follow from those before it. Keep the file and restore the newest backup.`;
  } catch (error) {
    if (isDamage(error)) return storeError(error, "the payment", path).message;
    throw error;
  } finally {
    rollback(sql);
  }
  return undefined;
}

/** Whether the guard knows of more, or of another history, than the ledger has. */
export function historyLost(sql: Sql, path: string, guard: Guard, guardPath: string): string | undefined {
  const wayOut = `Payments made since may be missing from it, so nothing is paid. Put the newest copy back; if there is none, compare with the wallet's own history and then call acceptRestored({ path, why }) once.`;
  const known = guard.read(); // before the ledger, which is never behind it
  const row = ledgerRow(sql);
  if (known === undefined) {
    return row.seq === 0n && tryStart(guard, row) ? undefined : `The guard ${guardPath} of the ledger ${path} is missing or unreadable, so the ledger may be an old copy that was put back. ${wayOut}`;
  }
  if (known.ledger !== row.id) return `The ledger ${path} is another one than its guard ${guardPath} belongs to (that one had ${known.seq} entries). ${wayOut}`;
  if (known.seq > row.seq) return `The ledger ${path} is an old copy that was put back: it ends at entry ${row.seq}, and there was an entry ${known.seq}. ${wayOut}`;
  const entry = known.seq > row.base_seq ? sql.get<EntryRow>("SELECT * FROM entry WHERE seq = ?", known.seq)?.hash : known.seq === row.base_seq ? row.base_head : undefined;
  if (known.seq >= row.base_seq && (entry === undefined || Buffer.from(entry).toString("hex") !== known.head)) {
    return `The ledger ${path} has another history than its guard ${guardPath} knows: at entry ${known.seq} they differ. ${wayOut}`;
  }
  return undefined;
}

/** A ledger without entries has nothing to lose: it gets its guard. */
function tryStart(guard: Guard, row: LedgerRow): boolean {
  guard.write({ ledger: row.id, seq: row.seq, head: Buffer.from(row.head).toString("hex") });
  return guard.read() !== undefined;
}
