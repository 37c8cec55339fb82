/** Which wallet the environment makes, and what is said when it makes none. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { walletFromEnv } from "../src/env.ts";
import { LndWallet } from "../src/lnd.ts";
import { MACAROON } from "./fakes/lnd.ts";

const CERT = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const NWC = `nostr+walletconnect://${"ab".repeat(32)}?relay=wss://relay.example.com&secret=${"cd".repeat(32)}`;

const complete: Record<string, Record<string, string>> = {
  blink: { BLINK_API_KEY: "blink_key", BLINK_WALLET_ID: "id" },
  nwc: { NWC_URL: NWC },
  "alby-hub": { ALBY_TOKEN: "token", ALBY_HUB_URL: "http://localhost:8080" },
  lnd: { LND_REST_URL: "https://127.0.0.1:8080", LND_MACAROON: MACAROON, LND_TLS_CERT: CERT },
  cln: { CLN_REST_URL: "https://127.0.0.1:3010", CLN_RUNE: "rune", CLN_CA_CERT: Buffer.from(CERT).toString("base64") },
  lnbits: { LNBITS_URL: "https://lnbits.example.com", LNBITS_ADMIN_KEY: "key" },
  phoenixd: { PHOENIXD_URL: "http://127.0.0.1:9740", PHOENIXD_PASSWORD: "password" },
};
const all = Object.values(complete).flatMap((vars) => Object.keys(vars));

test.each(Object.entries(complete))("%s", (name, env) => {
  expect(walletFromEnv(env).name).toBe(name);
  expect(walletFromEnv({ ...env, UNRELATED: "x" }).name).toBe(name);
});

test("none: every variable is named", () => {
  for (const env of [{}, Object.fromEntries(all.map((name) => [name, " "]))]) {
    expect(() => walletFromEnv(env)).toThrow(expect.objectContaining({ code: "invalid_options", paid: "no" }));
    for (const name of all) expect(() => walletFromEnv(env)).toThrow(name);
  }
});

test("half of one: the missing half is named", () => {
  expect(() => walletFromEnv({ BLINK_API_KEY: "blink_secret" })).toThrow(/BLINK_WALLET_ID is missing/);
  expect(() => walletFromEnv({ LND_TLS_CERT: CERT })).toThrow(/LND_REST_URL, LND_MACAROON are missing/);
  // Beside a complete one it does not matter.
  expect(walletFromEnv({ BLINK_API_KEY: "blink_secret", ...complete["nwc"] }).name).toBe("nwc");
});

test("two: it is not guessed which one pays", () => {
  const both = { ...complete["nwc"], ...complete["lnbits"] };
  expect(() => walletFromEnv(both)).toThrow(/nwc and lnbits.*L402_WALLET/);
  expect(walletFromEnv({ ...both, L402_WALLET: "lnbits" }).name).toBe("lnbits");
  expect(() => walletFromEnv({ ...both, L402_WALLET: "blink" })).toThrow(/BLINK_API_KEY and BLINK_WALLET_ID are not set/);
  expect(() => walletFromEnv({ ...both, L402_WALLET: "constructor" })).toThrow(/must be one of/);
});

test("what is no environment is refused, and so is a variable that is no text, by name", () => {
  for (const env of [null, 5, "NWC_URL=x"]) {
    expect(() => walletFromEnv(env as never)).toThrow(expect.objectContaining({ code: "invalid_options" }));
    for (const name of all) expect(() => walletFromEnv(env as never)).toThrow(name);
  }
  expect(() => walletFromEnv({ ...complete["lnbits"], LNBITS_ADMIN_KEY: 5 as never })).toThrow(/^LNBITS_ADMIN_KEY must be a text/);
});

test.each(Object.entries(complete).flatMap(([name, vars]) => Object.keys(vars).map((variable) => [name, variable] as const)))("%s: %s that cannot be meant is named", (name, variable) => {
  const wrong = variable.endsWith("_URL") ? "ftp://5ec4e7" : "5ec4e7\u0000";
  expect(() => walletFromEnv({ ...complete[name], [variable]: wrong })).toThrow(expect.objectContaining({ code: "invalid_options", message: expect.stringMatching(new RegExp(`^${variable} (?!.*5ec4e7)`)) as string }));
});

test("certificate and macaroon as files", () => {
  const dir = mkdtempSync(join(tmpdir(), "wallets-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const cert = join(dir, "tls.cert");
  const macaroon = join(dir, "agent.macaroon");
  writeFileSync(cert, CERT);
  writeFileSync(macaroon, Buffer.from(MACAROON, "hex"));
  expect(walletFromEnv({ LND_REST_URL: "https://127.0.0.1:8080", LND_MACAROON: macaroon, LND_TLS_CERT: cert }).name).toBe("lnd");
  expect(() => walletFromEnv({ ...complete["lnd"], LND_TLS_CERT: join(dir, "none") })).toThrow(/LND_TLS_CERT is neither .*ENOENT/);
  expect(() => walletFromEnv({ ...complete["lnd"], LND_MACAROON: "/home/secret-place/none" })).toThrow(/^LND_MACAROON is neither(?!.*secret-place)/);
});

test("a macaroon: in hex or base64, and as long as one is", () => {
  const bytes = Buffer.from(MACAROON, "hex");
  const lnd = (LND_MACAROON: string): string => walletFromEnv({ ...complete["lnd"], LND_MACAROON }).name;
  for (const good of [MACAROON, MACAROON.toUpperCase(), bytes.toString("base64"), bytes.toString("base64url")]) expect(lnd(good)).toBe("lnd");
  for (const wrong of ["hello", "5ec4e7", "admin.macaroon", `0x${MACAROON}`, `0X${MACAROON}`, MACAROON.slice(1), MACAROON.slice(0, 40), `${MACAROON}§`]) {
    const says = expect.objectContaining({ code: "invalid_options", message: expect.stringMatching(/^LND_MACAROON /) as string });
    expect(() => lnd(wrong), wrong).toThrow(says);
    expect(() => lnd(wrong)).not.toThrow(wrong);
  }
  for (const macaroon of [new Uint8Array(), new Uint8Array(8), "hello", `0x${MACAROON}`]) expect(() => new LndWallet({ url: "https://127.0.0.1:8080", macaroon })).toThrow(/^macaroon (?!.*hello)/);
});

test("what is wrong in a variable is said without its value", () => {
  for (const [env, value] of [
    [{ NWC_URL: "nostr+walletconnect://zz?secret=5ec4e7" }, "5ec4e7"],
    [{ LNBITS_URL: "http://lnbits.example.com", LNBITS_ADMIN_KEY: "5ec4e7" }, "5ec4e7"],
    [{ PHOENIXD_URL: "http://:5ec4e7@localhost:9740", PHOENIXD_PASSWORD: "x" }, "5ec4e7"],
    [{ ...complete["lnd"], LND_MACAROON: "5ec4e7 is not a macaroon" }, "5ec4e7"],
  ] as const) {
    expect(() => walletFromEnv(env)).toThrow(expect.objectContaining({ code: "invalid_options" }));
    expect(() => walletFromEnv(env)).not.toThrow(value);
  }
});
