import assert from "node:assert/strict";
import type { PaymentRecord, Store, StoredPayment, Usage } from "@l402-tools/core";
import type { Lightning } from "./lightning.ts";
import type { SimWallet } from "./wallet.ts";

export interface AuditOptions {
  readonly lightning: Lightning;
  /** The wallets whose payments the books are about. @default all of the network */
  readonly wallets?: readonly SimWallet[];
  readonly wallet?: SimWallet;
  readonly store?: Pick<Store, "payments">;
  readonly client?: { payments(): AsyncIterable<PaymentRecord> };
  /** Budget ids to look at in the store. @default ["default"] */
  readonly budgetIds?: readonly string[];
  /** Payments may still be on their way or unknown. @default false */
  readonly allowUnresolved?: boolean;
}

/** What was found; all in msat. */
export interface AuditReport {
  /** Amounts and fees of the payments that are booked as settled. */
  readonly settledMsat: bigint;
  /** Holds of those that are not resolved. */
  readonly heldMsat: bigint;
  /** What the wallets paid, fees included. */
  readonly walletSpentMsat: bigint;
  readonly walletInFlightMsat: bigint;
  readonly payments: number;
  readonly unresolved: number;
}

interface Row {
  readonly paymentHash: string;
  readonly state: string;
  readonly amountMsat: bigint;
  readonly feeMsat: bigint;
  readonly holdMsat: bigint;
}

function rowOf(payment: StoredPayment | PaymentRecord): Row {
  const holds = payment.state === "reserved" || payment.state === "sending" || payment.state === "unknown";
  const amountMsat = BigInt(payment.amountMsat);
  const hold = "maxFeeMsat" in payment ? amountMsat + payment.maxFeeMsat : BigInt(payment.heldSats) * 1000n;
  return { paymentHash: payment.paymentHash, state: payment.state, amountMsat, feeMsat: BigInt(payment.feeMsat), holdMsat: holds ? hold : 0n };
}

async function rowsOf(options: AuditOptions): Promise<Row[]> {
  const rows: Row[] = [];
  if (options.client !== undefined) for await (const payment of options.client.payments()) rows.push(rowOf(payment));
  else if (options.store !== undefined) {
    for (const budgetId of options.budgetIds ?? ["default"]) for await (const payment of options.store.payments(budgetId)) rows.push(rowOf(payment));
  } else throw new Error("audit needs a store or a client");
  return rows;
}

/**
 * Compares the books with the money, to the millisatoshi, and fails if they differ: nothing was made or lost, nothing
 * paid twice, each payment of the wallets is booked with its amount and fee, and nothing is booked that was not paid.
 */
export async function audit(options: AuditOptions): Promise<AuditReport> {
  const { lightning } = options;
  const wallets = options.wallets ?? (options.wallet === undefined ? lightning.wallets : [options.wallet]);
  lightning.assertConserved();
  assert.deepEqual(lightning.doublePayments(), [], "an invoice was paid more than once");

  const rows = new Map((await rowsOf(options)).map((row) => [row.paymentHash, row]));
  const settled = [...rows.values()].filter((row) => row.state === "settled");
  const unresolved = [...rows.values()].filter((row) => row.holdMsat > 0n);
  const settledMsat = settled.reduce((sum, row) => sum + row.amountMsat + row.feeMsat, 0n);
  const heldMsat = unresolved.reduce((sum, row) => sum + row.holdMsat, 0n);
  if (options.allowUnresolved !== true) assert.deepEqual(unresolved.map((row) => `${row.state} ${row.paymentHash}`), [], "payments are not resolved");

  const paid = new Map<string, bigint>();
  for (const wallet of wallets) {
    for (const payment of wallet.payments) {
      if (payment.status === "failed") continue;
      const row = rows.get(payment.paymentHash);
      const total = payment.amountMsat + payment.feeMsat;
      assert.ok(row !== undefined, `${wallet.name} paid ${payment.paymentHash}, which is not on record`);
      if (row.state !== "settled" || payment.status === "in_flight") {
        // A hold may pass the books by a fee that the wallet took against its orders; that comes out at settlement.
        const hold = row.state === "settled" ? row.amountMsat + row.feeMsat : row.holdMsat;
        assert.ok(hold > 0n, `${wallet.name} has ${payment.status} ${payment.paymentHash}, which is booked as ${row.state}`);
      }
      if (payment.status === "settled") paid.set(payment.paymentHash, (paid.get(payment.paymentHash) ?? 0n) + total);
    }
  }
  for (const row of settled) {
    assert.equal(paid.get(row.paymentHash) ?? 0n, row.amountMsat + row.feeMsat, `${row.paymentHash} is booked otherwise than it was paid`);
  }
  const walletSpentMsat = wallets.reduce((sum, wallet) => sum + wallet.spentMsat, 0n);
  const walletInFlightMsat = wallets.reduce((sum, wallet) => sum + wallet.inFlightMsat, 0n);
  if (unresolved.length === 0) assert.equal(walletSpentMsat, settledMsat, "the books and the wallets differ");
  assert.ok(walletSpentMsat <= settledMsat + heldMsat, `the wallets spent ${walletSpentMsat} msat; the books have ${settledMsat} settled and ${heldMsat} held`);
  return { settledMsat, heldMsat, walletSpentMsat, walletInFlightMsat, payments: settled.length, unresolved: unresolved.length };
}

/** Watches that the books lead: at every move of money, what was spent is covered by what is settled and held. */
export interface SpendingWatch {
  /** Waits for all checks; fails with the first that failed. */
  done(): Promise<void>;
  readonly checks: number;
}

/**
 * Compares wallets and books at every settled payment: spent <= settled + held (and <= `limitMsat`), for the scope and
 * at that instant.
 */
export function watchSpending(options: {
  readonly wallets: readonly SimWallet[];
  readonly store: Pick<Store, "usage">;
  /** @default "default" */
  readonly scope?: string;
  readonly limitMsat?: bigint;
}): SpendingWatch {
  const checks: Promise<void>[] = [];
  const failures: unknown[] = [];
  const check = async (spentMsat: bigint): Promise<void> => {
    const [usage] = (await options.store.usage([{ scope: options.scope ?? "default" }])) as [Usage];
    const booked = usage.spentMsat + usage.heldMsat;
    assert.ok(spentMsat <= booked, `${spentMsat} msat are spent, and ${booked} booked or held`);
    if (options.limitMsat !== undefined) assert.ok(booked <= options.limitMsat, `${booked} msat are booked or held, of ${options.limitMsat}`);
  };
  for (const wallet of options.wallets) {
    wallet.observe(() => {
      // Settled money only: it never comes back, so that a late answer of the store cannot accuse it wrongly.
      const spentMsat = options.wallets.reduce((sum, one) => sum + one.spentMsat, 0n);
      checks.push(check(spentMsat).catch((error: unknown) => void failures.push(error)));
    });
  }
  return {
    async done() {
      await Promise.all(checks);
      if (failures.length > 0) throw failures[0];
    },
    get checks() {
      return checks.length;
    },
  };
}
