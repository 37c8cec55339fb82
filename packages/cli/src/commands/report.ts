import { ceilSats, type Balance, type LimitUsage } from "@l402-tools/core";
import { expect } from "../arguments.ts";
import { EXIT } from "../errors.ts";
import { openLedger, readingClient } from "../ledger.ts";
import { harmless, sats, table, type Paint } from "../text.ts";
import type { Command } from "./command.ts";
import { Scope } from "../scope.ts";

const rest = (remaining: number | null | undefined): string => (typeof remaining === "number" ? String(remaining) : "-");

function limitName({ sats: most, payments, domain, per }: LimitUsage): string {
  const parts = [...(most === undefined ? [] : [sats(most)]), ...(payments === undefined ? [] : [`${payments} payments`])];
  return `${parts.join(", ")}${domain === undefined ? "" : ` on ${domain}`}${per === undefined ? "" : ` per ${per}`}`;
}

function lines(balance: Balance, open: { payments: number; heldSats: number }, paint: Paint, width: number | undefined): string[] {
  const { totalSats, spentSats, heldSats, remainingSats, byDomain, limits } = balance;
  const found = [
    `Spent      ${sats(spentSats)}`,
    `Held       ${sats(heldSats)}${open.payments === 0 ? "" : `, by ${open.payments} open ${open.payments === 1 ? "payment" : "payments"}: l402-tools holds`}`,
    `Remaining  ${remainingSats === null ? "no budget is set here (BUDGET_SATS)" : totalSats === null ? sats(remainingSats) : `${remainingSats} of ${sats(totalSats)}`}`,
  ];
  const hosts = Object.entries(byDomain);
  if (hosts.length > 0) {
    const rows = hosts.map(([host, usage]) => [String(usage.spentSats), String(usage.heldSats), rest(usage.remainingSats), harmless(host)]);
    found.push("", ...table([{ title: "SPENT", align: "right" }, { title: "HELD", align: "right" }, { title: "LEFT", align: "right" }, { title: "HOST" }], rows, paint, width));
  }
  if (limits.length > 0) {
    const rows = limits.map((limit) => [
      String(limit.spentSats),
      String(limit.heldSats),
      limit.remainingSats === undefined ? `${rest(limit.remainingPayments)} payments` : rest(limit.remainingSats),
      limitName(limit),
    ]);
    found.push("", ...table([{ title: "SPENT", align: "right" }, { title: "HELD", align: "right" }, { title: "LEFT", align: "right" }, { title: "LIMIT" }], rows, paint, width));
  }
  return found;
}

export const report: Command = {
  name: "report",
  usage: "",
  summary: "what was spent, what is held, what is left",
  details: "Reads the ledger only; no wallet is needed. Amounts are sats, fees included.",
  options: {},
  async run({ terminal, settings, positionals }) {
    expect(positionals);
    await using scope = new Scope();
    const store = scope.use(await openLedger(settings, "exist"));
    const client = scope.use(readingClient(settings, store));
    const budgetId = settings.rules.budgetId ?? "default";
    const [balance, paused] = await Promise.all([client.balance(), store.paused(budgetId)]);
    const open = { payments: 0, heldSats: 0 };
    let heldMsat = 0n;
    for await (const payment of store.payments(budgetId, { state: ["reserved", "sending", "unknown"] })) {
      open.payments += 1;
      heldMsat += payment.amountMsat + payment.maxFeeMsat;
    }
    open.heldSats = ceilSats(heldMsat);
    const unsafe = store.unsafe();
    if (paused !== null) terminal.warn(`This budget is paused, and pays nothing: ${paused} To let it pay again: l402-tools resume --why "…".`);
    if (unsafe !== null) terminal.warn(`${unsafe}${unsafe.includes("acceptRestored") ? ' At the command line: l402-tools accept-restored --why "…".' : ""}`);
    await terminal.result({ ledger: settings.ledger, budgetId, ...balance, open, paused, unsafe }, () => [
      terminal.paint("bold", `Budget ${harmless(budgetId)}`),
      ...lines(balance, open, terminal.paint, terminal.width),
    ]);
    return EXIT.done;
  },
};
