/** No key, invoice, preimage or macaroon in an error, in JSON or in what `inspect` shows, whatever a service echoes. */
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { AlbyHubWallet, BlinkWallet, ClnWallet, LnbitsWallet, LndWallet, NwcWallet, PhoenixdWallet, WebLNWallet } from "../src/index.ts";
import { openShop } from "./buying.ts";
import { MACAROON } from "./fakes/lnd.ts";
import { serveFake } from "./fakes/server.ts";
import { services } from "./fakes/services.ts";
import { requestOf } from "./fakes/setup.ts";
import { createWorld } from "./fakes/world.ts";

/** Everything that a careless log could show of a value. */
function shown(value: unknown): string {
  const json = (one: unknown): string => {
    try {
      return JSON.stringify(one, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner)) ?? "";
    } catch {
      return "";
    }
  };
  const parts: string[] = [];
  for (let one: unknown = value, depth = 0; one !== undefined && one !== null && depth < 6; one = (one as { cause?: unknown }).cause, depth += 1) {
    parts.push(inspect(one, { depth: 10, showHidden: true, getters: true }), json(one), String(one), one instanceof Error ? `${one.message}${one.stack}` : "");
  }
  return parts.join("\n");
}

describe.each(Object.entries(services))("%s", (name, { wallet: make, secret }) => {
  test("shows no secret itself, right or wrong", async () => {
    expect(shown(make("http://localhost:1"))).not.toContain(secret);
  });

  // Each service echoes the key, the invoice and a preimage in every answer.
  test.each([200, 201, 400, 401, 403, 404, 429, 500, 502, 520])("HTTP %i that echoes all it was sent", async (status) => {
    const world = createWorld();
    const invoice = world.payee.invoice({ amountMsat: 10_000n });
    const preimage = world.payee.preimageOf(invoice.paymentHash);
    const server = await serveFake(
      async ({ headers, body, path }) => {
        const echo = `${JSON.stringify(headers)} ${body} ${path} ${secret} ${preimage} ${invoice.invoice}`;
        return { status, body: JSON.stringify({ message: echo, detail: echo, reason: echo, code: 1, error: { code: 2, message: echo }, errors: [{ code: "X", message: echo }], data: { lnInvoicePaymentSend: { status: "FAILURE", errors: [{ code: "NOT_FOUND", message: echo }] } } }) };
      },
      () => false,
    );
    const wallet = make(server.url);
    const seen = [shown(await wallet.pay(requestOf(invoice)))];
    for (const call of [() => wallet.lookup?.(invoice), () => wallet.balance?.(), () => wallet.quoteFee?.(requestOf(invoice))]) {
      seen.push(shown(await Promise.resolve(call()).catch((error: unknown) => error)));
    }
    const shop = await openShop(world, wallet, { paymentTimeoutMs: 300 });
    const bought = await shop.buy();
    seen.push(shown(bought.outcome === "refused" ? bought.error : bought));
    await shop.client.close();
    await server.close();
    const basic = Buffer.from(`:${secret}`).toString("base64");
    for (const hidden of [secret, basic, preimage, invoice.invoice]) expect(seen.join("\n").toLowerCase(), name).not.toContain(hidden.toLowerCase());
  });

  test("nothing is shown when nobody is there", async () => {
    const wallet = make("http://127.0.0.1:9");
    const world = createWorld();
    const seen = [await wallet.pay(requestOf(world.payee.invoice({ amountMsat: 1_000n }))), await wallet.lookup?.({ paymentHash: "11".repeat(32) }).catch((error: unknown) => error)];
    for (const one of seen) expect(shown(one)).not.toContain(secret);
  });
});

test("NWC", async () => {
  const secret = "5ec4e7".repeat(11).slice(0, 64);
  const wallet = new NwcWallet({ url: `nostr+walletconnect://${"ab".repeat(32)}?relay=ws://127.0.0.1:9&secret=${secret}` });
  const world = createWorld();
  const seen = [wallet, await wallet.pay(requestOf(world.payee.invoice({ amountMsat: 1_000n }))), await wallet.lookup({ paymentHash: "11".repeat(32) }).catch((error: unknown) => error)];
  for (const one of seen) expect(shown(one)).not.toContain(secret);
});

