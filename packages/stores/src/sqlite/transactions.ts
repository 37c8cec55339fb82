/**
 * Every write is a job in a transaction that holds the ledger's write lock from its first statement (BEGIN IMMEDIATE)
 * and is on disk when it is answered. Jobs that were asked for at the same time share one transaction and its sync; if
 * one of them throws, nothing of it is kept, and each gets a transaction of its own.
 */
import { StoreError } from "@l402-tools/core";
import { setImmediate, setTimeout } from "node:timers/promises";
import { append, same, type NewEntry } from "./chain.ts";
import { isBusy, isDamage, storeError } from "./errors.ts";
import { bindKey, bornAt, inodeOf, rollback, type OpenLedger } from "./open.ts";
import { ledgerRow, newerVersion, SCHEMA_VERSION, type LedgerRow } from "./schema.ts";
import type { Sql } from "./sql.ts";
import { ledgerTime, wasCorrected, type Moment } from "./time.ts";

export const CLOSED = "The store is closed: make a new client, or close the store later.";
/** Jobs in one transaction: others wait meanwhile. */
const TOGETHER_MAX = 64;
/** Longest time, ms, that writing keeps the process from its other work. */
const YIELD_AFTER_MS = 5;
/** How long after another process has written the lock is shared with it, ms. */
const SHARED_MS = 20;
/** Longest pause, ms, between two tries to get the lock. */
const PAUSE_MAX_MS = 4;

export interface Reading {
  readonly sql: Sql;
  readonly now: Moment;
}

export interface Writing extends Reading {
  /** Puts a transition on record. */
  entry(entry: NewEntry): void;
  /** For a secret that is written or paid for: the ledger must have the key of this store, and gets it if it has none. @throws {StoreError} */
  useKey(): void;
}

