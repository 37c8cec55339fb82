/** NWC over a real relay and a real wallet service: every row of its answers, the event that is sent, relays that fail. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import type { Event } from "@nostr-relay/common";
import { finalizeEvent, generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { hexToBytes } from "nostr-tools/utils";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { NwcWallet, type NwcWalletOptions } from "../src/nwc.ts";
import { openShop, type Shop } from "./buying.ts";
import { startNwc, type NwcService } from "./fakes/nwc.ts";
import { requestOf } from "./fakes/setup.ts";
import { createWorld, type World } from "./fakes/world.ts";

// Alby's service logs every request.
for (const method of ["info", "log", "error", "warn", "debug"] as const) vi.spyOn(console, method).mockImplementation(() => {});

const REQUEST = 23_194;
const RESPONSE = 23_195;

async function set(options: Parameters<typeof startNwc>[1] = {}, more: Partial<NwcWalletOptions> = {}): Promise<{ world: World; service: NwcService; wallet: NwcWallet }> {
  const world = createWorld({ feeLimit: "none" });
  const service = await startNwc(world, options);
  const wallet = new NwcWallet({ url: service.url, ...more });
  onTestFinished(async () => {
    await wallet.close();
    await service.close();
  });
  return { world, service, wallet };
}

const invoiceIn = (world: World, hold = false): ReturnType<World["payee"]["invoice"]> => world.payee.invoice({ amountMsat: 100_000n, hold });
const tag = (event: Event | undefined, name: string): string | undefined => event?.tags.find(([key]) => key === name)?.[1];
const requests = (service: NwcService): Event[] => service.relays.flatMap((relay) => relay.published).filter(({ kind }) => kind === REQUEST);
/** Puts another info event of the wallet in the place of its own. */
const info = (service: NwcService, tags: string[][], content = "pay_invoice lookup_invoice get_balance"): void => {
  service.relay.memory.upsert(finalizeEvent({ kind: 13_194, created_at: 2_000_000_000, tags, content }, hexToBytes(service.walletSecret)) as Event);
};

describe("the request", () => {
  test("is NIP-44, for the wallet, and expires with the deadline", async () => {
    const { world, service, wallet } = await set();
    const deadline = Date.now() + 15_000;
    expect(await wallet.pay({ ...requestOf(invoiceIn(world)), deadline })).toMatchObject({ status: "settled", feeMsat: 2_000n });
    const [event] = requests(service);
    expect(tag(event, "encryption")).toBe("nip44_v2");
    expect(event?.content).not.toContain("?iv=");
    expect(service.url).toContain(tag(event, "p") ?? "no tag");
    expect(tag(event, "expiration")).toBe(String(Math.ceil(deadline / 1_000)));
  });

  test.each<[string, string[][]]>([
    ["names no encryption", []],
    ["names only NIP-04", [["encryption", "nip04"]]],
  ])("is NIP-04 where the info event %s", async (_, tags) => {
    const { world, service, wallet } = await set();
    info(service, tags);
    expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject({ status: "settled" });
    const [event] = requests(service);
    expect(tag(event, "encryption")).toBeUndefined();
    expect(event?.content).toContain("?iv=");
  });

  test("is NIP-04 where there is no info event, unless told otherwise", async () => {
    const { world, service, wallet } = await set({ info: false });
    expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject({ status: "settled" });
    expect(requests(service)[0]?.content).toContain("?iv=");
    const forced = await set({ info: false }, { encryption: "nip44_v2" });
    expect(await forced.wallet.pay(requestOf(invoiceIn(forced.world)))).toMatchObject({ status: "settled" });
    expect(tag(requests(forced.service)[0], "encryption")).toBe("nip44_v2");
  });

  test("is not made where the connection may not pay", async () => {
    const { world, service, wallet } = await set({ methods: ["get_balance"] });
    expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject({ status: "failed", reason: "unsupported" });
    await expect(wallet.lookup({ paymentHash: "11".repeat(32) })).rejects.toThrow(/lookup_invoice/);
    expect(await wallet.balance()).toEqual({ spendableMsat: 1_000_000n });
    expect(requests(service)).toHaveLength(1);
  });
});