const where = { url: "https://node.example.com" };
test.each<[string, () => unknown]>([
  ["Blink without a key", () => new BlinkWallet("", "id")],
  ["Blink without a wallet", () => new BlinkWallet("blink_5ec4e7", undefined as never)],
  ["Blink with a key of two lines", () => new BlinkWallet("blink_5ec4e7\nx", "id")],
  ["Blink with a wrong option", () => new BlinkWallet("blink_5ec4e7", "id", { "5ec4e7": 1 } as never)],
  ["LND without a macaroon", () => new LndWallet(where as never)],
  ["LND with a macaroon of another kind", () => new LndWallet({ ...where, macaroon: "5ec4e7 §" })],
  ["LND with a macaroon that is too short", () => new LndWallet({ ...where, macaroon: "5ec4e7" })],
  ["LND with a certificate that is none", () => new LndWallet({ ...where, macaroon: MACAROON, cert: "5ec4e7" })],
  ["LND over http to the internet", () => new LndWallet({ url: "http://node.example.com", macaroon: MACAROON })],
  ["CLN without a rune", () => new ClnWallet({ ...where, rune: " " })],
  ["CLN without a URL", () => new ClnWallet({ rune: "5ec4e7" } as never)],
  ["the Hub with a password in the URL", () => new AlbyHubWallet({ url: "https://u:5ec4e7@hub.example.com", token: "t" })],
  ["LNbits with a query", () => new LnbitsWallet({ url: "https://lnbits.example.com/?usr=5ec4e7", adminKey: "k" })],
  ["phoenixd without a password", () => new PhoenixdWallet({} as never)],
  ["phoenixd with nothing", () => new PhoenixdWallet(undefined as never)],
  ["NWC with no connection string", () => new NwcWallet({ url: "https://5ec4e7.example" })],
  ["NWC without a secret", () => new NwcWallet({ url: `nostr+walletconnect://${"ab".repeat(32)}?relay=wss://5ec4e7.example` })],
  ["NWC without a relay", () => new NwcWallet({ url: `nostr+walletconnect://${"ab".repeat(32)}?secret=${"5ec4e7".repeat(11).slice(0, 64)}` })],
  ["NWC with a relay of another kind", () => new NwcWallet({ url: `nostr+walletconnect://${"ab".repeat(32)}?relay=http://x&secret=${"5ec4e7".repeat(11).slice(0, 64)}` })],
  ["NWC with a fee that is none", () => new NwcWallet({ url: `nostr+walletconnect://${"ab".repeat(32)}?relay=wss://x&secret=${"5ec4e7".repeat(11).slice(0, 64)}`, worstCaseFee: { sats: -1 } })],
  ["WebLN with something else", () => new WebLNWallet({ provider: {} as never })],
  ["WebLN with a percentage that is none", () => new WebLNWallet({ worstCaseFee: { percent: Number.NaN } })],
])("%s is refused at construction, without its values", (_, make) => {
  let error: unknown;
  try {
    make();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ name: "L402Error", code: "invalid_options", paid: "no" });
  expect(shown(error).replaceAll(/\n +at .*/g, "")).not.toContain("5ec4e7");
});

test("plain http is for this machine, private networks and Tor", () => {
  for (const url of ["http://localhost:1", "http://127.0.0.1", "http://[::1]:1", "http://10.1.2.3", "http://192.168.1.5", "http://172.20.0.2", "http://phoenixd:9740", "http://umbrel.local", `http://${"a".repeat(56)}.onion`]) {
    expect(() => new LnbitsWallet({ url, adminKey: "k" }), url).not.toThrow();
  }
  for (const url of ["http://example.com", "http://1.2.3.4", "http://172.32.0.1", "http://11.0.0.1", "http://127.0.0.1.example.com", "ftp://localhost", "localhost:8080"]) {
    expect(() => new LnbitsWallet({ url, adminKey: "k" }), url).toThrow(/url/);
  }
});
