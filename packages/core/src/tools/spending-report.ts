/** `l402_spending_report`: what was spent, where and when. */
import type { L402Client } from "../client.ts";
import { noInput, type NoInput } from "./arguments.ts";
import type { L402Tool, SpendingReportResult } from "./tool.ts";
import { lines, plain, quoted } from "./words.ts";

export type SpendingReportTool = L402Tool<"l402_spending_report", NoInput, SpendingReportResult>;

/** Payments listed. */
const LISTED_MAX = 100;

const DESCRIPTION = `Lists what this client has spent: in all, for each host, and every payment with time and URL (the newest ${LISTED_MAX}). Spends nothing and asks no server.
Use it to account for spending. To know only what is left, use l402_balance.`;

/** The tool `l402_spending_report`. */
export function spendingReportTool(client: L402Client): SpendingReportTool {
  return {
    name: "l402_spending_report",
    title: "Spending report",
    description: DESCRIPTION,
    inputSchema: noInput(),
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    renderForModel: renderSpendingReport,

    async execute() {
      const report = client.spendingReport();
      const base = { tool: "l402_spending_report", ok: true, error: null } as const;
      if (report === null) return { ...base, configured: false, totalSats: 0, heldSats: 0, remainingSats: null, byDomain: {}, payments: [], omittedPayments: 0 };
      const { transactions } = report;
      return {
        ...base,
        configured: true,
        totalSats: report.total,
        heldSats: report.held,
        remainingSats: report.remaining,
        byDomain: { ...report.byDomain },
        payments: transactions.slice(-LISTED_MAX).map(({ url, sats, feeSats, ts, paymentHash }) => ({ url: plain(url, 300), sats, feeSats, at: new Date(ts).toISOString(), paymentHash })),
        omittedPayments: report.omittedTransactions + Math.max(0, transactions.length - LISTED_MAX),
      };
    },
  };
}

/** The text of a report for the model. */
export function renderSpendingReport(report: SpendingReportResult): string {
  if (!report.configured) return "No budget configured.";
  const count = report.payments.length + report.omittedPayments;
  const hosts = Object.entries(report.byDomain).sort(([, a], [, b]) => b - a);
  return lines(
    `Spent: ${report.totalSats} sats in ${count} payments${report.remainingSats === null ? "" : ` (${report.remainingSats} sats remaining)`}`,
    report.heldSats > 0 ? `Held for payments under way or not yet resolved: ${report.heldSats} sats.` : "",
    hosts.length === 0 ? "" : "By host:",
    ...hosts.slice(0, LISTED_MAX).map(([host, sats]) => `- ${plain(host, 253)}: ${sats} sats`),
    hosts.length > LISTED_MAX ? `- and ${hosts.length - LISTED_MAX} more hosts` : "",
    count === 0 ? "" : `Payments, oldest first${report.omittedPayments > 0 ? ` (${report.omittedPayments} older ones are not listed)` : ""}:`,
    ...report.payments.map(({ at, sats, feeSats, url }) => `- ${plain(at, 30)} ${sats} sats${feeSats > 0 ? ` (of them fee: ${feeSats})` : ""} ${quoted(url, 300)}`),
  );
}
