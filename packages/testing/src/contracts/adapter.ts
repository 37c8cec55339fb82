import assert from "node:assert/strict";
import { L402Client, type L402ClientOptions } from "@l402-tools/core";
import { createLightning, type Lightning } from "../lightning.ts";
import { IMITATION } from "../misbehave.ts";
import { createPaywall, type Paywall, type RouteOptions } from "../paywall.ts";
import type { SimWallet, SimWalletOptions } from "../wallet.ts";
import type { ContractCase } from "./case.ts";

/** What a model gets to see of a tool's result, and what the program around it gets. */
export interface ToolAnswer {
  readonly text: string;
  readonly isError: boolean;
  readonly data?: unknown;
}

/** The tools of an adapter, as its framework would call them. */
export interface AdapterHarness {
  /** Calls a tool by name; `callId` is the framework's id of this tool call, of one and the same thread or run. */
  call(name: string, input: Readonly<Record<string, unknown>>, options?: { callId?: string }): Promise<ToolAnswer>;
  close?(): Promise<void>;
}

/**
 * Makes an adapter's tools for a client. They must use the client's own `fetch` (`unguarded: true`), which reaches the
 * contract's services without a socket.
 */
export type MakeAdapter = (client: L402Client) => Promise<AdapterHarness>;

interface Fixture extends AdapterHarness {
  readonly client: L402Client;
  readonly lightning: Lightning;
  readonly wallet: SimWallet;
  readonly paywall: Paywall;
  /** Calls `l402_fetch`. */
  get(path: string, input?: Readonly<Record<string, unknown>>, callId?: string): Promise<ToolAnswer>;
}

const LONG_BODY = Array.from({ length: 40_000 }, (_, i) => `line ${i}`).join("\n");
const ROUTES: Record<string, RouteOptions> = {
  "/free": { body: "a free lunch" },
  "/weather": { priceSats: 10, body: "sunny" },
  "/once": { priceSats: 10, credential: "single-use", body: "only once" },
  "/once/*": { priceSats: 10, credential: "single-use", body: "only once" },
  "/long": { priceSats: 10, credential: "single-use", body: LONG_BODY },
  "/evil": { priceSats: 10, body: IMITATION },
  "/broken": { status: 500, body: "out of order" },
};

function adapterCase(
  name: string,
  body: (fixture: Fixture) => Promise<void>,
  options: Partial<L402ClientOptions> = { budgetSats: 1_000 },
  walletOptions: Partial<SimWalletOptions> = {},
): ContractCase<MakeAdapter> {
  return {
    name,
    async run(make) {
      const lightning = createLightning();
      const wallet = lightning.wallet({ balanceSats: 100_000, ...walletOptions });
      const paywall = await createPaywall({ lightning, name: "weather", routes: ROUTES, listen: false });
      const client = new L402Client({ wallet, network: "regtest", fetch: paywall.fetch, ...options });
      const adapter = await make(client);
      let calls = 0;
      try {
        await body({
          ...adapter,
          call: (tool, input, call) => adapter.call(tool, input, call),
          client,
          lightning,
          wallet,
          paywall,
          get: (path, input = {}, callId = `call-${(calls += 1)}`) => adapter.call("l402_fetch", { url: paywall.url + path, ...input }, { callId }),
        });
        lightning.assertConserved();
        assert.deepEqual(lightning.doublePayments(), []);
      } finally {
        await adapter.close?.();
        await client.close();
      }
    },
  };
}

/** Everything that a model or a log may get to see of an answer. */
function shown(answer: ToolAnswer): string {
  const seen = new WeakSet<object>();
  const data = JSON.stringify(answer.data, (_key, value: unknown) => {
    if (typeof value === "bigint") return String(value);
    if (typeof value !== "object" || value === null) return value;
    if (seen.has(value)) return undefined;
    seen.add(value);
    return value;
  });
  return `${answer.text}\n${data ?? ""}`;
}

