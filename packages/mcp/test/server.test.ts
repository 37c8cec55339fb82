/** The built program as a process: its streams, its settings, its doors, its end. */
import { execFile } from "node:child_process";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { hosts } from "./hosts.ts";
import { BIN, createPlace, PASSWORD, type Place, type Running, TOKEN } from "./place.ts";

const WEATHER = { "/weather": { priceSats: 10, body: "sunny" }, "/once/*": { priceSats: 10, credential: "single-use", body: "once" } } as const;
const [overStdio, overHttp] = [hosts[2], hosts[3]] as [(typeof hosts)[number], (typeof hosts)[number]];

type Message = { jsonrpc?: unknown; id?: unknown; result?: { content?: { text: string }[]; isError?: boolean }; error?: object };

/** A client of 2025, by hand: one message a line. */
function speak({ child }: Running): { lines: string[]; say(message: object | string): void; answer(id: number): Promise<Message> } {
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on("line", (line) => lines.push(line));
  const say = (message: object | string): void => void child.stdin!.write(`${typeof message === "string" ? message : JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  say({ id: 1, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "by hand", version: "1" } } });
  say({ method: "notifications/initialized" });
  return {
    lines,
    say,
    answer: (id) => vi.waitUntil(() => lines.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Message] : [])).find((message) => message.id === id), { timeout: 20_000 }),
  };
}

const call = (id: number, url: string): object => ({ id, method: "tools/call", params: { name: "l402_fetch", arguments: { url }, _meta: { progressToken: id } } });
const isPaying = ({ phoenixd, world }: Place): Promise<boolean> => vi.waitUntil(() => phoenixd.asked.some(({ path }) => path === "/payinvoice") && world.sim.held > 0, { timeout: 20_000 });

test("nothing but protocol is on standard output, whatever a library says and whatever comes in", async () => {
  const place = await createPlace(WEATHER);
  const noise = encodeURIComponent("setInterval(() => console.log('noise of a library'), 5).unref()");
  const running = place.start([], { NODE_OPTIONS: `--import data:text/javascript,${noise}` });
  const { lines, say, answer } = speak(running);
  await answer(1);
  say("this is not JSON");
  say('{"jsonrpc":"2.0"}');
  say({ id: 2, method: "no/such/method" });
  say({ id: 3, method: "tools/list" });
  say(call(4, `${place.paywall.url}/weather`));
  expect(await answer(2)).toHaveProperty("error");
  expect(await answer(4)).toMatchObject({ result: { content: [{ text: expect.stringMatching(/^\[Paid 10 sats\]/) }] } });
  await vi.waitUntil(() => running.stderr().includes("noise of a library"), { timeout: 20_000 });
  const sent = lines.map((line) => JSON.parse(line) as { id?: number; method?: string; params?: object });
  const progress = sent.filter(({ method }) => method === "notifications/progress");
  expect(progress.map(({ params }) => params)).toEqual([
    { progressToken: 4, progress: 1, total: 4, message: `Asking ${place.host}.` },
    { progressToken: 4, progress: 3, total: 4, message: `Paying 10 sats to ${place.host}.` },
    { progressToken: 4, progress: 4, total: 4, message: `Paid 10 sats; waiting for the answer of ${place.host}.` },
  ]);
  expect(sent.indexOf(progress.at(-1)!)).toBeLessThan(sent.findIndex(({ id }) => id === 4));
  running.child.stdin!.end();
  const { code, stdout, stderr } = await running.ended;
  expect(code).toBe(0);
  expect(stdout.endsWith("\n")).toBe(true);
  expect(lines.length).toBeGreaterThan(4);
  for (const line of stdout.trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ jsonrpc: "2.0" });
  expect(stderr).toContain("l402-mcp: 1000 sats for this session, paid by phoenixd. Speaking MCP over stdio.\n");
});

describe("a wrong variable or argument ends it, with a sentence that says which", () => {
  const http = { L402_MCP_TOKEN: TOKEN };
  test.each<[sentence: RegExp, env: Record<string, string | undefined>, args?: string[]]>([
    [/^l402-mcp: BUDGET_SATS must be a whole number, 0 or more\.$/, { BUDGET_SATS: "canary-abc" }],
    [/^l402-mcp: BUDGET_SATS must be a whole number/, { BUDGET_SATS: "-1" }],
    [/^l402-mcp: BUDGET_SATS must be a whole number/, { BUDGET_SATS: "1e3" }],
    [/^l402-mcp: BUDGET_SATS must be a whole number of sats/, { BUDGET_SATS: "9999999999999999" }],
    [/^l402-mcp: BUDGET_PER_DOMAIN must be like /, { BUDGET_PER_DOMAIN: "canary.example.com" }],
    [/^l402-mcp: BUDGET_PER_DOMAIN must be like /, { BUDGET_PER_DOMAIN: '{"a.example": "1"}' }],
    [/^l402-mcp: BUDGET_PER_DOMAIN must name hosts alone: .*without https:/, { BUDGET_PER_DOMAIN: "https://a.example=5" }],
    [/^l402-mcp: BUDGET_PER_DOMAIN must name hosts alone: /, { BUDGET_PER_DOMAIN: '{"https://a.example": 5}' }],
    [/^l402-mcp: BUDGET_PER_DOMAIN names a host twice\.$/, { BUDGET_PER_DOMAIN: "a.example=5,A.example=50" }],
    [/^l402-mcp: BUDGET_PER_DOMAIN names a host twice\.$/, { BUDGET_PER_DOMAIN: '{"a.example": 5, "a.example": 50}' }],
    [/^l402-mcp: BUDGET_PER_DOMAIN names a host that is none\.$/, { BUDGET_PER_DOMAIN: '{"__proto__": 5}' }],
    [/^l402-mcp: BUDGET_PER_DOMAIN names a host that is none\.$/, { BUDGET_PER_DOMAIN: "__proto__=5" }],
    [/^l402-mcp: MAX_SATS_PER_REQUEST must be/, { MAX_SATS_PER_REQUEST: "1.5" }],
    [/^l402-mcp: APPROVE_ABOVE must be/, { APPROVE_ABOVE: "always" }],
    [/^l402-mcp: MAX_FEE_SATS must be/, { MAX_FEE_SATS: "x" }],
    [/^l402-mcp: MAX_FEE_PERCENT must be/, { MAX_FEE_PERCENT: "1%" }],
    [/^l402-mcp: MAX_FEE_PERCENT must be/, { MAX_FEE_PERCENT: "101" }],
    [/^l402-mcp: ALLOWED_DOMAINS /, { ALLOWED_DOMAINS: "https://a.example/" }],
    [/^l402-mcp: BLOCKED_DOMAINS /, { BLOCKED_DOMAINS: "a b" }],
    [/^l402-mcp: L402_ALLOW_HOSTS /, { L402_ALLOW_HOSTS: "http://localhost:1" }],
    [/^l402-mcp: L402_NETWORK must be/, { L402_NETWORK: "dogecoin" }],
    [/^l402-mcp: L402_PAYMENT_TIMEOUT_MS must be/, { L402_PAYMENT_TIMEOUT_MS: "soon" }],
    [/^l402-mcp: L402_LEDGER begins with ~/, { L402_LEDGER: "~/ledger.db" }],
    [/^l402-mcp: L402_LEDGER: The ledger \/proc\/nowhere\/ledger\.db cannot be made/, { L402_LEDGER: "/proc/nowhere/ledger.db" }],
    [/^l402-mcp: L402_ENCRYPTION_KEY must be 32 bytes/, { L402_LEDGER: "ledger.db", L402_ENCRYPTION_KEY: "canary" }],
    ...["L402_LEDGER_GUARD", "L402_BUDGET_ID", "L402_ENCRYPTION_KEY"].map((name): [RegExp, Record<string, string>] => [new RegExp(`^l402-mcp: ${name} is for a ledger, and L402_LEDGER, .* is not set\\.$`), { [name]: "canary" }]),
    ...Object.entries({ APROVE_ABOVE: "APPROVE_ABOVE", APPROVAL_ABOVE: "APPROVE_ABOVE", BUGDET_SATS: "BUDGET_SATS", approve_above: "APPROVE_ABOVE", BUDGET_SAT: "BUDGET_SATS", L402_LEGDER: "L402_LEDGER", L402_TOKEN: "L402_MCP_TOKEN" }).map(
      ([wrong, right]): [RegExp, Record<string, string>] => [new RegExp(`^l402-mcp: There is no variable ${wrong}, and it would have no effect\\. Is ${right} meant\\?`), { [wrong]: "canary" }],
    ),
    [/^l402-mcp: There is no variable L402_ANYTHING_ELSE, and it would have no effect\. See --help\.$/, { L402_ANYTHING_ELSE: "canary" }],
    [/^l402-mcp: There is no variable BUDGET, /, { BUDGET: "canary" }],
    [/^l402-mcp: L402_ENCRYPTION_KEY_FILE names a file that cannot be read \(ENOENT\)\.$/, { L402_ENCRYPTION_KEY_FILE: "/no/such/file" }],
    [/^l402-mcp: No wallet is set in the environment\..*PHOENIXD_PASSWORD/s, { PHOENIXD_PASSWORD: undefined, PHOENIXD_URL: undefined }],
    [/^l402-mcp: No wallet is complete in the environment: PHOENIXD_PASSWORD is missing\./, { PHOENIXD_PASSWORD: "" }],
    [/L402_WALLET/, { NWC_URL: "nostr+walletconnect://canary" }],
    [/^l402-mcp: L402_WALLET must be one of/, { L402_WALLET: "canary" }],
    [/^l402-mcp: L402_MCP_TOKEN is missing: /, {}, ["--http"]],
    [/^l402-mcp: L402_MCP_TOKEN must be at least 16 /, { L402_MCP_TOKEN: "canary" }, ["--http"]],
    [/^l402-mcp: --port must be a number/, http, ["--http", "--port", "70000"]],
    [/^l402-mcp: --port must be a number/, http, ["--http", "--port", "canary"]],
    [/^l402-mcp: --port is for --http only\.$/, {}, ["--port", "1"]],
    [/^l402-mcp: --htp is not understood: /, {}, ["--htp=canary"]],
    [/^l402-mcp: There is an argument that is not understood: /, {}, ["nostr+walletconnect://canary?secret=--canary"]],
  ])("%s", async (sentence, env, args = []) => {
    const place = await createPlace({});
    const { code, stdout, stderr } = await place.start(args, env).ended;
    expect(stderr.trimEnd()).toMatch(sentence);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.toLowerCase()).not.toContain("canary");
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test("an empty variable counts as unset, and those of the command and of others are let be", async () => {
    const place = await createPlace({});
    const running = place.start([], { BUDGET_SATS: "", MAX_SATS_PER_REQUEST: " ", APROVE_ABOVE: "", L402_CONFIG: "x.toml", MAX_MEMORY: "1", NODE_ENV: "test" });
    running.child.stdin!.end();
    const { code, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "l402-mcp: 1000 sats for this session, paid by phoenixd. Speaking MCP over stdio.\n" });
  });

  test("--help and --version need no setting", async () => {
    const { env } = await createPlace({});
    const nothing = Object.fromEntries(Object.keys(env).filter((name) => name !== "PATH").map((name) => [name, undefined]));
    const place = await createPlace({});
    expect(await place.start(["--version"], nothing).ended).toEqual({ code: 0, stdout: "0.0.0\n", stderr: "" });
    const help = await place.start(["-h"], nothing).ended;
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toMatch(/BUDGET_PER_DOMAIN +Most sats by host/);
  });
});

test.each<[env: Record<string, string>, code: string]>([
  [{ BUDGET_SATS: "5" }, "budget_exceeded"],
  [{ BUDGET_PER_DOMAIN: "127.0.0.1=5, *.example.org = 7" }, "budget_exceeded"],
  [{ BUDGET_PER_DOMAIN: '{"127.0.0.1": 5}' }, "budget_exceeded"],
  [{ MAX_SATS_PER_REQUEST: "9" }, "policy_price"],
  [{ ALLOWED_DOMAINS: "api.example.com, *.example.org" }, "policy_domain"],
  [{ BLOCKED_DOMAINS: "127.0.0.1" }, "policy_domain"],
  [{ L402_NETWORK: "bitcoin" }, "invoice_network"],
  [{ L402_ALLOW_HOSTS: "localhost:1" }, "transport_blocked"],
])("%j binds", async (env, code) => {
  const place = await createPlace(WEATHER);
  const { say, answer } = speak(place.start([], env));
  say(call(2, `${place.paywall.url}/weather`));
  expect(await answer(2)).toMatchObject({ result: { isError: true, structuredContent: { error: { code, paid: "no" } } } });
  expect(place.world.sim.spentMsat).toBe(0n);
});

describe("the end", () => {
  test.each(["stdin", "SIGTERM", "SIGINT"] as const)("%s: waits for a payment under way, books it, and goes", async (way) => {
    const place = await createPlace(WEATHER);
    const ledger = join(place.dir, "ledger.db");
    place.world.sim.hold();
    const running = place.start([], { L402_LEDGER: ledger });
    const { say } = speak(running);
    say(call(2, `${place.paywall.url}/weather`));
    await isPaying(place);
    if (way === "stdin") running.child.stdin!.end();
    else running.child.kill(way);
    place.world.sim.unhold();
    expect(await running.ended).toMatchObject({ code: 0, stderr: expect.stringContaining(`1000 sats by the ledger ${ledger}`) });

    // The next one has the books and what was bought.
    const host = await overStdio.connect(place, { env: { L402_LEDGER: ledger } });
    expect(await host.call("l402_balance")).toMatchObject({ text: "Budget: 988 sats remaining of 1000 total (spent: 12 sats)" });
    expect(await host.call("l402_fetch", { url: `${place.paywall.url}/weather` })).toMatchObject({ structured: { status: 200, paidSats: 0, reused: true } });
    expect(place.world.sim.spentMsat).toBe(12_000n);
  });

  test("a second signal ends it at once; the ledger finds the payment afterwards", async () => {
    const place = await createPlace(WEATHER);
    const ledger = join(place.dir, "ledger.db");
    place.world.sim.hold();
    const running = place.start([], { L402_LEDGER: ledger });
    speak(running).say(call(2, `${place.paywall.url}/weather`));
    await isPaying(place);
    running.child.kill("SIGTERM");
    await vi.waitUntil(() => running.stderr().includes("SIGTERM: ending"), { timeout: 20_000 });
    running.child.kill("SIGTERM");
    expect(await running.ended).toMatchObject({ code: 1 });
    place.world.sim.unhold();

    const host = await overStdio.connect(place, { env: { L402_LEDGER: ledger } });
    expect(await host.call("l402_fetch", { url: `${place.paywall.url}/weather` })).toMatchObject({ structured: { status: 200, reused: true } });
    expect(place.world.sim.spentMsat).toBe(12_000n);
  });
});

test("a payment whose end is not known is said at the end", async () => {
  const place = await createPlace(WEATHER);
  place.world.sim.hold();
  const running = place.start([], { L402_PAYMENT_TIMEOUT_MS: "500" });
  const { say, answer } = speak(running);
  say(call(2, `${place.paywall.url}/weather`));
  expect(await answer(2)).toMatchObject({ result: { isError: true, content: [{ text: expect.stringMatching(/^\[Payment unknown: up to \d+ sats may have been spent\]/) }] } });
  running.child.stdin!.end();
  expect(await running.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/up to \d+ sats may have been spent by a payment whose end is not known\.\n$/) });
});

test("the budget is the session's without a ledger, and everyone's with one", async () => {
  const place = await createPlace(WEATHER);
  const buy = async (env: Record<string, string>, path: string) => (await overStdio.connect(place, { env })).call("l402_fetch", { url: place.paywall.url + path });
  expect(await buy({ BUDGET_SATS: "20" }, "/once/1")).toMatchObject({ structured: { paidSats: 10, remainingSats: 8 } });
  expect(await buy({ BUDGET_SATS: "20" }, "/once/2")).toMatchObject({ structured: { paidSats: 10, remainingSats: 8 } });
  const shared = { BUDGET_SATS: "20", L402_LEDGER: join(place.dir, "ledger.db") };
  expect(await buy(shared, "/once/3")).toMatchObject({ structured: { paidSats: 10, remainingSats: 8 } });
  expect(await buy(shared, "/once/4")).toMatchObject({ isError: true, structured: { error: { code: "budget_exceeded" } } });
  expect(place.world.sim.spentMsat).toBe(36_000n);
});

test("many at once, from several hosts over HTTP, stay within the one budget of the server", async () => {
  const place = await createPlace(WEATHER);
  const { url } = await place.http({ BUDGET_SATS: "60" });
  const { client2, host2 } = await import("./hosts.ts");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const all = await Promise.all(
    (["auto", "legacy", "auto"] as const).map(async (mode) => {
      const client = client2(undefined, mode);
      await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${TOKEN}` } } }));
      return host2(client);
    }),
  );
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => all[i % 3]!.call("l402_fetch", { url: `${place.paywall.url}/once/${i}` })));
  const paid = answers.filter(({ text }) => text.startsWith("[Paid 10 sats] HTTP 200"));
  expect(answers.filter(({ text }) => text.startsWith("[Not paid]"))).toHaveLength(12 - paid.length);
  expect(place.world.sim.spentMsat).toBe(BigInt(paid.length) * 12_000n);
  expect(place.world.sim.spentMsat).toBeLessThanOrEqual(60_000n);
  expect(paid.length).toBeGreaterThan(3);
  expect((await all[0]!.call("l402_balance")).structured).toMatchObject({ spentSats: paid.length * 12, heldSats: 0 });
  await Promise.all(all.map((host) => host.close()));
});

