/**
 * `@l402-tools/core/tools`: the tools, defined once and free of any framework. An adapter maps name, description, schema
 * and `execute`, and shows the model what `renderForModel` makes of the result.
 */
import type { L402Client } from "../client.ts";
import { renderBalance, balanceTool, type BalanceTool } from "./balance.ts";
import { approvalQuestion } from "./approval.ts";
import { fetchTool, preliminaryResult, renderFetch, type FetchTool } from "./fetch.ts";
import type { ToolOptions } from "./options.ts";
import { quoteTool, renderQuote, type QuoteTool } from "./quote.ts";
import { renderSpendingReport, spendingReportTool, type SpendingReportTool } from "./spending-report.ts";
import type { ToolResult } from "./tool.ts";

export { approvalQuestion, balanceTool, fetchTool, preliminaryResult, quoteTool, spendingReportTool };
export type { BalanceTool, FetchTool, QuoteTool, SpendingReportTool };
export type { FetchArguments, FetchInput, NoInput, QuoteArguments, QuoteInput } from "./arguments.ts";
export type { ToolOptions } from "./options.ts";
export type { ApprovalQuestion, BalanceResult, FetchResult, L402Tool, QuoteResult, SpendingReportResult, ToolAnnotations, ToolContext, ToolError, ToolPage, ToolProgress, ToolResult } from "./tool.ts";

/** All four tools of a client. They share what they keep and their connections. */
export function tools(client: L402Client, options?: ToolOptions): readonly [FetchTool, QuoteTool, BalanceTool, SpendingReportTool] {
  return [fetchTool(client, options), quoteTool(client, options), balanceTool(client), spendingReportTool(client)];
}

/** The text of any tool's result for the model. */
export function renderForModel(result: ToolResult): string {
  switch (result.tool) {
    case "l402_fetch":
      return renderFetch(result);
    case "l402_quote":
      return renderQuote(result);
    case "l402_balance":
      return renderBalance(result);
    case "l402_spending_report":
      return renderSpendingReport(result);
  }
}
