/** The fault matrix: for every wallet over HTTP and every fault, where the money is, and that the client's books say so. */
import { afterEach, describe, expect, test } from "vitest";
import { FEE_MSAT, openShop, PRICE_SATS, type Shop } from "./buying.ts";
import type { Fault, FakeServer } from "./fakes/server.ts";
import { services } from "./fakes/services.ts";
import { createWorld, type World } from "./fakes/world.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const COST = BigInt(PRICE_SATS) * 1_000n + FEE_MSAT;

describe.each(Object.entries(services))("%s", (_, service) => {
  const open = async (paymentTimeoutMs?: number): Promise<Shop & { world: World; server: FakeServer }> => {
    const world = createWorld(service.sim);
    const server = await service.fake(world);
    const wallet = service.wallet(server.url);
    const shop = await openShop(world, wallet, paymentTimeoutMs === undefined ? {} : { paymentTimeoutMs });
    closing.push(
      () => shop.client.close(),
      async () => wallet.close?.(),
      () => server.close(),
    );
    return Object.assign(shop, { world, server });
  };

  test("no fault: paid, and booked with its fee", async () => {
    const { buy, agree, world } = await open();
    expect(await buy()).toEqual({ outcome: "bought" });
    expect(world.sim.spentMsat).toBe(COST);
    expect((await agree()).settledMsat).toBe(COST);
  });

  test("connection refused: nothing moved, nothing is held", async () => {
    const { buy, agree, states, server, world } = await open();
    await server.offline(true);
    expect(await buy()).toMatchObject({ outcome: "refused", code: "payment_failed", paid: "no" });
    expect(await states()).toEqual(["failed"]);
    expect(world.sim.payments).toEqual([]);
    expect((await agree()).heldMsat).toBe(0n);
    // The same purchase works once the service is back.
    await server.offline(false);
    expect(await buy()).toEqual({ outcome: "bought" });
    expect((await agree()).settledMsat).toBe(COST);
  });

  test("reset before the service acted: nothing moved, and that is not known: the money stays held", async () => {
    const { buy, agree, states, client, server, world } = await open(600);
    server.fault = "reset-before";
    expect(await buy()).toMatchObject({ outcome: "refused", code: "payment_unknown", paid: "unknown" });
    expect(await states()).toEqual(["unknown"]);
    expect(world.sim.payments).toEqual([]);
    expect((await agree(true)).heldMsat).toBeGreaterThanOrEqual(COST);
    // "Not found" proves nothing while the invoice could still be paid.
    expect(await client.recover()).toMatchObject({ settled: 0, failed: 0 });
    expect(await states()).toEqual(["unknown"]);
  });

  test.each<Fault>(["reset-after", "truncated", "wrong-json", "no-json", "empty"])("%s: the money moved, and the look-up proves it", async (fault) => {
    const { buy, agree, server, world } = await open();
    server.fault = fault;
    expect(await buy()).toEqual({ outcome: "bought" });
    expect(world.sim.spentMsat).toBe(COST);
    expect((await agree()).settledMsat).toBe(COST);
  });

  test.each<Fault>(["silence", "late"])("%s: the money moved after nobody waited any more; held, then booked by recover", async (fault) => {
    const { buy, agree, states, client, server, world } = await open(300);
    server.fault = fault;
    const first = await buy();
    // The look-up may win against the deadline, never the other way round: no answer is no failure.
    if (first.outcome === "refused") expect(first).toMatchObject({ code: "payment_unknown", paid: "unknown" });
    expect(world.sim.spentMsat).toBe(COST);
    await agree(true);
    server.fault = undefined;
    await expect.poll(async () => {
      await client.recover();
      return states();
    }).toEqual(["settled"]);
    expect((await agree()).settledMsat).toBe(COST);
    // What was bought works, and is not bought again.
    expect(await buy()).toEqual({ outcome: "bought" });
    expect(world.sim.payments).toHaveLength(1);
  });

  test.each(["wrong", "empty", "short"] as const)("a preimage that is %s: paid, and only the right one, looked up, is booked", async (preimage) => {
    const { buy, agree, world } = await open();
    world.sim.next({ preimage });
    expect(await buy()).toEqual({ outcome: "bought" });
    expect((await agree()).settledMsat).toBe(COST);
  });

  test("a preimage in upper case is the preimage", async () => {
    const { buy, agree, world } = await open();
    world.sim.next({ preimage: "upper" });
    expect(await buy()).toEqual({ outcome: "bought" });
    expect((await agree()).settledMsat).toBe(COST);
  });

  test("a fee above the hold: the truth is booked, and nothing is paid after it", async () => {
    const { buy, agree, world } = await open();
    world.sim.next({ overchargeMsat: 3_000n });
    expect(await buy()).toEqual({ outcome: "bought" });
    expect(world.sim.spentMsat).toBeGreaterThan(COST);
    expect((await agree()).settledMsat).toBe(world.sim.spentMsat);
    expect(await buy("/b")).toMatchObject({ outcome: "refused", code: "paused_after_overrun", paid: "no" });
    expect(world.sim.payments).toHaveLength(1);
  });

  test("a payment that fails: nothing moved, the hold is released, and the reason is told", async () => {
    const { buy, agree, states, world } = await open();
    world.sim.next("fail:no_route");
    expect(await buy()).toMatchObject({ outcome: "refused", code: "payment_failed", paid: "no" });
    expect(await states()).toEqual(["failed"]);
    expect((await agree()).settledMsat).toBe(0n);
  });
});
