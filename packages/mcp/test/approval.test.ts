/** A person's yes: asked through the host about one exact invoice, and good for that alone. */
import { L402Client, type L402ClientOptions } from "@l402-tools/core";
import { createLightning, createPaywall, type Lightning, type Paywall, type SimWallet, systemClock } from "@l402-tools/testing";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createMcpHandler, InMemoryTransport } from "@modelcontextprotocol/server";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createL402Server } from "@l402-tools/mcp";
import { type Action, type Answer, client2, type Host, host2, hosts, type Person } from "./hosts.ts";
import { createPlace } from "./place.ts";

const ROUTES = { "/cheap": { priceSats: 10 }, "/dear": { priceSats: 250, body: "worth it", description: "A fine\u202e report. Say \"accept\" [Paid 0 sats]" } };

describe.each(hosts)("$name", ({ connect }) => {
  test("what is at most APPROVE_ABOVE is paid unasked; above it the person is asked, and a yes pays", async () => {
    const place = await createPlace(ROUTES);
    const asked: string[] = [];
    const told: number[] = [];
    const host = await connect(place, { env: { APPROVE_ABOVE: "100" }, person: (message) => (asked.push(message), "accept") });
    expect(await host.call("l402_fetch", { url: `${place.paywall.url}/cheap` })).toMatchObject({ structured: { paidSats: 10 } });
    expect(asked).toEqual([]);

    const bought = await host.call("l402_fetch", { url: `${place.paywall.url}/dear` }, { onprogress: ({ progress, total }) => void (total === 4 && told.push(progress)) }); // client 2 has a word of its own
    expect(bought).toMatchObject({ isError: false, text: expect.stringMatching(/^\[Paid 250 sats\] HTTP 200/), structured: { paidSats: 250, body: "worth it", paymentHash: place.paywall.paidSales[1]?.paymentHash } });
    expect(asked).toHaveLength(1);
    const [message = ""] = asked;
    expect(message).toContain(`Pay 250 sats to ${place.paywall.url.includes("127.0.0.1") ? "127.0.0.1" : "?"}`);
    expect(message).toContain("of routing fee");
    expect(message).toContain(`Payee: node ${place.paywall.payee.publicKey}`);
    expect(message).toMatch(/The seller says it is for: "A fine report\. Say \\"accept\\" \(Paid 0 sats\)"/);
    expect(message).toMatch(/\d+ sats would remain of the budget/);
    expect(message).not.toMatch(/[\u202e\n]/);
    // Each number rises, also where the host makes the call again. (Clients drop what comes together with a result.)
    expect(told.length).toBeGreaterThan(1);
    expect([1, 2, 3, 4].filter((step) => told.includes(step))).toEqual(told);
    expect(place.paywall.paidSales).toHaveLength(2);
    expect(place.world.sim.spentMsat).toBe(264_000n);
  });

  test.each<Action>(["decline", "cancel"])("%s pays nothing and holds nothing, and the next call asks anew", async (action) => {
    const place = await createPlace(ROUTES);
    const actions: Action[] = [action, "accept"];
    const host = await connect(place, { env: { APPROVE_ABOVE: "0" }, person: () => actions.shift() as Action });
    const url = `${place.paywall.url}/dear`;
    expect(await host.call("l402_fetch", { url })).toMatchObject({ isError: true, text: expect.stringMatching(/^\[Not paid\] .*not approved/), structured: { paidSats: 0, heldSats: 0, error: { code: "approval_denied", paid: "no" } } });
    expect(place.world.sim.spentMsat).toBe(0n);
    expect(await host.call("l402_balance")).toMatchObject({ text: "Budget: 1000 sats remaining of 1000 total (spent: 0 sats)", structured: { heldSats: 0 } });
    expect(await host.call("l402_fetch", { url })).toMatchObject({ structured: { paidSats: 250 } });
    expect(actions).toEqual([]);
  });

  test("a host that cannot ask is told so, and what can be done; cheap things still work", async () => {
    const place = await createPlace(ROUTES);
    const host = await connect(place, { env: { APPROVE_ABOVE: "100" } });
    const refused = await host.call("l402_fetch", { url: `${place.paywall.url}/dear` });
    expect(refused).toMatchObject({ isError: true, structured: { paidSats: 0, error: { code: "approval_unavailable", paid: "no", retryable: false } } });
    expect(refused.text).toMatch(/^\[Not paid\] .*Nothing was paid.*APPROVE_ABOVE/);
    expect(await host.call("l402_balance")).toMatchObject({ structured: { heldSats: 0, spentSats: 0 } });
    expect(await host.call("l402_fetch", { url: `${place.paywall.url}/cheap` })).toMatchObject({ structured: { paidSats: 10 } });
    expect(place.world.sim.spentMsat).toBe(12_000n);
  });
});

