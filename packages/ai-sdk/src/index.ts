/** `@l402-tools/ai-sdk`: the tools of `@l402-tools/core/tools` for the Vercel AI SDK 5, 6 and 7. */
import type { L402Client } from "@l402-tools/core";
import {
  balanceTool,
  type BalanceResult,
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

export type { BalanceResult, FetchArguments, FetchResult, QuoteArguments, QuoteResult, SpendingReportResult, ToolError, ToolOptions, ToolResult } from "@l402-tools/core/tools";

export interface AiSdkToolOptions extends ToolOptions {
  /**
   * Names the conversation, such as a chat id. A tool call that is run again in it (the AI SDK does so when a message
   * history is sent twice) then pays nothing again, in another process and with another tool object too.
   * @default the tool object itself is the conversation
   */
  readonly thread?: string | undefined;
}

/** The input of a tool without arguments. */
export type NoArguments = Record<string, never>;

// The return types are written out: inferred, they would be those of the one version of `ai` that this was built with.

/**
 * `l402_fetch`: requests a URL, and pays for it if it must and may. Its output is the whole result, as plain JSON without
 * secrets; the model reads the text that `toModelOutput` makes of it. Failures are results.
 *
 * @throws {L402Error} `invalid_options`, naming the option.
 */
export function l402FetchTool(client: L402Client, options: AiSdkToolOptions = {}): Tool<FetchArguments, FetchResult> {
  const { thread, ...rest } = options;
  return adapt(fetchTool(client, rest), thread) as Tool<FetchArguments, FetchResult>;
}

/** `l402_quote`: what a request would cost; pays nothing. @throws {L402Error} `invalid_options` */
export function l402QuoteTool(client: L402Client, options: AiSdkToolOptions = {}): Tool<QuoteArguments, QuoteResult> {
  const { thread, ...rest } = options;
  return adapt(quoteTool(client, rest), thread) as Tool<QuoteArguments, QuoteResult>;
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

/** What the AI SDK tells a tool; 5, 6 and 7 agree on these. */
interface CallOptions {
  readonly toolCallId?: string;
  readonly abortSignal?: AbortSignal;
}

/** The model's view of an output: 5 hands over the output, 6 and 7 an object with it. */
type ModelOutputArgument<Result> = Result | { readonly toolCallId: string; readonly output: Result };

/** A tool of the AI SDK is a plain object; its `tool()` only helps the compiler. */
function adapt<Schema extends FetchInput | QuoteInput | NoInput, Result extends ToolResult>(definition: L402Tool<string, Schema, Result>, thread?: string): unknown {
  const { title, description, inputSchema } = definition;
  const conversation = thread === undefined ? `tool ${crypto.randomUUID()}` : `thread ${thread}`;
  return {
    title,
    description,
    inputSchema,
    execute: (input: never, { toolCallId, abortSignal }: CallOptions = {}): Promise<Result> =>
      definition.execute(input, {
        ...(toolCallId === undefined ? {} : { idempotencyKey: JSON.stringify([conversation, toolCallId]) }),
        signal: abortSignal,
      }),
    toModelOutput: (argument: ModelOutputArgument<Result>): { type: "text" | "error-text"; value: string } => {
      const result = "output" in argument ? argument.output : argument;
      return { type: result.ok ? "text" : "error-text", value: definition.renderForModel(result) };
    },
  };
}