describe("answers to a payment", () => {
  test.each([
    ["RATE_LIMITED", "rate_limited"],
    ["NOT_IMPLEMENTED", "unsupported"],
    ["INSUFFICIENT_BALANCE", "insufficient_balance"],
    ["QUOTA_EXCEEDED", "limit_exceeded"],
    ["RESTRICTED", "unauthorized"],
    ["UNAUTHORIZED", "unauthorized"],
    ["UNSUPPORTED_ENCRYPTION", "unsupported"],
    ["EXPIRED", "invoice_expired"],
    ["BAD_REQUEST", "invalid_invoice"],
  ])("%s: not paid", async (code, reason) => {
    const { world, service, wallet } = await set();
    service.nextPay = { error: { code, message: "no" } };
    expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject({ status: "failed", reason });
  });

  test.each(["INTERNAL", "OTHER", "PAYMENT_FAILED", "NOT_FOUND", "SOMETHING_NEW"])("%s: unknown until looked up", async (code) => {
    const { world, service, wallet } = await set();
    const [a, b, c, d] = [invoiceIn(world), invoiceIn(world), invoiceIn(world), invoiceIn(world)];
    const answer = { error: { code, message: "it went wrong" } };
    service.nextPay = answer;
    expect(await wallet.pay(requestOf(a)), "nothing known").toMatchObject({ status: "unknown" });
    service.nextPay = answer;
    service.lookup = { result: { type: "outgoing", state: "pending", payment_hash: b.paymentHash } };
    expect(await wallet.pay(requestOf(b))).toMatchObject({ status: "in_flight" });
    service.nextPay = answer;
    const preimage = world.payee.preimageOf(c.paymentHash);
    service.lookup = { result: { type: "outgoing", state: "settled", payment_hash: c.paymentHash, preimage, fees_paid: 5 } };
    expect(await wallet.pay(requestOf(c))).toMatchObject({ status: "settled", preimage, feeMsat: 5n });
    service.nextPay = answer;
    service.lookup = { result: { type: "outgoing", state: "failed", payment_hash: d.paymentHash } };
    expect(await wallet.pay(requestOf(d))).toMatchObject({ status: "failed" });
  });

  test.each(["context deadline exceeded", "payment timeout", "rpc error: code = Unavailable", "Payment still in flight; check status with lookup_invoice"])(
    "an error by which the wallet may have lost sight of it (%s) is not believed, not even by its own look-up",
    async (message) => {
      const { world, service, wallet } = await set();
      const invoice = invoiceIn(world);
      service.nextPay = { error: { code: "INTERNAL", message } };
      service.lookup = { result: { type: "outgoing", state: "failed", payment_hash: invoice.paymentHash } };
      const result = await wallet.pay(requestOf(invoice));
      expect(result).toMatchObject({ status: "unknown", ref: expect.any(String) });
      const ref = result.status === "unknown" ? (result.ref ?? "") : "";
      expect(await wallet.lookup({ paymentHash: invoice.paymentHash, ref })).toEqual({ status: "failed", soft: true });
    },
  );

  test.each<[string, unknown, object]>([
    ["an empty preimage: it may be on its way", { preimage: "" }, { status: "unknown" }],
    ["no preimage", {}, { status: "unknown" }],
    ["a payment id for a preimage: paid, without proof", { preimage: "3a8e2b1c-0000-4000-8000-000000000001" }, { status: "settled", preimage: null }],
    ["a preimage that is too short", { preimage: "ab".repeat(31) }, { status: "settled", preimage: null }],
    ["no fee told", { preimage: "ab".repeat(32) }, { status: "settled", preimage: "ab".repeat(32), feeMsat: null }],
    ["upper case", { preimage: "AB".repeat(32), fees_paid: 7 }, { status: "settled", preimage: "ab".repeat(32), feeMsat: 7n }],
  ])("%s", async (_, result, expected) => {
    const { world, service, wallet } = await set();
    service.nextPay = { result };
    expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject(expected);
  });
});

