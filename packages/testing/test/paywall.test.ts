import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createLightning, createPaywall, createTestClock, fetchOf, payableWires, type Lightning, type Paywall, type PaywallOptions, type RouteOptions, type SimWallet, type TestClock } from "../src/index.ts";
import { buy, challengeIn, pay } from "./buying.ts";

let clock: TestClock;
let lightning: Lightning;
let wallet: SimWallet;
const open: Paywall[] = [];

beforeEach(() => {
  clock = createTestClock();
  lightning = createLightning({ clock, seed: "paywall" });
  wallet = lightning.wallet({ balanceSats: 100_000 });
});
afterEach(async () => {
  for (const paywall of open.splice(0)) await paywall.close();
  lightning.assertConserved();
});

async function serve(routes: Record<string, RouteOptions>, options: Partial<PaywallOptions> = {}): Promise<Paywall> {
  const paywall = await createPaywall({ lightning, name: "weather", routes, ...options });
  open.push(paywall);
  return paywall;
}

/** Each of these runs over a socket and without one. */
const transports: [string, (paywall: Paywall) => typeof fetch][] = [
  ["over a socket", () => fetch],
  ["without a socket", (paywall) => paywall.fetch],
];

describe.each(transports)("selling, %s", (_, fetchOver) => {
  test("asks for money, takes it, delivers", async () => {
    const paywall = await serve({ "/weather": { priceSats: 10, body: { sunny: true } }, "/free": { body: "hello" } });
    const fetch_ = fetchOver(paywall);
    const free = await fetch_(`${paywall.url}/free`);
    expect([free.status, await free.text()]).toEqual([200, "hello"]);

    const asked = await fetch_(`${paywall.url}/weather`);
    expect(asked.status).toBe(402);
    expect(asked.headers.get("www-authenticate")).toMatch(/^LSAT macaroon="[^"]+", invoice="lnbcrt100n[^"]+", L402 macaroon=/);
    expect(asked.headers.get("cache-control")).toBe("no-store");
    expect(await asked.text()).toBe("payment required\n");

    const bought = await buy(`${paywall.url}/weather`, wallet, fetch_);
    expect([bought.status, await bought.json()]).toEqual([200, { sunny: true }]);
    expect(wallet.spentMsat).toBe(10_000n);
    expect(paywall.paidSales).toMatchObject([{ path: "/weather", amountMsat: 10_000n, delivered: 1, refused: 0 }]);
    expect(paywall.sales).toHaveLength(2);
    expect(paywall.requests.map(({ path, status, authorized }) => [path, status, authorized])).toEqual([
      ["/free", 200, false],
      ["/weather", 402, false],
      ["/weather", 402, false],
      ["/weather", 200, true],
    ]);
    expect((await fetch_(`${paywall.url}/nowhere`)).status).toBe(404);
  });

  test("the caller's request arrives whole", async () => {
    const handler = async (request: Request): Promise<unknown> => ({ method: request.method, url: new URL(request.url).search, text: await request.text(), type: request.headers.get("x-type") });
    const paywall = await serve({ "/echo": { handler, methods: ["POST"] } });
    const fetch_ = fetchOver(paywall);
    const response = await fetch_(`${paywall.url}/echo?q=1`, { method: "POST", body: "a body", headers: { "x-type": "text" } });
    expect(await response.json()).toEqual({ method: "POST", url: "?q=1", text: "a body", type: "text" });
    expect((await fetch_(`${paywall.url}/echo`)).status).toBe(405);
  });

  test("redirects, also after payment", async () => {
    const paywall = await serve({ "/old": { misbehave: { name: "redirect", to: "/new" } }, "/new": { body: "new" }, "/loop": { misbehave: "redirect-loop" }, "/paid": { priceSats: 1, misbehave: { name: "redirect-after-payment", to: "/new" } } });
    const fetch_ = fetchOver(paywall);
    const followed = await fetch_(`${paywall.url}/old`);
    expect([await followed.text(), followed.redirected, new URL(followed.url).pathname]).toEqual(["new", true, "/new"]);
    const manual = await fetch_(`${paywall.url}/old`, { redirect: "manual" });
    expect([manual.status, manual.headers.get("location")]).toEqual([307, `${paywall.url}/new`]);
    await expect(fetch_(`${paywall.url}/loop`)).rejects.toThrow("fetch failed");
    expect(await (await buy(`${paywall.url}/paid`, wallet, fetch_)).text()).toBe("new");
  });

  test("connections break before the answer, after payment, and in the body", async () => {
    const paywall = await serve({ "/a": { priceSats: 1, body: "0123456789", misbehave: "drop-after-payment" }, "/free": { body: "0123456789" } });
    const fetch_ = fetchOver(paywall);
    paywall.next("drop");
    await expect(fetch_(`${paywall.url}/a`)).rejects.toThrow("fetch failed");
    const headers = await pay(`${paywall.url}/a`, wallet, fetch_);
    await expect(fetch_(`${paywall.url}/a`, { headers })).rejects.toThrow("fetch failed");
    expect((await fetch_(`${paywall.url}/a`, { headers })).status).toBe(200);
    paywall.next("drop-in-body");
    const cut = await fetch_(`${paywall.url}/free`);
    await expect(cut.text()).rejects.toThrow("terminated");
    expect(paywall.requests.filter(({ status }) => status === 0)).toHaveLength(2);
  });

  test("headers too large for a client", async () => {
    const paywall = await serve({ "/a": { priceSats: 1 } });
    paywall.next("huge-header");
    const error: unknown = await fetchOver(paywall)(`${paywall.url}/a`).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ cause: { code: "UND_ERR_HEADERS_OVERFLOW" } });
  });

  test("bodies without an end, in trickles, and packed", async () => {
    const paywall = await serve({ "/a": { priceSats: 1, body: "0123456789" } });
    const fetch_ = fetchOver(paywall);
    const read = async (response: Response, atLeast: number): Promise<number> => {
      let size = 0;
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        size += chunk.length;
        if (size >= atLeast) break;
      }
      return size;
    };
    paywall.next("endless-402", { name: "bomb-402", bytes: 5_000_000 });
    expect(await read(await fetch_(`${paywall.url}/a`), 1_000_000)).toBeGreaterThanOrEqual(1_000_000);
    const packed = await fetch_(`${paywall.url}/a`);
    expect(packed.headers.get("content-encoding")).toBe("gzip");
    expect((await packed.arrayBuffer()).byteLength).toBe(5_000_000);

    const headers = await pay(`${paywall.url}/a`, wallet, fetch_);
    paywall.next("slow-body");
    const text = (await fetch_(`${paywall.url}/a`, { headers })).text();
    let done = false;
    void text.then(() => (done = true));
    while (!done) {
      await clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(await text).toBe("0123456789");
  });

  test("an abort ends a request that hangs", async () => {
    const paywall = await serve({ "/a": {} });
    paywall.next("slow-headers");
    const controller = new AbortController();
    const hanging = fetchOver(paywall)(`${paywall.url}/a`, { signal: controller.signal });
    while (clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort(new Error("left"));
    await expect(hanging).rejects.toThrow("left");
    while (clock.pending > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  });
});

