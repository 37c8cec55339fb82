import assert from "node:assert/strict";
import { AIMessage, ToolMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { tool } from "@langchain/core/tools";
import { Command, END, interrupt, MemorySaver, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt";
import { L402Client } from "@l402-tools/core";
import { type FetchResult, l402FetchTool } from "@l402-tools/langchain";
import { audit, createLightning, createPaywall } from "@l402-tools/testing";
import { z } from "zod";

const lightning = createLightning();
const wallet = lightning.wallet({ balanceSats: 1_000 });
// A ticket works once: whoever asks a second time has to pay a second time.
const api = await createPaywall({ lightning, credential: "single-use", routes: { "/train-ticket": { priceSats: 30, body: { seat: "12A" } } } });

const bought = Promise.withResolvers<void>();
const client = new L402Client({ wallet, network: "regtest", budgetSats: 100, onSpend: () => bought.resolve() });

let asked = 0;
const askTheUser = tool(
  async ({ question }) => {
    asked += 1;
    await bought.promise; // so that the purchase beside it is paid when the graph stops
    return interrupt<string, string>(question);
  },
  { name: "ask_the_user", description: "Asks the user.", schema: z.object({ question: z.string() }) },
);
const tools = [l402FetchTool(client, { allowHosts: [new URL(api.url).host] }), askTheUser];

// In one turn the model buys a ticket and asks a question.
const model = fakeModel()
  .respondWithTools([
    { id: "call_1", name: "l402_fetch", args: { url: `${api.url}/train-ticket` } },
    { id: "call_2", name: "ask_the_user", args: { question: "Window or aisle?" } },
  ])
  .respond(new AIMessage("Seat 12A it is, at the window."));

const graph = new StateGraph(MessagesAnnotation)
  .addNode("model", async ({ messages }) => ({ messages: [await model.bindTools(tools).invoke(messages)] }))
  .addNode("tools", new ToolNode(tools))
  .addEdge(START, "model")
  .addConditionalEdges("model", toolsCondition, ["tools", END])
  .addEdge("tools", "model")
  .compile({ checkpointer: new MemorySaver() });
const thread = { configurable: { thread_id: "a trip" } };

await graph.invoke({ messages: [{ role: "user", content: "Get me a seat on the train." }] }, thread);
console.log(`interrupted: ${wallet.payments.length} payment so far`);
assert.equal(wallet.payments.length, 1);

// LangGraph runs every call of the interrupted node again, and that includes the purchase.
const { messages } = await graph.invoke(new Command({ resume: "Window" }), thread);
const purchase = messages.find((message): message is ToolMessage => ToolMessage.isInstance(message) && message.name === "l402_fetch");
const result = purchase?.artifact as FetchResult;
console.log(`resumed:     both tools ran twice, ${wallet.payments.length} payment, ${client.spendingReport()?.total} sats`);
console.log(`the model read: ${purchase?.text.split("\n").slice(0, 3).join(" ")}`);

assert.equal(asked, 2, "the node ran twice");
assert.equal(result.kept, true, "the second run of the purchase got the answer of the first");
assert.match(result.body, /12A/);
assert.equal(wallet.payments.length, 1, "and paid nothing");
await audit({ lightning, client });

await client.close();
await api.close();
