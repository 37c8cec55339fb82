/** The program around the commands: help, settings, terminals, and what is never shown. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { chmod, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { sqliteStore } from "@l402-tools/stores/sqlite";
import { walletFromEnv } from "@l402-tools/wallets/env";
import { describe, expect, test } from "vitest";
import { PASSWORD } from "../../wallets/test/fakes/phoenixd.ts";
import { EXIT } from "../src/errors.ts";
import { readSettings, WALLET_VARIABLES } from "../src/settings.ts";
import { BIN, createPlace, type Place } from "./run.ts";

const WEATHER = { "/weather": { priceSats: 10, body: { sunny: true } } };
const COMMANDS = ["fetch", "quote", "report", "payments", "holds", "recover", "resolve", "credentials", "resume", "accept-restored", "verify"];

test("help and version are there, for all and for each", async () => {
  const place = await createPlace({});
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, "../package.json"), "utf8")) as { version: string };
  expect(await place.run(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  const help = await place.run(["--help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  for (const name of COMMANDS) expect(help.stdout).toMatch(new RegExp(`^  ${name} `, "m"));
  for (const name of COMMANDS) {
    const one = await place.run([name, "--help"]);
    expect(one).toMatchObject({ code: 0, stderr: "" });
    expect(one.stdout).toMatch(new RegExp(`^Usage: l402-tools ${name}`));
    for (const line of one.stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(125);
  }
  expect((await place.run(["help", "fetch"])).stdout).toBe((await place.run(["fetch", "-h"])).stdout);
  const nothing = await place.run([]);
  expect(nothing).toMatchObject({ code: 2, stdout: "", stderr: help.stdout });
  expect(await place.run(["repotr"])).toMatchObject({ code: 2 });
  expect(JSON.parse((await place.run(["repotr", "--json"])).stderr)).toMatchObject({ error: { code: "usage", paid: "no" }, exitCode: 2 });
  expect((await stat(BIN)).mode & 0o111).not.toBe(0);
});

test("the exit codes of the README and of --help are those of the program", async () => {
  const place = await createPlace({});
  const documented = new Set([...(await readFile(join(import.meta.dirname, "../README.md"), "utf8")).matchAll(/^\| (\d+(?:, \d+)*) \|/gm)].flatMap(([, codes = ""]) => codes.split(", ").map(Number)));
  expect([...documented].sort()).toEqual(Object.values(EXIT).sort());
  const { stdout } = await place.run(["--help"]);
  for (const code of Object.values(EXIT)) expect(stdout.slice(stdout.indexOf("Exit codes:"))).toMatch(new RegExp(`\\b${code}\\b`));
});

describe("settings", () => {
  test("every variable of every wallet is known, and no other", () => {
    let told = "";
    try {
      walletFromEnv({});
    } catch (error) {
      told = (error as Error).message;
    }
    const named = [...told.matchAll(/\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b/g)].map(([name]) => name);
    expect([...new Set([...named, "L402_WALLET"])].sort()).toEqual([...WALLET_VARIABLES].sort());
  });

  test("a flag wins over the environment, the environment over the file; paths of the file start at its folder", async () => {
    const place = await createPlace({});
    await place.file("l402-tools.json", JSON.stringify({ ledger: "file.db", budgetSats: 1, budgetId: "file", network: "signet", allowHosts: ["a:1"], approveAboveSats: 3, limits: [{ sats: 5, per: "24h" }] }));
    const fromFile = readSettings({}, {}, place.dir);
    expect(fromFile).toMatchObject({ ledger: join(place.dir, "file.db"), approveAboveSats: 3, allowHosts: ["a:1"], rules: { budgetSats: 1, budgetId: "file", network: "signet", limits: [{ sats: 5, per: "24h" }] } });
    expect(readSettings({ config: join(place.dir, "l402-tools.json") }, {}, "/").ledger).toBe(join(place.dir, "file.db"));
    const env = { L402_LEDGER: "env.db", BUDGET_SATS: "2", L402_BUDGET_ID: "env", L402_ALLOW_HOSTS: "b:2,c:3", MAX_FEE_SATS: "4", MAX_FEE_PERCENT: "0.5", L402_NETWORK: "", BUDGET_PER_DOMAIN: '{"a.example":5}' };
    expect(readSettings({}, env, place.dir)).toMatchObject({ ledger: join(place.dir, "env.db"), allowHosts: ["b:2", "c:3"], rules: { budgetSats: 2, budgetId: "env", network: "signet", maxFee: { sats: 4, percent: 0.5 }, budgetPerDomain: { "a.example": 5 } } });
    expect(readSettings({ ledger: "flag.db", budgetId: "flag", allowHosts: ["d:4"] }, env, place.dir)).toMatchObject({ ledger: join(place.dir, "flag.db"), allowHosts: ["b:2", "c:3", "d:4"], rules: { budgetId: "flag" } });
    expect(readSettings({ noConfig: true }, {}, place.dir)).toMatchObject({ ledger: undefined, rules: {} });
  });

  test("a file's wallet counts as a whole, and only when the environment has none", async () => {
    const place = await createPlace({});
    const wallet = { PHOENIXD_URL: "http://evil.example:1", PHOENIXD_PASSWORD: "from-the-file" };
    await place.file("l402-tools.json", JSON.stringify({ wallet }));
    expect(readSettings({}, {}, place.dir).wallet).toEqual(wallet);
    expect(readSettings({}, { PHOENIXD_PASSWORD: "from-the-environment" }, place.dir).wallet).toEqual({ PHOENIXD_PASSWORD: "from-the-environment" });
    expect(readSettings({}, {}, place.dir).warnings).toEqual([]);
    await chmod(join(place.dir, "l402-tools.json"), 0o644);
    expect(readSettings({}, {}, place.dir).warnings).toEqual([expect.stringContaining("chmod 600")]);
  });

  test("a whole purchase from a file alone", async () => {
    const place = await createPlace(WEATHER);
    await place.file("mine.json", JSON.stringify({ ledger: "mine.db", budgetSats: 50, network: "regtest", allowHosts: [place.host], wallet: { PHOENIXD_URL: place.phoenixd.url, PHOENIXD_PASSWORD: PASSWORD } }));
    const env = Object.fromEntries(Object.keys(place.env).map((name) => [name, undefined]));
    const ended = await place.run(["fetch", `${place.paywall.url}/weather`, "--config", "mine.json"], { env });
    expect(ended).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
    expect(ended.stderr).toContain("38 sats left");
  });

  test("what cannot be meant is refused, and the content of the file is never shown", async () => {
    const place = await createPlace({});
    for (const [text, said] of [
      ['{ "wallet": { "PHOENIXD_PASSWORD": "canary-in-a-file" }', "is not valid JSON"],
      ['{ "wallet": "canary-in-a-file" }', "wallet must be an object"],
      ['{ "wallet": { "PHOENIXD_PASWORD": "canary-in-a-file" } }', 'unknown key "PHOENIXD_PASWORD"'],
      ['{ "wallet": { "PHOENIXD_PASSWORD": ["canary-in-a-file"] } }', "wallet.PHOENIXD_PASSWORD must be a text"],
      ['{ "budgetsats": 5 }', 'unknown key "budgetsats"'],
      ['{ "encryptionKey": "canary-in-a-file" }', 'unknown key "encryptionKey"'],
      ['{ "budgetSats": "5" }', "budgetSats must be a number"],
      ['{ "approveAboveSats": 1.5 }', "approveAboveSats must be a whole number"],
      ['{ "allowHosts": "localhost" }', "allowHosts must be a list of texts"],
      ["[]", "must hold an object"],
      ['{ "encryptionKeyFile": "nowhere" }', "cannot be read (ENOENT)"],
    ] as const) {
      await place.file("l402-tools.json", text);
      const ended = await place.run(["report"]);
      expect(ended.stderr, text).toContain(said);
      expect(ended.code).toBe(2);
    }
    expect(await place.run(["report", "--config", "nowhere.json"])).toMatchObject({ code: 2 });
    expect(await place.run(["report"], { env: { L402_CONFIG: "nowhere.json" } })).toMatchObject({ code: 2 });
    expect(await place.run(["report", "--no-config"])).toMatchObject({ code: 7 });
    expect(place.output.join("")).not.toContain("canary");

    await place.file("l402-tools.json", '{ "budgetSats": -5 }');
    expect((await place.run(["fetch", "https://api.example.com/"], { env: { BUDGET_SATS: undefined } })).stderr).toContain("`budgetSats` must be a whole number");
  });
});

/** Runs it on a terminal of util-linux's `script`, with what is typed there; returns what was seen, and the exit code. */
async function onTerminal(place: Place, args: string[], typed: string, env: Record<string, string> = {}): Promise<{ code: number; seen: string }> {
  const quoted = [process.execPath, BIN, ...args].map((one) => `'${one}'`).join(" ");
  // The exit code is written at the end: not every `script` passes it on.
  const command = `trap : INT; ${quoted}; echo "exit=$?"`;
  const child = spawn("script", ["-qc", command, "/dev/null"], { cwd: place.dir, env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", ...place.env, ...env } });
  let seen = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    seen += chunk;
    if (typed !== "" && seen.includes("[y/N]")) child.stdin.end(typed);
    if (seen.includes("exit=")) child.stdin.end();
  });
  await once(child, "close");
  const all = seen.replaceAll("\r", "");
  place.output.push(all);
  return { seen: all, code: Number(/exit=(\d+)/.exec(all)?.[1]) };
}

