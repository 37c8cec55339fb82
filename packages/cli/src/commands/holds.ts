import { ceilSats, type StoredPayment } from "@l402-tools/core";
import type { SqliteStore } from "@l402-tools/stores/sqlite";
import { expect } from "../arguments.ts";
import { EXIT } from "../errors.ts";
import { whatReleases, whyHeld, type Circumstances } from "../holds.ts";
import { isFullWallet, openLedger, readWallet } from "../ledger.ts";
import type { Settings } from "../settings.ts";
import { age, harmless, place, short, table, type Paint } from "../text.ts";
import type { Command } from "./command.ts";
import { painted } from "./payments.ts";
import { Scope } from "../scope.ts";

export interface Hold {
  readonly paymentHash: string;
  readonly state: StoredPayment["state"];
  readonly ageSeconds: number;
  readonly heldSats: number;
  readonly amountSats: number;
  readonly host: string;
  readonly url: string;
  readonly wallet: string;
  readonly reservedAt: number;
  readonly invoiceExpiresAt: number;
  readonly reason: string;
  readonly releasedWhen: string;
}

/** The configured wallet, if there is a usable one: it only makes the explanation more exact. */
async function knownWallet(settings: Settings): Promise<Circumstances["wallet"]> {
  try {
    const wallet = await readWallet(settings);
    if (!isFullWallet(wallet)) return { name: "simple", capabilities: { feeLimit: "none", preimage: "always", lookup: "none", notFoundFinalAfterMs: null } };
    const { name, capabilities } = wallet;
    await wallet.close?.();
    return { name, capabilities };
  } catch {
    return undefined;
  }
}

export async function readHolds(store: SqliteStore, settings: Settings, now: number): Promise<Hold[]> {
  const holds: Hold[] = [];
  const wallet = await knownWallet(settings);
  for await (const payment of store.payments(settings.rules.budgetId ?? "default", { state: ["reserved", "sending", "unknown"] })) {
    const circumstances: Circumstances = { now, ownerAlive: await store.ownerAlive(payment.owner), wallet };
    holds.push({
      paymentHash: payment.paymentHash,
      state: payment.state,
      ageSeconds: Math.max(0, Math.floor((now - payment.reservedAt) / 1_000)),
      heldSats: ceilSats(payment.amountMsat + payment.maxFeeMsat),
      amountSats: ceilSats(payment.amountMsat),
      host: payment.host,
      url: payment.url,
      wallet: payment.wallet,
      reservedAt: payment.reservedAt,
      invoiceExpiresAt: payment.expiresAt,
      reason: whyHeld(payment, circumstances),
      releasedWhen: whatReleases(payment, circumstances),
    });
  }
  return holds;
}

export function holdLines(holds: readonly Hold[], paint: Paint, width?: number): string[] {
  const [heading = "", ...rows] = table(
    [{ title: "PAYMENT" }, { title: "STATE" }, { title: "AGE", align: "right" }, { title: "HELD", align: "right" }, { title: "REQUEST" }],
    holds.map((hold) => [short(hold.paymentHash), painted(hold.state, paint), age(hold.ageSeconds * 1_000), String(hold.heldSats), place(hold.url)]),
    paint,
    width,
  );
  return [heading, ...holds.flatMap((hold, at) => [rows[at] ?? "", `  Why:      ${harmless(hold.reason)}`, `  Released: ${harmless(hold.releasedWhen)}`])];
}

export const holds: Command = {
  name: "holds",
  usage: "",
  summary: "money that is held for open payments: since when, why, what would release it",
  details: `Reads the ledger only. No wallet is needed; with one configured, what it can tell is taken into account.
A hold is released by proof only: a payment that was never sent, or that failed for certain.`,
  options: { wallet: { type: "string" } },
  async run({ terminal, settings, positionals }) {
    expect(positionals);
    await using scope = new Scope();
    const store = scope.use(await openLedger(settings, "exist"));
    const found = await readHolds(store, settings, terminal.io.now());
    await terminal.result({ holds: found }, () => (found.length === 0 ? ["Nothing is held."] : holdLines(found, terminal.paint, terminal.width)));
    return EXIT.done;
  },
};
