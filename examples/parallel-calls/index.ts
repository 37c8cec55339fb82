import assert from "node:assert/strict";
import { isL402Error, L402Client, memoryStore } from "@l402-tools/core";
import { audit, createLightning, createPaywall, watchSpending } from "@l402-tools/testing";

const lightning = createLightning();
const times = <T>(count: number, call: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => call(n));

// 1. A credential that covers the whole service: thirty calls to ten paths at once, and one payment.
{
  const wallet = lightning.wallet({ balanceSats: 1_000 });
  const archive = await createPaywall({ lightning, name: "archive", credential: "service", routes: { "/page/*": { priceSats: 10 } } });
  const client = new L402Client({ wallet, network: "regtest", budgetSats: 100 });

  const responses = await Promise.all(times(30, (n) => client.fetch(`${archive.url}/page/${n % 10}`)));

  const opened = responses.filter((response) => response.ok).length;
  console.log(`service credential:     ${opened} of 30 calls served, ${wallet.payments.length} payment, ${client.spendingReport()?.total} sats`);
  assert.equal(opened, 30);
  assert.equal(wallet.payments.length, 1);
  await audit({ lightning, wallet, client });
  await client.close();
  await archive.close();
}

// 2. Credentials that work once: each call pays. Thirty calls want 300 sats, and there are 120.
{
  const wallet = lightning.wallet({ balanceSats: 1_000 });
  const oracle = await createPaywall({ lightning, name: "oracle", credential: "single-use", routes: { "/answer/*": { priceSats: 10 } } });
  const store = memoryStore();
  const watch = watchSpending({ wallets: [wallet], store, limitMsat: 120_000n }); // looks at the books whenever money moves
  const client = new L402Client({ wallet, store, network: "regtest", budgetSats: 120, paymentConcurrency: 8 });

  const outcomes = await Promise.allSettled(times(30, (n) => client.fetch(`${oracle.url}/answer/${n}`)));

  const served = outcomes.filter((outcome) => outcome.status === "fulfilled" && outcome.value.ok).length;
  const refused = outcomes.filter((outcome) => outcome.status === "rejected" && isL402Error(outcome.reason) && outcome.reason.code === "budget_exceeded").length;
  const { spentSats, heldSats, remainingSats } = await client.balance();
  console.log(`single-use credentials: ${served} of 30 calls served, ${wallet.payments.length} payments, ${spentSats} sats; ${refused} calls refused, ${remainingSats} sats left`);
  assert.deepEqual({ served, refused, spentSats, heldSats, remainingSats }, { served: 12, refused: 18, spentSats: 120, heldSats: 0, remainingSats: 0 });
  assert.equal(wallet.payments.length, 12);
  await watch.done();
  await audit({ lightning, wallet, client });
  await client.close();
  await oracle.close();
}
