/** The transitions of a payment. Each is called in a transaction that holds the write lock, and decides by what it reads there. */
import { fit, matchesDomain, type ReserveRequest, type ReserveResult, type SettleResult } from "@l402-tools/core";
import { book, hold, release, usageOf } from "./accounts.ts";
import type { Sealed } from "./cipher.ts";
import { offerAtPath } from "./credentials.ts";
import { linkPurchase, purchaseByKey, purchaseByRequest, unlinkPurchases } from "./purchases.ts";
import { holdOf, insertPayment, isFree, isOpen, isVacant, rowOf, scopesOf, type PaymentRow, type SealedPayment } from "./rows.ts";
import type { Sql } from "./sql.ts";
import type { Writing } from "./transactions.ts";

export type ReservedRow = Exclude<ReserveResult, { payment: unknown }> | { readonly status: "reserved" | "exists" | "purchase"; readonly row: PaymentRow };

export function pauseOf(sql: Sql, budget: string): string | null {
  return sql.get<{ why: string }>("SELECT why FROM pause WHERE budget = ?", budget)?.why ?? null;
}

export function reservePayment(tx: Writing, { payment, maxFeeMsat, minFeeMsat, limits }: ReserveRequest, sealed: SealedPayment): ReservedRow {
  const { sql, now } = tx;
  const { budgetId, paymentHash, idempotencyKey } = payment;
  const why = pauseOf(sql, budgetId);
  if (why !== null) return { status: "paused", why };
  const old = rowOf(sql, paymentHash);
  if (old !== undefined && !isFree(old)) return { status: "exists", row: old };
  const keyed = idempotencyKey === undefined ? undefined : purchaseByKey(sql, budgetId, idempotencyKey);
  if (keyed !== undefined && !isVacant(keyed)) return { status: "purchase", row: keyed };
  const unresolved = purchaseByRequest(sql, budgetId, payment.requestKey);
  if (unresolved !== undefined) return { status: "purchase", row: unresolved };

  const checks = limits.filter((rule) => matchesDomain(rule.domain, payment.host)).map((rule) => ({ rule, usage: usageOf(sql, rule, now.at) }));
  const room = fit(checks, payment.amountMsat, maxFeeMsat, minFeeMsat);
  if (!("feeMsat" in room)) return { status: "over_limit", ...room };

  if (old !== undefined) {
    unlinkPurchases(sql, paymentHash);
    sql.run("DELETE FROM payment WHERE hash = ?", paymentHash);
  }
  tx.useKey();
  const row = insertPayment(sql, payment, sealed, room.feeMsat, old?.attempt ?? 0n, now.wall);
  hold(sql, payment, holdOf(row));
  if (idempotencyKey !== undefined) linkPurchase(sql, row, idempotencyKey, payment.callKey ?? payment.requestKey);
  tx.entry({ kind: "reserved", subject: paymentHash, attempt: Number(row.attempt), heldMsat: holdOf(row), note: payment.owner });
  return { status: "reserved", row };
}

export function dispatchPayment(tx: Writing, paymentHash: string, owner: string, notAfter: number): { attempt: number } | null {
  const { sql, now } = tx;
  if (now.reading > notAfter) return null; // the invoice's life is the clock's, also while the ledger's time stands still
  const sent = sql.get<{ attempt: bigint }>(
    `UPDATE payment SET state = 'sending', attempt = attempt + 1, dispatched_at = ?
     WHERE hash = ? AND state = 'reserved' AND owner = ? AND NOT EXISTS (SELECT 1 FROM pause WHERE pause.budget = payment.budget) RETURNING attempt`,
    now.wall,
    paymentHash,
    owner,
  );
  if (sent === undefined) return null;
  tx.useKey();
  const attempt = Number(sent.attempt);
  tx.entry({ kind: "sending", subject: paymentHash, attempt });
  return { attempt };
}

/** Ends a row: what it holds is released, and what only an unresolved payment needs is not kept. `paid`: it was settled. */
function endPayment(tx: Writing, row: PaymentRow, state: "settled" | "failed" | "voided", resolution: string, paid?: { feeMsat: bigint; preimage: Sealed | null }): void {
  const { sql, now } = tx;
  const settledMsat = paid === undefined ? 0n : row.amount_msat + paid.feeMsat;
  const heldMsat = isOpen(row) ? holdOf(row) : 0n;
  if (isOpen(row)) release(sql, scopesOf(row), heldMsat);
  sql.run("UPDATE payment SET state = ?, resolution = ?, resolved_at = ?, invoice = '', fee_msat = ?, preimage = ? WHERE number = ?", state, resolution, now.wall, paid?.feeMsat ?? 0n, paid?.preimage ?? null, row.number);
  if (paid !== undefined) book(sql, scopesOf(row), settledMsat, now.at);
  tx.entry({ kind: state, subject: row.hash, attempt: Number(row.attempt), heldMsat: -heldMsat, settledMsat, note: resolution });
}

