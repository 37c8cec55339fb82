import assert from "node:assert/strict";
import { l402Tools } from "@l402-tools/ai-sdk";
import { L402Client } from "@l402-tools/core";
import { audit, createLightning, createPaywall } from "@l402-tools/testing";
import { ToolLoopAgent } from "ai";
import { MockLanguageModelV4 } from "ai/test";

const lightning = createLightning();
const wallet = lightning.wallet({ balanceSats: 1_000 });
const api = await createPaywall({ lightning, routes: { "/joke": { priceSats: 7, body: "Two nodes walk into a channel." } } });
const allowHosts = [new URL(api.url).host]; // tools reach only https and public hosts, unless a host is opened by name

const client = new L402Client({ wallet, network: "regtest", budgetSats: 50 });

// The model is a script here. MODEL=openai/gpt-5 asks a real one through the AI gateway (set its key).
const call = (toolCallId: string, toolName: string, input: object) => ({ type: "tool-call" as const, toolCallId, toolName, input: JSON.stringify(input) });
const script = scripted(
  [call("call_1", "l402_quote", { url: `${api.url}/joke` })],
  [call("call_2", "l402_fetch", { url: `${api.url}/joke`, maxPriceSats: 7 })],
  [call("call_3", "l402_balance", {})],
  [{ type: "text", text: "Two nodes walk into a channel. That was 7 sats." }],
);

const agent = new ToolLoopAgent({
  model: process.env["MODEL"] ?? script,
  instructions: "Ask for the price before you buy.",
  tools: l402Tools(client, { allowHosts }),
});

const { text, steps } = await agent.generate({ prompt: `Tell me the joke that ${api.url}/joke sells.` });

const results = steps.flatMap(({ toolResults }) => toolResults).filter((result) => !result.dynamic);
for (const { toolName, output } of results) console.log(`${toolName}: ${said(output)}`);
console.log(`agent: ${text}`);

// Whatever the model does, it cannot pass the budget.
const { spentMsat } = wallet;
assert.ok(spentMsat <= 50_000n);
await audit({ lightning, client });

if (process.env["MODEL"] === undefined) {
  assert.deepEqual(results.map(({ output }) => said(output)), ["it costs 7 sats", "paid 7 sats: Two nodes walk into a channel.", "43 sats left of 50"]);
  assert.equal(spentMsat, 7_000n);
}

await client.close();
await api.close();

/** Outputs are plain typed objects; what the model reads is made of them by `toModelOutput`. */
function said(output: (typeof results)[number]["output"]): string {
  switch (output.tool) {
    case "l402_quote":
      return `it costs ${output.priceSats} sats`;
    case "l402_fetch":
      return output.error === null ? `paid ${output.paidSats} sats: ${output.body}` : output.error.message;
    case "l402_balance":
      return `${output.remainingSats} sats left of ${output.totalSats}`;
    case "l402_spending_report":
      return `${output.totalSats} sats in all`;
  }
}

type Content = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>["content"];

/** A model that says these things, one after the other. */
function scripted(...turns: Content[]): MockLanguageModelV4 {
  const none = { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 };
  return new MockLanguageModelV4({
    doGenerate: turns.map((content) => ({
      content,
      finishReason: { unified: content.some(({ type }) => type === "tool-call") ? "tool-calls" : "stop", raw: undefined },
      usage: { inputTokens: none, outputTokens: { total: 0, text: 0, reasoning: 0 } },
      warnings: [],
    })),
  });
}
