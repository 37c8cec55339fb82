/** Which payment a purchase has: by idempotency key for good, by request while one is unresolved. */
import { isVacant, OPEN, rowOf, type PaymentRow } from "./rows.ts";
import type { Sql } from "./sql.ts";

/** The payment of a key, under that key. */
export function purchaseByKey(sql: Sql, budget: string, key: string): PaymentRow | undefined {
  const linked = sql.get<{ hash: string; call_key: string }>("SELECT hash, call_key FROM purchase WHERE budget = ? AND key = ?", budget, key);
  const row = linked === undefined ? undefined : rowOf(sql, linked.hash);
  return linked === undefined || row === undefined ? undefined : { ...row, idempotency_key: key, call_key: linked.call_key };
}

export function purchaseByRequest(sql: Sql, budget: string, requestKey: string): PaymentRow | undefined {
  return sql.get<PaymentRow>(`SELECT * FROM payment WHERE budget = ? AND request_key = ? AND state IN ${OPEN}`, budget, requestKey);
}

/** Makes `row` the purchase of a key, unless the key has another that is unresolved or has a preimage. */
export function linkPurchase(sql: Sql, row: Pick<PaymentRow, "hash" | "budget">, key: string, callKey: string): boolean {
  const current = purchaseByKey(sql, row.budget, key);
  if (current !== undefined && current.hash !== row.hash && !isVacant(current)) return false;
  sql.run("INSERT INTO purchase VALUES (?, ?, ?, ?) ON CONFLICT (budget, key) DO UPDATE SET hash = excluded.hash, call_key = excluded.call_key", row.budget, key, row.hash, callKey);
  return true;
}

export function unlinkPurchases(sql: Sql, hash: string): void {
  sql.run("DELETE FROM purchase WHERE hash = ?", hash);
}
