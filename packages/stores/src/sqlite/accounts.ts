/** What each scope, and each host in it, holds and has settled: running sums, so that nothing depends on the ledger's length. */
import { matchesDomain, type LimitRule, type Usage } from "@l402-tools/core";
import type { Sql } from "./sql.ts";

/** The host under which a scope's own sums are kept. */
export const WHOLE = "";

/** Where a payment counts. */
export interface Counted {
  readonly scopes: readonly string[];
  readonly host: string;
}

interface Sums {
  readonly id: bigint;
  readonly host: string;
  readonly settled_msat: bigint;
  readonly payments: bigint;
  readonly held_msat: bigint;
  readonly held_payments: bigint;
}

/** Every account that a payment counts in. */
function* accountsOf({ scopes, host }: Counted): Generator<readonly [scope: string, host: string]> {
  for (const scope of new Set(scopes)) {
    yield [scope, WHOLE];
    yield [scope, host];
  }
}

export function hold(sql: Sql, payment: Counted, msat: bigint): void {
  for (const [scope, host] of accountsOf(payment)) {
    sql.run(
      `INSERT INTO account (scope, host, held_msat, held_payments) VALUES (?, ?, ?, 1)
       ON CONFLICT (scope, host) DO UPDATE SET held_msat = held_msat + excluded.held_msat, held_payments = held_payments + 1`,
      scope,
      host,
      msat,
    );
  }
}

export function release(sql: Sql, payment: Counted, msat: bigint): void {
  for (const [scope, host] of accountsOf(payment)) {
    sql.run("UPDATE account SET held_msat = held_msat - ?, held_payments = held_payments - 1 WHERE scope = ? AND host = ?", msat, scope, host);
  }
}

/** Books what was paid, at the ledger's time `at`. */
export function book(sql: Sql, payment: Counted, msat: bigint, at: number): void {
  for (const [scope, host] of accountsOf(payment)) {
    const sums = sql.get<Sums>("UPDATE account SET settled_msat = settled_msat + ?, payments = payments + 1 WHERE scope = ? AND host = ? RETURNING *", msat, scope, host) as Sums;
    sql.run("INSERT INTO settlement VALUES (?, ?, ?, ?)", sums.id, at, sums.payments, sums.settled_msat);
  }
}

/** Remembers what was settled by a row that is taken out, so that the sums can still be checked against the rows. */
export function notePruned(sql: Sql, payment: Counted, msat: bigint): void {
  for (const [scope, host] of accountsOf(payment)) {
    sql.run("UPDATE account SET pruned_msat = pruned_msat + ?, pruned_payments = pruned_payments + 1 WHERE scope = ? AND host = ?", msat, scope, host);
  }
}

function usageIn(sql: Sql, sums: Sums, since: number | undefined): Usage {
  const held = { heldMsat: sums.held_msat, heldPayments: Number(sums.held_payments) };
  // Counts what was settled after `since`: all of it, less what was settled until then.
  const before = since === undefined ? undefined : sql.get<{ settled_msat: bigint; payments: bigint }>("SELECT settled_msat, payments FROM settlement WHERE account = ? AND at <= ? ORDER BY at DESC, payments DESC LIMIT 1", sums.id, since);
  return { spentMsat: sums.settled_msat - (before?.settled_msat ?? 0n), payments: Number(sums.payments - (before?.payments ?? 0n)), ...held };
}

/** The accounts that a rule's domain names. */
function accountsUnder(sql: Sql, { scope, domain }: LimitRule): Sums[] {
  if (domain === undefined || !domain.startsWith("*.")) return sql.all<Sums>("SELECT * FROM account WHERE scope = ? AND host = ?", scope, domain ?? WHOLE);
  const ending = domain.slice(1);
  return sql.all<Sums>("SELECT * FROM account WHERE scope = ? AND substr(host, -length(?)) = ?", scope, ending, ending).filter(({ host }) => matchesDomain(domain, host));
}

export function usageOf(sql: Sql, rule: LimitRule, at: number): Usage {
  const since = rule.windowMs === undefined ? undefined : Math.trunc(at - rule.windowMs);
  let [spentMsat, heldMsat, payments, heldPayments] = [0n, 0n, 0, 0];
  for (const sums of accountsUnder(sql, rule)) {
    const usage = usageIn(sql, sums, since);
    spentMsat += usage.spentMsat;
    heldMsat += usage.heldMsat;
    payments += usage.payments;
    heldPayments += usage.heldPayments;
  }
  return { spentMsat, heldMsat, payments, heldPayments };
}

export function hostsOf(sql: Sql, scope: string): Map<string, Usage> {
  const accounts = sql.all<Sums>("SELECT * FROM account WHERE scope = ? AND host <> ?", scope, WHOLE);
  return new Map(accounts.map((sums) => [sums.host, usageIn(sql, sums, undefined)]));
}
