/** A process that buys one thing: `child.ts <url> <ledger> [<step>]`. It kills itself at that step, or its parent kills it. */
import { readFileSync } from "node:fs";
import { L402Client } from "@l402-tools/core";
import { sqliteStore } from "@l402-tools/stores/sqlite";
import { lndWallet } from "./broken.ts";
import type { NetworkFacts } from "./network.ts";

const [, , url = "", path = "", last] = process.argv;
const { nodes, agentMacaroon } = JSON.parse(readFileSync(process.env["REGTEST"] ?? "", "utf8")) as NetworkFacts;
const cert = readFileSync(nodes.alice.cert, "utf8");
const client = new L402Client({
  wallet: lndWallet({ url: nodes.alice.url, macaroon: readFileSync(agentMacaroon), cert }, cert),
  store: sqliteStore({ path }),
  network: "simnet",
  budgetSats: 1_000,
  onEvent: ({ type }) => void (type === last && process.kill(process.pid, "SIGKILL")),
});
await client.fetch(url);
process.kill(process.pid, "SIGKILL");