interface Job {
  readonly what: string;
  readonly work: (tx: Writing) => unknown;
  readonly since: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

export interface Transactions {
  /** `what` names the work in an error. */
  write<T>(what: string, work: (tx: Writing) => T): Promise<T>;
  read<T>(what: string, work: (tx: Reading) => T): Promise<T>;
  close(): Promise<void>;
}

export function transactionsOn(ledger: OpenLedger, path: string, clock: { now(): number }, busyTimeoutMs: number): Transactions {
  const { sql, guard } = ledger;
  const moment = ledgerTime(clock);
  const born = bornAt(path);
  const queue: Job[] = [];
  let pumping: Promise<void> | undefined;
  let closed = false;
  let yielded = 0;
  let othersWroteAt = -Infinity;
  let cached: { version: bigint; row: LedgerRow } | undefined;
  let newest = { seq: 0n, head: "" };

  const momentOf = (row: LedgerRow): Moment => moment({ at: Number(row.at), reading: Number(row.reading) });

  function assertOpen(): void {
    if (closed) throw new StoreError("store_unavailable", CLOSED);
  }

  /** Waits a little for a lock that others have; throws when it has waited long enough. */
  async function pause(error: unknown, since: number, what: string): Promise<void> {
    if (!isBusy(error) || performance.now() - since >= busyTimeoutMs) throw storeError(error, what, path);
    await setTimeout(1 + Math.random() * PAUSE_MAX_MS);
  }

  /** The ledger's row; read again only if another connection has written since. Call it in a transaction. */
  function current(): LedgerRow {
    const version = sql.get<{ data_version: bigint }>("PRAGMA data_version")?.data_version ?? 0n;
    if (cached?.version !== version) {
      if (cached !== undefined) othersWroteAt = performance.now();
      cached = { version, row: ledgerRow(sql) };
    }
    return cached.row;
  }

  /** What the ledger says now that nobody else can change it; it must be the one that was opened, and go on from there. */
  function begun(): LedgerRow {
    if (inodeOf(path) !== ledger.inode && (born === undefined || bornAt(path) !== born)) ledger.unsafe ??= `The file ${path} was moved or replaced while it was open. Nothing is paid; start this process anew.`;
    const row = current();
    if (Number(row.version) !== SCHEMA_VERSION) throw newerVersion(path);
    const head = Buffer.from(row.head).toString("hex");
    if (row.seq < newest.seq || (row.seq === newest.seq && head !== newest.head && newest.head !== "")) {
      ledger.unsafe ??= `The ledger ${path} was put back to entry ${row.seq} while this process had seen entry ${newest.seq}. Nothing is paid; start this process anew and see what its guard says.`;
    }
    return row;
  }

  /** What the ledger has on record of its key, once this store has used its own; `recorded`: so far. */
  function keyUsed(recorded: Uint8Array | null): Uint8Array | null {
    const { keyCheck: own } = ledger;
    if (recorded === null) {
      if (own === undefined) return null;
      bindKey(sql, own);
      return own;
    }
    if (own !== undefined && same(recorded, own)) return recorded;
    const opened = own === undefined ? "without one" : "with another";
    throw new StoreError("store_unavailable", `The ledger ${path} was given an encryptionKey by another process, while this one had it open ${opened}. Nothing is paid, and no secret is written; start this process anew with that key.`);
  }

  /** Runs jobs in the transaction that is open; returns what they answer, and what to do once it is committed. */
  function work(jobs: readonly Job[]): { results: unknown[]; committed: () => void } {
    const row = begun();
    const now = momentOf(row);
    let last = { seq: row.seq, head: row.head };
    let key = row.key_check;
    const tx: Writing = {
      sql,
      now,
      entry(entry) {
        last = append(sql, last, now, entry);
      },
      useKey() {
        key = keyUsed(key);
      },
    };
    if (wasCorrected({ at: Number(row.at), reading: Number(row.reading) }, now)) tx.entry({ kind: "clock", subject: "ledger", note: `the clock was set back by ${Number(row.reading) - now.reading} ms` });
    const results = jobs.map((job) => job.work(tx));
    const onRecord = { at: BigInt(now.at), reading: BigInt(now.reading) };
    const committed = (): void => {
      newest = { seq: last.seq, head: Buffer.from(last.head).toString("hex") };
      if (last.seq === row.seq) return;
      if (cached !== undefined) cached = { ...cached, row: { ...row, ...last, ...onRecord, key_check: key } };
      if (ledger.unsafe === undefined) guard.write({ ledger: row.id, ...newest });
    };
    return { results, committed };
  }

  /**
   * Nothing here waits between lock and commit, not even for a microtask: a read of this process, on the same
   * connection, must not fall in between.
   */
  async function transact(jobs: readonly Job[]): Promise<void> {
    let outcome: ReturnType<typeof work>;
    try {
      for (const job = jobs[0] as Job; ; ) {
        try {
          sql.run("BEGIN IMMEDIATE");
          break;
        } catch (error) {
          await pause(error, job.since, job.what);
        }
      }
      outcome = work(jobs);
    } catch (error) {
      rollback(sql);
      cached = undefined;
      if (jobs.length === 1) return fail(jobs[0] as Job, error);
      for (const job of jobs) await transact([job]);
      return;
    }
    try {
      sql.run("COMMIT");
    } catch (error) {
      rollback(sql);
      cached = undefined;
      for (const job of jobs) fail(job, error); // it may be on record all the same after a crash, so it is not tried again
      return;
    }
    outcome.committed();
    for (const [index, job] of jobs.entries()) job.resolve(outcome.results[index] as never);
  }

  async function pump(): Promise<void> {
    for (let together = 1; queue.length > 0; ) {
      // The lock goes to whoever asks first, so a process that never rests would keep it from the others.
      if (performance.now() - othersWroteAt < SHARED_MS) await setTimeout(1);
      // Where many ask at a time, what they ask for next comes along; and the process gets to do other things.
      if (together > 1 || performance.now() - yielded > YIELD_AFTER_MS) {
        await setImmediate();
        yielded = performance.now();
      } else await Promise.resolve();
      const jobs = queue.splice(0, TOGETHER_MAX);
      together = jobs.length;
      await transact(jobs);
    }
    pumping = undefined;
  }

  function fail(job: Job, error: unknown): void {
    if (isDamage(error)) ledger.unsafe ??= storeError(error, "the payment", path).message;
    job.reject(storeError(error, job.what, path));
  }

  return {
    async write(what, work) {
      assertOpen();
      return new Promise((resolve, reject) => {
        queue.push({ what, work, since: performance.now(), resolve, reject });
        pumping ??= pump();
      });
    },
    async read(what, work) {
      assertOpen();
      const since = performance.now();
      for (;;) {
        try {
          sql.run("BEGIN");
          try {
            return work({ sql, now: momentOf(current()) });
          } finally {
            rollback(sql);
          }
        } catch (error) {
          if (isDamage(error)) ledger.unsafe ??= storeError(error, "the payment", path).message;
          await pause(error, since, what);
          assertOpen();
        }
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      await pumping;
      guard.close();
      sql.close();
    },
  };
}
