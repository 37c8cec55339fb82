import { randomBytes } from "node:crypto";
import { StoreError } from "@l402-tools/core";
import type { Sql } from "./sql.ts";

/** "L402" in the file's header: this file is a ledger of ours. */
const APPLICATION_ID = 0x4c343032;

/** Each makes the next version of the schema; they are never changed, only added to. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    id TEXT NOT NULL,
    -- Where the chain of entries begins: after those that were pruned.
    base_seq INTEGER NOT NULL,
    base_head BLOB NOT NULL,
    key_check BLOB
  ) STRICT;

  -- A row is never moved: one that is reserved anew is put at the end under a new number.
  CREATE TABLE payment (
    number INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    budget TEXT NOT NULL,
    scopes TEXT NOT NULL,
    label TEXT,
    request_key TEXT NOT NULL,
    idempotency_key TEXT,
    call_key TEXT,
    url TEXT NOT NULL,
    method TEXT NOT NULL,
    origin TEXT NOT NULL,
    host TEXT NOT NULL,
    path TEXT NOT NULL,
    amount_msat INTEGER NOT NULL CHECK (amount_msat >= 0),
    max_fee_msat INTEGER NOT NULL CHECK (max_fee_msat >= 0),
    fee_msat INTEGER NOT NULL DEFAULT 0 CHECK (fee_msat >= 0),
    payee TEXT NOT NULL,
    wallet TEXT NOT NULL,
    invoice ANY NOT NULL,
    expires_at INTEGER NOT NULL,
    scheme TEXT NOT NULL,
    credential ANY NOT NULL,
    owner TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'sending', 'unknown', 'settled', 'failed', 'voided')),
    attempt INTEGER NOT NULL,
    preimage ANY,
    wallet_ref TEXT,
    reserved_at INTEGER NOT NULL,
    dispatched_at INTEGER,
    resolved_at INTEGER,
    resolution TEXT,
    accepted_at INTEGER,
    -- Order among the credentials of its path, and among the accepted ones of its origin; NULL: not offered.
    path_order INTEGER,
    origin_order INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX payment_open ON payment (budget, request_key) WHERE state IN ('reserved', 'sending', 'unknown');
  CREATE INDEX payment_time ON payment (reserved_at);
  CREATE INDEX payment_by_path ON payment (budget, origin, method, path, path_order) WHERE path_order IS NOT NULL;
  CREATE INDEX payment_by_origin ON payment (budget, origin, origin_order) WHERE origin_order IS NOT NULL;

  -- Which payment an idempotency key bought.
  CREATE TABLE purchase (
    budget TEXT NOT NULL,
    key TEXT NOT NULL,
    hash TEXT NOT NULL,
    call_key TEXT NOT NULL,
    PRIMARY KEY (budget, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX purchase_by_hash ON purchase (hash);

  -- Running sums of a scope (host '') and of each host in it. They are checked in \`reserve\` alone: booking the truth must not fail.
  CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    host TEXT NOT NULL,
    settled_msat INTEGER NOT NULL DEFAULT 0 CHECK (settled_msat >= 0),
    payments INTEGER NOT NULL DEFAULT 0,
    held_msat INTEGER NOT NULL DEFAULT 0 CHECK (held_msat >= 0),
    held_payments INTEGER NOT NULL DEFAULT 0 CHECK (held_payments >= 0),
    pruned_msat INTEGER NOT NULL DEFAULT 0,
    pruned_payments INTEGER NOT NULL DEFAULT 0,
    UNIQUE (scope, host)
  ) STRICT;

  -- After each settlement, what its account had settled in all: any window is a difference of two.
  CREATE TABLE settlement (
    account INTEGER NOT NULL,
    at INTEGER NOT NULL,
    payments INTEGER NOT NULL,
    settled_msat INTEGER NOT NULL,
    PRIMARY KEY (account, at, payments)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE refusal (
    hash TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    PRIMARY KEY (hash, method, path)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE pause (
    budget TEXT PRIMARY KEY,
    why TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Append-only: every transition, each with the hash of all before it.
  CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    reading INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    attempt INTEGER,
    held_msat INTEGER NOT NULL,
    settled_msat INTEGER NOT NULL,
    note TEXT,
    hash BLOB NOT NULL
  ) STRICT;

  CREATE TABLE owner (
    owner TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started TEXT,
    place TEXT NOT NULL,
    at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
];

export const SCHEMA_VERSION: number = MIGRATIONS.length;

/** What the ledger says about itself: its one row, and its newest entry. */
export interface LedgerRow {
  readonly version: bigint;
  readonly id: string;
  /** The newest entry, its hash, and the time at it. */
  readonly seq: bigint;
  readonly head: Uint8Array;
  readonly at: bigint;
  readonly reading: bigint;
  readonly base_seq: bigint;
  readonly base_head: Uint8Array;
  readonly key_check: Uint8Array | null;
}

export function ledgerRow(sql: Sql): LedgerRow {
  const row = sql.get<LedgerRow>(
    `SELECT version, id, base_seq, base_head, key_check, coalesce(seq, base_seq) AS seq, coalesce(hash, base_head) AS head, coalesce(at, 0) AS at, coalesce(reading, 0) AS reading
     FROM ledger LEFT JOIN entry ON seq = (SELECT max(seq) FROM entry) WHERE one = 1`,
  );
  if (row === undefined) throw new StoreError("store_corrupt", "The ledger has lost its first row. Nothing is paid with it; restore a backup.");
  return row;
}

export function newerVersion(path: string): StoreError {
  return new StoreError("store_unavailable", `The ledger ${path} was made, or changed, by a newer version of @l402-tools/stores. Upgrade this process; nothing was changed.`);
}

const pragma = (sql: Sql, name: string): number => Number(Object.values(sql.get<Record<string, bigint>>(`PRAGMA ${name}`) ?? {})[0] ?? 0n);

/** Whether the file is empty, and is to become a ledger. @throws {StoreError} for a file of somebody else, or of a newer version. */
export function inspectHeader(sql: Sql, path: string): { isNew: boolean; version: number } {
  const [application, version] = [pragma(sql, "application_id"), pragma(sql, "user_version")];
  if (application === APPLICATION_ID) {
    if (version > SCHEMA_VERSION) throw newerVersion(path);
    return { isNew: false, version };
  }
  const tables = sql.get<{ count: bigint }>("SELECT count(*) AS count FROM sqlite_schema");
  if (application !== 0 || version !== 0 || (tables?.count ?? 0n) !== 0n) {
    throw new StoreError("store_corrupt", `The file ${path} is a database, and not a ledger of l402-tools. Give another path; it was not changed.`);
  }
  return { isNew: true, version: 0 };
}

/** Brings the schema up to date, in the transaction that the caller has open. */
export function migrate(sql: Sql, path: string): void {
  const { isNew, version } = inspectHeader(sql, path);
  for (const step of MIGRATIONS.slice(version)) sql.exec(step);
  if (isNew) {
    sql.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    sql.run("INSERT INTO ledger VALUES (1, ?, ?, 0, ?, NULL)", SCHEMA_VERSION, randomBytes(16).toString("hex"), new Uint8Array(32));
  }
  if (version < SCHEMA_VERSION) {
    sql.run("UPDATE ledger SET version = ?", SCHEMA_VERSION);
    sql.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  }
}
