/** Keys, certificates and addresses of a node: what is wrong with them is said before anything is sent. */
import { describe, expect, test } from "vitest";
import type { Json } from "./node.ts";
import { paywall } from "./paywall.ts";
import { freePorts, until } from "./processes.ts";
import { relay } from "./wire.ts";
import { alice, bob, buyer, carol, hold, killNode, listed, startNode, wallet } from "./world.ts";

const shop = (): ReturnType<typeof paywall> => paywall(() => carol.invoice({ valueMsat: 10_000n }));

async function macaroonFor(...calls: string[]): Promise<string> {
  return String(((await alice.post("/v1/macaroon", { permissions: calls.map((action) => ({ entity: "uri", action })) })) as Json)["macaroon"]);
}

/** A purchase by this wallet fails for this reason, for certain; the very client would be free to try again. */
async function isRefused(by: ReturnType<typeof wallet>, reason: string): Promise<void> {
  const client = buyer({ wallet: by, budgetSats: 100 });
  await expect(client.fetch((await shop()).url)).rejects.toMatchObject({ code: "payment_failed", reason, paid: "no" });
  expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  expect(await listed()).toEqual([]);
}

describe("the node", () => {
  test("nobody listens at its address", async () => {
    const [port] = await freePorts(1);
    await isRefused(wallet({ url: `https://127.0.0.1:${port}` }), "unreachable");
  });

  test("it is down, and later it is up", async () => {
    const { url } = await shop();
    const client = buyer({ budgetSats: 100 });
    await killNode("alice");
    await expect(client.fetch(url)).rejects.toMatchObject({ code: "payment_failed", reason: "unreachable", paid: "no", retryable: true });
    await startNode("alice");
    expect((await client.fetch(url)).status).toBe(200);
    expect(await listed()).toHaveLength(1);
  });

  test("the node in the middle is down: nothing can be spent, and a later call pays", async () => {
    const { url } = await shop();
    const client = buyer({ budgetSats: 100 });
    await killNode("bob");
    await until("alice has noticed", async () => (await alice.channels()).every((channel) => channel["active"] === false));
    await expect(client.fetch(url)).rejects.toMatchObject({ code: "payment_failed", reason: "insufficient_balance", paid: "no" });
    await startNode("bob");
    expect((await client.fetch(url)).status).toBe(200);
  });

  test("what it can spend is what LND says", async () => {
    expect(await wallet().balance?.()).toEqual({ spendableMsat: await alice.channelBalanceMsat() });
  });
});

describe("the macaroon", () => {
  test("may read and not pay", async () => {
    await isRefused(wallet({ macaroon: alice.macaroon("readonly.macaroon") }), "unauthorized");
  });

  test("is of another node", async () => {
    await isRefused(wallet({ macaroon: bob.macaroon("admin.macaroon") }), "unauthorized");
  });

  test("may pay and not look up: what is in flight stays held, until one that may look up finds it", async () => {
    const held = await hold(10_000n);
    const { url } = await paywall(async () => held);
    const client = buyer({ wallet: wallet({ macaroon: await macaroonFor("/routerrpc.Router/SendPaymentV2") }), budgetSats: 100, paymentTimeoutMs: 5_000 });
    await expect(client.fetch(url)).rejects.toMatchObject({ code: "payment_unknown", paid: "unknown" });
    await held.arrived();
    await held.settle();
    expect(await client.recover()).toMatchObject({ settled: 0, failed: 0, stillUnknown: [{ paymentHash: held.paymentHash }] });
    const other = buyer({ store: client.store, budgetSats: 100 });
    await client.close();
    expect(await other.recover()).toMatchObject({ settled: 1, stillUnknown: [] });
  });

  test.each(["hex", "base64", "bytes"])("is taken in %s", async (form) => {
    const hex = await macaroonFor("/routerrpc.Router/SendPaymentV2", "/routerrpc.Router/TrackPaymentV2");
    const bytes = Buffer.from(hex, "hex");
    const macaroon = { hex, base64: bytes.toString("base64"), bytes }[form] as string | Uint8Array;
    expect((await buyer({ wallet: wallet({ macaroon }) }).fetch((await shop()).url)).status).toBe(200);
  });
});

describe("the certificate", () => {
  test("is self-signed and not given", async () => {
    await isRefused(wallet({ cert: undefined }), "unreachable");
  });

  test("is another node's", async () => {
    await isRefused(wallet({ cert: bob.cert }), "unreachable");
  });

  test("is for another name", async () => {
    const line = await relay(alice.facts.url, "127.0.0.2");
    await isRefused(wallet({ url: line.url }), "unreachable");
  });

  test("names localhost as well", async () => {
    expect((await buyer({ wallet: wallet({ url: alice.facts.url.replace("127.0.0.1", "localhost") }) }).fetch((await shop()).url)).status).toBe(200);
  });
});
