/** The tools in the AI SDK's own loops, of each version that is supported, with scripted models. */
import * as ai7 from "ai";
import * as mocks7 from "ai/test";
import * as ai5 from "ai-v5";
import * as mocks5 from "ai-v5/test";
import * as ai6 from "ai-v6";
import * as mocks6 from "ai-v6/test";
import { L402Client } from "@l402-tools/core";
import { describe, expect, test } from "vitest";
import { adapterCases, assertNoSecrets, world, type MakeAgent, type Outcome, type ToolCall } from "../../langchain/test/cases.ts";
import { l402FetchTool, l402Tools } from "../src/index.ts";

/** What the three versions have in common, as far as these tests go. */
interface Sdk {
  generateText(options: object): Promise<{ text: string; steps: unknown[] }>;
  streamText(options: object): { consumeStream(): Promise<void>; text: PromiseLike<string>; steps: PromiseLike<unknown[]>; fullStream: AsyncIterable<unknown> };
  stepCountIs(count: number): unknown;
}
interface Mock {
  doGenerateCalls: { prompt: Message[] }[];
  doStreamCalls: { prompt: Message[] }[];
}
interface Message {
  role: string;
  content: { type: string; toolCallId: string; output: { type: string; value: unknown } }[];
}
interface Version {
  readonly name: string;
  readonly ai: Sdk;
  readonly Model: new (options: object) => Mock;
  readonly nested: boolean;
  readonly simulate: (options: object) => unknown;
}

const versions: Version[] = [
  { name: "5", ai: ai5 as never, Model: mocks5.MockLanguageModelV2 as never, nested: false, simulate: ai5.simulateReadableStream as never },
  { name: "6", ai: ai6 as never, Model: mocks6.MockLanguageModelV3 as never, nested: true, simulate: ai6.simulateReadableStream as never },
  { name: "7", ai: ai7 as never, Model: mocks7.MockLanguageModelV4 as never, nested: true, simulate: ai7.simulateReadableStream as never },
];

/** A model that makes these calls, and is done in its second step; without any it is done at once. */
function scripted({ Model, nested, simulate }: Version, calls: readonly ToolCall[] | undefined): Mock {
  let step = calls === undefined ? 1 : 0;
  const usage = nested ? { inputTokens: { total: 1 }, outputTokens: { total: 1 } } : { inputTokens: 1, outputTokens: 1, totalTokens: 2 };
  const next = (): { content: object[]; reason: string } => {
    step += 1;
    if (step > 1) return { content: [{ type: "text", text: "done" }], reason: "stop" };
    return { content: (calls ?? []).map(({ id, name, args }) => ({ type: "tool-call", toolCallId: id, toolName: name, input: JSON.stringify(args) })), reason: "tool-calls" };
  };
  const finish = (reason: string): object => ({ finishReason: nested ? { unified: reason, raw: undefined } : reason, usage });
  return new Model({
    doGenerate: () => {
      const { content, reason } = next();
      return Promise.resolve({ content, ...finish(reason), warnings: [] });
    },
    doStream: () => {
      const { content, reason } = next();
      const parts = content.flatMap((part) => ("text" in part ? [{ type: "text-start", id: "1" }, { type: "text-delta", id: "1", delta: part.text }, { type: "text-end", id: "1" }] : [part]));
      return Promise.resolve({ stream: simulate({ chunks: [{ type: "stream-start", warnings: [] }, ...parts, { type: "finish", ...finish(reason) }] }) });
    },
  });
}

/** Each call's outcome: what the model was shown in its second step, and what the application got. */
function outcomesOf(calls: readonly ToolCall[], prompt: Message[] | undefined, steps: unknown[]): Outcome[] {
  const shown = (prompt ?? []).filter(({ role }) => role === "tool").flatMap(({ content }) => content);
  const results = (steps as { toolResults: { toolCallId: string; output: unknown }[] }[]).flatMap(({ toolResults }) => toolResults);
  return calls.map(({ id }) => {
    const part = shown.find(({ toolCallId }) => toolCallId === id);
    return { id, text: part?.output.value as string, failed: part?.output.type === "error-text", data: results.find(({ toolCallId }) => toolCallId === id)?.output };
  });
}

