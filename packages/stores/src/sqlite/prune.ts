/** Takes old rows out of the ledger, a little at a time. No sum, window or limit changes by it. */
import { L402Error } from "@l402-tools/core";
import { notePruned } from "./accounts.ts";
import type { EntryRow } from "./chain.ts";
import { scopesOf, type PaymentRow } from "./rows.ts";
import { ledgerRow } from "./schema.ts";
import type { Transactions, Writing } from "./transactions.ts";

/** Rows that are looked at while others wait. */
const STEP = 500n;

export interface PruneReport {
  /** Payments that were taken out. */
  readonly payments: number;
  /** Entries that were taken out. */
  readonly entries: number;
}

/**
 * Takes out the payments that were resolved, and whose invoice expired, before a time, and the entries before it. Kept
 * are those with an idempotency key, which is for good, and those whose credential is still offered.
 */
export async function pruneLedger(transactions: Transactions, { before }: { before: number }): Promise<PruneReport> {
  if (!Number.isFinite(before)) throw new L402Error("invalid_options", "prune needs a time, epoch ms: { before }.");
  const until = Math.trunc(before);
  const end = await transactions.read("the pruning", ({ sql }) => sql.get<{ last: bigint | null }>("SELECT max(number) AS last FROM payment")?.last ?? 0n);
  let payments = 0;
  for (let from = 0n; from < end; from += STEP) payments += await transactions.write("the pruning", (tx) => prunePayments(tx, from, until));
  let entries = 0;
  for (;;) {
    const gone = await transactions.write("the pruning", (tx) => pruneEntries(tx, until));
    entries += gone;
    if (gone === 0) break;
  }
  if (payments + entries > 0) {
    const note = `${payments} payments and ${entries} entries of before ${new Date(until).toISOString()}`;
    await transactions.write("the pruning", (tx) => tx.entry({ kind: "pruned", subject: "ledger", note }));
  }
  return { payments, entries };
}

function prunePayments({ sql }: Writing, from: bigint, until: number): number {
  const rows = sql.all<PaymentRow>(
    `SELECT * FROM payment WHERE number > ? AND number <= ? AND state IN ('settled', 'failed', 'voided') AND resolved_at < ? AND expires_at < ?
       AND path_order IS NULL AND origin_order IS NULL AND NOT EXISTS (SELECT 1 FROM purchase WHERE purchase.hash = payment.hash)`,
    from,
    from + STEP,
    until,
    until,
  );
  for (const row of rows) {
    if (row.state === "settled") notePruned(sql, scopesOf(row), row.amount_msat + row.fee_msat);
    sql.run("DELETE FROM refusal WHERE hash = ?", row.hash);
    sql.run("DELETE FROM payment WHERE number = ?", row.number);
  }
  return rows.length;
}

/** The oldest entries, as far as they are of before that time; the chain begins after them from then on. */
function pruneEntries({ sql }: Writing, until: number): number {
  const { base_seq: base, seq: newest } = ledgerRow(sql);
  const oldest = sql.all<Pick<EntryRow, "seq" | "at" | "hash">>("SELECT seq, at, hash FROM entry WHERE seq > ? ORDER BY seq LIMIT ?", base, STEP);
  const gone = oldest.filter(({ seq, at }) => Number(at) < until && seq < newest);
  const last = gone.at(-1);
  if (last === undefined) return 0;
  sql.run("DELETE FROM entry WHERE seq <= ?", last.seq);
  sql.run("UPDATE ledger SET base_seq = ?, base_head = ?", last.seq, last.hash);
  return gone.length;
}
