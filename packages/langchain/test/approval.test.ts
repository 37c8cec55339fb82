/** A person in the loop, by LangGraph's own means, and what a graph streams of a call. */
import { AIMessage, HumanMessage, ToolMessage, type BaseMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { Command, END, MemorySaver, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { L402Client, type L402ClientOptions } from "@l402-tools/core";
import type { FetchResult } from "@l402-tools/core/tools";
import type { RouteOptions } from "@l402-tools/testing";
import { createAgent } from "langchain";
import { describe, expect, test } from "vitest";
import { type ApprovalInterrupt, interruptForApproval, l402FetchTool, type ToolProgressChunk } from "../src/index.ts";
import { assertNoSecrets, world, type World } from "./cases.ts";

const routes: Record<string, RouteOptions> = {
  "/cheap": { priceSats: 10, body: "cheap goods", credential: "single-use" },
  "/good": { priceSats: 200, body: "good goods", credential: "single-use", description: "weather of a week" },
  "/evil": { priceSats: 900, body: "evil goods", credential: "single-use" },
};

interface Pending {
  readonly id: string;
  readonly value: ApprovalInterrupt;
}
interface Run {
  readonly pending: Pending[];
  readonly texts: string[];
  readonly results: FetchResult[];
  readonly state: unknown;
}
interface Graph {
  start(paths: readonly string[]): Promise<Run>;
  resume(answer: unknown): Promise<Run>;
}

const runOf = (state: unknown): Run => {
  const { messages, __interrupt__: pending = [] } = state as { messages: BaseMessage[]; __interrupt__?: Pending[] };
  const answers = messages.filter((message) => ToolMessage.isInstance(message));
  return { pending, texts: answers.map(({ content }) => (content as string).split("\n")[0] as string), results: answers.map(({ artifact }) => artifact as FetchResult), state };
};

const config = { configurable: { thread_id: "thread-1" } };
const callsOf = (it: World, paths: readonly string[]): { id: string; name: string; args: { url: string } }[] => paths.map((path) => ({ id: `call-${path}`, name: "l402_fetch", args: { url: `${it.paywall.url}${path}` } }));

/** A graph with one `ToolNode`, which runs all calls again when it is resumed. */
function inToolNode(it: World, client: L402Client = it.client): Graph {
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("tools", new ToolNode([l402FetchTool(client, it.options)]))
    .addEdge(START, "tools").addEdge("tools", END)
    .compile({ checkpointer: new MemorySaver() });
  return {
    start: async (paths) => runOf(await graph.invoke({ messages: [new AIMessage({ content: "", tool_calls: callsOf(it, paths).map((call) => ({ ...call, type: "tool_call" as const })) })] }, config)),
    resume: async (answer) => runOf(await graph.invoke(new Command({ resume: answer }), config)),
  };
}

/** `createAgent`, in which each call is a task of its own. */
function inAgent(it: World, client: L402Client = it.client): Graph {
  const checkpointer = new MemorySaver();
  const agentOf = (model: ReturnType<typeof fakeModel>): { invoke(input: unknown, options: object): Promise<unknown> } => createAgent({ model, tools: [l402FetchTool(client, it.options)], checkpointer }) as never;
  let agent: ReturnType<typeof agentOf> | undefined;
  return {
    start: async (paths) => {
      const model = fakeModel().respondWithTools(callsOf(it, paths)).respond(new AIMessage("done"));
      agent = agentOf(model);
      return runOf(await agent.invoke({ messages: [new HumanMessage("go")] }, config));
    },
    resume: async (answer) => runOf(await agent?.invoke(new Command({ resume: answer }), config)),
  };
}

const options: Partial<L402ClientOptions> = { budgetSats: 2_000, approveAbove: 100, approve: interruptForApproval() };
const yes = ({ value }: Pending): object => ({ paymentHash: value.paymentHash, approved: true });
const no = ({ value }: Pending): object => ({ paymentHash: value.paymentHash, approved: false });
const one = (pending: readonly Pending[]): Pending => {
  expect(pending).toHaveLength(1);
  return pending[0] as Pending;
};

describe.each([["createAgent", inAgent], ["ToolNode", inToolNode]] as const)("%s", (_, make) => {
  test("stops with the exact price, host, payee and purpose; the yes pays that very invoice", async () => {
    const it = await world(routes, options);
    const graph = make(it);
    const { pending, state } = await graph.start(["/cheap", "/good"]);
    const asked = one(pending);
    const sale = it.paywall.sales.find(({ path }) => path === "/good");
    expect(asked.value).toMatchObject({ type: "l402_approval", host: "paywall.example", method: "GET", amountSats: 200, payee: it.paywall.payee.publicKey, paymentHash: sale?.paymentHash });
    expect(asked.value.description).toContain("weather of a week");
    expect(asked.value.text).toContain("Pay 200 sats to paywall.example");
    expect(await it.client.balance()).toMatchObject({ spentSats: 10, heldSats: 0 });
    const done = await graph.resume(yes(asked));
    expect(done.texts).toEqual(["[Paid 10 sats] HTTP 200", "[Paid 200 sats] HTTP 200"]);
    expect(done.results.map(({ body }) => body)).toEqual(["cheap goods", "good goods"]);
    expect(it.paywall.paidSales.map(({ paymentHash }) => paymentHash)).toContain(asked.value.paymentHash);
    expect(it.wallet.payCalls()).toBe(2); // the sibling ran again where the node did, and was not paid again
    expect(await it.client.balance()).toMatchObject({ spentSats: 210, heldSats: 0 });
    assertNoSecrets(it, state, done.state);
  });

  test("a no pays nothing and holds nothing", async () => {
    const it = await world(routes, options);
    const graph = make(it);
    const done = await graph.resume(no(one((await graph.start(["/good"])).pending)));
    expect(done.texts).toEqual(["[Not paid] The payment of 200 sats to paywall.example was not approved. Nothing was paid."]);
    expect(it.wallet.payCalls()).toBe(0);
    expect(await it.client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  });

  test.each([true, "yes", { approved: true }, { paymentHash: "0".repeat(64), approved: true }, { paymentHash: 1, approved: true }, [], 0])("the answer %j is none: it asks again about the same invoice", async (answer) => {
    const it = await world(routes, options);
    const graph = make(it);
    const first = one((await graph.start(["/good"])).pending);
    const second = one((await graph.resume(answer)).pending);
    expect(second.value).toMatchObject({ paymentHash: first.value.paymentHash, problem: expect.stringMatching(/^(?:The answer must be|That was the answer to another payment)/) as string });
    expect(it.wallet.payCalls()).toBe(0);
    expect((await graph.resume(yes(second))).texts).toEqual(["[Paid 200 sats] HTTP 200"]);
    expect(it.wallet.payCalls()).toBe(1);
  });

  test("the same answer sent twice pays once", async () => {
    const it = await world(routes, options);
    const graph = make(it);
    const asked = one((await graph.start(["/good"])).pending);
    await graph.resume(yes(asked));
    await graph.resume(yes(asked)).catch(() => {}); // the graph has ended
    expect(it.wallet.payCalls()).toBe(1);
    expect(await it.client.balance()).toMatchObject({ spentSats: 200, heldSats: 0 });
  });

  test("an invoice that runs out while the person thinks is asked about anew, at its new price", async () => {
    let price = 200;
    const it = await world({ "/good": { priceSats: 200, credential: "single-use", invoiceExpirySeconds: 60 } });
    const clock = { shift: 0, now: () => Date.now() + clock.shift, sleep: (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms)) };
    // The server raises its price.
    const dear = await world({ "/good": { priceSats: 300, credential: "single-use" } });
    const client = new L402Client({ wallet: it.wallet, network: "regtest", clock, fetch: ((...args: Parameters<typeof fetch>) => (price === 200 ? it.paywall.fetch(...args) : dear.paywall.fetch(...args))) as typeof fetch, ...options });
    const graph = make(it, client);
    const first = one((await graph.start(["/good"])).pending);
    clock.shift = 55_000;
    price = 300;
    const second = one((await graph.resume(yes(first))).pending);
    expect(second.value).toMatchObject({ amountSats: 300 });
    expect(second.value.paymentHash).not.toBe(first.value.paymentHash);
    expect(it.wallet.payCalls()).toBe(0);
    expect((await graph.resume(no(second))).texts[0]).toMatch(/^\[Not paid\]/);
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  });
});

describe("two calls that ask at once", () => {
  test("createAgent: answers by id, one yes and one no, in any order", async () => {
    for (const paths of [["/good", "/evil"], ["/evil", "/good"]]) {
      const it = await world(routes, options);
      const graph = inAgent(it);
      const { pending } = await graph.start(paths);
      expect(pending.map(({ value }) => value.amountSats).sort((a, b) => a - b)).toEqual([200, 900]);
      const done = await graph.resume(Object.fromEntries(pending.map((each) => [each.id, each.value.amountSats === 200 ? yes(each) : no(each)])));
      expect(done.results.map(({ ok, paidSats }) => [ok, paidSats])).toEqual(paths.map((path) => (path === "/good" ? [true, 200] : [false, 0])));
      expect(it.wallet.spentMsat).toBe(200_000n);
    }
  });

  test("createAgent: an answer in another question's place counts for the payment that it names", async () => {
    for (const paths of [["/good", "/evil"], ["/evil", "/good"]]) {
      const it = await world(routes, options);
      const graph = inAgent(it);
      let run = await graph.start(paths);
      const [first, second] = run.pending as [Pending, Pending];
      const answerTo = (asked: Pending): object => (asked.value.amountSats === 200 ? yes(asked) : no(asked));
      run = await graph.resume({ [first.id]: answerTo(second), [second.id]: answerTo(first) });
      for (let turn = 0; run.pending.length > 0 && turn < 5; turn += 1) run = await graph.resume(Object.fromEntries(run.pending.map((asked) => [asked.id, answerTo(asked)])));
      expect(run.results.map(({ ok, paidSats }) => [ok, paidSats])).toEqual(paths.map((path) => (path === "/good" ? [true, 200] : [false, 0])));
      expect(it.paywall.paidSales.map(({ path }) => path)).toEqual(["/good"]);
    }
  });

  test.each([["/good", "/evil"], ["/evil", "/good"]])("ToolNode: %s and %s; the yes for one never pays the other", async (...paths) => {
    const it = await world(routes, options);
    const graph = inToolNode(it);
    let run = await graph.start(paths);
    // As many questions as it takes, each answered for itself.
    for (let turn = 0; run.pending.length > 0 && turn < 10; turn += 1) {
      const asked = one(run.pending);
      expect(it.wallet.spentMsat <= 200_000n).toBe(true);
      run = await graph.resume(asked.value.amountSats === 200 ? yes(asked) : no(asked));
    }
    expect(run.results.map(({ ok, paidSats }) => [ok, paidSats])).toEqual(paths.map((path) => (path === "/good" ? [true, 200] : [false, 0])));
    expect(it.wallet.spentMsat).toBe(200_000n);
    expect(it.paywall.paidSales.map(({ path }) => path)).toEqual(["/good"]);
  });
});

test.each([
  [[false, false]],
  [[true, true]],
  [[true, false, false]],
  [[false, true, false]],
  [[false, false, true]],
  [[true, true, true]],
  [[false, false, false, true]],
])("ToolNode: %j, each question asked once, each answer where it belongs", async (wanted) => {
  const it = await world(Object.fromEntries(wanted.map((_, index) => [`/${index}`, { priceSats: 101 + index, credential: "single-use" }])), options);
  const graph = inToolNode(it);
  let run = await graph.start(wanted.map((_, index) => `/${index}`));
  const asked: number[] = [];
  const approved: string[] = [];
  while (run.pending.length > 0 && asked.length < 20) {
    const question = one(run.pending);
    asked.push(question.value.amountSats);
    const isWanted = wanted[question.value.amountSats - 101] as boolean;
    if (isWanted) approved.push(question.value.paymentHash);
    run = await graph.resume(isWanted ? yes(question) : no(question));
  }
  expect(asked.sort((a, b) => a - b)).toEqual(wanted.map((_, index) => 101 + index));
  expect(run.results.map(({ paidSats }) => paidSats)).toEqual(wanted.map((answer, index) => (answer ? 101 + index : 0)));
  expect(it.wallet.payCalls()).toBe(approved.length);
  expect(it.paywall.paidSales.map(({ paymentHash }) => paymentHash).sort()).toEqual(approved.sort());
});

test("a client of another process asks again: its server sent another invoice", async () => {
  const it = await world(routes, options);
  const checkpointer = new MemorySaver();
  const graphOf = (client: L402Client) =>
    new StateGraph(MessagesAnnotation).addNode("tools", new ToolNode([l402FetchTool(client, it.options)])).addEdge(START, "tools").addEdge("tools", END).compile({ checkpointer });
  const first = one(runOf(await graphOf(it.client).invoke({ messages: [new AIMessage({ content: "", tool_calls: callsOf(it, ["/good"]).map((call) => ({ ...call, type: "tool_call" as const })) })] }, config)).pending);
  const later = new L402Client({ wallet: it.wallet, network: "regtest", fetch: it.paywall.fetch, ...options });
  const second = one(runOf(await graphOf(later).invoke(new Command({ resume: yes(first) }), config)).pending);
  expect(second.value.paymentHash).not.toBe(first.value.paymentHash);
  expect(it.wallet.payCalls()).toBe(0);
  expect(runOf(await graphOf(later).invoke(new Command({ resume: yes(second) }), config)).texts).toEqual(["[Paid 200 sats] HTTP 200"]);
  expect(it.wallet.payCalls()).toBe(1);
});

test("without a graph, or without a checkpointer, it is a refusal, and nothing is paid", async () => {
  const it = await world(routes, options);
  const tool = l402FetchTool(it.client, it.options);
  expect(await tool.invoke({ url: `${it.paywall.url}/good` })).toMatch(/^\[Not paid\]/);
  const graph = new StateGraph(MessagesAnnotation).addNode("tools", new ToolNode([tool])).addEdge(START, "tools").addEdge("tools", END).compile();
  const run = runOf(await graph.invoke({ messages: [new AIMessage({ content: "", tool_calls: callsOf(it, ["/good"]).map((call) => ({ ...call, type: "tool_call" as const })) })] }));
  expect(run.texts[0]).toMatch(/^\[Not paid\]/);
  expect(it.wallet.payCalls()).toBe(0);
});

describe("progress", () => {
  test("arrives on the custom stream, with the id of its call and without secrets", async () => {
    const it = await world(routes, { budgetSats: 1_000 });
    const model = fakeModel().respondWithTools(callsOf(it, ["/good"])).respond(new AIMessage("done"));
    const agent = createAgent({ model, tools: [l402FetchTool(it.client, it.options)] });
    const chunks: ToolProgressChunk[] = [];
    for await (const chunk of await agent.stream({ messages: [new HumanMessage("go")] }, { streamMode: "custom" })) chunks.push(chunk as ToolProgressChunk);
    expect(chunks.map(({ type, toolCallId, stage, amountSats }) => [type, toolCallId, stage, amountSats])).toEqual([
      ["l402_progress", "call-/good", "price", null],
      ["l402_progress", "call-/good", "payment", 200],
      ["l402_progress", "call-/good", "body", 200],
    ]);
    assertNoSecrets(it, chunks);
  });
});