const generating = (version: Version): MakeAgent => (client, options) => {
  const tools = l402Tools(client, options);
  return {
    async turn(calls) {
      const model = scripted(version, calls);
      const result = await version.ai.generateText({ model, tools, prompt: "go", stopWhen: version.ai.stepCountIs(5) });
      expect(result.text).toBe("done");
      return { outcomes: outcomesOf(calls, model.doGenerateCalls[1]?.prompt, result.steps), seen: [result, model.doGenerateCalls] };
    },
  };
};

const streaming = (version: Version): MakeAgent => (client, options) => {
  const tools = l402Tools(client, options);
  return {
    async turn(calls) {
      const model = scripted(version, calls);
      const result = version.ai.streamText({ model, tools, prompt: "go", stopWhen: version.ai.stepCountIs(5) });
      const parts: unknown[] = [];
      for await (const part of result.fullStream) parts.push(part);
      expect(await result.text).toBe("done");
      return { outcomes: outcomesOf(calls, model.doStreamCalls[1]?.prompt, await result.steps), seen: [parts, model.doStreamCalls] };
    },
  };
};

/** `ToolLoopAgent` of 6 and 7; in 5 it is called `Experimental_Agent`. */
const looping = (version: Version): MakeAgent => (client, options) => {
  const tools = l402Tools(client, options);
  return {
    async turn(calls) {
      const model = scripted(version, calls);
      const Loop = { "5": ai5.Experimental_Agent, "6": ai6.ToolLoopAgent, "7": ai7.ToolLoopAgent }[version.name] as unknown as new (options: object) => { generate(options: object): Promise<{ text: string; steps: unknown[] }> };
      const agent = new Loop({ model, tools, stopWhen: version.ai.stepCountIs(5) });
      const result = await agent.generate({ prompt: "go" });
      expect(result.text).toBe("done");
      return { outcomes: outcomesOf(calls, model.doGenerateCalls[1]?.prompt, result.steps), seen: [result, model.doGenerateCalls] };
    },
  };
};

