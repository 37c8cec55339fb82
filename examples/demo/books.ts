/** The sums of a shopping trip, as each party has them, and what is wrong with them. */
import type { L402Client } from "@l402-tools/core";
import type { Lightning, Paywall, SimWallet } from "@l402-tools/testing";

/** Amounts in msat, unless the name says sats. Lists are of payment hashes, sorted. */
export interface Books {
  readonly budgetSats: number;
  /** What the agent was told that its calls cost. */
  readonly toldSats: number;
  readonly ledger: { readonly settledMsat: bigint; readonly heldSats: number; readonly settled: readonly string[] };
  readonly report: { readonly totalSats: number; readonly heldSats: number; readonly remainingSats: number | null; readonly listedSats: number };
  readonly balance: { readonly spentSats: number; readonly heldSats: number; readonly remainingSats: number | null };
  readonly wallet: { readonly beforeMsat: bigint; readonly afterMsat: bigint; readonly inFlightMsat: bigint; readonly paid: readonly string[] };
  readonly shop: { readonly receivedMsat: bigint; readonly soldMsat: bigint; readonly delivered: readonly string[] };
  readonly network: { readonly feesMsat: bigint; readonly beforeMsat: bigint; readonly afterMsat: bigint; readonly doublePayments: number };
}

export interface Parties {
  readonly client: L402Client;
  readonly wallet: SimWallet;
  readonly shop: Paywall;
  readonly lightning: Lightning;
}

const sum = (amounts: Iterable<bigint>): bigint => [...amounts].reduce((total, amount) => total + amount, 0n);
const sumSats = (amounts: Iterable<number>): number => [...amounts].reduce((total, amount) => total + amount, 0);

/** Asks each party for its own sums. */
export async function readBooks(parties: Parties, known: { budgetSats: number; toldSats: number; walletBeforeMsat: bigint; networkBeforeMsat: bigint }): Promise<Books> {
  const { client, wallet, shop, lightning } = parties;
  const ledger = await Array.fromAsync(client.payments());
  const settled = ledger.filter(({ state }) => state === "settled");
  const report = client.spendingReport();
  const balance = await client.balance();
  if (report === null) throw new Error("a client with a budget has a report");
  return {
    budgetSats: known.budgetSats,
    toldSats: known.toldSats,
    ledger: {
      settledMsat: sum(settled.map(({ amountMsat, feeMsat }) => BigInt(amountMsat + feeMsat))),
      heldSats: sumSats(ledger.map(({ heldSats }) => heldSats)),
      settled: settled.map(({ paymentHash }) => paymentHash).sort(),
    },
    report: {
      totalSats: report.total,
      heldSats: report.held,
      remainingSats: report.remaining,
      listedSats: sumSats(report.transactions.map(({ sats }) => sats)),
    },
    balance: { spentSats: balance.spentSats, heldSats: balance.heldSats, remainingSats: balance.remainingSats },
    wallet: {
      beforeMsat: known.walletBeforeMsat,
      afterMsat: wallet.balanceMsat,
      inFlightMsat: wallet.inFlightMsat,
      paid: wallet.payments.filter(({ status }) => status !== "failed").map(({ paymentHash }) => paymentHash).sort(),
    },
    shop: {
      receivedMsat: shop.payee.receivedMsat,
      soldMsat: sum(shop.paidSales.map(({ amountMsat }) => amountMsat)),
      delivered: shop.sales.filter(({ delivered }) => delivered > 0).map(({ paymentHash }) => paymentHash).sort(),
    },
    network: {
      feesMsat: lightning.feesMsat,
      beforeMsat: known.networkBeforeMsat,
      afterMsat: lightning.totalMsat(),
      doublePayments: lightning.doublePayments().length,
    },
  };
}

/** What does not add up, in words; nothing if all is well. */
export function faultsOf({ budgetSats, toldSats, ledger, report, balance, wallet, shop, network }: Books): string[] {
  const out = wallet.beforeMsat - wallet.afterMsat;
  const spentSats = Number(out / 1000n); // the demo's prices and fees are whole sats
  const faults: string[] = [];
  const same = (what: string, left: string | number | bigint | null, right: string | number | bigint | null): void => {
    if (left !== right) faults.push(`${what}: ${left} and ${right}`);
  };
  same("spent, as the wallet and the ledger have it (msat)", out, ledger.settledMsat);
  same("spent by the wallet, and earned by shop and network (msat)", out, shop.receivedMsat + network.feesMsat);
  same("earned by the shop, and sold by it (msat)", shop.receivedMsat, shop.soldMsat);
  same("money in all balances, before and after (msat)", network.beforeMsat, network.afterMsat);
  same("spent, in msat and as whole sats", out, BigInt(spentSats) * 1000n);
  same("spent, as the wallet and the report have it (sats)", spentSats, report.totalSats);
  same("spent, in the report's total and its list (sats)", report.totalSats, report.listedSats);
  same("spent, as the wallet and the budget have it (sats)", spentSats, balance.spentSats);
  same("spent, as the wallet has it and as the agent was told (sats)", spentSats, toldSats);
  same("left of the budget, and in the report (sats)", budgetSats - spentSats, report.remainingSats);
  same("left of the budget, and in the balance (sats)", budgetSats - spentSats, balance.remainingSats);
  same("payments of the wallet and of the ledger", wallet.paid.join(), ledger.settled.join());
  same("payments of the wallet, and what the shop handed out", wallet.paid.join(), shop.delivered.join());
  same("money on its way (msat)", wallet.inFlightMsat, 0n);
  same("holds in ledger, report and balance (sats)", ledger.heldSats + report.heldSats + balance.heldSats, 0);
  same("invoices that were paid twice", network.doublePayments, 0);
  if (spentSats > budgetSats) faults.push(`spent ${spentSats} sats of a budget of ${budgetSats}`);
  return faults;
}
