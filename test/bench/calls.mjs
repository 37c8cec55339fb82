/** Rows about one call: with a kept credential, and with a payment. */
import { createRequire } from "node:module";
import { compare, round } from "./measure.mjs";
import { alby, createWallet, l402Axios, ours, read } from "./world.mjs";

/** A call with a kept credential, against bare `fetch` of the same URL with the same header. */
export async function kept(server, { quick }) {
  await server.stock(8);
  const wallet = createWallet(server);
  const url = `${server.origin}/kept`;
  const client = ours(wallet);
  await read(await client.fetch(url));
  const l402 = l402Axios(wallet);
  await l402(url);
  const byAlby = alby(wallet);
  const bought = await byAlby(url);
  await read(bought);
  const { credentials } = bought.payment;
  const init = { headers: { [credentials.header]: credentials.value } };
  const before = wallet.paid.length;
  const calls = {
    fetch: async () => read(await fetch(url, init)),
    ours: async () => read(await client.fetch(url)),
    alby: async () => read(await byAlby(url, credentials)),
    l402: async () => l402(url),
  };
  const plan = quick ? { rounds: 3, count: 40, warmUp: 100 } : { rounds: 40, count: 200, warmUp: 3_000 };
  const one = await compare(calls, plan);
  const many = await compare(calls, { ...plan, width: 16 });
  if (wallet.paid.length !== before) throw new Error("a kept credential was paid for again");
  return [
    {
      id: "kept",
      what: "call with a kept credential, throughput against bare fetch",
      baseline: `${round(one.fetch.wallMicros, 0)} µs a call`,
      measured: round(one.ours.throughput, 3),
      unit: "×",
      bar: ">= 0.95",
      ok: one.ours.throughput >= 0.95,
      others: { alby: round(one.alby.throughput, 3), l402: round(one.l402.throughput, 3) },
      note: "alby: its caller passes the credential by hand",
    },
    {
      id: "kept-cpu",
      what: "call with a kept credential, CPU added to bare fetch",
      baseline: `${round(one.fetch.cpuMicros, 0)} µs a call`,
      measured: round(one.ours.cpuAdded, 1),
      unit: "µs",
      bar: "< 30",
      ok: one.ours.cpuAdded < 30,
      others: { alby: round(one.alby.cpuAdded, 1), l402: round(one.l402.cpuAdded, 1) },
    },
    {
      id: "kept-16",
      what: "the same, 16 calls at a time (CPU-bound), throughput",
      baseline: `${round(many.fetch.wallMicros, 0)} µs a call`,
      measured: round(many.ours.throughput, 3),
      unit: "×",
      bar: "–",
      ok: null,
      others: { alby: round(many.alby.throughput, 3), l402: round(many.l402.throughput, 3) },
    },
  ];
}

/** What checking an invoice costs at least: microseconds of CPU that `bolt11` takes to decode one, signature included. */
function decodeMicros(invoices) {
  const { decode } = createRequire(import.meta.resolve("@l402-tools/core"))("bolt11");
  for (const invoice of invoices) decode(invoice);
  const before = process.cpuUsage();
  for (const invoice of invoices) decode(invoice);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / invoices.length;
}

/** A call that is paid by a wallet which answers at once, against two bare fetches: of such a 402, and of what it opens. */
export async function paid(server, { quick }) {
  const wallet = createWallet(server);
  const opener = alby(wallet);
  await server.stock(1);
  const bought = await opener(`${server.origin}/kept`);
  await read(bought);
  const init = { headers: { [bought.payment.credentials.header]: bought.payment.credentials.value } };
  // Each call asks for another path, so that each has to be paid; nothing that was bought before is tried on it.
  const client = ours(wallet, { credentialScope: "path", budgetSats: 1_000_000_000, budgetPerDomain: { "127.0.0.1": 1_000_000_000 } });
  const l402 = l402Axios(wallet);
  let turn = 0;
  const next = () => `${server.origin}/once/${(turn += 1)}`;
  const calls = {
    fetch: async () => {
      await read(await fetch(`${server.origin}/quote`), 402);
      await read(await fetch(`${server.origin}/kept`, init));
    },
    ours: async () => read(await client.fetch(next())),
    alby: async () => read(await opener(next())),
    l402: async () => l402(next()),
  };
  const plan = quick ? { rounds: 4, count: 30, warmUp: 100 } : { rounds: 30, count: 100, warmUp: 1_000 };
  const result = await compare(calls, { ...plan, before: (count) => server.stock(count) });
  return [
    {
      id: "paid",
      what: "paid call, wallet that answers at once, throughput against two bare fetches",
      baseline: `${round(result.fetch.wallMicros, 0)} µs for both`,
      measured: round(result.ours.throughput, 3),
      unit: "×",
      bar: ">= 0.8",
      ok: result.ours.throughput >= 0.8,
      others: { alby: round(result.alby.throughput, 3), l402: round(result.l402.throughput, 3) },
      note: `CPU added, of which bolt11 takes ${round(decodeMicros([...server.preimages.keys()].slice(-500)), 0)} µs to check the invoice: ${round(result.ours.cpuAdded, 0)} µs (alby ${round(result.alby.cpuAdded, 0)}, l402 ${round(result.l402.cpuAdded, 0)}); the others check no signature, and have no ledger and no limits`,
    },
  ];
}