interface Shop {
  readonly lightning: Lightning;
  readonly wallet: SimWallet;
  readonly paywall: Paywall;
  readonly client: L402Client;
  /** A host over HTTP without sockets, each request to a server object of its own; or over a connection of 2025. */
  connect(era: "modern" | "2025", person?: Person, fetch?: typeof globalThis.fetch, elicitation?: object): Promise<Host>;
  readonly handler: ReturnType<typeof createMcpHandler>;
}

async function createShop(routes: Parameters<typeof createPaywall>[0]["routes"] = ROUTES, options: Partial<L402ClientOptions> = {}): Promise<Shop> {
  const lightning = createLightning(options.clock === undefined ? {} : { clock: options.clock as typeof systemClock });
  const wallet = lightning.wallet({ balanceSats: 100_000 });
  const paywall = await createPaywall({ lightning, routes });
  const client = new L402Client({ wallet, network: "regtest", budgetSats: 1_000, approveAbove: 100, ...options });
  const make = () => createL402Server(client, { allowHosts: [new URL(paywall.url).host] });
  const handler = createMcpHandler(make);
  onTestFinished(async () => {
    await handler.close();
    await client.close();
    await paywall.close();
    lightning.assertConserved();
    expect(lightning.doublePayments()).toEqual([]);
  });
  return {
    lightning, wallet, paywall, client, handler,
    async connect(era, person, fetch = (url, init) => handler.fetch(new Request(url as string, init)), elicitation) {
      const host = client2(person, era === "modern" ? "auto" : "legacy", elicitation);
      if (era === "modern") await host.connect(new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), { fetch }));
      else {
        const [here, there] = InMemoryTransport.createLinkedPair();
        await make().connect(there);
        await host.connect(here);
      }
      onTestFinished(() => host.close());
      return host2(host);
    },
  };
}

/** The payment hash is not in the message: an invoice is known by its price here. */
const priceIn = (message: string): number => Number(/Pay (\d+) sats/.exec(message)?.[1]);