describe("credentials", () => {
  const one = { priceSats: 10 };

  test("service: opens every path that costs no more", async () => {
    const paywall = await serve({ "/a": one, "/b": { priceSats: 5 }, "/c": { priceSats: 11 } });
    const headers = await pay(`${paywall.url}/a`, wallet, paywall.fetch);
    const status = async (path: string, method = "GET"): Promise<number> => (await paywall.fetch(paywall.url + path, { headers, method })).status;
    expect([await status("/a"), await status("/a"), await status("/b"), await status("/a", "POST"), await status("/c")]).toEqual([200, 200, 200, 200, 402]);
    expect(paywall.paidSales).toMatchObject([{ delivered: 4, refused: 1, usesLeft: undefined }]);
  });

  test("path: opens this method and path, as often as one likes", async () => {
    const paywall = await serve({ "/a": one, "/b": one }, { credential: "path" });
    const headers = await pay(`${paywall.url}/a`, wallet, paywall.fetch);
    const status = async (path: string, method = "GET"): Promise<number> => (await paywall.fetch(paywall.url + path, { headers, method })).status;
    expect([await status("/a"), await status("/a?q=1"), await status("/b"), await status("/a", "POST")]).toEqual([200, 200, 402, 402]);
  });

  test("single-use: once, also when asked twice at once", async () => {
    const paywall = await serve({ "/a": { ...one, credential: "single-use" } });
    const headers = await pay(`${paywall.url}/a`, wallet, paywall.fetch);
    const both = await Promise.all([paywall.fetch(`${paywall.url}/a`, { headers }), paywall.fetch(`${paywall.url}/a`, { headers })]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 402]);
    expect(paywall.requests.at(-1)?.refused ?? paywall.requests.at(-2)?.refused).toBe("used up");
  });

  test("prepaid: so many uses, counted down", async () => {
    const paywall = await serve({ "/a": one, "/b": one }, { credential: "prepaid", uses: 3, refuseWith: 401 });
    const headers = await pay(`${paywall.url}/a`, wallet, paywall.fetch);
    const left: (string | null)[] = [];
    for (const path of ["/a", "/b", "/a", "/a"]) {
      const response = await paywall.fetch(paywall.url + path, { headers });
      left.push(response.status === 200 ? response.headers.get("x-credits-remaining") : String(response.status));
    }
    expect(left).toEqual(["2", "1", "0", "401"]);
  });

  test("expiry, by the clock", async () => {
    const paywall = await serve({ "/a": { ...one, credentialExpirySeconds: 60 } });
    const headers = await pay(`${paywall.url}/a`, wallet, paywall.fetch);
    await clock.advance(59_000);
    expect((await paywall.fetch(`${paywall.url}/a`, { headers })).status).toBe(200);
    await clock.advance(1_000);
    const expired = await paywall.fetch(`${paywall.url}/a`, { headers });
    expect(expired.status).toBe(402);
    expect(challengeIn(expired).invoice).toMatch(/^lnbcrt/);
    expect(paywall.requests.at(-1)?.refused).toContain("expired");
  });

  test("forged, tampered, unpaid and foreign credentials are refused", async () => {
    const paywall = await serve({ "/a": { ...one, refuseWith: 401 } });
    const other = await serve({ "/a": one }, { name: "other" });
    const good = (await pay(`${paywall.url}/a`, wallet, paywall.fetch)).authorization;
    const [macaroon, preimage] = good.slice(5).split(":") as [string, string];
    const unpaid = challengeIn(await paywall.fetch(`${paywall.url}/a`)).macaroon;
    const foreign = (await pay(`${other.url}/a`, wallet, other.fetch)).authorization;
    const tampered = Buffer.from(macaroon, "base64");
    tampered[tampered.length - 1] = (tampered.at(-1) as number) ^ 1;
    const bad = [`L402 ${macaroon}:${"00".repeat(32)}`, `L402 ${unpaid}:${preimage}`, `L402 ${tampered.toString("base64")}:${preimage}`, foreign, "L402 rubbish", "L402 !!:??"];
    for (const authorization of bad) {
      const response = await paywall.fetch(`${paywall.url}/a`, { headers: { authorization } });
      expect([authorization.slice(0, 12), response.status, response.headers.get("www-authenticate")]).toEqual([authorization.slice(0, 12), 401, "L402"]);
    }
    for (const authorization of [good, good.replace("L402", "LSAT"), good.replace("L402", "l402")]) {
      expect((await paywall.fetch(`${paywall.url}/a`, { headers: { authorization } })).status).toBe(200);
    }
  });

  test("a preimage of a hold invoice opens nothing before it is settled", async () => {
    const paywall = await serve({ "/a": { ...one, holdInvoices: true } });
    const { macaroon, invoice } = challengeIn(await paywall.fetch(`${paywall.url}/a`));
    const issued = lightning.find(invoice);
    const hash = issued?.paymentHash as string;
    const headers = { authorization: `L402 ${macaroon}:${paywall.payee.preimageOf(hash)}` };
    expect((await paywall.fetch(`${paywall.url}/a`, { headers })).status).toBe(402);
    const paying = wallet.asSimple().payInvoice(invoice);
    await clock.settle();
    paywall.payee.settleHold(hash);
    await paying;
    expect((await paywall.fetch(`${paywall.url}/a`, { headers })).status).toBe(200);
  });
});