describe.each(versions)("ai $name", (version) => {
  describe.each([["generateText", generating], ["streamText", streaming], ["ToolLoopAgent", looping]] as const)("%s", (_, make) => {
    test.each(adapterCases.map((each) => [each.name, each] as const))("%s", async (_name, each) => each.run(make(version)));
  });

  test("a history that is sent again runs its approved calls again, and pays nothing again", async () => {
    const it = await world({ "/once": { priceSats: 10, credential: "single-use", body: "goods" } }, { budgetSats: 100 });
    const calls = [{ id: "call-1", name: "l402_fetch", args: { url: `${it.paywall.url}/once` } }];
    // A new tool object each time, as in a route handler; the chat has a name.
    for (let run = 0; run < 3; run += 1) {
      const tools = l402Tools(it.client, { ...it.options, thread: "chat-1" });
      const result = await version.ai.generateText({ model: scripted(version, calls), tools, prompt: "go", stopWhen: version.ai.stepCountIs(5) });
      expect(JSON.stringify(result.steps)).toContain("goods");
    }
    expect(it.wallet.payCalls()).toBe(1);
    const other = l402Tools(it.client, { ...it.options, thread: "chat-2" });
    await version.ai.generateText({ model: scripted(version, calls), tools: other, prompt: "go", stopWhen: version.ai.stepCountIs(5) });
    expect(it.wallet.payCalls()).toBe(2);
  });

  test("a run that is stopped during the payment: it is booked, and the call that runs again gets what it bought", async () => {
    const it = await world({ "/once": { priceSats: 10, credential: "single-use", body: "goods" } });
    let paying = (): void => {};
    const dispatched = new Promise<void>((resolve) => (paying = resolve));
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const real = it.wallet.asSimple();
    const wallet = {
      payInvoice: async (invoice: string) => {
        paying();
        await gate;
        return real.payInvoice(invoice);
      },
    };
    const client = new L402Client({ wallet, network: "regtest", fetch: it.paywall.fetch, budgetSats: 100 });
    const tools = l402Tools(client, it.options);
    const calls = [{ id: "call-1", name: "l402_fetch", args: { url: `${it.paywall.url}/once` } }];
    const stop = new AbortController();
    const running = version.ai.generateText({ model: scripted(version, calls), tools, prompt: "go", stopWhen: version.ai.stepCountIs(5), abortSignal: stop.signal });
    const stopped = running.then(() => "ended", () => "rejected");
    await dispatched;
    stop.abort();
    await stopped;
    release();
    const result = await version.ai.generateText({ model: scripted(version, calls), tools, prompt: "go", stopWhen: version.ai.stepCountIs(5) });
    expect(JSON.stringify(result.steps)).toContain("goods");
    expect(it.wallet.payCalls()).toBe(1);
    expect(await client.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
    assertNoSecrets(it, result.steps);
  });
});

test("an approved history that is sent twice pays once (7: toolApproval)", async () => {
  const it = await world({ "/once": { priceSats: 10, credential: "single-use", body: "goods" } }, { budgetSats: 100 });
  const version = versions[2] as Version;
  const calls = [{ id: "call-1", name: "l402_fetch", args: { url: `${it.paywall.url}/once`, maxPriceSats: 10 } }];
  const tools = l402Tools(it.client, it.options);
  const toolApproval = { l402_fetch: () => "user-approval" };
  const user = { role: "user", content: "go" };
  const generateText = ai7.generateText as unknown as (options: object) => Promise<{ text: string; content: { type: string; approvalId: string }[]; response: { messages: object[] } }>;
  const first = await generateText({ model: scripted(version, calls), tools, toolApproval, messages: [user] });
  const request = first.content.find(({ type }) => type === "tool-approval-request");
  expect(it.wallet.payCalls()).toBe(0);
  const history = [user, ...first.response.messages, { role: "tool", content: [{ type: "tool-approval-response", approvalId: request?.approvalId, approved: true }] }];
  for (let sent = 0; sent < 2; sent += 1) {
    const model = scripted(version, undefined);
    const result = await generateText({ model, tools, toolApproval, messages: history });
    expect(result.text).toBe("done");
    expect(JSON.stringify(model.doGenerateCalls.at(-1)?.prompt)).toContain("[Paid 10 sats] HTTP 200");
  }
  expect(it.wallet.payCalls()).toBe(1);
});

test("the model's text is made of the output alone, the same each time, in both shapes of the argument", async () => {
  const it = await world({ "/paid": { priceSats: 10, body: "goods" } }, { budgetSats: 100 });
  const tool = l402FetchTool(it.client, it.options);
  const output = await (tool.execute as (input: object, options: object) => Promise<object>)({ url: `${it.paywall.url}/paid` }, { toolCallId: "a", messages: [] });
  const toModelOutput = tool.toModelOutput as unknown as (argument: object) => { type: string; value: string };
  const shown = toModelOutput({ toolCallId: "a", input: {}, output });
  expect(shown).toEqual({ type: "text", value: expect.stringMatching(/^\[Paid 10 sats\] HTTP 200\n/) as string });
  expect(toModelOutput(structuredClone(output))).toEqual(shown);
});

test("an option that cannot be meant is refused at once", async () => {
  const it = await world({});
  expect(() => l402Tools(it.client, { allowHost: ["a"] } as never)).toThrow(expect.objectContaining({ code: "invalid_options" }));
});
