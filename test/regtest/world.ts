/** What the tests share: the nodes, clients with a ledger each, and the audit of these ledgers against LND's own list. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { L402Client, memoryStore, type L402ClientOptions, type Store, type StoredPayment, type Wallet } from "@l402-tools/core";
import { lndWallet } from "./broken.ts";
import type { NetworkFacts } from "./network.ts";
import { LndNode, type InvoiceState, type ListedPayment, type NodeName } from "./node.ts";
import { until } from "./processes.ts";

const place = process.env["REGTEST"];
if (place === undefined) throw new Error("these tests are run by `npm run test:regtest`");
export const network: NetworkFacts = JSON.parse(readFileSync(place, "utf8")) as NetworkFacts;
export const alice: LndNode = new LndNode(network.nodes.alice);
export const bob: LndNode = new LndNode(network.nodes.bob);
export const carol: LndNode = new LndNode(network.nodes.carol);

/** What bob charges for forwarding this amount. */
export function bobsFee(amountMsat: bigint): bigint {
  return BigInt(network.bobFee.baseMsat) + (amountMsat * BigInt(network.bobFee.perMillion)) / 1_000_000n;
}

/** Alice's node as a wallet, with the macaroon that the guide tells to bake. */
export function wallet(options: { url?: string; macaroon?: string | Uint8Array; cert?: string | undefined } = {}): Wallet {
  const { url = alice.facts.url, macaroon = readFileSync(network.agentMacaroon) } = options;
  const cert = "cert" in options ? options.cert : alice.cert;
  return lndWallet({ url, macaroon, ...(cert === undefined ? {} : { cert }) }, alice.cert);
}

const clients = new Set<L402Client>();
const stores = new Set<Store>();
const folders = new Set<string>();
const holding = new Set<string>();
/** Payments that alice made beside every client. */
const beside = new Set<string>();

/** Its ledger is compared with LND's list when the test is over. */
export function audited<S extends Store>(store: S): S {
  stores.add(store);
  return store;
}

export type Buyer = L402Client & { readonly store: Store };

export function buyer(options: Partial<L402ClientOptions> = {}): Buyer {
  const store = audited(options.store ?? memoryStore());
  const client = new L402Client({ wallet: wallet(), network: "simnet", ...options, store });
  clients.add(client);
  return Object.assign(client, { store });
}

/** A path for a ledger on disk. */
export function ledgerPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "l402-regtest-ledger-"));
  folders.add(folder);
  return join(folder, "ledger.db");
}

/** Ends a client and its store, as the end of their process would; another one that opens the ledger is audited. */
export async function leave(client: Buyer): Promise<void> {
  await client.close();
  await client.store.close();
  clients.delete(client);
  stores.delete(client.store);
}

export async function rowsOf(store: Store, budgetId = "default"): Promise<StoredPayment[]> {
  const rows: StoredPayment[] = [];
  for await (const row of store.payments(budgetId)) rows.push(row);
  return rows;
}

/** An invoice of carol's that is paid only when she says so. It is cancelled when the test is over. */
export interface Hold {
  readonly bolt11: string;
  readonly paymentHash: string;
  readonly preimage: string;
  /** Waits until the payment has arrived at carol. */
  arrived(): Promise<void>;
  settle(): Promise<void>;
  cancel(): Promise<void>;
}

export async function hold(valueMsat: bigint): Promise<Hold> {
  const preimage = randomBytes(32).toString("hex");
  const paymentHash = createHash("sha256").update(Buffer.from(preimage, "hex")).digest("hex");
  const { bolt11 } = await carol.holdInvoice({ paymentHash, valueMsat });
  holding.add(paymentHash);
  const listed = (status: string): Promise<unknown> => until(`alice lists it as ${status}`, async () => (await listedPayment(paymentHash))?.status === status);
  return {
    bolt11,
    paymentHash,
    preimage,
    arrived: () => invoiceIs(paymentHash, "ACCEPTED"),
    async settle() {
      await carol.settle(preimage);
      await listed("SUCCEEDED");
    },
    async cancel() {
      await carol.cancel(paymentHash);
      await listed("FAILED");
    },
  };
}

export async function invoiceIs(paymentHash: string, state: InvoiceState): Promise<void> {
  await until(`the invoice is ${state}`, async () => (await carol.invoiceState(paymentHash)) === state);
}

/** Alice pays by her own means. */
export async function payBeside(bolt11: string, paymentHash: string): Promise<void> {
  beside.add(paymentHash);
  await alice.post("/v2/router/send", { payment_request: bolt11, timeout_seconds: 30, fee_limit_sat: "100", no_inflight_updates: true });
  await until("alice has paid", async () => (await listedPayment(paymentHash))?.status === "SUCCEEDED");
}