describe("over HTTP", () => {
  const HELLO = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "by hand", version: "1" } } });
  const HEADERS = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", accept: "application/json, text/event-stream" };

  /** `fetch` sends no Host of its own. */
  function post(url: string, headers: Record<string, string>, body: string | Buffer = HELLO): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }> {
    return new Promise((resolve, reject) => {
      const sent = request(url, { method: "POST", headers }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk)).on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }

  test("only who has the token comes in, by the name of this machine, and from no web page", async () => {
    const place = await createPlace(WEATHER);
    const { url, stderr } = await place.http();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/);
    expect(await post(url, HEADERS)).toMatchObject({ status: 200 });
    for (const authorization of [undefined, "", "Bearer", "Bearer wrong", `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(0, -1)}`, TOKEN]) {
      const { authorization: _, ...others } = HEADERS;
      const refused = await post(url, authorization === undefined ? others : { ...others, authorization });
      expect(refused, String(authorization)).toMatchObject({ status: 401, headers: { "www-authenticate": expect.stringMatching(/^Bearer error="invalid_token"/) } });
      expect(refused.body).not.toContain(TOKEN);
    }
    for (const host of ["evil.example", "127.0.0.1.evil.example", "169.254.169.254"]) expect(await post(url, { ...HEADERS, host }), host).toMatchObject({ status: 403 });
    for (const host of ["evil.example@localhost", "localhost/evil", "localhost?", "localhost:x"]) expect(await post(url, { ...HEADERS, host }), host).toMatchObject({ status: 400 });
    for (const host of ["localhost", "127.0.0.1:1"]) expect(await post(url, { ...HEADERS, host })).toMatchObject({ status: 200 });
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1.evil.example"]) expect(await post(url, { ...HEADERS, origin }), origin).toMatchObject({ status: 403 });
    expect(await post(url, { ...HEADERS, origin: "http://localhost:6274" })).toMatchObject({ status: 200 });
    expect(await post(url.replace("/mcp", "/"), HEADERS)).toMatchObject({ status: 404 });
    expect(await post(url, HEADERS, Buffer.alloc(2 * 1024 * 1024, 32))).toMatchObject({ status: 413 });
    expect(await post(url, HEADERS, "no JSON")).toMatchObject({ status: 400 });
    expect(await post(url, { ...HEADERS, "mcp-session-id": "nobody" })).toMatchObject({ status: 404 });
    expect(stderr()).not.toContain(TOKEN);
    expect(place.paywall.requests).toEqual([]);
  });

  test("the stream of a session begins at once, not with its first event; and another may follow when it was left", async () => {
    const { url } = await (await createPlace({})).http();
    const session = String((await post(url, HEADERS)).headers["mcp-session-id"]);
    const open = (signal: AbortSignal): Promise<Response> => fetch(url, { headers: { ...HEADERS, accept: "text/event-stream", "mcp-session-id": session }, signal });
    const left = new AbortController();
    const stream = await open(AbortSignal.any([left.signal, AbortSignal.timeout(10_000)]));
    expect({ status: stream.status, type: stream.headers.get("content-type") }).toEqual({ status: 200, type: "text/event-stream" });
    left.abort();
    await vi.waitUntil(async () => (await open(AbortSignal.timeout(10_000))).status === 200, { timeout: 20_000 });
  });

  test("sessions of old clients are bounded: the one that was quiet for longest goes", async () => {
    const place = await createPlace({});
    const { url } = await place.http();
    const ids: string[] = [];
    for (let count = 0; count < 102; count += 1) ids.push(String((await post(url, HEADERS)).headers["mcp-session-id"]));
    const list = (id: string) => post(url, { ...HEADERS, "mcp-session-id": id }, JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" }));
    expect((await list(ids[0] as string)).status).toBe(404);
    expect((await list(ids[2] as string)).status).toBe(200);
    expect((await list(ids.at(-1) as string)).status).toBe(200);
  });

  test("a port that is taken is named; a signal ends the server", async () => {
    const place = await createPlace(WEATHER);
    const first = await place.http();
    const { port } = new URL(first.url);
    const second = await place.start(["--http", "--port", port], { L402_MCP_TOKEN: TOKEN }).ended;
    expect(second).toEqual({ code: 2, stdout: "", stderr: `l402-mcp: Port ${port} of 127.0.0.1 cannot be listened on (EADDRINUSE): choose another with --port.\n` });
    first.child.kill("SIGTERM");
    expect(await first.ended).toMatchObject({ code: 0, stdout: "" });
  });
});

