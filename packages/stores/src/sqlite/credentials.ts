/** Bought credentials: which to offer where. They live in their payment's row. */
import type { KeptCredential, Store } from "@l402-tools/core";
import type { Cipher } from "./cipher.ts";
import { rowOf, type PaymentRow } from "./rows.ts";
import type { Sql } from "./sql.ts";

export type CredentialQuery = Parameters<Store["credential"]>[0];

/** Accepted credentials of an origin that are offered to other paths; older ones stay with their own path. */
const ACCEPTED_MAX = 16;
/** Refusals remembered for one credential; one that was refused at so many paths is offered to no other. */
const REFUSED_MAX = 64;

/** Puts a settled payment's credential before all others of its path. */
export function offerAtPath(sql: Sql, { hash, budget, origin, method, path }: PaymentRow): void {
  sql.run(
    "UPDATE payment SET path_order = (SELECT coalesce(max(path_order), 0) + 1 FROM payment WHERE budget = ? AND origin = ? AND method = ? AND path = ? AND path_order IS NOT NULL) WHERE hash = ?",
    budget,
    origin,
    method,
    path,
    hash,
  );
}

export function findCredential(sql: Sql, query: CredentialQuery): PaymentRow | undefined {
  const { budgetId, origin, method, path, anyPath, except } = query;
  const isWanted = ({ hash }: PaymentRow): boolean => except?.has(hash) !== true;
  const own = sql
    .all<PaymentRow>(
      "SELECT * FROM payment WHERE budget = ? AND origin = ? AND method = ? AND path = ? AND path_order IS NOT NULL ORDER BY path_order DESC LIMIT ?",
      budgetId,
      origin,
      method,
      path,
      (except?.size ?? 0) + 1,
    )
    .find(isWanted);
  if (own !== undefined || !anyPath) return own;
  return sql
    .all<PaymentRow & { refusals: bigint; here: bigint }>(
      `SELECT *, (SELECT count(*) FROM refusal WHERE refusal.hash = payment.hash) AS refusals,
         EXISTS (SELECT 1 FROM refusal WHERE refusal.hash = payment.hash AND refusal.method = ? AND refusal.path = ?) AS here
       FROM payment WHERE budget = ? AND origin = ? AND origin_order IS NOT NULL ORDER BY origin_order DESC LIMIT ?`,
      method,
      path,
      budgetId,
      origin,
      ACCEPTED_MAX,
    )
    .find((row) => isWanted(row) && row.here === 0n && row.refusals < REFUSED_MAX);
}

export async function keptCredential(row: PaymentRow, cipher: Cipher): Promise<KeptCredential> {
  const { hash, origin, method, path, scheme } = row;
  const [credential, preimage] = await Promise.all([cipher.open(row.credential, "credential", hash), cipher.open(row.preimage as string, "preimage", hash)]);
  const acceptedAt = row.accepted_at === null ? {} : { acceptedAt: Number(row.accepted_at) };
  return { paymentHash: hash, origin, method, path, scheme, credential, preimage, settledAt: Number(row.resolved_at), ...acceptedAt };
}

export function noteAccepted(sql: Sql, paymentHash: string, at: number): void {
  const row = rowOf(sql, paymentHash) as (PaymentRow & { path_order: bigint | null }) | undefined;
  if (row === undefined || row.preimage === null) return;
  sql.run(
    "UPDATE payment SET accepted_at = ?, origin_order = (SELECT coalesce(max(origin_order), 0) + 1 FROM payment WHERE budget = ? AND origin = ? AND origin_order IS NOT NULL) WHERE hash = ?",
    at,
    row.budget,
    row.origin,
    paymentHash,
  );
  sql.run("DELETE FROM refusal WHERE hash = ? AND method = ? AND path = ?", paymentHash, row.method, row.path);
  if (row.path_order === null) offerAtPath(sql, row);
}

export function noteRefused(sql: Sql, paymentHash: string, at: { method: string; path: string }): void {
  const row = rowOf(sql, paymentHash);
  if (row === undefined || row.preimage === null) return;
  const isOwn = at.method === row.method && at.path === row.path;
  const refusals = sql.get<{ count: bigint }>("SELECT count(*) AS count FROM refusal WHERE hash = ?", paymentHash);
  if (isOwn || (refusals?.count ?? 0n) < REFUSED_MAX) sql.run("INSERT INTO refusal VALUES (?, ?, ?) ON CONFLICT DO NOTHING", paymentHash, at.method, at.path);
  // Refused where it was bought: it is used up or expired, and is offered nowhere else either.
  if (isOwn) sql.run("UPDATE payment SET path_order = NULL, origin_order = NULL WHERE hash = ?", paymentHash);
}
