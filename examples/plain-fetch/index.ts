import assert from "node:assert/strict";
import { BudgetExceededError, L402Client, receiptOf } from "@l402-tools/core";
import { audit, createLightning, createPaywall } from "@l402-tools/testing";

// A paid API and a wallet, on a Lightning network inside this process. With real ones, this part goes away.
const lightning = createLightning();
const wallet = lightning.wallet({ balanceSats: 1_000 });
const routes = { "/weather": { priceSats: 10, body: { sky: "clear" } }, "/satellite": { priceSats: 400 } };
const api = await createPaywall({ lightning, routes });

const log: string[] = [];
const say = (line: string): void => void log.push(line);

const client = new L402Client({
  wallet,
  network: "regtest",
  budgetSats: 200,
  budgetPerDomain: { "127.0.0.1": 100 },
  onSpend: (sats, url) => say(`spent ${sats} sats at ${new URL(url).pathname}`),
  onBudgetExceeded: (url, sats) => say(`refused ${sats} sats at ${new URL(url).pathname}`),
});

// A drop-in for fetch: the 402 is paid, the answer is what was bought.
const weather = await client.fetch(`${api.url}/weather`);
say(`${weather.status} ${await weather.text()}, for ${receiptOf(weather)?.paidSats} sats`);

// What was bought opens the door again.
const again = await client.fetch(`${api.url}/weather`);
say(`${again.status} ${await again.text()}, for ${receiptOf(again)?.paidSats} sats`);

// Too dear: nothing is paid, and the error says so.
try {
  await client.fetch(`${api.url}/satellite`);
} catch (error) {
  if (!(error instanceof BudgetExceededError)) throw error;
  say(`${error.required} sats needed, ${error.remaining} remain, paid: ${error.paid}`);
}

const report = client.spendingReport();
say(`spent ${report?.total} sats in ${report?.transactions.length} payment, ${report?.remaining} left`);

console.log(log.join("\n"));

assert.deepEqual(log, [
  "spent 10 sats at /weather",
  '200 {"sky":"clear"}, for 10 sats',
  '200 {"sky":"clear"}, for 0 sats',
  "refused 400 sats at /satellite",
  "400 sats needed, 90 remain, paid: no",
  "spent 10 sats in 1 payment, 190 left",
]);
await audit({ lightning, client }); // the client's books equal the wallet's money, to the millisatoshi
await client.close();
await api.close();
