/** Running `l402_fetch` in the AI SDK's ways: asked about before it runs, and shown while it runs. */
import type { L402Client, PaymentIntent } from "@l402-tools/core";
import { approvalQuestion, type ApprovalQuestion, type FetchArguments, type FetchResult, type FetchTool, preliminaryResult, type ToolError, type ToolProgress } from "@l402-tools/core/tools";

/** What the AI SDK tells a tool; 5, 6 and 7 agree on these. */
export interface CallOptions {
  readonly toolCallId?: string;
  readonly abortSignal?: AbortSignal;
  readonly messages?: readonly unknown[];
}

/** What `toolApproval` of the AI SDK 7 is answered with; `reason` is for the user. */
export interface ToolApprovalStatus {
  readonly type: "user-approval";
  readonly reason: string;
}

/** By tool: whether a call needs the user's approval. */
export type ToolApproval<Tools> = { [Name in keyof Tools]?: (input: unknown, options: { readonly toolCallId: string; readonly messages: readonly unknown[] }) => Promise<ToolApprovalStatus | undefined> };

/** The question that a call of this tool needs answered before it may pay; `undefined` when it needs none. */
type Ask = (input: FetchArguments, options: CallOptions) => Promise<ApprovalQuestion | undefined>;

const ASK: unique symbol = Symbol.for("@l402-tools/ai-sdk/ask") as never;

/**
 * For `toolApproval` of the AI SDK 7: `streamText({ tools, toolApproval: toolApproval(tools) })`. It asks the user about
 * each payment above the client's `approveAbove`, with price, host and payee as the reason. To learn the price the call
 * is made up to its payment; nothing is paid or held meanwhile, and the answer counts for that invoice alone.
 */
export function toolApproval<Tools extends Record<string, unknown>>(tools: Tools): ToolApproval<Tools> {
  const asking: ToolApproval<Tools> = {};
  for (const [name, tool] of Object.entries(tools)) {
    const ask = (tool as { [ASK]?: Ask } | null)?.[ASK];
    if (ask === undefined) continue;
    asking[name as keyof Tools] = async (input, options) => {
      const question = await ask(input as FetchArguments, options);
      return question === undefined ? undefined : { type: "user-approval", reason: question.text };
    };
  }
  return asking;
}

/** Thrown in `approve` to leave a call when its price is known. */
class PriceKnown extends Error {
  readonly intent: PaymentIntent;
  readonly required: boolean;
  constructor(intent: PaymentIntent, required: boolean) {
    super("The price is known.");
    this.intent = intent;
    this.required = required;
  }
}

/** The server sent another invoice than the one that the user was asked about. */
const TOO_LATE: ToolError = {
  code: "approval_timeout",
  message: "The invoice that the user approved cannot be paid any more, and the server sent a new one. Nothing was paid.",
  paid: "no",
  retryable: true,
};

/** Calls that a user was asked about, or that were found to need no payment; the oldest are forgotten. */
const CALLS_MAX = 1_000;

/** What is known of the calls of one client, so that each request of a chat may make its tools anew. */
interface Calls {
  readonly asked: Map<string, Promise<ApprovalQuestion | undefined>>;
  readonly answers: Map<string, FetchResult>;
}
const CALLS: WeakMap<L402Client, Calls> = new WeakMap();

function callsOf(client: L402Client): Calls {
  let calls = CALLS.get(client);
  if (calls === undefined) CALLS.set(client, (calls = { asked: new Map(), answers: new Map() }));
  return calls;
}

function put<Value>(map: Map<string, Value>, key: string, value: Value): void {
  if (map.size >= CALLS_MAX) map.delete(map.keys().next().value as string);
  map.set(key, value);
}

