/**
 * An agent plans a hike with what it buys at a paywalled API. The shop is a real HTTP server, the agent a real LangChain
 * agent whose model is a script, and the money moves on a simulated Lightning network. In the end all books are compared.
 */
import { AIMessage, type BaseMessage, ToolMessage } from "@langchain/core/messages";
import { fakeModel } from "@langchain/core/testing";
import { L402Client } from "@l402-tools/core";
import { type BalanceResult, type FetchResult, l402BalanceTool, l402FetchTool } from "@l402-tools/langchain";
import { createLightning, createPaywall, type Paywall } from "@l402-tools/testing";
import { createAgent } from "langchain";
import { type Books, faultsOf, readBooks } from "./books.ts";
import { type Cell, paint, table } from "./table.ts";

const BUDGET_SATS = 100;
const TASK = "Plan Saturday's hike.";

const lightning = createLightning();
const wallet = lightning.wallet({ balanceSats: 5_000, feeMsat: 1_000n });
const shop = await createPaywall({
  lightning,
  name: "alpine-data",
  credential: "path",
  routes: {
    "/catalogue": { body: "weather, trail-map, bus-times, helicopter" },
    "/weather": { priceSats: 12, body: "Sunny until 4 pm, 21 °C" },
    "/trail-map": { priceSats: 30, body: "Ridge trail, 11 km, 640 m up" },
    "/bus-times": { priceSats: 5, body: "There 07:42, back 17:10" },
    "/helicopter": { priceSats: 4_000, body: "Lands on the summit" },
  },
});
const before = { walletBeforeMsat: wallet.balanceMsat, networkBeforeMsat: lightning.totalMsat() };

const client = new L402Client({ wallet, network: "regtest", budgetSats: BUDGET_SATS });
const get = (path: string, more: { maxPriceSats?: number } = {}) => ({ name: "l402_fetch", args: { url: shop.url + path, ...more } });
const model = fakeModel()
  .respondWithTools([get("/catalogue")])
  .respondWithTools([get("/weather"), get("/trail-map"), get("/bus-times")])
  .respondWithTools([get("/helicopter", { maxPriceSats: 1_000_000 })]) // it allows itself a million; that is not its to give
  .respondWithTools([get("/weather"), { name: "l402_balance", args: {} }])
  .respond(new AIMessage("Bus at 07:42, then the ridge trail, down by 4 pm. The helicopter is beyond my budget."));
const agent = createAgent({ model, tools: [l402FetchTool(client, { allowHosts: [new URL(shop.url).host] }), l402BalanceTool(client)] });

const { messages } = await agent.invoke({ messages: [{ role: "user", content: `${TASK} You have ${BUDGET_SATS} sats to spend at ${shop.url}.` }] });

const turns = turnsOf(messages);
const toldSats = turns.flat().reduce((sum, result) => sum + costOf(result), 0);
const books = await readBooks({ client, wallet, shop, lightning }, { ...before, budgetSats: BUDGET_SATS, toldSats });
const faults = [...storyFaults(turns), ...faultsOf(books)];

const text = [
  "",
  paint("bold", "An agent goes shopping at a paywalled API"),
  "",
  `${paint("dim", "Task   ")}  ${TASK} Budget: ${BUDGET_SATS} sats.`,
  `${paint("dim", "Agent  ")}  LangChain createAgent with l402_fetch and l402_balance; its model is a script`,
  `${paint("dim", "Shop   ")}  ${shop.url}, answers 402 with real signed invoices`,
  `${paint("dim", "Wallet ")}  ${sats(5_000)} on a simulated Lightning network, 1 sat routing fee a payment`,
  "",
  purchases(turns, shop),
  paint("dim", "  Amounts in sats. The calls of one turn run in parallel."),
  "",
  `${paint("dim", "Answer ")}  ${messages.at(-1)?.text ?? ""}`,
  "",
  moneyMoved(books),
  "",
  ...verdict(books, faults),
  "",
];
console.log(text.map((line) => line.replaceAll(/^(?=.)/gm, "  ")).join("\n"));
if (faults.length > 0) process.exitCode = 1;
await client.close();
await shop.close();

type Result = FetchResult | BalanceResult;

/** Results of the tool calls, by the model's turns. Calls of one turn ran at once. */
function turnsOf(messages: readonly BaseMessage[]): Result[][] {
  const turns: Result[][] = [];
  for (const message of messages) {
    if (AIMessage.isInstance(message)) turns.push([]);
    else if (ToolMessage.isInstance(message)) turns.at(-1)?.push(message.artifact as Result);
  }
  return turns.filter((turn) => turn.length > 0);
}