const hasScript = ((): boolean => {
  try {
    return /util-linux/.test(execFileSync("script", ["--version"], { encoding: "utf8" }));
  } catch {
    return false;
  }
})();

describe.runIf(hasScript)("on a terminal", () => {
  test("tables and colours, unless NO_COLOR or --json; piped it is JSON without colours", async () => {
    const place = await createPlace(WEATHER);
    await place.run(["fetch", `${place.paywall.url}/weather`]);
    const colours = await onTerminal(place, ["payments"], "");
    expect(colours.code).toBe(0);
    expect(colours.seen).toContain("\u001b[32msettled\u001b[39m");
    expect((await onTerminal(place, ["payments"], "", { NO_COLOR: "1" })).seen).not.toContain("\u001b");
    expect((await onTerminal(place, ["payments"], "", { TERM: "dumb" })).seen).not.toContain("\u001b");
    const json = (await onTerminal(place, ["payments", "--json"], "")).seen;
    expect(json).toMatch(/^\{\n {2}"payments": \[/);
    expect(json).not.toContain("\u001b");
    expect((await place.run(["payments", "--table"], { env: { FORCE_COLOR: "1" } })).stdout).not.toContain("\u001b");
  });

  test("--ask shows host, price, payee and the stranger's words, and pays only for a yes", async () => {
    const place = await createPlace({ "/odd": { priceSats: 10, description: "cheap\u001b[2J\u202e weather, say \"y\"", body: "sun\u001b[2Jny" } });
    const url = `${place.paywall.url}/odd?key=query-canary`;
    for (const answer of ["\n", "n\n", "yess\n", "\u0004"]) {
      const { code, seen } = await onTerminal(place, ["fetch", url, "--ask"], answer);
      expect(code, JSON.stringify(answer)).toBe(3);
      expect(seen).toContain("Pay 10 sats, and up to 5 sats of fee, to 127.0.0.1?");
      expect(seen).toContain(`payee  ${place.paywall.payee.publicKey}`);
      expect(seen).toContain("\"cheap[2J weather, say 'y'\"");
      expect(seen).toContain("left in the budget after it: 985 sats");
      expect(seen).not.toContain("\u001b[2J");
      expect(seen).not.toContain("query-canary");
    }
    expect(place.phoenixd.asked.filter(({ path }) => path === "/payinvoice")).toHaveLength(0);
    const { code, seen } = await onTerminal(place, ["fetch", url, "--ask"], "y\n");
    expect(code).toBe(0);
    expect(seen).toContain("Paid 10 sats and 2 sats of fee.");
    // The body's own control characters do not reach the terminal.
    expect(seen).toContain("sun\ufffd[2Jny");
    expect(seen).toContain("Control characters were replaced for this terminal");
  });

  test("Ctrl-C at the question pays nothing", async () => {
    const place = await createPlace(WEATHER);
    const { code, seen } = await onTerminal(place, ["fetch", `${place.paywall.url}/weather`, "--approve-above", "9"], "\u0003");
    expect(seen).toContain("Nothing was paid.");
    expect(code).toBe(130);
    expect(place.paywall.paidSales).toHaveLength(0);
  });
});

test("no secret is in any output of any command", async () => {
  const place = await createPlace({ ...WEATHER, "/post": { priceSats: 5, credential: "path" }, "/refuses": { priceSats: 5, credential: "path", misbehave: "reject-after-payment" } });
  const key = "c3".repeat(32);
  const env = { L402_ENCRYPTION_KEY: key };
  const url = `${place.paywall.url}/weather`;
  place.world.sim.next("ok", "ok", "ok", "fail:no_route", "unknown-in-flight");
  const secret = ["-H", "X-Api-Key: canary-header", "-d", "canary-body"];
  const commands: string[][] = [
    ["quote", url, "-H", "X-Api-Key: canary-header"],
    ["fetch", url, "-H", "X-Api-Key: canary-header"],
    ["fetch", `${place.paywall.url}/post`, ...secret],
    ["fetch", `${place.paywall.url}/refuses`, ...secret],
    ["fetch", `${place.paywall.url}/post`, "-X", "PUT", ...secret],
    ["fetch", `${place.paywall.url}/post`, "-X", "PATCH", ...secret],
    ["fetch", url, "-H", "X-Api-Key: canary-header\u0007"],
    ["fetch", url, "-X", "canary method"],
    ["fetch", "canary-url"],
    ["canary-command"],
    ["report", "canary-argument"],
    ["report"], ["payments"], ["payments", "--state", "canary-state"], ["holds"], ["recover"], ["credentials", "list"], ["verify"],
    ["resolve", "canary-hash", "failed", "--why", "x"],
    ["resolve", "ab".repeat(32), "settled", "--why", "x", "--preimage", "canary-preimage"],
    ["credentials", "remove", "ab".repeat(32)],
  ];
  for (const args of commands) for (const style of args.includes(`${place.paywall.url}/refuses`) ? ["--json"] : ["--json", "--table"]) await place.run([...args, style], { env: { ...env, L402_PAYMENT_TIMEOUT_MS: "700" } });
  const hashes = place.paywall.sales.map(({ paymentHash }) => paymentHash);
  for (const hash of hashes) for (const args of [["resolve", hash, "settled", "--why", "x", "--preimage", "ee".repeat(32)], ["credentials", "remove", hash]]) await place.run(args, { env });
  await place.run(["report"], { env: { L402_ENCRYPTION_KEY: "canary-key-that-is-none" } });
  await place.run(["fetch", url], { env: { ...env, BUDGET_SATS: "canary-budget", PHOENIXD_PASSWORD: "canary-password" } });
  await place.run(["fetch", url], { env: { ...env, PHOENIXD_PASSWORD: "canary-password" } });
  await place.run(["fetch", url], { env: { ...env, L402_WALLET: "canary-wallet" } });
  await place.run(["fetch", url], { env: { ...env, PHOENIXD_URL: "canary-url" } });

  const seen = place.output.join("\n");
  expect(seen.length).toBeGreaterThan(5_000);
  const credentials = place.paywall.requests.flatMap(({ headers }) => (headers["authorization"] ?? "").split(/[ :]/).slice(1)).filter((part) => part.length > 20);
  expect(credentials.length).toBeGreaterThan(3);
  const secrets = [PASSWORD, key, "canary", ...credentials, ...place.paywall.sales.map(({ invoice }) => invoice), ...hashes.map((hash) => place.paywall.payee.preimageOf(hash))];
  for (const one of secrets) expect(seen.includes(one), `an output has ${one.slice(0, 30)}`).toBe(false);
}, 120_000);

test("whoever reads may stop reading: nothing is said about it, and the exit code is that of what was done", async () => {
  const place = await createPlace({ ...WEATHER, "/image": { priceSats: 5, body: new Uint8Array(3_000_000) } });
  const url = `${place.paywall.url}/image`;
  const unread = ["stdout"] as const;
  const bought = await place.run(["fetch", url], { unread });
  expect(bought).toMatchObject({ code: 0, stderr: expect.stringContaining("Paid 5 sats") as string });
  expect(bought.stderr).not.toContain("Error");
  expect((await place.run(["fetch", url])).bytes).toHaveLength(3_000_000);
  expect(place.paywall.paidSales).toHaveLength(1);

  const store = sqliteStore({ path: place.ledger });
  for (let number = 0; number < 50; number += 1) {
    const paymentHash = number.toString(16).padStart(64, "0");
    await store.reserve({
      payment: {
        paymentHash, leaseUntil: Date.now() + 3_600_000, budgetId: "default", scopes: ["default"], requestKey: paymentHash, url: `https://api.example.com/${"long".repeat(1_000)}`, method: "GET", origin: "https://api.example.com",
        host: "api.example.com", path: "/x", amountMsat: 1n, payee: "02".repeat(33), wallet: "phoenixd", invoice: "lnbcrt1", expiresAt: Date.now(), scheme: "L402", credential: "x", owner: "a/1",
      },
      maxFeeMsat: 0n,
      minFeeMsat: 0n,
      limits: [],
    });
  }
  await store.close();
  for (const [args, code] of [[["--help"], 0], [["--version"], 0], [["report"], 0], [["payments"], 0], [["payments", "--table"], 0], [["holds"], 0], [["credentials", "list"], 0], [["verify"], 0]] as const) {
    expect(await place.run(args, { unread }), args.join(" ")).toMatchObject({ code, stderr: "" });
  }
  expect(await place.run(["recover"], { unread })).toMatchObject({ code: 5 });
  expect(await place.run(["fetch", `${place.paywall.url}/nowhere`], { unread })).toMatchObject({ code: 8 });

  // Neither of the two is read, long before the payment is made: it is booked all the same.
  expect(await place.run(["fetch", `${place.paywall.url}/weather`], { unread: ["stdout", "stderr"] })).toMatchObject({ code: 0 });
  expect(await place.run(["fetch", `${place.paywall.url}/weather`])).toMatchObject({ code: 0, stdout: '{"sunny":true}' });
  expect(place.paywall.paidSales).toHaveLength(2);
});

test.runIf(existsSync("/dev/full"))("output that cannot be written for another reason is an error", async () => {
  const place = await createPlace({});
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [BIN, "--help"], { cwd: place.dir, env: place.env, stdio: ["ignore", full, "pipe"] });
  let told = "";
  child.stderr?.on("data", (chunk: Buffer) => (told += String(chunk)));
  const [code] = (await once(child, "close")) as [number];
  closeSync(full);
  expect({ code, told }).toEqual({ code: 1, told: expect.stringContaining("ENOSPC") as string });
});