describe("prices and invoices", () => {
  test("fixed, in msat, and one for each request", async () => {
    const paywall = await serve({ "/msat": { priceMsat: 1_001n }, "/rising": { priceSats: (request, call) => call }, "/by-query": { priceSats: (request) => Number(new URL(request.url).searchParams.get("n")) } });
    const amount = async (path: string): Promise<bigint | undefined> => lightning.find(challengeIn(await paywall.fetch(paywall.url + path)).invoice)?.amountMsat;
    expect(await amount("/msat")).toBe(1_001n);
    expect([await amount("/rising"), await amount("/rising")]).toEqual([1_000n, 2_000n]);
    expect(await amount("/by-query?n=7")).toBe(7_000n);
  });

  test("fresh each time, or the same until it is paid or expired", async () => {
    const paywall = await serve({ "/fresh": { priceSats: 1 }, "/same": { priceSats: 1, invoices: "until-paid", invoiceExpirySeconds: 60 } });
    const invoice = async (path: string): Promise<string> => challengeIn(await paywall.fetch(paywall.url + path)).invoice;
    expect(await invoice("/fresh")).not.toBe(await invoice("/fresh"));
    const first = await invoice("/same");
    expect(await invoice("/same")).toBe(first);
    await wallet.asSimple().payInvoice(first);
    const second = await invoice("/same");
    expect(second).not.toBe(first);
    await clock.advance(60_000);
    expect(await invoice("/same")).not.toBe(second);
  });

  test("wildcard paths and routes that come later", async () => {
    const paywall = await serve({ "/files/*": { priceSats: 1 } });
    expect((await paywall.fetch(`${paywall.url}/files/a/b`)).status).toBe(402);
    expect((await paywall.fetch(`${paywall.url}/late`)).status).toBe(404);
    paywall.route("/late", { body: "here" });
    expect(await (await paywall.fetch(`${paywall.url}/late`)).text()).toBe("here");
  });

  test("handlers make bodies and whole responses", async () => {
    const paywall = await serve({
      "/response": { handler: () => new Response("teapot", { status: 418, headers: { "x-a": "b" } }) },
      "/bytes": { body: new Uint8Array([1, 2, 3]) },
      "/sale": { priceSats: 3, handler: (request, sale) => ({ amount: String(sale?.amountMsat) }) },
      "/broken": { priceSats: 3, credential: "single-use", handler: () => new Response("broken", { status: 500 }) },
    });
    const response = await paywall.fetch(`${paywall.url}/response`);
    expect([response.status, response.headers.get("x-a"), await response.text()]).toEqual([418, "b", "teapot"]);
    expect(new Uint8Array(await (await paywall.fetch(`${paywall.url}/bytes`)).arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]));
    expect(await (await buy(`${paywall.url}/sale`, wallet, paywall.fetch)).json()).toEqual({ amount: "3000" });
    expect((await buy(`${paywall.url}/broken`, wallet, paywall.fetch)).status).toBe(500);
    expect(paywall.paidSales.find((sale) => sale.path === "/broken")).toMatchObject({ delivered: 0, usesLeft: 1 });
  });
});