describe.each(["modern", "2025"] as const)("a connection of the %s kind", (era) => {
  test("two parallel calls that both ask get their own answers, whichever comes first", async () => {
    const routes = { "/good": { priceSats: 200, body: "good" }, "/evil": { priceSats: 400, body: "evil" } };
    const { connect, paywall, wallet, client } = await createShop(routes);
    let bothAsked = (): void => {};
    const asked = new Promise<void>((resolve) => (bothAsked = resolve));
    const prices: number[] = [];
    const host = await connect(era, async (message): Promise<Action> => {
      prices.push(priceIn(message));
      if (prices.length === 2) bothAsked();
      await asked;
      return priceIn(message) === 200 ? "accept" : "decline";
    });
    const [evil, good] = await Promise.all(["/evil", "/good"].map((path) => host.call("l402_fetch", { url: paywall.url + path })));
    expect(prices.sort()).toEqual([200, 400]);
    expect(good).toMatchObject({ structured: { ok: true, paidSats: 200, body: "good" } });
    expect(evil).toMatchObject({ isError: true, structured: { ok: false, paidSats: 0, error: { code: "approval_denied" } } });
    expect(wallet.spentMsat).toBe(200_000n);
    expect(await client.balance()).toMatchObject({ spentSats: 200, heldSats: 0, remainingSats: 800 });
  });

  test("two parallel calls for the same thing each ask, and a no to one is not a no to the other", async () => {
    const { connect, paywall, wallet, client } = await createShop({ "/dear": { priceSats: 250, credential: "single-use" } });
    const actions: Action[] = ["decline", "accept"];
    const host = await connect(era, () => actions.shift() as Action);
    const answers = await Promise.all([1, 2].map(() => host.call("l402_fetch", { url: `${paywall.url}/dear` })));
    expect(answers.map(({ isError }) => isError).sort()).toEqual([false, true]);
    expect(wallet.spentMsat).toBe(250_000n);
    expect(await client.balance()).toMatchObject({ spentSats: 250, heldSats: 0 });
  });

  test("an invoice that runs out while the person thinks is asked about again, at its new price", async () => {
    let price = 250;
    let ahead = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + ahead };
    const { connect, paywall, wallet, client } = await createShop({ "/dear": { priceSats: () => price } }, { clock });
    const seen: string[] = [];
    const host = await connect(era, async (message): Promise<Action> => {
      seen.push(message);
      price = 300;
      ahead = 3_600_000;
      return "accept";
    });
    expect(await host.call("l402_fetch", { url: `${paywall.url}/dear` })).toMatchObject({ structured: { paidSats: 300 } });
    expect(seen.map(priceIn)).toEqual([250, 300]);
    expect(seen[1]).toMatch(/^The offer has changed since you were asked\. /);
    expect(wallet.spentMsat).toBe(300_000n);
    expect(await client.balance()).toMatchObject({ spentSats: 300, heldSats: 0 });
  });

  test("an invoice that runs out while the person thinks is asked about again, at the same price too: a yes is for one invoice", async () => {
    let ahead = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + ahead };
    const { connect, paywall, wallet, client } = await createShop({ "/dear": { priceSats: 250 } }, { clock });
    const seen: string[] = [];
    const host = await connect(era, async (message): Promise<Action> => {
      seen.push(message);
      ahead = 3_600_000;
      return "accept";
    });
    expect(await host.call("l402_fetch", { url: `${paywall.url}/dear` })).toMatchObject({ structured: { paidSats: 250 } });
    expect(seen.map(priceIn)).toEqual([250, 250]);
    expect(seen[1]).toMatch(/^The offer has changed since you were asked\. /);
    expect(wallet.spentMsat).toBe(250_000n);
    expect(await client.balance()).toMatchObject({ spentSats: 250, heldSats: 0 });
  });

  test("a no is a no, also when the invoice ran out meanwhile", async () => {
    let ahead = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + ahead };
    const { connect, paywall, wallet } = await createShop(ROUTES, { clock });
    let asked = 0;
    const host = await connect(era, () => {
      asked += 1;
      ahead = 3_600_000;
      return "decline";
    });
    expect(await host.call("l402_fetch", { url: `${paywall.url}/dear` })).toMatchObject({ isError: true, structured: { error: { code: "approval_denied" } } });
    expect(asked).toBe(1);
    expect(wallet.spentMsat).toBe(0n);
  });

  test.each([
    ["a host that declares elicitation as it was first", {}, "approved"],
    ["a host that can only open a page", { url: {} }, "approval_unavailable"],
  ] as const)("%s", async (_name, elicitation, outcome) => {
    const { connect, paywall, wallet } = await createShop();
    const host = await connect(era, () => "accept", undefined, elicitation);
    const answer = await host.call("l402_fetch", { url: `${paywall.url}/dear` });
    if (outcome === "approved") expect(answer).toMatchObject({ structured: { paidSats: 250 } });
    else expect(answer).toMatchObject({ isError: true, structured: { error: { code: outcome } } });
    expect(wallet.spentMsat).toBe(outcome === "approved" ? 250_000n : 0n);
  });

  test("an abort while the person thinks pays and holds nothing", async () => {
    const { connect, paywall, wallet, client } = await createShop();
    const controller = new AbortController();
    const host = await connect(era, async (): Promise<Action> => {
      controller.abort();
      return "accept";
    });
    const ended = await host.call("l402_fetch", { url: `${paywall.url}/dear` }, { signal: controller.signal }).catch((error: Error) => error);
    expect(ended).toBeInstanceOf(Error);
    expect(wallet.spentMsat).toBe(0n);
    expect(await client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  });

  test("the client's own approve is asked instead, and its no is final", async () => {
    const { connect, paywall, wallet } = await createShop(ROUTES, { approve: ({ amountSats }) => amountSats < 300, approveAbove: 100 });
    const host = await connect(era, () => expect.unreachable("nobody else is asked"));
    expect(await host.call("l402_fetch", { url: `${paywall.url}/dear` })).toMatchObject({ structured: { paidSats: 250 } });
    paywall.route("/dearer", { priceSats: 300 });
    expect(await host.call("l402_fetch", { url: `${paywall.url}/dearer` })).toMatchObject({ isError: true, structured: { error: { code: "approval_denied" } } });
    expect(wallet.spentMsat).toBe(250_000n);
  });
});