describe("look-up", () => {
  const paymentHash = "11".repeat(32);
  const preimage = "cd".repeat(32);
  test.each<[string, object, object]>([
    ["settled", { state: "settled", preimage, fees_paid: 9 }, { status: "settled", preimage, feeMsat: 9n }],
    ["settled by its date", { settled_at: 5, preimage }, { status: "settled", preimage, feeMsat: null }],
    ["a date without a preimage is no proof", { settled_at: 5 }, { status: "in_flight" }],
    ["pending", { state: "pending" }, { status: "in_flight" }],
    ["accepted", { state: "accepted" }, { status: "in_flight" }],
    ["failed", { state: "failed" }, { status: "failed", soft: false }],
    ["expired proves nothing", { state: "expired" }, { status: "failed", soft: true }],
  ])("%s", async (_, fields, expected) => {
    const { service, wallet } = await set();
    service.lookup = { result: { type: "outgoing", payment_hash: paymentHash, ...fields } };
    expect(await wallet.lookup({ paymentHash })).toEqual(expected);
  });

  test("only NOT_FOUND is not found; everything else throws", async () => {
    const { service, wallet } = await set();
    service.lookup = { error: { code: "NOT_FOUND", message: "" } };
    expect(await wallet.lookup({ paymentHash })).toEqual({ status: "not_found" });
    for (const code of ["INTERNAL", "OTHER", "RATE_LIMITED", "UNAUTHORIZED"]) {
      service.lookup = { error: { code, message: "no" } };
      await expect(wallet.lookup({ paymentHash }), code).rejects.toThrow(/did not answer the look-up/);
    }
    service.lookup = { result: { type: "incoming", state: "settled", preimage, payment_hash: paymentHash } };
    await expect(wallet.lookup({ paymentHash })).rejects.toThrow(/incoming/);
    service.lookup = { result: { type: "outgoing", state: "failed", payment_hash: "22".repeat(32) } };
    await expect(wallet.lookup({ paymentHash })).rejects.toThrow(/another payment/);
  });
});

describe("one signed event for a payment", () => {
  test("is sent again when a relay comes back, and no second one is made", async () => {
    const { world, service, wallet } = await set();
    const invoice = invoiceIn(world, true);
    const paying = wallet.pay(requestOf(invoice));
    await expect.poll(() => service.paid).toBe(1);
    const client = requests(service)[0]?.pubkey;
    await service.relay.offline(true);
    const early: [unknown[], Parameters<typeof service.relay.handle>[1]][] = [];
    service.relay.intercept = (message, socket) => {
      if (message[0] !== "EVENT" || (message[1] as Event).pubkey !== client) return undefined;
      early.push([message, socket]);
      return "drop";
    };
    // It comes back without any memory, and lets the client through once the wallet is there.
    await service.relay.offline(false);
    await service.serve();
    service.relay.intercept = undefined;
    for (const [message, socket] of early) service.relay.handle(message, socket);
    // The wallet hears the same request again, and says that the payment is pending.
    expect(await paying).toMatchObject({ status: "in_flight" });
    expect(requests(service).length).toBeGreaterThanOrEqual(2);
    const pays = requests(service).filter(({ id }) => id === requests(service)[0]?.id);
    expect(pays.length).toBeGreaterThanOrEqual(2);
    expect(world.sim.payments).toHaveLength(1);
    world.payee.settleHold(invoice.paymentHash);
    await expect.poll(async () => (await wallet.lookup(invoice)).status).toBe("settled");
  });

  test("is sent again by a second call, as long as the first one is open", async () => {
    const { world, service, wallet } = await set();
    const request = requestOf(invoiceIn(world));
    service.mute = true;
    const first = await wallet.pay({ ...request, deadline: Date.now() + 400 });
    expect(first).toMatchObject({ status: "unknown", ref: requests(service)[0]?.id });
    service.mute = false;
    // The wallet knows nothing, as far as it tells.
    service.lookup = { error: { code: "NOT_FOUND", message: "" } };
    expect(await wallet.pay({ ...request, deadline: Date.now() + 600 })).toMatchObject({ status: "unknown", ref: requests(service)[0]?.id });
    expect(requests(service).filter((event) => event.id === requests(service)[0]?.id)).toHaveLength(2);
    // It does: nothing is sent any more.
    service.lookup = undefined;
    expect(await wallet.pay(request)).toMatchObject({ status: "settled" });
    expect(service.paid).toBe(1);
    expect(world.sim.payments).toHaveLength(1);
  });

  test("what the wallet has settled stays so, without a word", async () => {
    const { world, service, wallet } = await set();
    const request = requestOf(invoiceIn(world));
    const first = await wallet.pay(request);
    expect(first).toMatchObject({ status: "settled" });
    const before = requests(service).length;
    expect(await wallet.pay(request)).toEqual(first);
    expect(requests(service)).toHaveLength(before);
  });

  test("a new one is made once the wallet has said that nothing was paid", async () => {
    const { world, service, wallet } = await set();
    const request = requestOf(invoiceIn(world));
    service.nextPay = { error: { code: "RATE_LIMITED", message: "wait" } };
    expect(await wallet.pay(request)).toMatchObject({ status: "failed" });
    expect(await wallet.pay(request)).toMatchObject({ status: "settled" });
    expect(new Set(requests(service).map(({ id }) => id)).size).toBe(2);
  });
});

