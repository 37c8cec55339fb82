/** The tools in LangChain's own agent and in LangGraph's graphs, with scripted models. */
import { AIMessage, HumanMessage, ToolMessage, type BaseMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { Command, END, interrupt, MemorySaver, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import type { FetchResult } from "@l402-tools/core/tools";
import { type AgentMiddleware, createAgent, createMiddleware, toolRetryMiddleware } from "langchain";
import { describe, expect, test } from "vitest";
import { l402BalanceTool, l402FetchTool, l402QuoteTool, l402SpendingReportTool, l402Tools } from "../src/index.ts";
import { adapterCases, assertNoSecrets, world, type MakeAgent, type Outcome, type ToolCall } from "./cases.ts";

const outcomesOf = (messages: readonly BaseMessage[]): Outcome[] =>
  messages.filter((message) => ToolMessage.isInstance(message)).map((message) => ({ id: message.tool_call_id, text: message.content as string, failed: message.status === "error", data: message.artifact as unknown }));

const inAgent: MakeAgent = (client, options) => {
  const tools = l402Tools(client, options);
  return {
    async turn(calls) {
      const trace: unknown[] = [];
      const model = fakeModel().respondWithTools(calls.map((call) => ({ ...call }))).respond(new AIMessage("done"));
      const agent = createAgent({ model, tools });
      const record = (...args: unknown[]): void => void trace.push(args);
      const state = await agent.invoke({ messages: [new HumanMessage("go")] }, { callbacks: [{ handleToolStart: record, handleToolEnd: record, handleToolError: record, handleChainEnd: record, handleCustomEvent: record }] });
      expect(state.messages.at(-1)?.content).toBe("done");
      return { outcomes: outcomesOf(state.messages), seen: [state, trace, model.calls] };
    },
  };
};

const inGraph: MakeAgent = (client, options) => {
  const graph = new StateGraph(MessagesAnnotation).addNode("tools", new ToolNode(l402Tools(client, options))).addEdge(START, "tools").addEdge("tools", END).compile();
  return {
    async turn(calls) {
      const message = new AIMessage({ content: "", tool_calls: calls.map((call) => ({ ...call, type: "tool_call" as const })) });
      const state = await graph.invoke({ messages: [message] });
      return { outcomes: outcomesOf(state.messages), seen: state };
    },
  };
};

const withMiddleware: MakeAgent = (client, options) => {
  const tools = l402Tools(client, options);
  return {
    async turn(calls) {
      const model = fakeModel().respondWithTools(calls.map((call) => ({ ...call }))).respond(new AIMessage("done"));
      const watch = createMiddleware({ name: "watch", wrapToolCall: (request, handler) => handler(request) });
      // Its own declarations do not pass exactOptionalPropertyTypes.
      const retry = toolRetryMiddleware({ maxRetries: 2, initialDelayMs: 1 }) as unknown as AgentMiddleware;
      const state = await createAgent({ model, tools, middleware: [watch, retry] }).invoke({ messages: [new HumanMessage("go")] });
      return { outcomes: outcomesOf(state.messages), seen: state };
    },
  };
};

describe.each([["createAgent", inAgent], ["ToolNode", inGraph], ["createAgent with middleware", withMiddleware]] as const)("%s", (_, make) => {
  test.each(adapterCases.map((each) => [each.name, each] as const))("%s", async (_name, each) => each.run(make));
});

describe("called directly", () => {
  test("with arguments it gives the text, with a tool call a message", async () => {
    const it = await world({ "/paid": { priceSats: 10, body: "goods" } }, { budgetSats: 100 });
    const tool = l402FetchTool(it.client, it.options);
    const url = `${it.paywall.url}/paid`;
    const text: unknown = await tool.invoke({ url });
    expect(text).toMatch(/^\[Paid 10 sats\] HTTP 200\n/);
    const message: unknown = await tool.invoke({ type: "tool_call", id: "call-1", name: "l402_fetch", args: { url } });
    expect(ToolMessage.isInstance(message)).toBe(true);
    expect(message).toMatchObject({ name: "l402_fetch", tool_call_id: "call-1", status: "success", artifact: { ok: true, reused: true } });
    expect(message).toBeInstanceOf(ToolMessage);
    expect(await l402BalanceTool(it.client).invoke({})).toBe("Budget: 90 sats remaining of 100 total (spent: 10 sats)");
    expect(await l402SpendingReportTool(it.client).invoke({})).toMatch(/^Spent: 10 sats/);
    expect(await l402QuoteTool(it.client, it.options).invoke({ url })).toMatch(/^\[Not paid\] Price: 10 sats/);
  });

  test("ids of two conversations without a thread do not meet; those of one thread do, in another instance too", async () => {
    const it = await world({ "/once": { priceSats: 10, credential: "single-use" } }, { budgetSats: 100 });
    const call = { type: "tool_call" as const, id: "call-1", name: "l402_fetch", args: { url: `${it.paywall.url}/once` } };
    await l402FetchTool(it.client, it.options).invoke(call);
    await l402FetchTool(it.client, it.options).invoke(call);
    expect(it.wallet.payCalls()).toBe(2);
    for (const thread_id of ["a", "b", "a", "b"]) await l402FetchTool(it.client, it.options).invoke(call, { configurable: { thread_id } });
    expect(it.wallet.payCalls()).toBe(4);
  });

  test("an option that cannot be meant is refused at once", async () => {
    const it = await world({});
    expect(() => l402Tools(it.client, { allowHost: ["a"] } as never)).toThrow(expect.objectContaining({ code: "invalid_options" }));
  });
});

describe("a graph that asks a person", () => {
  /** Two calls at once of which one stops to ask: ToolNode runs both again after the answer. */
  const paused = async (answer: (intent: unknown) => unknown) => {
    const asked: unknown[] = [];
    const it = await world(
      { "/cheap": { priceSats: 10, credential: "single-use", body: "cheap goods" }, "/dear": { priceSats: 200, credential: "single-use", body: "dear goods" } },
      {
        budgetSats: 1_000,
        paymentConcurrency: 2,
        approve: ({ amountSats, host }) => {
          if (amountSats <= 50) return true;
          asked.push(amountSats);
          const given = interrupt({ amountSats, host }) as { amountSats?: number; host?: string };
          return given.amountSats === amountSats && given.host === host;
        },
      },
    );
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("tools", new ToolNode([l402FetchTool(it.client, it.options)]))
      .addEdge(START, "tools").addEdge("tools", END)
      .compile({ checkpointer: new MemorySaver() });
    const config = { configurable: { thread_id: "thread-1" } };
    const calls = ["cheap", "dear"].map((item) => ({ type: "tool_call" as const, id: `call-${item}`, name: "l402_fetch", args: { url: `${it.paywall.url}/${item}` } }));
    const first = await graph.invoke({ messages: [new AIMessage({ content: "", tool_calls: calls })] }, config);
    const [pending] = (first as { __interrupt__?: { value: unknown }[] }).__interrupt__ ?? [];
    expect(pending?.value).toEqual({ amountSats: 200, host: "paywall.example" });
    expect(it.wallet.spentMsat).toBe(10_000n);
    const state = await graph.invoke(new Command({ resume: answer(pending?.value) }), config);
    return { it, outcomes: outcomesOf(state.messages), state, asked };
  };

  test("the approved call pays once, and its sibling, which runs again, does not pay again", async () => {
    const { it, outcomes, state, asked } = await paused((intent) => intent);
    expect(outcomes.map(({ text }) => text.split("\n")[0])).toEqual(["[Paid 10 sats] HTTP 200", "[Paid 200 sats] HTTP 200"]);
    expect(outcomes.map(({ data }) => (data as FetchResult).body)).toEqual(["cheap goods", "dear goods"]);
    expect(it.wallet.spentMsat).toBe(210_000n);
    expect(asked).toEqual([200, 200]);
    expect(await it.client.balance()).toMatchObject({ spentSats: 210, heldSats: 0 });
    assertNoSecrets(it, state);
  });

  test("the refused call pays nothing", async () => {
    const { it, outcomes } = await paused(() => ({ amountSats: 9_000 }));
    expect(outcomes.map(({ text }) => text.split("\n")[0])).toEqual(["[Paid 10 sats] HTTP 200", "[Not paid] The payment of 200 sats to paywall.example was not approved. Nothing was paid."]);
    expect(it.wallet.spentMsat).toBe(10_000n);
  });

  test("in createAgent as well", async () => {
    const it = await world({ "/dear": { priceSats: 200 } }, { budgetSats: 1_000, approve: ({ amountSats }) => interrupt({ amountSats }) === amountSats });
    const model = fakeModel().respondWithTools([{ id: "call-1", name: "l402_fetch", args: { url: `${it.paywall.url}/dear` } }]).respond(new AIMessage("done"));
    const agent = createAgent({ model, tools: [l402FetchTool(it.client, it.options)], checkpointer: new MemorySaver() });
    const config = { configurable: { thread_id: "thread-1" } };
    const first = await agent.invoke({ messages: [new HumanMessage("go")] }, config);
    expect((first as { __interrupt__?: { value: unknown }[] }).__interrupt__?.map(({ value }) => value)).toEqual([{ amountSats: 200 }]);
    const second = await agent.invoke(new Command({ resume: 200 }), config);
    expect(outcomesOf(second.messages).map(({ text }) => text.split("\n")[0])).toEqual(["[Paid 200 sats] HTTP 200"]);
    expect(it.wallet.payCalls()).toBe(1);
  });

  test("without a graph around it, an interrupt is a refusal, and nothing is paid", async () => {
    const it = await world({ "/dear": { priceSats: 200 } }, { approve: () => interrupt("may I?") === true });
    expect(await l402FetchTool(it.client, it.options).invoke({ url: `${it.paywall.url}/dear` })).toMatch(/^\[Not paid\]/);
    expect(it.wallet.payCalls()).toBe(0);
  });
});

describe("a run that is stopped", () => {
  test("during the payment: it completes, is booked, and the replay of the call gets what it bought", async () => {
    let paying = (): void => {};
    const dispatched = new Promise<void>((resolve) => (paying = resolve));
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const it = await world({ "/once": { priceSats: 10, credential: "single-use", body: "goods" } });
    const real = it.wallet.asSimple();
    const { L402Client } = await import("@l402-tools/core");
    const client = new L402Client({
      wallet: { payInvoice: async (invoice) => { paying(); await gate; return real.payInvoice(invoice); } },
      network: "regtest", fetch: it.paywall.fetch, budgetSats: 100,
    });
    const tool = l402FetchTool(client, it.options);
    const stop = new AbortController();
    const call: ToolCall & { type: "tool_call" } = { type: "tool_call", id: "call-1", name: "l402_fetch", args: { url: `${it.paywall.url}/once` } };
    const running = tool.invoke(call as never, { signal: stop.signal, configurable: { thread_id: "t" } });
    await dispatched;
    stop.abort();
    await expect(running).rejects.toThrow();
    release();
    const again = await tool.invoke(call as never, { configurable: { thread_id: "t" } });
    expect(again).toMatchObject({ status: "success", artifact: { body: "goods" } });
    expect(it.wallet.payCalls()).toBe(1);
    expect(await client.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
  });
});