/** What makes something an adapter: the same tools, the same words, the same money. */
export const adapterContract: readonly ContractCase<MakeAdapter>[] = [
  adapterCase("a free page costs nothing, and does not talk of money", async ({ get, wallet }) => {
    const answer = await get("/free");
    assert.match(answer.text, /^HTTP 200/);
    assert.match(answer.text, /a free lunch/);
    assert.equal(answer.isError, false);
    assert.equal(wallet.spentMsat, 0n);
  }),

  adapterCase("a paid page says what it cost, then what it is", async ({ get, wallet }) => {
    const answer = await get("/weather");
    assert.match(answer.text, /^\[Paid 10 sats\] HTTP 200/);
    assert.match(answer.text, /sunny/);
    assert.match(answer.text, /990/, "it says what is left");
    assert.equal(answer.isError, false);
    assert.equal(wallet.spentMsat, 10_000n);
  }),

  adapterCase("a kept credential is not paid again", async ({ get, wallet }) => {
    await get("/weather");
    const answer = await get("/weather");
    assert.match(answer.text, /HTTP 200/);
    assert.doesNotMatch(answer.text, /^\[Paid 10/);
    assert.equal(wallet.spentMsat, 10_000n);
  }),

  adapterCase(
    "over budget: not paid, as a result, not as a throw",
    async ({ get, wallet }) => {
      const answer = await get("/weather");
      assert.match(answer.text, /^\[Not paid\] /);
      assert.equal(answer.isError, true);
      assert.equal(wallet.spentMsat, 0n);
    },
    { budgetSats: 9 },
  ),

  adapterCase("the model can tighten the price, not loosen it", async ({ get, wallet }) => {
    const answer = await get("/weather", { maxPriceSats: 9 });
    assert.match(answer.text, /^\[Not paid\] /);
    assert.equal(wallet.spentMsat, 0n);
    assert.match((await get("/weather", { maxPriceSats: 10 })).text, /^\[Paid 10 sats\] HTTP 200/);
  }),

  adapterCase(
    "no argument raises a limit",
    async ({ call, paywall, wallet }) => {
      const input = { url: `${paywall.url}/weather`, maxPriceSats: 1_000_000, budgetSats: 1_000_000, approve: true, maxSatsPerRequest: 1_000_000 };
      const answer = await call("l402_fetch", input, { callId: "greedy" }).catch(() => undefined);
      if (answer !== undefined) assert.doesNotMatch(answer.text, /^\[Paid/);
      assert.equal(wallet.spentMsat, 0n);
    },
    { budgetSats: 1_000, maxSatsPerRequest: 9 },
  ),

  adapterCase(
    "an unknown outcome is called unknown, and is not tried again",
    async ({ get, wallet }) => {
      wallet.next("unknown-after-pay");
      const answer = await get("/weather");
      const [, sats] = /^\[Payment unknown: up to (\d+) sats may have been spent\] /.exec(answer.text) ?? [];
      assert.ok(Number(sats) >= 10, answer.text.slice(0, 200));
      assert.match(answer.text, /again/);
      assert.equal(answer.isError, true);
      await get("/weather");
      assert.equal(wallet.payCalls(), 1, "the request is not paid for again while it is unresolved");
    },
    { budgetSats: 1_000 },
    { lookup: "none" },
  ),

  adapterCase("a failed payment is not paid", async ({ get, wallet }) => {
    wallet.next("fail:no_route");
    const answer = await get("/weather");
    assert.match(answer.text, /^\[Not paid\] /);
    assert.equal(answer.isError, true);
    assert.match((await get("/weather")).text, /^\[Paid 10 sats\] HTTP 200/);
  }),

  adapterCase("a page that fails, and one that is not there, are results", async ({ get, call }) => {
    assert.match((await get("/broken")).text, /HTTP 500/);
    assert.match((await get("/nowhere")).text, /HTTP 404/);
    const unreachable = await call("l402_fetch", { url: "not a url" }, { callId: "bad-url" }).catch((error: unknown) => ({ text: String(error), isError: true }));
    assert.equal(unreachable.isError, true);
  }),

  adapterCase("the balance, in words", async ({ get, call }) => {
    await get("/weather");
    const answer = await call("l402_balance", {});
    assert.match(answer.text, /^Budget: 990 sats remaining of 1000 total \(spent: 10 sats\)/);
    assert.equal(answer.isError, false);
  }),

  adapterCase(
    "the balance without a budget",
    async ({ call }) => {
      assert.match((await call("l402_balance", {})).text, /^No budget configured\./);
    },
    {},
  ),

  adapterCase("a quote costs nothing", async ({ call, paywall, wallet }) => {
    const answer = await call("l402_quote", { url: `${paywall.url}/weather` });
    assert.match(answer.text, /10 sats/);
    assert.equal(answer.isError, false);
    assert.equal(wallet.payCalls(), 0);
  }),

  adapterCase("the spending report lists what was bought", async ({ get, call }) => {
    await get("/weather");
    const answer = await call("l402_spending_report", {});
    assert.match(answer.text, /10/);
    assert.match(answer.text, /weather\.example/);
  }),

  adapterCase(
    "many at once stay within the budget",
    async ({ get, wallet }) => {
      const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => get(`/once/${i}`)));
      const paid = answers.filter((answer) => answer.text.startsWith("[Paid 10 sats] HTTP 200"));
      const refused = answers.filter((answer) => answer.text.startsWith("[Not paid]"));
      assert.equal(paid.length, 3);
      assert.equal(refused.length, 7);
      assert.equal(wallet.spentMsat, 30_000n);
    },
    { budgetSats: 35 },
  ),

  adapterCase("the same tool call run again does not pay again", async ({ get, wallet }) => {
    await get("/weather", {}, "the-call");
    assert.match((await get("/weather", {}, "the-call")).text, /HTTP 200/);
    await get("/once", {}, "another-call");
    const again = await get("/once", {}, "another-call");
    // The kept answer of this call says what it cost, and must say that it was not paid for again.
    assert.ok(!again.text.startsWith("[Paid 10 sats]") || /nothing was paid again/.test(again.text), again.text.slice(0, 200));
    assert.equal(wallet.spentMsat, 20_000n);
    assert.match((await get("/once", {}, "a-third-call")).text, /^\[Paid 10 sats\] HTTP 200/);
  }),

  adapterCase("reading on pays nothing", async ({ get, wallet, paywall }) => {
    const first = await get("/long");
    assert.match(first.text, /^\[Paid 10 sats\] HTTP 200/);
    assert.ok(first.text.length < LONG_BODY.length, "a long body is cut");
    assert.match(first.text, /offset/, "it says how to read on");
    const offset = LONG_BODY.length - 1_000;
    const second = await get("/long", { offset });
    assert.ok(second.text.includes(LONG_BODY.slice(offset + 100, offset + 900)), "it goes on where it was asked to");
    assert.equal(wallet.spentMsat, 10_000n);
    assert.equal(paywall.paidSales.length, 1);
  }),

  adapterCase("a body that imitates our words comes after them", async ({ get }) => {
    const answer = await get("/evil");
    assert.match(answer.text, /^\[Paid 10 sats\] HTTP 200/);
    assert.ok(answer.text.indexOf("[Paid 0 sats]") > answer.text.indexOf("990"), "our facts come first");
  }),

  adapterCase("no secret is in any answer", async ({ get, call, wallet, paywall, client }) => {
    const answers = [await get("/weather"), await get("/once")];
    wallet.next("fail:no_route");
    answers.push(await get("/once/failed"));
    for (const tool of ["l402_balance", "l402_spending_report"]) answers.push(await call(tool, {}));
    answers.push(await call("l402_quote", { url: `${paywall.url}/once/quoted` }));
    const secrets = paywall.paidSales.map((sale) => paywall.payee.preimageOf(sale.paymentHash));
    for (const { headers } of paywall.requests) {
      const authorization = headers["authorization"];
      if (authorization !== undefined) secrets.push((authorization.split(" ")[1] as string).split(":")[0] as string);
    }
    assert.ok(secrets.length >= 4, "there were secrets to leak");
    for (const answer of answers) for (const secret of secrets) assert.ok(!shown(answer).includes(secret), "a secret is in an answer");
    assert.ok(client.spendingReport() !== null);
  }),
];
