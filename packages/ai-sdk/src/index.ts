/** `@l402-tools/ai-sdk`: the tools of `@l402-tools/core/tools` for the Vercel AI SDK 5, 6 and 7. */
import type { L402Client } from "@l402-tools/core";
import {
  balanceTool,
  type BalanceResult,
  type ApprovalQuestion,
  type FetchArguments,
  type FetchInput,
  type FetchResult,
  fetchTool,
  type L402Tool,
  type NoInput,
  type QuoteArguments,
  type QuoteInput,
  type QuoteResult,
  quoteTool,
  type SpendingReportResult,
  spendingReportTool,
  type ToolOptions,
  type ToolResult,
} from "@l402-tools/core/tools";
import type { Tool } from "ai";
import type { z } from "zod";
import { approvable, type CallOptions } from "./approval.ts";

export { toolApproval, type ToolApproval, type ToolApprovalStatus } from "./approval.ts";
export type { ApprovalQuestion, BalanceResult, FetchArguments, FetchResult, QuoteArguments, QuoteResult, SpendingReportResult, ToolError, ToolOptions, ToolProgress, ToolResult } from "@l402-tools/core/tools";

export interface AiSdkToolOptions extends ToolOptions {
  /**
   * Names the conversation, such as a chat id. A tool call that is run again in it (the AI SDK does so when a message
   * history is sent twice) then pays nothing again, in another process and with another tool object too.
   * @default the tool object itself is the conversation
   */
  readonly thread?: string | undefined;
  /** Told what a person is asked about a call, for a page to show; where the client has `approveAbove` and no `approve`. */
  readonly onApproval?: ((question: ApprovalQuestion & { toolCallId: string }) => unknown) | undefined;
}

/** The input of a tool without arguments. */
export type NoArguments = Record<string, never>;

// The return types are written out: inferred, they would be those of the one version of `ai` that this was built with.

/**
 * `l402_fetch`: requests a URL, and pays for it if it must and may. Its output is the whole result, as plain JSON without
 * secrets; the model reads the text that `toModelOutput` makes of it. Failures are results. While it runs, preliminary
 * results say in `progress` what it waits for.
 *
 * Where the client has `approveAbove` and no `approve`, the tool has `needsApproval`, so that the AI SDK asks the user
 * about dearer payments: 6 and 7 do; 5 ignores it, and such payments are then refused. The answer counts for the very
 * invoice that was shown.
 *
 * @throws {L402Error} `invalid_options`, naming the option.
 */
export function l402FetchTool(client: L402Client, options: AiSdkToolOptions = {}): Tool<FetchArguments, FetchResult> {
  const { thread, onApproval, ...rest } = options;
  const definition = fetchTool(client, rest);
  // Where there is no thread, ids of different conversations may be the same.
  const conversation = thread === undefined ? `tool ${crypto.randomUUID()}` : `thread ${thread}`;
  return { ...adapt(definition), ...approvable(client, definition, conversation, onApproval) } as Tool<FetchArguments, FetchResult>;
}

/** `l402_quote`: what a request would cost; pays nothing. @throws {L402Error} `invalid_options` */
export function l402QuoteTool(client: L402Client, options: AiSdkToolOptions = {}): Tool<QuoteArguments, QuoteResult> {
  const { thread: _thread, onApproval: _onApproval, ...rest } = options;
  return adapt(quoteTool(client, rest)) as Tool<QuoteArguments, QuoteResult>;
}

/** `l402_balance`: what is left of the budget. */
export function l402BalanceTool(client: L402Client): Tool<NoArguments, BalanceResult> {
  return adapt(balanceTool(client)) as Tool<NoArguments, BalanceResult>;
}

/** `l402_spending_report`: what was spent, where and when. */
export function l402SpendingReportTool(client: L402Client): Tool<NoArguments, SpendingReportResult> {
  return adapt(spendingReportTool(client)) as Tool<NoArguments, SpendingReportResult>;
}

/** All four tools by their names, for `generateText({ tools: l402Tools(client) })`. @throws {L402Error} `invalid_options` */
export function l402Tools(
  client: L402Client,
  options?: AiSdkToolOptions,
): {
  l402_fetch: Tool<FetchArguments, FetchResult>;
  l402_quote: Tool<QuoteArguments, QuoteResult>;
  l402_balance: Tool<NoArguments, BalanceResult>;
  l402_spending_report: Tool<NoArguments, SpendingReportResult>;
} {
  return {
    l402_fetch: l402FetchTool(client, options),
    l402_quote: l402QuoteTool(client, options),
    l402_balance: l402BalanceTool(client),
    l402_spending_report: l402SpendingReportTool(client),
  };
}

/** The model's view of an output: 5 hands over the output, 6 and 7 an object with it. */
type ModelOutputArgument<Result> = Result | { readonly toolCallId: string; readonly output: Result };

/** A tool of the AI SDK is a plain object; its `tool()` only helps the compiler. */
function adapt<Schema extends FetchInput | QuoteInput | NoInput, Result extends ToolResult>(definition: L402Tool<string, Schema, Result>): object {
  const { title, description, inputSchema } = definition;
  return {
    title,
    description,
    inputSchema,
    execute: (input: z.input<Schema>, { abortSignal }: CallOptions = {}): Promise<Result> => definition.execute(input, { signal: abortSignal }),
    toModelOutput: (argument: ModelOutputArgument<Result>): { type: "text" | "error-text"; value: string } => {
      const result = "output" in argument ? argument.output : argument;
      return { type: result.ok ? "text" : "error-text", value: definition.renderForModel(result) };
    },
  };
}
