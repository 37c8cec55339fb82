/** A model that is a script: it knows a few intents, calls the tools, and says what came of it. No key, no network, no chance. */
import type { LanguageModel } from "ai";
import { catalogue, type Item } from "./catalogue";
import { digits, sats, sentence } from "./format";

type Model = Extract<LanguageModel, { specificationVersion: "v4" }>;
type Prompt = Parameters<Model["doStream"]>[0]["prompt"];
type StreamPart = Awaited<ReturnType<Model["doStream"]>>["stream"] extends ReadableStream<infer Part> ? Part : never;

interface Call {
  readonly name: "l402_fetch" | "l402_quote" | "l402_balance";
  readonly input: { readonly url?: string };
}
/** A call that was made, with what the tool said to the model. */
interface Done extends Call {
  readonly text: string;
  readonly denied: boolean;
}

export function scriptedModel(origin: string): Model {
  return {
    specificationVersion: "v4",
    provider: "l402-tools",
    modelId: "script",
    supportedUrls: {},
    doStream: async ({ prompt, abortSignal }) => {
      const parts = speak(turn(origin, prompt), abortSignal);
      const pull = async (controller: ReadableStreamDefaultController<StreamPart>): Promise<void> => {
        const { done, value } = await parts.next();
        if (done) controller.close();
        else controller.enqueue(value);
      };
      return { stream: new ReadableStream<StreamPart>({ pull }) };
    },
    doGenerate: () => Promise.reject(new Error("The script only streams.")),
  };
}

/** What to do next: either there are calls to make, or their results are here. */
function turn(origin: string, prompt: Prompt): { text: string; calls: readonly Call[] } {
  const at = prompt.findLastIndex(({ role }) => role === "user");
  const done = callsSince(prompt.slice(at + 1));
  return done.length > 0 ? { text: answer(done), calls: [] } : plan(origin, textOf(prompt[at]));
}

function plan(origin: string, question: string): { text: string; calls: readonly Call[] } {
  const items = catalogue.filter(({ means }) => means.test(question));
  const call = (name: Call["name"], item: Item): Call => ({ name, input: { url: origin + item.path } });
  if (/\b(left|balance|budget|spent|remain)/i.test(question)) return { text: "", calls: [{ name: "l402_balance", input: {} }] };
  if (items.length === 0) {
    return { text: "I can buy **weather** for Lisbon, **freight rates**, and **satellite reports** on the ports of Sines and Leixões. I can also tell what something costs, and how much is left.", calls: [] };
  }
  if (/\b(costs?|price|how much (is|are|for|does|do|would))\b/i.test(question)) return { text: "", calls: items.map((item) => call("l402_quote", item)) };
  return { text: items.length === 1 ? items[0]!.lead : "I need a report on each of them. Let me see what they cost.", calls: items.map((item) => call("l402_fetch", item)) };
}

function answer(done: readonly Done[]): string {
  return done.map(tell).join("\n\n");
}

/** What came of a call, read from the text that the tool made for models. */
function tell({ name, input, text, denied }: Done): string {
  const item = catalogue.find(({ path }) => input.url?.endsWith(path));
  const title = `“${item?.title ?? input.url}”`;
  if (name === "l402_balance") {
    const [left, total] = text.match(/\d+/g) ?? [];
    return `There are **${sats(Number(left))}** left of ${digits(Number(total))}.`;
  }
  if (name === "l402_quote") return `${title} costs **${sats(Number(/(\d+) sats/.exec(text)?.[1]))}**, plus a small routing fee. I have not bought it.`;
  if (denied) return `I did not buy ${title}, as you wished. Nothing was paid for it.`;
  if (text.includes("this budget will not allow it")) return `I could not buy ${title}: it costs **${sats(item?.priceSats ?? 0)}**, more than the budget has left. Nothing was paid.`;
  const body = /<(l402-body-\w+)>\n(.*)\n<\/\1>/s.exec(text)?.[2];
  if (item === undefined || body === undefined || !text.includes("HTTP 200")) return `I could not get ${title}. ${sentence(text.split("\n")[0] ?? "")}`;
  return item.told(JSON.parse(body) as never);
}

function callsSince(messages: Prompt): Done[] {
  const calls = new Map<string, Call>();
  const done: Done[] = [];
  for (const message of messages) {
    if (message.role !== "assistant" && message.role !== "tool") continue;
    for (const part of message.content) {
      if (part.type === "tool-call") calls.set(part.toolCallId, { name: part.toolName as Call["name"], input: part.input as Call["input"] });
      if (part.type !== "tool-result") continue;
      const call = calls.get(part.toolCallId);
      const { output } = part;
      if (call !== undefined) done.push({ ...call, text: output.type === "text" || output.type === "error-text" ? output.value : "", denied: output.type === "execution-denied" });
    }
  }
  return done;
}

function textOf(message: Prompt[number] | undefined): string {
  return message?.role === "user" ? message.content.map((part) => (part.type === "text" ? part.text : "")).join(" ") : "";
}

/** Word by word, as models speak. */
async function* speak({ text, calls }: { text: string; calls: readonly Call[] }, signal?: AbortSignal): AsyncGenerator<StreamPart> {
  const paceMs = Number(process.env.CHAT_PACE_MS ?? 22);
  yield { type: "stream-start", warnings: [] };
  if (text !== "") {
    yield { type: "text-start", id: "1" };
    for (const delta of text.match(/\s*\S+/g) ?? []) {
      if (paceMs > 0) await new Promise((resolve) => setTimeout(resolve, paceMs));
      signal?.throwIfAborted();
      yield { type: "text-delta", id: "1", delta };
    }
    yield { type: "text-end", id: "1" };
  }
  for (const { name, input } of calls) yield { type: "tool-call", toolCallId: `call_${crypto.randomUUID()}`, toolName: name, input: JSON.stringify(input) };
  yield {
    type: "finish",
    finishReason: { unified: calls.length > 0 ? "tool-calls" : "stop", raw: undefined },
    usage: { inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 0, text: 0, reasoning: 0 } },
  };
}
