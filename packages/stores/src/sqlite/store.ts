import { L402Error, StoreError, type NewPayment, type PaymentFilter, type ReserveResult, type Store } from "@l402-tools/core";
import { hostsOf, usageOf } from "./accounts.ts";
import type { EntryRow } from "./chain.ts";
import { cipherOf } from "./cipher.ts";
import { findCredential, keptCredential, noteAccepted, noteRefused } from "./credentials.ts";
import { openLedger } from "./open.ts";
import { readOptions, type SqliteStoreOptions } from "./options.ts";
import { isAlive, noteOwner, processOf } from "./owners.ts";
import { claimPayment, dispatchPayment, failPayment, markUnknown, pauseOf, reservePayment, resumeBudget, settlePayment, voidPayment, type ReservedRow } from "./payments.ts";
import { pruneLedger, type PruneReport } from "./prune.ts";
import { linkPurchase, purchaseByKey, purchaseByRequest } from "./purchases.ts";
import { isOpen, OPEN, openPayment, rowOf, storedPayment, type PaymentRow } from "./rows.ts";
import type { Value } from "./sql.ts";
import { CLOSED, transactionsOn } from "./transactions.ts";
import { verifyLedger, type VerifyReport } from "./verify.ts";

/** One line of the ledger's history. */
export interface LedgerEntry {
  readonly seq: number;
  /** The ledger's time, epoch ms. */
  readonly at: number;
  /** The state that a payment came to; or `claimed`, `paused`, `resumed`, `pruned`, `restored`, `clock`. */
  readonly kind: string;
  /** Payment hash, budget, or `ledger`. */
  readonly subject: string;
  readonly attempt?: number;
  /** Change of what is held and of what is settled, msat. */
  readonly heldMsat: bigint;
  readonly settledMsat: bigint;
  /** What proved it, or why. */
  readonly note?: string;
}

/** What a ledger on disk can beyond the port. */
export interface SqliteStore extends Store {
  /** Whether the process that reserves as `owner` lives. `undefined`: that cannot be told from here; its lease decides. */
  ownerAlive(owner: string): Promise<boolean | undefined>;
  /**
   * Compare-and-set of who works on an unresolved payment: from exactly this owner and lease to another. The caller has
   * found that the lease ran out or that the owner is gone.
   */
  claim(paymentHash: string, from: { owner: string; leaseUntil: number }, to: { owner: string; leaseUntil: number }): Promise<boolean>;
  /** The history, oldest first: of everything, or of one payment hash or budget. */
  entries(filter?: { subject?: string }): AsyncIterable<LedgerEntry>;
  /** Takes old rows out; no sum changes. Kept are unresolved payments, idempotency keys and credentials that are still offered. */
  prune(options: { before: number }): Promise<PruneReport>;
  /** Reads the whole ledger and says what does not add up. Takes seconds for a long one. */
  verify(): Promise<VerifyReport>;
  /** Why nothing may be paid with this ledger; `null`: it may. */
  unsafe(): string | null;
  /** As `close()`: `await using store = sqliteStore({ path })`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** More than all bitcoin there will be, msat; sums of such amounts stay exact. */
const AMOUNT_MAX_MSAT = 2_100_000_000_000_000_000n;
/** Rows that an iteration reads at a time: it holds nothing open between them. */
const PAGE = 100;

/**
 * A ledger in an SQLite file, for any number of processes on one host. It survives them: what was reserved, sent, paid
 * and bought is on disk before a call returns.
 *
 * @throws {L402Error} `invalid_options`, also for a wrong `encryptionKey`.
 * @throws {StoreError} `store_corrupt` when the file is damaged or is not a ledger, `store_unavailable` when it cannot be used.
 */
export function sqliteStore(options: SqliteStoreOptions): SqliteStore {
  const { path, key, clock, busyTimeoutMs } = readOptions(options);
  const ledger = openLedger(readOptions(options));
  const cipher = cipherOf(key);
  const transactions = transactionsOn(ledger, path, clock, busyTimeoutMs);
  const { read, write } = transactions;
  /** Owners that this process has put on record. */
  const owners = new Set<string>();

  /** Calls that encrypt before they write: closing waits for them. */
  const begun = new Set<Promise<unknown>>();
  let closing = false;

  async function untilDone<T>(work: () => Promise<T>): Promise<T> {
    if (closing) throw new StoreError("store_unavailable", CLOSED);
    const working = work();
    begun.add(working);
    try {
      return await working;
    } finally {
      begun.delete(working);
    }
  }

  async function close(): Promise<void> {
    closing = true;
    await Promise.allSettled(begun);
    await transactions.close();
  }

  function assertSafe(): void {
    if (ledger.unsafe !== undefined) throw new StoreError("store_corrupt", ledger.unsafe);
  }

  function assertAmount(name: string, msat: bigint): void {
    if (typeof msat !== "bigint" || msat < 0n || msat > AMOUNT_MAX_MSAT) throw new L402Error("invalid_options", `${name} must be between 0 and ${AMOUNT_MAX_MSAT} msat.`);
  }

  async function reserved(result: ReservedRow, { invoice, credential }: NewPayment): Promise<ReserveResult> {
    if (!("row" in result)) return result;
    return { status: result.status, payment: result.status === "reserved" ? storedPayment(result.row, { invoice, credential }) : await openPayment(result.row, cipher) };
  }

  /** Rows page by page, by number: what is written meanwhile does not disturb. */
  async function* pages<Row>(what: string, text: string, start: bigint, values: Value[], numberOf: (row: Row) => bigint): AsyncGenerator<Row> {
    for (let from = start; ; ) {
      const after = from;
      const rows = await read(what, ({ sql }) => sql.all<Row>(text, ...values, after, PAGE));
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined) return;
      from = numberOf(last);
    }
  }