/** What LND has on its list of this payment since the test began. */
export async function listedPayment(paymentHash: string): Promise<ListedPayment | undefined> {
  return (await listed()).find((payment) => payment.paymentHash === paymentHash);
}

/** All that LND has on its list since the test began. */
export async function listed(): Promise<ListedPayment[]> {
  return (await alice.payments(before.last)).payments;
}

export async function killNode(name: NodeName): Promise<void> {
  await control("kill", name);
}

/** Starts a node, unless it runs, and waits until all channels work. */
export async function startNode(name: NodeName): Promise<void> {
  await control("start", name);
  await until(`${name} is active`, async () => (await new LndNode(network.nodes[name]).state()) === "SERVER_ACTIVE");
  await until("the channels are active", async () => {
    if ((await Promise.all([alice, bob, carol].map((node) => node.channels()))).flat().every((channel) => channel["active"] === true)) return true;
    // A node that lost its peer right after its own start may not call it again by itself.
    await Promise.allSettled([alice.connect(bob), bob.connect(carol)]);
    return false;
  });
}

export async function control(what: "kill" | "start", name: NodeName): Promise<void> {
  const response = await fetch(`${network.control}/${what}?node=${name}`, { method: "POST" });
  expect(response.status).toBe(200);
}

export function setPrices(prices: Readonly<Record<string, number>>): void {
  writeFileSync(network.prices, JSON.stringify(prices));
}

let before: { last: string; balanceMsat: bigint };

beforeEach(async () => {
  let last = "0";
  for (let page = await alice.payments(); page.payments.length > 0; page = await alice.payments(last)) last = page.last;
  before = { last, balanceMsat: await settledBalance() };
});

afterEach(async () => {
  try {
    await audit();
  } finally {
    for (const name of ["alice", "bob"] as const) await startNode(name);
    for (const client of clients) await client.close();
    for (const store of stores) await store.close();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    for (const paymentHash of holding) {
      if ((await carol.invoiceState(paymentHash)) !== "SETTLED") await carol.cancel(paymentHash);
    }
    for (const set of [clients, stores, folders, holding, beside]) set.clear();
    await settledBalance();
  }
});

/** What alice has when nothing is on its way. */
async function settledBalance(): Promise<bigint> {
  await until("nothing is on its way", async () => (await alice.channels()).every((channel) => (channel["pending_htlcs"] as unknown[]).length === 0));
  return alice.channelBalanceMsat();
}

/** Every ledger of the test, and LND's own list since it began, say the same to the msat; nothing is left open. */
async function audit(): Promise<void> {
  const rows: StoredPayment[] = [];
  for (const store of stores) {
    const own = await rowsOf(store);
    rows.push(...own);
    const [usage] = await store.usage([{ scope: "default" }]);
    const spent = own.filter((row) => row.state === "settled").reduce((sum, row) => sum + row.amountMsat + row.feeMsat, 0n);
    expect(usage, "the ledger's sums").toMatchObject({ spentMsat: spent, heldMsat: 0n });
  }
  const made = await listed();
  const ours = made.filter((payment) => !beside.has(payment.paymentHash) || rows.some((row) => row.paymentHash === payment.paymentHash));
  const asBooked = rows
    .filter((row) => row.state === "settled" || ours.some((payment) => payment.paymentHash === row.paymentHash))
    .map((row) => ({ paymentHash: row.paymentHash, state: row.state === "settled" ? "SUCCEEDED" : row.state === "failed" ? "FAILED" : row.state, msat: row.state === "settled" ? row.amountMsat + row.feeMsat : 0n, preimage: row.preimage }));
  const asListed = ours.map((payment) => {
    const paid = payment.status === "SUCCEEDED";
    return { paymentHash: payment.paymentHash, state: payment.status, msat: paid ? payment.valueMsat + payment.feeMsat : 0n, preimage: paid ? payment.preimage : undefined };
  });
  const byHash = (a: { paymentHash: string }, b: { paymentHash: string }): number => a.paymentHash.localeCompare(b.paymentHash);
  expect(asBooked.sort(byHash), "our ledger, and LND's list of payments").toEqual(asListed.sort(byHash));
  expect(rows.filter((row) => !["settled", "failed", "voided"].includes(row.state)), "payments that are left open").toEqual([]);
  const left = made.filter((payment) => payment.status === "SUCCEEDED").reduce((sum, payment) => sum + payment.valueMsat + payment.feeMsat, 0n);
  expect(before.balanceMsat - (await settledBalance()), "what left alice's channel").toBe(left);
}