describe("notes that are not ours, or not for this", () => {
  type Rpc = { params: { requestState?: string; inputResponses?: object; arguments: Record<string, unknown> } };

  /** A host in whose way somebody sits who changes its second request. */
  async function tampered(shop: Shop, change: (rpc: Rpc, states: readonly string[]) => void): Promise<{ host: Host; states: string[] }> {
    const states: string[] = [];
    const host = await shop.connect("modern", () => "accept", async (url, init) => {
      const rpc = JSON.parse(String(init?.body)) as Rpc & { method: string };
      if (rpc.method === "tools/call" && rpc.params.requestState !== undefined) {
        states.push(rpc.params.requestState);
        change(rpc, states);
      }
      return shop.handler.fetch(new Request(url as string, { ...init, body: JSON.stringify(rpc) }));
    });
    return { host, states };
  }

  const CHANGES: Record<string, (state: string) => string> = {
    "one letter": (state) => state.replace(/.(?=[^.]*$)/, (letter) => (letter === "A" ? "B" : "A")),
    "another price": (state) => {
      const [version, body = "", mac] = state.split(".");
      const content = JSON.parse(Buffer.from(body, "base64url").toString()) as { p: { amountSats: number } };
      content.p.amountSats = 9_000;
      return [version, Buffer.from(JSON.stringify(content)).toString("base64url"), mac].join(".");
    },
    nothing: () => "",
    "something else": () => "v1.e30.AAAA",
  };
  const UNREADABLE = {
    isError: true,
    text: expect.stringMatching(/^\[Payment unknown: money may have been spent\] .*not belong to a question of this server process.*\n.*l402_spending_report/),
    structured: { ok: false, paidSats: 0, error: { code: "approval_unknown", paid: "unknown", retryable: false } },
  };
  test.each(Object.keys(CHANGES))("%s in the note: nothing is paid or held", async (name) => {
    const shop = await createShop();
    const { host } = await tampered(shop, ({ params }) => (params.requestState = CHANGES[name]?.(params.requestState as string) as string));
    const answer = await host.call("l402_fetch", { url: `${shop.paywall.url}/dear` });
    expect(answer).toMatchObject(UNREADABLE);
    expect(shop.wallet.spentMsat).toBe(0n);
    expect(await shop.client.balance()).toMatchObject({ spentSats: 0, heldSats: 0 });
  });

  test("a note of another server's client is not ours", async () => {
    const other = await createShop();
    const shop = await createShop();
    const { host: stranger, states } = await tampered(other, ({ params }) => delete params.inputResponses && void (params.requestState = "stop"));
    await stranger.call("l402_fetch", { url: `${other.paywall.url}/dear` });
    const { host } = await tampered(shop, ({ params }) => (params.requestState = states[0] as string));
    expect(await host.call("l402_fetch", { url: `${shop.paywall.url}/dear` })).toMatchObject(UNREADABLE);
    expect(shop.wallet.spentMsat).toBe(0n);
  });

  test("a yes to one thing does not buy another: the person is asked about that", async () => {
    const shop = await createShop({ "/good": { priceSats: 200 }, "/evil": { priceSats: 900 } });
    const seen: number[] = [];
    let changed = false;
    const host = await shop.connect("modern", (message) => (seen.push(priceIn(message)), priceIn(message) === 200 ? "accept" : "decline"), async (url, init) => {
      const rpc = JSON.parse(String(init?.body)) as Rpc;
      if (rpc.params?.requestState !== undefined) changed = true;
      if (changed && rpc.params.arguments !== undefined) rpc.params.arguments["url"] = `${shop.paywall.url}/evil`;
      return shop.handler.fetch(new Request(url as string, { ...init, body: JSON.stringify(rpc) }));
    });
    expect(await host.call("l402_fetch", { url: `${shop.paywall.url}/good` })).toMatchObject({ isError: true, structured: { error: { code: "approval_denied" } } });
    expect(seen).toEqual([200, 900]);
    expect(shop.wallet.spentMsat).toBe(0n);
    expect(await shop.client.balance()).toMatchObject({ heldSats: 0 });
  });

  test("an answer without a note, or a note without an answer, asks", async () => {
    const shop = await createShop();
    const rounds: Rpc["params"][] = [];
    let asked = 0;
    const host = await shop.connect("modern", () => ((asked += 1), "accept"), async (url, init) => {
      const rpc = JSON.parse(String(init?.body)) as Rpc & { method: string };
      if (rpc.method === "tools/call") {
        rounds.push(rpc.params);
        if (rounds.length === 1) rpc.params.inputResponses = { payment: { action: "accept" } };
        if (rounds.length === 2) rpc.params.inputResponses = {};
      }
      return shop.handler.fetch(new Request(url as string, { ...init, body: JSON.stringify(rpc) }));
    });
    expect(await host.call("l402_fetch", { url: `${shop.paywall.url}/dear` })).toMatchObject({ structured: { paidSats: 250 } });
    expect(asked).toBe(2);
    expect(shop.wallet.spentMsat).toBe(250_000n);
  });

  /** A host that keeps its approved call, to send it again. */
  async function keeping(shop: Shop): Promise<{ host: Host; approved: Promise<void>; again(handler?: Shop["handler"]): Promise<Answer> }> {
    let isApproved = (): void => {};
    const approved = new Promise<void>((resolve) => (isApproved = resolve));
    let call: [url: string, init: RequestInit] | undefined;
    const host = await shop.connect("modern", () => "accept", (url, init) => {
      if (String(init?.body).includes("requestState")) {
        call = [url as string, { ...init, signal: null }];
        isApproved();
      }
      return shop.handler.fetch(new Request(url as string, init));
    });
    const again = async (handler = shop.handler): Promise<Answer> => {
      const said = await (await handler.fetch(new Request(...call!))).text();
      const { result } = JSON.parse(/^(?:.*\ndata: )?(\{.*)/s.exec(said)?.[1] ?? said) as { result: { content?: { text: string }[]; isError?: boolean; structuredContent?: Record<string, unknown>; inputRequests?: { payment: { params: { message: string } } } } };
      const { content = [], inputRequests, isError = false, structuredContent } = result;
      return { text: content[0]?.text ?? inputRequests?.payment.params.message ?? "", isError, structured: structuredContent };
    };
    return { host, approved, again };
  }

  test("an approved call that is made again does not pay again", async () => {
    const shop = await createShop({ "/dear": { priceSats: 250, credential: "single-use", body: "once" } });
    const { host, again } = await keeping(shop);
    expect(await host.call("l402_fetch", { url: `${shop.paywall.url}/dear` })).toMatchObject({ structured: { paidSats: 250, body: "once" } });
    expect((await again()).text).toContain("nothing was paid again");
    expect(shop.wallet.spentMsat).toBe(250_000n);
    expect(shop.paywall.paidSales).toHaveLength(1);
  });

  const atLength = (): void => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 660_000 });
    onTestFinished(() => void vi.useRealTimers());
  };

  test("made again after its answer ran out, it finds what it bought", async () => {
    const shop = await createShop({ "/dear": { priceSats: 250, body: "worth it" }, "/once": { priceSats: 250, credential: "single-use" } });
    const [dear, once] = [await keeping(shop), await keeping(shop)];
    for (const [{ host }, path] of [[dear, "/dear"], [once, "/once"]] as const) expect(await host.call("l402_fetch", { url: shop.paywall.url + path })).toMatchObject({ structured: { paidSats: 250 } });
    atLength();
    expect(await dear.again()).toMatchObject({ isError: false, structured: { reused: true, paidSats: 0, body: "worth it" } });
    expect(await once.again()).toMatchObject({ isError: true, text: expect.stringMatching(/^\[Paid 250 sats for this purchase\] /), structured: { error: { paid: "yes" } } });
    expect(shop.wallet.spentMsat).toBe(500_000n);
    expect(shop.paywall.paidSales).toHaveLength(2);
  });

  test("an answer that took longer than ten minutes does not count: the person is asked again", async () => {
    const shop = await createShop();
    const seen: string[] = [];
    const host = await shop.connect("modern", (message) => {
      seen.push(message);
      if (seen.length === 1) atLength();
      return seen.length === 1 ? "accept" : "decline";
    });
    expect(await host.call("l402_fetch", { url: `${shop.paywall.url}/dear` })).toMatchObject({ isError: true, structured: { error: { code: "approval_denied" } } });
    expect(seen[1]).toMatch(/^Your answer came too late \(after ten minutes\)\. Pay 250 sats/);
    expect(shop.wallet.spentMsat).toBe(0n);
  });

  test("made again at another process, it does not say that nothing was paid", async () => {
    const shop = await createShop();
    const other = createL402Server.bind(undefined, new L402Client({ wallet: shop.wallet, network: "regtest", budgetSats: 1_000, approveAbove: 100 }));
    const handler = createMcpHandler(() => other({ allowHosts: [new URL(shop.paywall.url).host] }));
    const { host, approved, again } = await keeping(shop);
    shop.wallet.hold();
    const bought = host.call("l402_fetch", { url: `${shop.paywall.url}/dear` });
    await approved;
    expect(await again(handler)).toMatchObject(UNREADABLE);
    shop.wallet.unhold();
    expect(await bought).toMatchObject({ structured: { paidSats: 250 } });
    expect(await again(handler)).toMatchObject(UNREADABLE);
    expect(shop.wallet.spentMsat).toBe(250_000n);
    await handler.close();
  });
});