function pauseBudget(tx: Writing, budget: string, why: string): void {
  tx.sql.run("INSERT INTO pause VALUES (?, ?) ON CONFLICT (budget) DO UPDATE SET why = excluded.why", budget, why);
  tx.entry({ kind: "paused", subject: budget, note: why });
}

export function settlePayment(tx: Writing, paymentHash: string, proof: { feeMsat: bigint; resolution: string }, preimage: Sealed | null): SettleResult {
  const { sql } = tx;
  const row = rowOf(sql, paymentHash);
  if (row === undefined) return { status: "missing" };
  if (row.state === "settled") return { status: "already" };
  const late = isFree(row);
  const overrun = !late && proof.feeMsat > row.max_fee_msat;
  if (preimage !== null) tx.useKey();
  endPayment(tx, row, "settled", proof.resolution, { feeMsat: proof.feeMsat, preimage });
  if (preimage !== null) offerAtPath(sql, row);
  if (late) pauseBudget(tx, row.budget, `payment ${paymentHash} was booked as not paid, and was paid`);
  if (overrun) pauseBudget(tx, row.budget, `payment ${paymentHash} cost a fee of ${proof.feeMsat} msat where ${row.max_fee_msat} msat were held`);
  return { status: late ? "late" : overrun ? "overrun" : "settled" };
}

/** The row, if it was dispatched for this attempt and is not resolved. */
function underWay(sql: Sql, paymentHash: string, attempt: number): PaymentRow | undefined {
  const row = rowOf(sql, paymentHash);
  return row !== undefined && (row.state === "sending" || row.state === "unknown") && Number(row.attempt) === attempt ? row : undefined;
}

export function failPayment(tx: Writing, paymentHash: string, attempt: number, resolution: string): boolean {
  const row = underWay(tx.sql, paymentHash, attempt);
  if (row === undefined) return false;
  endPayment(tx, row, "failed", resolution);
  return true;
}

export function markUnknown(tx: Writing, paymentHash: string, attempt: number, detail: { resolution: string; walletRef?: string }): boolean {
  const { sql } = tx;
  const row = underWay(sql, paymentHash, attempt);
  if (row === undefined) return false;
  if (detail.walletRef !== undefined) sql.run("UPDATE payment SET wallet_ref = ? WHERE hash = ?", detail.walletRef, paymentHash);
  if (row.state === "unknown") return false;
  sql.run("UPDATE payment SET state = 'unknown', resolution = ? WHERE hash = ?", detail.resolution, paymentHash);
  tx.entry({ kind: "unknown", subject: paymentHash, attempt, note: detail.resolution });
  return true;
}

export function voidPayment(tx: Writing, paymentHash: string, resolution: string, owner: string | undefined): boolean {
  const row = rowOf(tx.sql, paymentHash);
  if (row === undefined || row.state !== "reserved" || (owner !== undefined && row.owner !== owner)) return false;
  endPayment(tx, row, "voided", resolution);
  return true;
}

export function resumeBudget(tx: Writing, budget: string, why: string): void {
  if (tx.sql.run("DELETE FROM pause WHERE budget = ?", budget) > 0) tx.entry({ kind: "resumed", subject: budget, note: why });
}

/** Compare-and-set of who works on an unresolved payment, and until when. */
export function claimPayment(tx: Writing, paymentHash: string, from: { owner: string; leaseUntil: number }, to: { owner: string; leaseUntil: number }): boolean {
  const row = rowOf(tx.sql, paymentHash);
  if (row === undefined || !isOpen(row) || row.owner !== from.owner || Number(row.lease_until) !== Math.trunc(from.leaseUntil)) return false;
  tx.sql.run("UPDATE payment SET owner = ?, lease_until = ? WHERE hash = ?", to.owner, Math.trunc(to.leaseUntil), paymentHash);
  tx.entry({ kind: "claimed", subject: paymentHash, attempt: Number(row.attempt), note: to.owner });
  return true;
}