describe("several relays", () => {
  test("each gets the same event; one that is gone does not matter", async () => {
    const { world, service, wallet } = await set({ relays: 3 });
    await service.relays[1]?.offline(true);
    expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject({ status: "settled" });
    const pays = service.relays.map((relay) => relay.published.find(({ kind }) => kind === REQUEST)?.id);
    expect(pays[0]).toBeDefined();
    expect(pays[2]).toBe(pays[0]);
    expect(world.sim.payments).toHaveLength(1);
  });

  test("none can be reached: not sent, so not paid", async () => {
    const { world, service, wallet } = await set({ relays: 2 });
    for (const relay of service.relays) await relay.offline(true);
    expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject({ status: "failed", reason: "unreachable" });
    await expect(wallet.lookup({ paymentHash: "11".repeat(32) })).rejects.toThrow(/relay/);
  });

  test("all refuse the event: it may have got through all the same", async () => {
    const { world, service, wallet } = await set({ relays: 2 });
    for (const relay of service.relays) {
      relay.intercept = (message, socket) => {
        if (message[0] !== "EVENT") return undefined;
        socket.send(JSON.stringify(["OK", (message[1] as Event).id, false, "blocked: no"]));
        return "drop";
      };
    }
    expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject({ status: "unknown" });
  });
});

test("replies of others, to others, or with a wrong signature are not heard", async () => {
  const { world, service, wallet } = await set();
  const invoice = invoiceIn(world, true);
  const paying = wallet.pay({ ...requestOf(invoice), deadline: Date.now() + 900 });
  await expect.poll(() => service.paid).toBe(1);
  const [event] = requests(service);
  const client = event?.pubkey ?? "";
  const { encrypt, getConversationKey } = await import("nostr-tools/nip44");
  const liar = generateSecretKey();
  const content = encrypt(JSON.stringify({ result_type: "pay_invoice", error: { code: "INSUFFICIENT_BALANCE", message: "nothing was paid" }, result: null }), getConversationKey(hexToBytes(service.walletSecret), client));
  const reply = (e: string, p: string, key: Uint8Array): Event => finalizeEvent({ kind: RESPONSE, created_at: Math.floor(Date.now() / 1_000), tags: [["p", p], ["e", e]], content }, key) as Event;
  const id = event?.id ?? "";
  const wallet_ = hexToBytes(service.walletSecret);
  const forgeries: Event[] = [
    reply(id, client, liar), // not of the wallet
    { ...reply(id, client, liar), pubkey: getPublicKey(wallet_) }, // says that it is
    { ...reply(id, client, wallet_), content: "tampered" },
    { ...reply(id, client, wallet_), sig: "00".repeat(64) },
    reply("ab".repeat(32), client, wallet_), // to another request
    reply(id, getPublicKey(liar), wallet_), // for another client
    { ...reply(id, client, wallet_), kind: 1 },
  ];
  for (const forged of forgeries) service.relay.forge((subscription) => ["EVENT", subscription, forged]);
  service.relay.forge(() => ["EVENT", "no such subscription", forgeries[0]]);
  service.relay.forge(() => ["OK"]);
  expect(await paying).toMatchObject({ status: "unknown" });
  world.payee.settleHold(invoice.paymentHash);
});

test("a relay's notice, which may say anything, is not printed and changes nothing", async () => {
  const { world, service, wallet } = await set();
  const notice = "\u001b[2J not paid: 5ec4e7";
  let told = 0;
  service.relay.intercept = (message, socket) => {
    if (message[0] === "EVENT" && (message[1] as Event).kind === REQUEST) {
      socket.send(JSON.stringify(["NOTICE", notice]));
      told += 1;
    }
    return undefined;
  };
  expect(await wallet.pay(requestOf(invoiceIn(world)))).toMatchObject({ status: "settled" });
  expect(told).toBe(1);
  const printed = (["info", "log", "error", "warn", "debug"] as const).flatMap((method) => vi.mocked(console[method]).mock.calls);
  expect(JSON.stringify(printed.map(String))).not.toContain("5ec4e7");
});