/** `execute`, and where the client wants a person's yes, what asks for it. */
export function approvable(
  client: L402Client,
  definition: FetchTool,
  conversation: string,
  onApproval: ((question: ApprovalQuestion & { toolCallId: string }) => unknown) | undefined,
): object {
  const { asked, answers } = callsOf(client);
  const keyOf = (toolCallId: string): string => JSON.stringify([conversation, toolCallId]);
  // A history may come back from a database with its keys in another order.
  const inOrder = (_: string, value: unknown): unknown => (typeof value === "object" && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value);
  const callOf = (input: FetchArguments, toolCallId: string): string => JSON.stringify([conversation, toolCallId, input], inOrder);

  const execute = (input: FetchArguments, { toolCallId, abortSignal, messages }: CallOptions = {}): Promise<FetchResult> & AsyncIterable<FetchResult> =>
    withProgress(input.url, async (show) => {
      // The AI SDK has asked before it runs a call.
      const onProgress = (progress: ToolProgress): void => (progress.stage === "approval" ? undefined : show(progress));
      if (toolCallId === undefined) return definition.execute(input, { signal: abortSignal, onProgress });
      const call = callOf(input, toolCallId);
      const answer = answers.get(call);
      if (answer !== undefined) {
        answers.delete(call);
        return answer;
      }
      const question = await asked.get(call)?.catch(() => undefined);
      // Run after a question, this call has the user's yes: the AI SDK runs it only then.
      const isApproved = ({ paymentHash }: PaymentIntent, required: boolean): boolean => !required || question?.paymentHash === paymentHash;
      const result = await definition.execute(input, { idempotencyKey: keyOf(toolCallId), signal: abortSignal, onProgress, approve: isApproved });
      if (result.error?.paid !== "no") asked.delete(call); // it had its effect
      const wasAsked = question !== undefined || isAnswered(messages, toolCallId);
      return wasAsked && result.error?.code === "approval_denied" ? { ...result, error: TOO_LATE } : result;
    });

  const findPrice = async (input: FetchArguments, toolCallId: string, signal: AbortSignal | undefined): Promise<ApprovalQuestion | undefined> => {
    try {
      const answer = await definition.execute(input, {
        idempotencyKey: keyOf(toolCallId),
        signal,
        approve: (intent, required) => {
          throw new PriceKnown(intent, required);
        },
        rethrow: (cause) => cause instanceof PriceKnown,
      });
      put(answers, callOf(input, toolCallId), answer); // it cost nothing, or failed; it is not made twice
      return undefined;
    } catch (cause) {
      if (!(cause instanceof PriceKnown)) throw cause;
      return cause.required ? approvalQuestion(cause.intent) : undefined;
    }
  };

  const ask: Ask = async (input, { toolCallId, abortSignal, messages }) => {
    if (toolCallId === undefined) return undefined;
    const call = callOf(input, toolCallId);
    // The AI SDK asks once more when it has the answer. What the user saw is then not replaced by another invoice.
    const known = asked.get(call);
    if (known !== undefined || isAnswered(messages, toolCallId)) return known;
    const found = findPrice(input, toolCallId, abortSignal);
    put(asked, call, found);
    const question = await found;
    if (question === undefined) asked.delete(call);
    else await tell(onApproval, { ...question, toolCallId });
    return question;
  };

  if (!client.needsApprover) return { execute };
  // The AI SDK 6 takes back the yes to a call that needs none any more.
  const needsApproval = async (input: FetchArguments, options: CallOptions): Promise<boolean> => (await ask(input, options)) !== undefined || (options.toolCallId !== undefined && isAnswered(options.messages, options.toolCallId));
  return { execute, needsApproval, [ASK]: ask };
}

/** Observers cannot change the outcome. */
async function tell<Told>(observer: ((told: Told) => unknown) | undefined, told: Told): Promise<void> {
  try {
    await observer?.(told);
  } catch {
    // See above.
  }
}

/**
 * A promise of the result which can be iterated as well: the AI SDK shows what is iterated as preliminary results, and
 * takes the last as the result; who calls `execute` directly awaits it.
 */
function withProgress(url: string, run: (onProgress: (progress: ToolProgress) => void) => Promise<FetchResult>): Promise<FetchResult> & AsyncIterable<FetchResult> {
  const steps: FetchResult[] = [];
  let wake = (): void => {};
  let ended = false;
  const result = run((progress) => {
    steps.push(preliminaryResult(url, progress));
    wake();
  });
  const end = (): void => {
    ended = true;
    wake();
  };
  result.then(end, end);
  return Object.assign(result, {
    async *[Symbol.asyncIterator](): AsyncGenerator<FetchResult> {
      for (;;) {
        // One at a time: more may come while one is being shown.
        for (let step = steps.shift(); step !== undefined; step = steps.shift()) yield step;
        if (ended) break;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      yield await result;
    },
  });
}

/** Whether the history ends with the user's answer about this call. */
function isAnswered(messages: readonly unknown[] | undefined, toolCallId: string): boolean {
  const parts = (message: unknown): readonly Part[] => {
    const content = (message as { content?: unknown } | undefined)?.content;
    return Array.isArray(content) ? (content as Part[]) : [];
  };
  const answers = parts(messages?.at(-1)).filter(({ type }) => type === "tool-approval-response");
  const requests = answers.length === 0 ? [] : (messages ?? []).flatMap(parts).filter((part) => part.type === "tool-approval-request" && part.toolCallId === toolCallId);
  return requests.some((request) => answers.some(({ approvalId }) => approvalId === request.approvalId));
}

interface Part {
  readonly type?: unknown;
  readonly toolCallId?: unknown;
  readonly approvalId?: unknown;
}