describe("the forms of the challenge", () => {
  test.each(payableWires)("%s can be paid", async (wire) => {
    const paywall = await serve({ "/a": { priceSats: 1, wire } });
    const headers = await pay(`${paywall.url}/a`, wallet);
    expect((await fetch(`${paywall.url}/a`, { headers })).status).toBe(200);
  });

  test("the others cannot", async () => {
    const paywall = await serve({});
    for (const wire of ["json-body", "price-only", "bare", "empty-invoice", "no-invoice"] as const) {
      paywall.route(`/${wire}`, { priceSats: 1, wire });
      const response = await fetch(`${paywall.url}/${wire}`);
      expect(response.status).toBe(402);
      expect(() => challengeIn(response)).toThrow("no challenge");
      if (wire === "json-body") expect(await response.json()).toMatchObject({ priceSats: 1, invoice: expect.stringMatching(/^lnbcrt/) });
      if (wire === "price-only") expect(response.headers.get("x-l402-price-sats")).toBe("1");
    }
  });
});

describe("misbehaviour", () => {
  test("invoices that must not be paid", async () => {
    const paywall = await serve({ "/a": { priceSats: 10 }, "/b": { priceSats: 99 } });
    const next = async (name: Parameters<Paywall["next"]>[0], path = "/a"): Promise<ReturnType<Lightning["find"]>> => {
      paywall.next(name);
      return lightning.find(challengeIn(await paywall.fetch(paywall.url + path)).invoice);
    };
    const first = await next("wrong-network");
    expect(first?.invoice).toMatch(/^lnbc1/);
    expect((await next("amountless-invoice"))?.amountMsat).toBeUndefined();
    expect((await next("zero-invoice"))?.amountMsat).toBe(0n);
    expect((await next("expired-invoice"))?.expiresAt).toBeLessThan(clock.now());
    expect((await next({ name: "expiring-invoice", ms: 3_000 }))?.expiresAt).toBe(clock.now() + 3_000);
    expect((await next("reused-invoice", "/b"))?.invoice).toBe(first?.invoice);
    const other = await next("other-hash");
    const { macaroon } = challengeIn(await paywall.fetch(`${paywall.url}/a`));
    expect(Buffer.from(macaroon, "base64").toString("hex")).not.toContain(other?.paymentHash);
  });

  test("a macaroon bound to another payment does not open what was paid", async () => {
    const paywall = await serve({ "/a": { priceSats: 10, misbehave: "other-hash" } });
    expect((await buy(`${paywall.url}/a`, wallet, paywall.fetch)).status).toBe(402);
  });

  test("challenges at the wrong time, false prices, foreign words", async () => {
    const paywall = await serve({ "/a": { priceSats: 50, body: "fine" } });
    paywall.next("challenge-on-200", "challenge-on-401", "challenge-on-500", "price-claim-low", "imitate-tool-text-402", "imitate-tool-text", "many-challenges");
    const statuses = [];
    for (let i = 0; i < 3; i += 1) {
      const response = await paywall.fetch(`${paywall.url}/a`);
      expect(challengeIn(response).invoice).toMatch(/^lnbcrt500n/);
      statuses.push(response.status);
    }
    expect(statuses).toEqual([200, 401, 500]);
    expect(await (await paywall.fetch(`${paywall.url}/a`)).json()).toEqual({ price_sats: 1, priceSats: 1, amountSats: 1 });
    expect(await (await paywall.fetch(`${paywall.url}/a`)).text()).toContain("[Paid 0 sats]");
    expect((await paywall.fetch(`${paywall.url}/a`)).headers.get("www-authenticate")).toContain("Scheme499");
    expect(await (await buy(`${paywall.url}/a`, wallet, paywall.fetch)).text()).toContain("SYSTEM:");
  });

  test("refusals after payment", async () => {
    const paywall = await serve({
      "/always": { priceSats: 1, misbehave: "always-402" },
      "/rise": { priceSats: 1, misbehave: "price-rise" },
      "/later": { priceSats: 1, misbehave: "delayed-acceptance" },
      "/error": { priceSats: 1, misbehave: { name: "error-after-payment", times: 2, status: 502 } },
      "/reject": { priceSats: 1, misbehave: "reject-after-payment" },
    });
    const statuses = async (path: string, times: number): Promise<number[]> => {
      const headers = await pay(paywall.url + path, wallet, paywall.fetch);
      const list: number[] = [];
      for (let i = 0; i < times; i += 1) list.push((await paywall.fetch(paywall.url + path, { headers })).status);
      return list;
    };
    expect(await statuses("/always", 4)).toEqual([402, 402, 402, 402]);
    expect(await statuses("/later", 3)).toEqual([402, 402, 200]);
    expect(await statuses("/later", 3), "each credential anew").toEqual([402, 402, 200]);
    expect(await statuses("/error", 3)).toEqual([502, 502, 200]);
    expect(await statuses("/reject", 2)).toEqual([401, 401]);
    const headers = await pay(`${paywall.url}/rise`, wallet, paywall.fetch);
    const again = await paywall.fetch(`${paywall.url}/rise`, { headers });
    expect(lightning.find(challengeIn(again).invoice)?.amountMsat).toBe(10_000n);
    expect(paywall.paidSales.filter((sale) => sale.path === "/always")).toMatchObject([{ delivered: 0, refused: 4 }]);
  });

  test("what is queued strikes once, at the next request that it fits", async () => {
    const paywall = await serve({ "/a": { priceSats: 1 }, "/free": {} });
    paywall.next({ name: "error-after-payment", times: 2 });
    expect((await paywall.fetch(`${paywall.url}/free`)).status).toBe(200);
    const headers = await pay(`${paywall.url}/a`, wallet, paywall.fetch);
    const list: number[] = [];
    for (let i = 0; i < 3; i += 1) list.push((await paywall.fetch(`${paywall.url}/a`, { headers })).status);
    expect(list).toEqual([503, 503, 200]);
    expect(() => paywall.next("no-such-thing" as never)).toThrow("no-such-thing");
  });
});

describe("without sockets", () => {
  test("several services, by origin", async () => {
    const weather = await serve({ "/a": { body: "weather" }, "/away": { misbehave: { name: "redirect", to: "https://news.example/a" } } }, { listen: false });
    const news = await serve({ "/a": { handler: (request: Request) => request.headers.get("authorization") ?? "none" } }, { listen: false, name: "news" });
    expect([weather.url, news.url]).toEqual(["https://weather.example", "https://news.example"]);
    const fetch_ = fetchOf(weather, news);
    expect(await (await fetch_("https://weather.example/a")).text()).toBe("weather");
    expect(await (await fetch_("https://weather.example/away", { headers: { authorization: "secret" } })).text()).toBe("none");
    await expect(fetch_("https://elsewhere.example/")).rejects.toThrow("fetch failed");
    await expect(fetch_("https://weather.example/away", { redirect: "error" })).rejects.toThrow("fetch failed");
  });
});