test("a reply that cannot be read proves nothing", async () => {
  const { world, service, wallet } = await set();
  const invoice = invoiceIn(world, true);
  const paying = wallet.pay(requestOf(invoice));
  await expect.poll(() => service.paid).toBe(1);
  const [event] = requests(service);
  const garbled = finalizeEvent({ kind: RESPONSE, created_at: 1, tags: [["e", event?.id ?? ""]], content: "not encrypted" }, hexToBytes(service.walletSecret)) as Event;
  service.relay.forge((subscription) => ["EVENT", subscription, garbled]);
  expect(await paying).toMatchObject({ status: "unknown" });
  world.payee.settleHold(invoice.paymentHash);
});

test("closing ends what waits, as unknown if it was sent", async () => {
  const { world, service, wallet } = await set();
  const paying = wallet.pay(requestOf(invoiceIn(world, true)));
  await expect.poll(() => service.paid).toBe(1);
  await wallet.close();
  expect(await paying).toMatchObject({ status: "unknown" });
});

test("a closed wallet does not keep the process alive, nor does an idle one for long", async () => {
  const { service } = await set();
  const program = `
    const { NwcWallet } = await import(${JSON.stringify(fileURLToPath(new URL("../src/nwc.ts", import.meta.url)))});
    const wallet = new NwcWallet({ url: process.env.NWC_URL });
    const { spendableMsat } = await wallet.balance();
    if (process.env.CLOSE === "1") await wallet.close();
    console.log(String(spendableMsat));`;
  for (const CLOSE of ["0", "1"]) {
    // execFile kills it, and fails, if it does not end by itself.
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--no-warnings", "-e", program], { timeout: 20_000, env: { ...process.env, NWC_URL: service.url, CLOSE } });
    expect(stdout.trim()).toBe("1000000");
  }
});

describe("the client's books", () => {
  const shop = async (paymentTimeoutMs = 8_000): Promise<Shop & { world: World; service: NwcService }> => {
    const { world, service, wallet } = await set();
    const opened = await openShop(world, wallet, { paymentTimeoutMs });
    onTestFinished(() => opened.client.close());
    return Object.assign(opened, { world, service });
  };
  const COST = 102_000n;

  test("no relay: nothing moved, nothing is held", async () => {
    const { buy, agree, states, service } = await shop();
    await service.relay.offline(true);
    expect(await buy()).toMatchObject({ code: "payment_failed", paid: "no" });
    expect(await states()).toEqual(["failed"]);
    expect((await agree()).heldMsat).toBe(0n);
  });

  test("the wallet paid and its reply was lost: held, then booked by a look-up", async () => {
    const { buy, agree, states, client, service } = await shop(1_500);
    service.mute = true;
    expect(await buy()).toMatchObject({ code: "payment_unknown", paid: "unknown" });
    await agree(true);
    await expect.poll(async () => {
      await client.recover();
      return states();
    }).toEqual(["settled"]);
    expect((await agree()).settledMsat).toBe(COST);
  });

  test("the request never reached the wallet: nothing moved, the money stays held", async () => {
    const { buy, agree, states, service } = await shop(1_200);
    let swallow = true;
    service.relay.intercept = (message) => (message[0] === "EVENT" && swallow ? "drop" : undefined);
    expect(await buy()).toMatchObject({ code: "payment_unknown" });
    swallow = false;
    expect(await states()).toEqual(["unknown"]);
    expect((await agree(true)).heldMsat).toBeGreaterThan(COST);
  });

  test.each(["wrong", "empty", "short", "upper"] as const)("a preimage that is %s", async (preimage) => {
    const { buy, agree, world } = await shop();
    world.sim.next({ preimage });
    expect(await buy()).toEqual({ outcome: "bought" });
    expect((await agree()).settledMsat).toBe(COST);
  });

  test("a fee above the hold: the truth is booked, and nothing is paid after it", async () => {
    const { buy, agree, world } = await shop();
    world.sim.next({ overchargeMsat: 3_000n });
    expect(await buy()).toEqual({ outcome: "bought" });
    expect((await agree()).settledMsat).toBe(world.sim.spentMsat);
    expect(await buy("/b")).toMatchObject({ code: "paused_after_overrun", paid: "no" });
  });

  test("a payment that fails: nothing moved, and the hold is released", async () => {
    const { buy, agree, states, world } = await shop();
    world.sim.next("fail:no_route");
    expect(await buy()).toMatchObject({ code: "payment_failed", paid: "no" });
    expect(await states()).toEqual(["failed"]);
    expect((await agree()).settledMsat).toBe(0n);
  });
});
