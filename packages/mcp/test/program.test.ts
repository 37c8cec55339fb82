/** The built program under the official clients: what it says, what it pays, how it ends. */
import { describe, expect, test, vi } from "vitest";
import { hosts } from "./hosts.ts";
import { createPlace } from "./place.ts";

const WEATHER = { "/weather": { priceSats: 10, body: "sunny" }, "/free": { body: "a free lunch" }, "/dear": { priceSats: 5_000 } };

describe.each(hosts)("$name", ({ connect }) => {
  test("lists four tools, quotes, buys once, and keeps the books", async () => {
    const place = await createPlace(WEATHER);
    const host = await connect(place);
    expect((await host.tools()).map(({ name }) => name)).toEqual(["l402_fetch", "l402_quote", "l402_balance", "l402_spending_report"]);

    const url = `${place.paywall.url}/weather`;
    expect(await host.call("l402_balance")).toMatchObject({ text: "Budget: 1000 sats remaining of 1000 total (spent: 0 sats)", isError: false, structured: { remainingSats: 1_000 } });
    expect(await host.call("l402_quote", { url })).toMatchObject({ isError: false, structured: { ok: true, priceSats: 10 } });
    const bought = await host.call("l402_fetch", { url });
    expect(bought).toMatchObject({ isError: false, structured: { ok: true, status: 200, paidSats: 10, feeSats: 2, remainingSats: 988, body: "sunny", error: null } });
    expect(bought.text).toMatch(/^\[Paid 10 sats\] HTTP 200\n/);
    expect(await host.call("l402_fetch", { url })).toMatchObject({ structured: { paidSats: 0, reused: true } });
    expect(await host.call("l402_balance")).toMatchObject({ text: "Budget: 988 sats remaining of 1000 total (spent: 12 sats)" });
    expect(await host.call("l402_spending_report")).toMatchObject({ structured: { totalSats: 12, byDomain: { "127.0.0.1": 12 }, payments: [{ sats: 12, feeSats: 2 }] } });
    expect(place.world.sim.spentMsat).toBe(12_000n);
    expect(place.paywall.paidSales).toHaveLength(1);
  });

  test("failures are results that every client takes, and none of them is paid", async () => {
    const place = await createPlace(WEATHER);
    const host = await connect(place);
    expect(await host.call("l402_fetch", { url: `${place.paywall.url}/dear` })).toMatchObject({ isError: true, text: expect.stringMatching(/^\[Not paid\] /), structured: { ok: false, error: { code: "budget_exceeded", paid: "no" } } });
    expect(await host.call("l402_fetch", { url: "http://169.254.169.254/" })).toMatchObject({ isError: true, structured: { error: { code: "transport_blocked" } } });
    expect(await host.call("l402_fetch", { url: `${place.paywall.url}/nowhere` })).toMatchObject({ isError: true, structured: { status: 404, error: { code: "http_error" } } });
    expect(await host.call("l402_fetch", { url: `${place.paywall.url}/weather`, maxPriceSats: 1.5 })).toMatchObject({ isError: true, structured: { error: { code: "invalid_arguments" } } });
    expect(await host.call("l402_fetch", { link: "x" })).toMatchObject({ isError: true, text: expect.stringContaining("Input validation error: ") });
    expect(await host.call("l402_quote", { url: "not a url" })).toMatchObject({ isError: true, structured: { priceSats: null, error: { code: "invalid_arguments" } } });
    expect(place.world.sim.spentMsat).toBe(0n);
    expect(await host.call("l402_balance")).toMatchObject({ text: expect.stringContaining("1000 sats remaining") });
  });

  test("tells progress in rising numbers when asked to, and the same result when not", async () => {
    const place = await createPlace(WEATHER);
    const host = await connect(place);
    const told: { progress: number; total?: number | undefined; message?: string | undefined }[] = [];
    const bought = await host.call("l402_fetch", { url: `${place.paywall.url}/weather` }, { onprogress: (progress) => told.push(progress) });
    expect(bought.isError).toBe(false);
    // Clients drop what comes together with the result; server.test.ts looks at what is sent.
    expect([1, 3, 4].filter((step) => told.some(({ progress }) => progress === step))).toEqual(told.map(({ progress }) => progress));
    expect(told[0]).toMatchObject({ progress: 1, total: 4, message: `Asking ${place.host}.` });
  });

  test("an abort ends the waiting; what was sent is paid and counted", async () => {
    const place = await createPlace(WEATHER);
    const host = await connect(place);
    place.world.sim.hold();
    const url = `${place.paywall.url}/weather`;
    const controller = new AbortController();
    const aborted = host.call("l402_fetch", { url }, { signal: controller.signal }).catch((error: Error) => error);
    await vi.waitUntil(() => place.phoenixd.asked.some(({ path }) => path === "/payinvoice"), { timeout: 20_000 });
    controller.abort();
    expect(await aborted).toBeInstanceOf(Error);
    place.world.sim.unhold();
    await vi.waitUntil(async () => (await host.call("l402_balance")).structured?.["heldSats"] === 0, { timeout: 20_000 });
    expect(await host.call("l402_fetch", { url })).toMatchObject({ structured: { status: 200, paidSats: 0, reused: true } });
    expect(place.world.sim.spentMsat).toBe(12_000n);
    expect(await host.call("l402_balance")).toMatchObject({ structured: { spentSats: 12, heldSats: 0 } });
  });
});