describe("the inspector's command line", () => {
  const run = promisify(execFile);
  const inspector = join(import.meta.dirname, "../node_modules/.bin/mcp-inspector");

  test.each(["stdio", "HTTP"])("over %s: lists the tools without a warning, and calls them", async (way) => {
    const place = await createPlace(WEATHER);
    const url = way === "HTTP" ? (await place.http()).url : "";
    const target = way === "HTTP" ? [url, "--transport", "http", "--header", `Authorization: Bearer ${TOKEN}`] : [process.execPath, BIN, ...Object.entries(place.env).filter(([name]) => /^(L402|PHOENIXD)_/.test(name)).flatMap(([name, value]) => ["-e", `${name}=${value}`])];
    const inspect = (...args: string[]) => run(inspector, ["--cli", ...target, ...args], { env: { PATH: process.env["PATH"], HOME: place.dir }, cwd: place.dir });

    const { stdout, stderr } = await inspect("--method", "tools/list", "--strict");
    expect((JSON.parse(stdout) as { tools: { name: string }[] }).tools.map(({ name }) => name)).toEqual(["l402_fetch", "l402_quote", "l402_balance", "l402_spending_report"]);
    expect(stderr).not.toMatch(/warning|error/i);
    const bought = await inspect("--method", "tools/call", "--tool-name", "l402_fetch", "--tool-arg", `url=${place.paywall.url}/weather`);
    expect(JSON.parse(bought.stdout)).toMatchObject({ isError: false, content: [{ text: expect.stringMatching(/^\[Paid 10 sats\] HTTP 200/) }], structuredContent: { paidSats: 10 } });
    const balance = await inspect("--method", "tools/call", "--tool-name", "l402_balance");
    expect(JSON.parse(balance.stdout)).toMatchObject({ content: [{ text: way === "HTTP" ? "Budget: 988 sats remaining of 1000 total (spent: 12 sats)" : "Budget: 1000 sats remaining of 1000 total (spent: 0 sats)" }] });
    expect(place.world.sim.spentMsat).toBe(12_000n);
  });
});

