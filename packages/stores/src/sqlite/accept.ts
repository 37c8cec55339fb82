import { L402Error, StoreError } from "@l402-tools/core";
import { append } from "./chain.ts";
import { storeError } from "./errors.ts";
import { openLedger, rollback, writeGuard } from "./open.ts";
import { readOptions, type SqliteStoreOptions } from "./options.ts";
import { ledgerRow } from "./schema.ts";
import { momentAfter } from "./time.ts";

/**
 * Lets a ledger be paid with again that is an old copy put back, or has lost its guard; the reason goes on record. What
 * was spent after that copy was made is not in it: compare with the wallet's own history first, and lower the limits by
 * the difference.
 *
 * @throws {L402Error} `invalid_options` without a reason, or when there is nothing to accept. @throws {StoreError}
 */
export function acceptRestored({ why, ...options }: SqliteStoreOptions & { readonly why: string }): void {
  if (typeof why !== "string" || why.trim() === "") throw new L402Error("invalid_options", 'acceptRestored needs a reason: { path, why: "…" }.');
  const read = readOptions(options);
  const { sql, guard, unsafe, isOldCopy } = openLedger(read);
  try {
    if (unsafe === undefined) throw new L402Error("invalid_options", `The ledger ${read.path} is in order: there is nothing to accept.`);
    if (!isOldCopy) throw new StoreError("store_corrupt", unsafe);
    const known = guard.read();
    sql.exec(`PRAGMA busy_timeout = ${read.busyTimeoutMs}`);
    sql.exec("BEGIN IMMEDIATE");
    const row = ledgerRow(sql);
    const now = momentAfter({ at: Number(row.at), reading: Number(row.reading) }, read.clock.now());
    const note = `${why} (at entry ${row.seq}; the guard ${known === undefined ? "was missing" : `knew entry ${known.seq}`})`;
    const { seq, head } = append(sql, row, now, { kind: "restored", subject: "ledger", note });
    writeGuard(guard, { id: row.id, seq: row.seq, head: row.head }); // first: it may lag, and is never ahead
    sql.exec("COMMIT");
    writeGuard(guard, { id: row.id, seq, head });
  } catch (error) {
    rollback(sql);
    throw storeError(error, "accepting it", read.path);
  } finally {
    sql.close();
    guard.close();
  }
}
