/** `fetch` and `quote`: what they write, what they pay, and how they end. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PASSWORD } from "../../wallets/test/fakes/phoenixd.ts";
import { createPlace, isAskedToPay, until } from "./run.ts";

const WEATHER = { "/weather": { priceSats: 10, body: { sunny: true }, headers: { "content-type": "application/json" } } };

test("fetch pays once, writes the body to stdout and the facts to stderr, and uses what it bought", async () => {
  const place = await createPlace(WEATHER);
  const url = `${place.paywall.url}/weather`;
  const first = await place.run(["fetch", url]);
  expect(first).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
  expect(first.stderr).toContain(`${place.host} asks 10 sats.`);
  expect(first.stderr).toContain("HTTP 200. Paid 10 sats and 2 sats of fee. 988 sats left.");

  const second = await place.run(["fetch", "--json", url]);
  expect(second).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
  expect(second.stderr.trim().split("\n")).toHaveLength(1);
  expect(JSON.parse(second.stderr)).toMatchObject({ status: 200, paidSats: 0, feeSats: 0, reused: true, remainingSats: 988, bytes: 14, file: null, contentType: "application/json" });
  expect(place.paywall.paidSales).toHaveLength(1);

  expect(await place.run(["fetch", "-q", url])).toMatchObject({ code: 0, stderr: "" });
});

test("bodies are passed on byte by byte, whatever their size, to stdout or to a file", async () => {
  const body = new Uint8Array(3_000_000);
  for (let at = 0; at < body.length; at += 1) body[at] = (at * 31 + (at >> 8)) & 255;
  const place = await createPlace({ "/image": { priceSats: 5, body, headers: { "content-type": "image/png" } } });
  const url = `${place.paywall.url}/image`;
  const piped = await place.run(["fetch", url]);
  expect(piped.code).toBe(0);
  expect(piped.bytes.equals(Buffer.from(body))).toBe(true);

  const file = await place.file("image.png", "something longer than nothing that was there before");
  const saved = await place.run(["fetch", url, "-o", "image.png", "--json"]);
  expect(saved).toMatchObject({ code: 0, stdout: "" });
  expect(JSON.parse(saved.stderr)).toMatchObject({ file, bytes: body.length });
  expect((await readFile(file)).equals(Buffer.from(body))).toBe(true);
});

test("method, headers and data reach the server as they were given; the file of -o survives a refusal", async () => {
  const place = await createPlace({ "/echo": { handler: async (request: Request) => [request.method, request.headers.get("content-type"), request.headers.get("x-one"), await request.text()].join("|") } });
  const url = `${place.paywall.url}/echo`;
  const echo = async (args: string[], input?: string): Promise<string> => (await place.run(["fetch", url, ...args], input === undefined ? {} : { input })).stdout;
  expect(await echo([])).toBe("GET|||");
  expect(await echo(["-d", "a=1", "-d", "b=2", "-H", "X-One: two"])).toBe("POST|application/x-www-form-urlencoded|two|a=1&b=2");
  await place.file("body.json", '{"a":1}');
  expect(await echo(["-X", "PUT", "-d", "@body.json", "-H", "Content-Type: application/json"])).toBe('PUT|application/json||{"a":1}');
  expect(await echo(["-d", "@-"], "from stdin")).toBe("POST|application/x-www-form-urlencoded||from stdin");

  await place.file("kept.txt", "kept");
  place.paywall.route("/dear", { priceSats: 500 });
  expect(await place.run(["fetch", `${place.paywall.url}/dear`, "--max-price", "10", "-o", "kept.txt"])).toMatchObject({ code: 3 });
  expect(await place.run(["fetch", `${place.paywall.url}/dear`, "--max-price", "10", "-o", "new.txt"])).toMatchObject({ code: 3 });
  expect(await readFile(join(place.dir, "kept.txt"), "utf8")).toBe("kept");
  await expect(stat(join(place.dir, "new.txt"))).rejects.toThrow("ENOENT");
  expect(await place.run(["fetch", `${place.paywall.url}/dear`, "-o", "no/such/folder"])).toMatchObject({ code: 2 });
  expect(place.paywall.paidSales).toHaveLength(0);
});

test("quote says the price without wallet or ledger, and pays nothing", async () => {
  const place = await createPlace({ ...WEATHER, "/free": {}, "/odd": { priceSats: 7, description: "nice \u001b[31mred\u202e weather" } });
  const env = { L402_LEDGER: undefined, PHOENIXD_PASSWORD: undefined, PHOENIXD_URL: undefined };
  const quoted = await place.run(["quote", `${place.paywall.url}/weather`], { env });
  expect(quoted).toMatchObject({ code: 0, stderr: "" });
  const quote = JSON.parse(quoted.stdout) as Record<string, unknown>;
  expect(quote).toMatchObject({ free: false, amountSats: 10, amountMsat: 10_000, network: "regtest", payee: place.paywall.payee.publicKey });
  expect(quote).not.toHaveProperty("id");

  const shown = await place.run(["quote", "--table", `${place.paywall.url}/odd?key=1`], { env });
  expect(shown.stdout).toContain("Price     7 sats\n");
  expect(shown.stdout).toContain("/odd?…");
  expect(shown.stdout).not.toMatch(/[\u001b\u202e]/);
  expect((await place.run(["quote", "--json", `${place.paywall.url}/odd`], { env })).stdout).not.toMatch(/[\u001b\u202e]/);

  expect(JSON.parse((await place.run(["quote", `${place.paywall.url}/free`], { env })).stdout)).toMatchObject({ free: true });
  expect(await place.run(["quote", "--max-price", "9", `${place.paywall.url}/weather`], { env })).toMatchObject({ code: 3 });
  expect(await place.run(["quote", "--max-price", "10", `${place.paywall.url}/weather`], { env })).toMatchObject({ code: 0 });
  expect(place.paywall.paidSales).toHaveLength(0);
  await expect(stat(place.ledger)).rejects.toThrow("ENOENT");
});

test("one idempotency key pays at most one invoice", async () => {
  const place = await createPlace({ "/buy": { priceSats: 10, credential: "single-use" } });
  const args = ["fetch", `${place.paywall.url}/buy`, "--idempotency-key", "order-1"];
  expect(await place.run(args)).toMatchObject({ code: 0 });
  const again = await place.run(args);
  expect(again.code).toBe(6);
  expect(again.stderr).toContain("new idempotencyKey");
  expect(place.paywall.paidSales).toHaveLength(1);
});

describe("exit codes", () => {
  test("3: refused, and nothing was paid", async () => {
    const place = await createPlace(WEATHER);
    const url = `${place.paywall.url}/weather`;
    for (const [args, env, code] of [
      [[], { BUDGET_SATS: "5" }, "budget_exceeded"],
      [[], { BUDGET_PER_DOMAIN: "127.0.0.1=5" }, "budget_exceeded"],
      [[], { MAX_SATS_PER_REQUEST: "9" }, "policy_price"],
      [["--max-price", "9"], {}, "policy_price"],
      [["--ask"], {}, "approval_denied"],
      [["--approve-above", "100"], { APPROVE_ABOVE: "9" }, "approval_denied"],
      [[], { BLOCKED_DOMAINS: "127.0.0.1" }, "policy_domain"],
      [[], { ALLOWED_DOMAINS: "api.example.com,*.example.org" }, "policy_domain"],
      [[], { L402_ALLOW_HOSTS: undefined }, "transport_blocked"],
    ] as const) {
      const ended = await place.run(["fetch", "--json", url, ...args], { env });
      expect(ended, JSON.stringify([args, env])).toMatchObject({ code: 3, stdout: "" });
      expect(JSON.parse(ended.stderr), code).toMatchObject({ error: { code, paid: "no" }, exitCode: 3 });
    }
    const human = await place.run(["fetch", url, "--ask"]);
    expect(human.stderr).toContain("needs a person's yes, and there is no terminal to ask at");
    expect(human.stderr).toContain("Error: ");
    expect(isAskedToPay(place)).toBe(false);
    expect(await place.run(["fetch", url, "--approve-above", "10"])).toMatchObject({ code: 0 });
  });

  test("4: failed, and nothing was paid", async () => {
    const place = await createPlace(WEATHER);
    const url = `${place.paywall.url}/weather`;
    place.world.sim.next("fail:no_route");
    const failed = await place.run(["fetch", "--json", url]);
    expect(failed.code).toBe(4);
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: { code: "payment_failed", paid: "no" } });

    place.paywall.next("amountless-invoice");
    expect(await place.run(["fetch", url])).toMatchObject({ code: 4 });
    expect(await place.run(["fetch", url], { env: { L402_NETWORK: "bitcoin" } })).toMatchObject({ code: 4 });
    place.paywall.next("drop");
    const dropped = await place.run(["fetch", url]);
    expect(dropped.code).toBe(4);
    expect(dropped.stderr).toContain("could not be reached");
    expect(place.paywall.paidSales).toHaveLength(0);
    expect(JSON.parse((await place.run(["report"])).stdout)).toMatchObject({ spentSats: 0, heldSats: 0 });
  });

  test("6: paid, and not delivered; then the same command does not pay", async () => {
    const place = await createPlace(WEATHER);
    const url = `${place.paywall.url}/weather`;
    place.paywall.route("/refuses", { priceSats: 10, misbehave: "reject-after-payment" });
    const refused = await place.run(["fetch", "--json", `${place.paywall.url}/refuses`]);
    expect(refused.code).toBe(6);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: "credential_rejected", paid: "yes" }, exitCode: 6 });

    place.paywall.next({ name: "drop-in-body", times: 1 });
    const cut = await place.run(["fetch", url]);
    expect(cut.code).toBe(6);
    expect(cut.stderr).toContain("what was bought is kept");
    const sold = place.paywall.paidSales.length;
    expect(await place.run(["fetch", url])).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
    expect(place.paywall.paidSales).toHaveLength(sold);
  });

  test("8: the server's own errors, whose body is written all the same", async () => {
    const place = await createPlace({ "/gone": { status: 410, body: "gone for good" } });
    const ended = await place.run(["fetch", `${place.paywall.url}/gone`]);
    expect(ended).toMatchObject({ code: 8, stdout: "gone for good" });
    expect(ended.stderr).toContain("HTTP 410. Nothing was paid.");
  });

  test("7: a ledger that cannot be used pays nothing", async () => {
    const place = await createPlace(WEATHER);
    await place.file("ledger.db", "this is no ledger, and never was one");
    const url = `${place.paywall.url}/weather`;
    expect(await place.run(["fetch", url])).toMatchObject({ code: 7 });
    expect(await place.run(["fetch", url], { env: { L402_LEDGER: "/proc/no/ledger.db" } })).toMatchObject({ code: 7 });
    expect(isAskedToPay(place)).toBe(false);
  });

  test("2: without a limit, a ledger, a wallet or a usable URL nothing is sent", async () => {
    const place = await createPlace(WEATHER);
    const url = `${place.paywall.url}/weather`;
    for (const [args, env, said] of [
      [[url], { BUDGET_SATS: undefined }, "No limit is set"],
      [[url], { L402_LEDGER: undefined }, "No ledger is named"],
      [[url], { PHOENIXD_PASSWORD: undefined }, "No wallet is complete in the environment"],
      [[url], { L402_WALLET: "piggy-bank" }, "L402_WALLET must be one of"],
      [[url], { BUDGET_SATS: "lots" }, "BUDGET_SATS must be a whole number"],
      [[url], { BUDGET_PER_DOMAIN: "api.example.com" }, "BUDGET_PER_DOMAIN must be like"],
      [[url], { BUDGET_PER_DOMAIN: '{"http://x/": 1}' }, "budgetPerDomain"],
      [[url], { L402_NETWORK: "liquid" }, "`network` must be one of"],
      [[url], { L402_ENCRYPTION_KEY: "short" }, "L402_ENCRYPTION_KEY"],
      [["ftp://example.com/"], {}, "URL must be"],
      [[], {}, "URL is missing"],
      [[url, "another"], {}, "Too many arguments"],
      [[url, "--max-price", "1.5"], {}, "--max-price must be a whole number"],
      [[url, "-H", "no colon"], {}, 'A header is written "Name: value"'],
      [[url, "-X", "GET", "-d", "x"], {}, "GET and HEAD take no body"],
      [[url, "-d", "@missing"], {}, "cannot be read (ENOENT)"],
      [[url, "--free"], {}, "There is no option --free"],
      [[url, "--max-price"], {}, "The option --max-price needs a value"],
      [[url, "--json", "--table"], {}, "exclude each other"],
      [[url, "--allow-host", "http://x"], {}, "allowHosts"],
    ] as const) {
      const ended = await place.run(["fetch", ...args], { env });
      expect(ended.stderr, JSON.stringify([args, env])).toContain(said);
      expect(ended).toMatchObject({ code: 2, stdout: "" });
    }
    expect(place.paywall.requests).toHaveLength(0);
  });
});

test("a module's wallet pays as well, and what it throws is not shown", async () => {
  const place = await createPlace(WEATHER);
  const url = `${place.paywall.url}/weather`;
  const env = { PHOENIXD_PASSWORD: undefined, PHOENIXD_URL: undefined };
  const pay = `fetch(${JSON.stringify(`${place.phoenixd.url}/payinvoice`)}, { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded", authorization: "Basic " + Buffer.from(":${PASSWORD}").toString("base64") }, body: new URLSearchParams({ invoice }).toString() })`;
  await place.file("simple.mjs", `export const wallet = { async payInvoice(invoice) { return { preimage: (await (await ${pay}).json()).paymentPreimage }; } };`);
  expect(await place.run(["fetch", url, "--wallet", "simple.mjs"], { env })).toMatchObject({ code: 0, stdout: '{"sunny":true}' });

  await place.file("broken.mjs", 'throw new Error("canary-key-of-the-wallet");');
  await place.file("made.mjs", 'export default async () => { throw new Error("canary-key-of-the-wallet"); };');
  for (const file of ["broken.mjs", "made.mjs", "missing.mjs"]) {
    const ended = await place.run(["fetch", url, "--wallet", file], { env });
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain("could not be loaded");
    expect(ended.stderr).not.toContain("canary");
  }
  await place.file("odd.mjs", "export default 7;");
  expect(await place.run(["fetch", url, "--wallet", "odd.mjs"], { env })).toMatchObject({ code: 2 });
});

test("a reader that stops reading ends it quietly", async () => {
  const place = await createPlace({ "/big": { priceSats: 5, body: new Uint8Array(5_000_000) } });
  const { child, ended } = place.start(["fetch", `${place.paywall.url}/big`]);
  child.stdout?.once("data", () => child.stdout?.destroy());
  const { code, stderr } = await ended;
  expect(code).toBe(0);
  expect(stderr).toMatch(/HTTP 200\. Paid 5 sats and 2 sats of fee\. 993 sats left\.\n$/);
  expect((await place.run(["fetch", `${place.paywall.url}/big`])).bytes).toHaveLength(5_000_000);
  expect(place.paywall.paidSales).toHaveLength(1);
});

test("a slow server is waited for, and Ctrl-C before a payment says that nothing was paid", async () => {
  const place = await createPlace({ "/slow": { handler: () => new Promise(() => {}) } });
  const { child, ended } = place.start(["fetch", `${place.paywall.url}/slow`]);
  await until(() => place.paywall.requests.length > 0);
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  expect(code).toBe(130);
  expect(stderr).toContain("Ended by SIGINT. Nothing was paid.");
});
