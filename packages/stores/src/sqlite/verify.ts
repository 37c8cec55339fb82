/** Reads the whole ledger and says what does not add up. */
import { brokenLink } from "./chain.ts";
import { WHOLE } from "./accounts.ts";
import { OPEN } from "./rows.ts";
import { ledgerRow } from "./schema.ts";
import type { Sql } from "./sql.ts";

export interface VerifyReport {
  /** Nothing was found. */
  readonly ok: boolean;
  readonly problems: readonly string[];
}

interface Account {
  readonly scope: string;
  readonly host: string;
}

const REPORTED_MAX = 20;

export function verifyLedger(sql: Sql): VerifyReport {
  const problems: string[] = [];
  for (const { quick_check: found } of sql.all<{ quick_check: string }>(`PRAGMA quick_check(${REPORTED_MAX})`)) {
    if (found !== "ok") problems.push(`the file: ${found}`);
  }
  const row = ledgerRow(sql);
  const broken = brokenLink(sql, { seq: row.base_seq, head: row.base_head }, { seq: row.seq, head: row.head });
  if (broken !== undefined) problems.push(`entry ${broken} does not follow from those before it`);
  for (const { scope, host } of [...unequalHosts(sql), ...unequalScopes(sql), ...unequalSettlements(sql)].slice(0, REPORTED_MAX)) {
    problems.push(`the sums of ${scope}${host === WHOLE ? "" : ` at ${host}`} are not those of its payments`);
  }
  return { ok: problems.length === 0, problems };
}

/** A host's sums are those of its rows. */
function unequalHosts(sql: Sql): Account[] {
  return sql.all<Account>(`
    WITH counted AS (
      SELECT scope.value AS scope, host,
        sum(CASE WHEN state IN ${OPEN} THEN amount_msat + max_fee_msat ELSE 0 END) AS held_msat, sum(state IN ${OPEN}) AS held_payments,
        sum(CASE WHEN state = 'settled' THEN amount_msat + fee_msat ELSE 0 END) AS settled_msat, sum(state = 'settled') AS payments
      FROM payment, json_each(scopes) AS scope GROUP BY scope.value, host
    )
    SELECT account.scope, account.host FROM account LEFT JOIN counted USING (scope, host)
    WHERE account.host <> '' AND (
      account.held_msat <> coalesce(counted.held_msat, 0) OR account.held_payments <> coalesce(counted.held_payments, 0)
      OR account.settled_msat - account.pruned_msat <> coalesce(counted.settled_msat, 0)
      OR account.payments - account.pruned_payments <> coalesce(counted.payments, 0))`);
}

/** A scope's sums are those of its hosts. */
function unequalScopes(sql: Sql): Account[] {
  return sql.all<Account>(`
    SELECT whole.scope, whole.host FROM account AS whole JOIN account AS part ON part.scope = whole.scope AND part.host <> ''
    WHERE whole.host = '' GROUP BY whole.id
    HAVING whole.held_msat <> sum(part.held_msat) OR whole.held_payments <> sum(part.held_payments)
      OR whole.settled_msat <> sum(part.settled_msat) OR whole.payments <> sum(part.payments)`);
}

/** The newest settlement of an account says what the account says. */
function unequalSettlements(sql: Sql): Account[] {
  return sql.all<Account>(`
    SELECT scope, host FROM account WHERE payments > 0 AND NOT EXISTS (
      SELECT 1 FROM settlement WHERE account = account.id AND settlement.payments = account.payments AND settlement.settled_msat = account.settled_msat)`);
}
