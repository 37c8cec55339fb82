import assert from "node:assert/strict";
import { AIMessage, ToolMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { L402Client } from "@l402-tools/core";
import { l402BalanceTool, l402FetchTool } from "@l402-tools/langchain";
import { audit, createLightning, createPaywall } from "@l402-tools/testing";
import { createAgent } from "langchain";

const lightning = createLightning();
const wallet = lightning.wallet({ balanceSats: 1_000 });
const routes = { "/weather": { priceSats: 10, body: { sky: "clear" } }, "/satellite": { priceSats: 400 } };
const api = await createPaywall({ lightning, routes });
const allowHosts = [new URL(api.url).host]; // tools reach only https and public hosts, unless a host is opened by name

const client = new L402Client({ wallet, network: "regtest", budgetSats: 100 });

// The model is a script here. MODEL=openai:gpt-5 asks a real one (install @langchain/openai, set its key).
const script = fakeModel()
  .respondWithTools([
    { id: "call_1", name: "l402_fetch", args: { url: `${api.url}/weather`, maxPriceSats: 20 } },
    { id: "call_2", name: "l402_fetch", args: { url: `${api.url}/satellite` } },
  ])
  .respondWithTools([{ id: "call_3", name: "l402_balance", args: {} }])
  .respond(new AIMessage("The sky is clear. The satellite picture costs 400 sats, more than I may spend."));

const agent = createAgent({ model: process.env["MODEL"] ?? script, tools: [l402FetchTool(client, { allowHosts }), l402BalanceTool(client)] });

const { messages } = await agent.invoke({
  messages: [{ role: "user", content: `Is it a good day for a hike? ${api.url} sells /weather and /satellite.` }],
});

const results = messages.filter((message) => ToolMessage.isInstance(message));
for (const { name, status, text } of results) console.log(`${name} (${status}): ${text.split("\n")[0]}`);
console.log(`agent: ${messages.at(-1)?.text}`);

// Whatever the model does, it cannot pass the budget.
const { spentMsat } = wallet;
assert.ok(spentMsat <= 100_000n);
await audit({ lightning, client });

if (process.env["MODEL"] === undefined) {
  const [weather, satellite, balance] = results.map(({ text }) => text);
  assert.match(weather ?? "", /^\[Paid 10 sats\] HTTP 200\nRemaining budget: 90 sats\.\n[^]*\{"sky":"clear"\}/);
  assert.match(satellite ?? "", /^\[Not paid\] [^]*Do not repeat this call/);
  assert.match(balance ?? "", /^Budget: 90 sats remaining of 100 total \(spent: 10 sats\)/);
  assert.equal(spentMsat, 10_000n);
}

await client.close();
await api.close();
