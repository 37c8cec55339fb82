/**
 * Makes a long ledger quickly: one of our own payments a shape, the others copied from it in SQL, with the sums that belong
 * to them. Used by tests and by the bench.
 */
import { DatabaseSync } from "node:sqlite";
import { linkOf, type EntryRow } from "../../src/sqlite/chain.ts";
import { sqliteStore } from "../../src/sqlite/index.ts";
import { paymentNamed, preimageNamed } from "./payment.ts";

/** A ledger with `count` settled payments of 1,000 msat, one second after the other until now, at 50 hosts. */
export async function makeLongLedger(path: string, count: number): Promise<void> {
  const start = Date.now() - count * 1_000;
  const store = sqliteStore({ path, clock: { now: () => start } });
  const payment = paymentNamed("shape", { host: "h1.example.com", credential: "x".repeat(300) });
  await store.reserve({ payment, maxFeeMsat: 0n, minFeeMsat: 0n, limits: [] });
  await store.dispatch(payment.paymentHash, payment.owner, Number.MAX_SAFE_INTEGER);
  await store.settle(payment.paymentHash, { preimage: preimageNamed("shape"), feeMsat: 0n, resolution: "paid" });
  await store.close();
  const db = new DatabaseSync(path);
  const columns = "budget, scopes, request_key, url, method, origin, path, amount_msat, max_fee_msat, fee_msat, payee, wallet, invoice, expires_at, scheme, credential, owner, lease_until, state, attempt, preimage, resolution";
  db.exec(`
    PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
    BEGIN;
    CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n;
    INSERT INTO payment (number, hash, host, reserved_at, dispatched_at, resolved_at, path_order, ${columns})
      SELECT i, lower(hex(randomblob(32))), 'h' || (i % 50) || '.example.com', ${start} + i * 1000, ${start} + i * 1000, ${start} + i * 1000, i, ${columns} FROM n, payment WHERE number = 1;
    INSERT OR IGNORE INTO account (scope, host) SELECT DISTINCT 'default', host FROM payment;
    DELETE FROM settlement;
    INSERT INTO settlement SELECT (SELECT id FROM account WHERE host = ''), resolved_at, number, number * 1000 FROM payment;
    INSERT INTO settlement SELECT account.id, resolved_at, row_number() OVER hosts, 1000 * row_number() OVER hosts FROM payment JOIN account USING (host) WINDOW hosts AS (PARTITION BY host ORDER BY number);
    UPDATE account SET payments = (SELECT max(payments) FROM settlement WHERE account = id), settled_msat = 1000 * (SELECT max(payments) FROM settlement WHERE account = id);
  `);
  const insert = db.prepare("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  let { hash: head } = db.prepare("SELECT hash FROM entry WHERE seq = 3").get() as { hash: Uint8Array };
  for (let seq = 4; seq <= 3 * count; seq += 1) {
    const kind = ["settled", "reserved", "sending"][seq % 3] as string;
    const at = BigInt(start + Math.ceil(seq / 3) * 1_000);
    const row: Omit<EntryRow, "hash"> = { seq: BigInt(seq), at, reading: at, kind, subject: payment.paymentHash, attempt: 1n, held_msat: 0n, settled_msat: 0n, note: kind };
    head = linkOf(head, row);
    insert.run(row.seq, at, at, kind, row.subject, 1n, 0n, 0n, kind, head);
  }
  db.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
}