  async function* payments(budgetId: string, filter: PaymentFilter = {}): AsyncGenerator<PaymentRow> {
    let table = "payment";
    const conditions = ["budget = ?"];
    const values: Value[] = [budgetId];
    if (filter.state !== undefined) {
      const states = [filter.state].flat();
      if (states.length === 0) return;
      conditions.push(`state IN (${states.map(() => "?").join(", ")})`);
      values.push(...states);
      // The index of unresolved payments is short, whatever the ledger's length.
      if (states.every((state) => isOpen({ state }))) {
        table = "payment INDEXED BY payment_open";
        conditions.push(`state IN ${OPEN}`);
      }
    }
    if (filter.host !== undefined) {
      conditions.push("host = ?");
      values.push(filter.host);
    }
    let start = 0n;
    if (filter.since !== undefined) {
      const since = Math.ceil(filter.since);
      const first = await read("the list", ({ sql }) => sql.get<{ number: bigint | null }>("SELECT min(number) AS number FROM payment INDEXED BY payment_time WHERE reserved_at >= ?", since)?.number);
      if (first === undefined || first === null) return;
      start = first - 1n;
      conditions.push("reserved_at >= ?");
      values.push(since);
    }
    yield* pages<PaymentRow>("the list", `SELECT * FROM ${table} WHERE ${conditions.join(" AND ")} AND number > ? ORDER BY number LIMIT ?`, start, values, (row) => row.number);
  }