test("no secret is in anything that is said", async () => {
  const place = await createPlace({ ...WEATHER, "/vain": { priceSats: 10, credential: "single-use", misbehave: "reject-after-payment" } });
  const said: string[] = [];
  for (const { connect } of [overStdio, overHttp]) {
    const host = await connect(place, { env: { APPROVE_ABOVE: "9", L402_LEDGER: join(place.dir, "ledger.db"), L402_ENCRYPTION_KEY: "5e".repeat(32) }, person: (message) => (said.push(message), "accept") });
    for (const path of ["/weather", "/once/1", "/vain", "/nowhere"]) said.push(JSON.stringify(await host.call("l402_fetch", { url: place.paywall.url + path }, { onprogress: (progress) => said.push(JSON.stringify(progress)) })));
    place.world.sim.next("fail:no_route");
    said.push(JSON.stringify(await host.call("l402_fetch", { url: `${place.paywall.url}/once/2` })));
    said.push(JSON.stringify(await host.call("l402_quote", { url: `${place.paywall.url}/once/3` })));
    for (const tool of ["l402_balance", "l402_spending_report"]) said.push(JSON.stringify(await host.call(tool)));
    said.push(JSON.stringify(await host.tools()));
    await host.close();
  }
  const secrets = [PASSWORD, TOKEN, "5e".repeat(32), ...place.paywall.sales.flatMap(({ invoice, paymentHash, paid }) => [invoice, ...(paid ? [place.paywall.payee.preimageOf(paymentHash)] : [])])];
  for (const { headers } of place.paywall.requests) secrets.push(...(headers["authorization"]?.split(/[ :]/).slice(1) ?? []));
  expect(secrets.length).toBeGreaterThan(10);
  const all = said.join("\n");
  for (const secret of secrets) expect(all.includes(secret), "a secret was said").toBe(false);
});
