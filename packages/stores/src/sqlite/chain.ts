/** The append-only entries: one for each transition, each with the hash of all before it. */
import { hash } from "node:crypto";
import type { Sql } from "./sql.ts";
import type { Tick } from "./time.ts";

export interface NewEntry {
  /** The state that the payment came to, or what happened to a budget or the ledger. */
  readonly kind: string;
  /** Payment hash, or budget. */
  readonly subject: string;
  readonly attempt?: number;
  /** Change of what is held, and of what is settled, in each scope of the payment; msat. */
  readonly heldMsat?: bigint;
  readonly settledMsat?: bigint;
  readonly note?: string;
}

export interface EntryRow {
  readonly seq: bigint;
  readonly at: bigint;
  readonly reading: bigint;
  readonly kind: string;
  readonly subject: string;
  readonly attempt: bigint | null;
  readonly held_msat: bigint;
  readonly settled_msat: bigint;
  readonly note: string | null;
  readonly hash: Uint8Array;
}

/** The hash of an entry: over the hash before it and every field. */
export function linkOf(before: Uint8Array, row: Omit<EntryRow, "hash">): Uint8Array {
  const fields = [row.seq, row.at, row.reading, row.kind, row.subject, row.attempt, row.held_msat, row.settled_msat, row.note];
  const text = JSON.stringify(fields.map((field) => (typeof field === "bigint" ? field.toString() : field)));
  return hash("sha256", Buffer.concat([before, Buffer.from(text)]), "buffer");
}

/** Appends an entry after `last`; returns its place. */
export function append(sql: Sql, last: { seq: bigint; head: Uint8Array }, now: Tick, entry: NewEntry): { seq: bigint; head: Uint8Array } {
  const seq = last.seq + 1n;
  const attempt = entry.attempt === undefined ? null : BigInt(entry.attempt);
  const row = { seq, at: BigInt(now.at), reading: BigInt(now.reading), kind: entry.kind, subject: entry.subject, attempt, held_msat: entry.heldMsat ?? 0n, settled_msat: entry.settledMsat ?? 0n, note: entry.note ?? null };
  const head = linkOf(last.head, row);
  sql.run("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", seq, row.at, row.reading, row.kind, row.subject, row.attempt, row.held_msat, row.settled_msat, row.note, head);
  return { seq, head };
}

const PAGE = 1_000n;

/** The first entry after `from` that does not follow from the one before it; `undefined`: all do. */
export function brokenLink(sql: Sql, from: { seq: bigint; head: Uint8Array }, to: { seq: bigint; head: Uint8Array }): bigint | undefined {
  let { seq, head } = from;
  while (seq < to.seq) {
    const rows = sql.all<EntryRow>("SELECT * FROM entry WHERE seq > ? ORDER BY seq LIMIT ?", seq, PAGE);
    if (rows.length === 0) return seq + 1n;
    for (const row of rows) {
      const expected = linkOf(head, row);
      if (row.seq !== seq + 1n || !same(expected, row.hash)) return seq + 1n;
      ({ seq } = row);
      head = row.hash;
    }
  }
  return seq === to.seq && same(head, to.head) ? undefined : to.seq;
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