  return {
    name: "sqlite",
    async reserve(request) {
      const { payment } = request;
      assertSafe();
      assertAmount("amountMsat", payment.amountMsat);
      assertAmount("maxFeeMsat", request.maxFeeMsat);
      if (payment.host === "") throw new L402Error("invalid_options", "A payment needs a host.");
      const { paymentHash, owner } = payment;
      return untilDone(async () => {
        const [invoice, credential] = await Promise.all([cipher.seal(payment.invoice, "invoice", paymentHash), cipher.seal(payment.credential, "credential", paymentHash)]);
        const worker = processOf(owner);
        const isNew = !owners.has(worker);
        const result = await write("the reservation", (tx) => {
          assertSafe();
          if (isNew) noteOwner(tx.sql, worker, tx.now.wall);
          return reservePayment(tx, request, { invoice, credential });
        });
        owners.add(worker);
        return reserved(result, payment);
      });
    },
    async dispatch(paymentHash, owner, notAfter) {
      assertSafe();
      return write("the dispatch", (tx) => {
        assertSafe();
        return dispatchPayment(tx, paymentHash, owner, notAfter);
      });
    },
    async settle(paymentHash, proof) {
      assertAmount("feeMsat", proof.feeMsat);
      return untilDone(async () => {
        const preimage = proof.preimage === null ? null : await cipher.seal(proof.preimage, "preimage", paymentHash);
        return write("the settlement", (tx) => settlePayment(tx, paymentHash, proof, preimage));
      });
    },
    fail: (paymentHash, attempt, resolution) => write("the failure", (tx) => failPayment(tx, paymentHash, attempt, resolution)),
    unknown: (paymentHash, attempt, detail) => write("the unknown outcome", (tx) => markUnknown(tx, paymentHash, attempt, detail)),
    void: (paymentHash, resolution, owner) => write("the release", (tx) => voidPayment(tx, paymentHash, resolution, owner)),
    async payment(paymentHash) {
      const row = await read("the payment", ({ sql }) => rowOf(sql, paymentHash));
      return row === undefined ? undefined : openPayment(row, cipher);
    },
    async purchase(budgetId, by) {
      const row = await read("the purchase", ({ sql }) => ("requestKey" in by ? purchaseByRequest(sql, budgetId, by.requestKey) : purchaseByKey(sql, budgetId, by.idempotencyKey)));
      return row === undefined ? undefined : openPayment(row, cipher);
    },
    link: (budgetId, idempotencyKey, callKey, paymentHash) =>
      write("the link", ({ sql }) => {
        const row = rowOf(sql, paymentHash);
        return row !== undefined && row.budget === budgetId && linkPurchase(sql, row, idempotencyKey, callKey);
      }),
    async *payments(budgetId, filter) {
      for await (const row of payments(budgetId, filter)) yield await openPayment(row, cipher);
    },
    usage: (rules) => read("the usage", ({ sql, now }) => rules.map((rule) => usageOf(sql, rule, now.at))),
    hosts: (scope) => read("the usage", ({ sql }) => hostsOf(sql, scope)),
    async credential(query) {
      const row = await read("the credential", ({ sql }) => findCredential(sql, query));
      return row === undefined ? undefined : keptCredential(row, cipher);
    },
    accepted: (paymentHash) => write("the acceptance", ({ sql, now }) => noteAccepted(sql, paymentHash, now.wall)),
    refused: (paymentHash, at) => write("the refusal", ({ sql }) => noteRefused(sql, paymentHash, at)),
    resume: (budgetId, why) => write("the resumption", (tx) => resumeBudget(tx, budgetId, why)),
    paused: (budgetId) => read("the pause", ({ sql }) => pauseOf(sql, budgetId)),
    close,
    [Symbol.asyncDispose]: close,

    ownerAlive: (owner) => read("the owner", ({ sql }) => isAlive(sql, owner)),
    async claim(paymentHash, from, to) {
      const worker = processOf(to.owner);
      const isNew = !owners.has(worker);
      const claimed = await write("the claim", (tx) => {
        if (isNew) noteOwner(tx.sql, worker, tx.now.wall);
        return claimPayment(tx, paymentHash, from, to);
      });
      owners.add(worker);
      return claimed;
    },
    async *entries({ subject } = {}) {
      const text = `SELECT * FROM entry WHERE ${subject === undefined ? "" : "subject = ? AND "}seq > ? ORDER BY seq LIMIT ?`;
      for await (const row of pages<EntryRow>("the history", text, 0n, subject === undefined ? [] : [subject], ({ seq }) => seq)) yield entryOf(row);
    },
    async prune(options) {
      assertSafe();
      return pruneLedger(transactions, options);
    },
    verify: () => read("the check", ({ sql }) => verifyLedger(sql)),
    unsafe: () => ledger.unsafe ?? null,
  };
}

function entryOf(row: EntryRow): LedgerEntry {
  return {
    seq: Number(row.seq),
    at: Number(row.at),
    kind: row.kind,
    subject: row.subject,
    heldMsat: row.held_msat,
    settledMsat: row.settled_msat,
    ...(row.attempt === null ? {} : { attempt: Number(row.attempt) }),
    ...(row.note === null ? {} : { note: row.note }),
  };
}
