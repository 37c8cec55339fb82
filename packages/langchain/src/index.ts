/** `@l402-tools/langchain`: the tools of `@l402-tools/core/tools` for LangChain.js and LangGraph. */
import { ToolMessage } from "@langchain/core/messages";
import { type DynamicStructuredTool, tool } from "@langchain/core/tools";
import type { L402Client } from "@l402-tools/core";
import {
  balanceTool,
  type FetchInput,
  fetchTool,
  type L402Tool,
  type NoInput,
  type QuoteInput,
  quoteTool,
  spendingReportTool,
  type ToolOptions,
  type ToolProgress,
  type ToolResult,
} from "@l402-tools/core/tools";

export { interruptForApproval, type ApprovalAnswer, type ApprovalInterrupt } from "./interrupt.ts";
export type { ApprovalQuestion, BalanceResult, FetchResult, QuoteResult, SpendingReportResult, ToolError, ToolOptions, ToolProgress, ToolResult } from "@l402-tools/core/tools";

/** What arrives by `streamMode: "custom"` while a call runs; `toolCallId` is missing outside of an agent. */
export type ToolProgressChunk = ToolProgress & { toolCallId?: string };

/**
 * `l402_fetch`: requests a URL, and pays for it if it must and may. Called by an agent it answers with a `ToolMessage`:
 * text for the model, `status`, and the whole result as `artifact`; called directly, with the text.
 *
 * A call that LangGraph runs again (a resume, a retry, a replay of its thread) pays nothing again.
 *
 * @throws {L402Error} `invalid_options`, naming the option. Failures of a call are results.
 */
export function l402FetchTool(client: L402Client, options?: ToolOptions): DynamicStructuredTool<FetchInput> {
  return adapt(fetchTool(client, options));
}

/** `l402_quote`: what a request would cost; pays nothing. @throws {L402Error} `invalid_options` */
export function l402QuoteTool(client: L402Client, options?: ToolOptions): DynamicStructuredTool<QuoteInput> {
  return adapt(quoteTool(client, options));
}

/** `l402_balance`: what is left of the budget. */
export function l402BalanceTool(client: L402Client): DynamicStructuredTool<NoInput> {
  return adapt(balanceTool(client));
}

/** `l402_spending_report`: what was spent, where and when. */
export function l402SpendingReportTool(client: L402Client): DynamicStructuredTool<NoInput> {
  return adapt(spendingReportTool(client));
}

/** All four tools, for `createAgent({ tools })` or a `ToolNode`. @throws {L402Error} `invalid_options` */
export function l402Tools(
  client: L402Client,
  options?: ToolOptions,
): [DynamicStructuredTool<FetchInput>, DynamicStructuredTool<QuoteInput>, DynamicStructuredTool<NoInput>, DynamicStructuredTool<NoInput>] {
  return [l402FetchTool(client, options), l402QuoteTool(client, options), l402BalanceTool(client), l402SpendingReportTool(client)];
}

/** What LangChain and LangGraph tell a tool; outside of an agent most of it is missing. */
interface Runtime {
  readonly toolCallId?: string;
  readonly toolCall?: { readonly id?: string };
  readonly signal?: AbortSignal;
  readonly writer?: unknown;
  readonly configurable?: { readonly thread_id?: unknown };
}

function adapt<Schema extends FetchInput | QuoteInput | NoInput, Result extends ToolResult>(definition: L402Tool<string, Schema, Result>): DynamicStructuredTool<Schema> {
  const { name, description, inputSchema } = definition;
  // Where there is no thread, ids of different conversations may be the same.
  const instance = `tool ${crypto.randomUUID()}`;
  const run = async (input: never, runtime: Runtime | undefined): Promise<ToolMessage | string> => {
    const id = runtime?.toolCallId ?? runtime?.toolCall?.id;
    const thread = runtime?.configurable?.thread_id;
    const result = await definition.execute(input, {
      ...(id === undefined ? {} : { idempotencyKey: JSON.stringify([typeof thread === "string" || typeof thread === "number" ? `thread ${thread}` : instance, id]) }),
      signal: runtime?.signal,
      onProgress: progressTo(runtime?.writer, id),
      rethrow: isBubbleUp,
    });
    const content = definition.renderForModel(result);
    if (id === undefined) return content;
    return new ToolMessage({ content, artifact: result, status: result.ok ? "success" : "error", tool_call_id: id, name });
  };
  return tool(run as never, { name, description, schema: inputSchema as FetchInput }) as unknown as DynamicStructuredTool<Schema>;
}

/** LangGraph's custom stream, where the graph is streamed. */
function progressTo(writer: unknown, toolCallId: string | undefined): ((progress: ToolProgress) => unknown) | undefined {
  if (typeof writer !== "function") return undefined;
  const write = writer as (chunk: ToolProgressChunk) => unknown;
  return (progress) => write({ ...progress, ...(toolCallId === undefined ? {} : { toolCallId }) });
}

/**
 * Whether `cause` is LangGraph's way to leave a node, such as the interrupt of `approve: (intent) => interrupt(…)`. It has
 * to pass, for the graph to stop and ask. Recognised without importing LangGraph.
 */
function isBubbleUp(cause: unknown): boolean {
  if (typeof cause !== "object" || cause === null) return false;
  const { is_bubble_up: marked, name } = cause as { is_bubble_up?: unknown; name?: unknown };
  return marked === true || name === "GraphInterrupt" || name === "NodeInterrupt" || name === "ParentCommand";
}