function costOf(result: Result): number {
  return result.tool === "l402_fetch" ? result.paidSats + result.feeSats : 0;
}

/** The story that the demo tells has to happen. */
function storyFaults(turns: readonly Result[][]): string[] {
  const fetches = turns.flat().filter((result) => result.tool === "l402_fetch");
  const counts = {
    paid: fetches.filter(({ paidSats }) => paidSats > 0).length,
    refused: fetches.filter(({ error }) => error?.code === "budget_exceeded").length,
    reused: fetches.filter(({ reused }) => reused).length,
    all: fetches.length,
  };
  const expected = { paid: 3, refused: 1, reused: 1, all: 6 };
  return JSON.stringify(counts) === JSON.stringify(expected) ? [] : [`calls: ${JSON.stringify(counts)} and ${JSON.stringify(expected)}`];
}

/** What was asked, paid, refused and left: a statement with a running balance. */
function purchases(turns: readonly Result[][], shop: Paywall): string {
  let left = BUDGET_SATS;
  const totals = { asked: 0, paid: 0, fee: 0 };
  const groups = turns.map((turn, at) =>
    turn.map((result, position): Cell[] => {
      const number = position === 0 ? String(at + 1) : "";
      left -= costOf(result);
      totals.asked += 1;
      if (result.tool === "l402_balance") return [number, "l402_balance", "", "", "", grouped(left), `${result.remainingSats} of ${result.totalSats} sats remain`];
      const { pathname } = new URL(result.url);
      const sale = shop.sales.find(({ path }) => path === pathname);
      totals.paid += result.paidSats;
      totals.fee += result.feeSats;
      return [
        number,
        `GET ${pathname}`,
        sale === undefined ? "free" : grouped(sale.amountMsat / 1000n),
        amount(result.paidSats),
        amount(result.feeSats),
        grouped(left),
        outcome(result),
      ];
    }),
  );
  const bold = (text: string): Cell => ({ text, style: "bold" });
  const total = ["", `${totals.asked} calls`, "", grouped(totals.paid), grouped(totals.fee), grouped(left), ""].map(bold);
  const right = "right" as const;
  const columns = [
    { title: "turn", align: right },
    { title: "asked" },
    { title: "price", align: right },
    { title: "paid", align: right },
    { title: "fee", align: right },
    { title: "left", align: right },
    { title: "what came of it" },
  ];
  return table(columns, [...groups, [total]]);
}

function amount(sats: number): Cell {
  return sats === 0 ? { text: "·", style: "dim" } : { text: grouped(sats), style: "yellow" };
}

function outcome(result: FetchResult): Cell {
  if (result.error?.code === "budget_exceeded") return { text: "refused: beyond the budget, nothing paid", style: "red" };
  if (result.error !== null) return { text: `failed: ${result.error.code}`, style: "red" };
  if (result.reused) return { text: `${result.body} (bought before)`, style: "green" };
  return result.body;
}

/** Who had what, before and after, in msat. */
function moneyMoved({ wallet, shop, network }: Books): string {
  const right = "right" as const;
  const row = (who: string, before: bigint, after: bigint): Cell[] => {
    const moved = after - before;
    const text = moved > 0n ? `+${grouped(moved)}` : grouped(moved);
    return [who, grouped(before), grouped(after), text];
  };
  return table(
    [{ title: "msat" }, { title: "before", align: right }, { title: "after", align: right }, { title: "moved", align: right }],
    [
      [row("agent's wallet", wallet.beforeMsat, wallet.afterMsat), row("the shop", 0n, shop.receivedMsat), row("routing fees", 0n, network.feesMsat)],
      [row("all balances", network.beforeMsat, network.afterMsat)],
    ],
  );
}

function verdict({ ledger, report, wallet, shop, network }: Books, faults: readonly string[]): string[] {
  if (faults.length > 0) return faults.map((fault) => paint("red", `✗ The sums are off: ${fault}`));
  const out = grouped(wallet.beforeMsat - wallet.afterMsat);
  return [
    `${paint("green", "✓")} Books agree: ledger ${grouped(ledger.settledMsat)} = wallet ${out} = shop ${grouped(shop.receivedMsat)} + fees ${grouped(network.feesMsat)} msat = report ${sats(report.totalSats)}.`,
    `${paint("green", "✓")} All balances add up to ${grouped(network.afterMsat)} msat, as before. Nothing is held, nothing was paid twice.`,
  ];
}

function grouped(value: number | bigint): string {
  return value.toLocaleString("en-US").replace("-", "−");
}

function sats(value: number): string {
  return `${grouped(value)} sats`;
}
