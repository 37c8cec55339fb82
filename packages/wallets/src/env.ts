/** The wallet that the environment describes. */
import { readFileSync } from "node:fs";
import { isL402Error, type Wallet } from "@l402-tools/core";
import { AlbyHubWallet } from "./alby-hub.ts";
import { BlinkWallet } from "./blink.ts";
import { ClnWallet } from "./cln.ts";
import { LnbitsWallet } from "./lnbits.ts";
import { LndWallet } from "./lnd.ts";
import { NwcWallet } from "./nwc.ts";
import { invalid } from "./options.ts";
import { PhoenixdWallet } from "./phoenixd.ts";

export type WalletEnv = Readonly<Record<string, string | undefined>>;

/** Variables, each with what the wallet's class calls it in its errors. */
type Variables = Readonly<Record<string, string>>;

interface Choice {
  readonly required: Variables;
  readonly optional?: Variables;
  make(get: (name: string) => string, has: (name: string) => boolean): Wallet;
}

const CHOICES: Readonly<Record<string, Choice>> = {
  blink: {
    required: { BLINK_API_KEY: "The Blink API key", BLINK_WALLET_ID: "The Blink wallet id" },
    optional: { BLINK_API_URL: "url" },
    make: (get, has) => new BlinkWallet(get("BLINK_API_KEY"), get("BLINK_WALLET_ID"), has("BLINK_API_URL") ? { url: get("BLINK_API_URL") } : {}),
  },
  nwc: { required: { NWC_URL: "The NWC connection string" }, make: (get) => new NwcWallet({ url: get("NWC_URL") }) },
  "alby-hub": { required: { ALBY_TOKEN: "token", ALBY_HUB_URL: "url" }, make: (get) => new AlbyHubWallet({ token: get("ALBY_TOKEN"), url: get("ALBY_HUB_URL") }) },
  lnd: {
    required: { LND_REST_URL: "url", LND_MACAROON: "macaroon" },
    optional: { LND_TLS_CERT: "cert" },
    make: (get, has) =>
      new LndWallet({ url: get("LND_REST_URL"), macaroon: macaroonFrom(get("LND_MACAROON")), ...(has("LND_TLS_CERT") ? { cert: pemFrom(get("LND_TLS_CERT"), "LND_TLS_CERT") } : {}) }),
  },
  cln: {
    required: { CLN_REST_URL: "url", CLN_RUNE: "rune" },
    optional: { CLN_CA_CERT: "ca" },
    make: (get, has) => new ClnWallet({ url: get("CLN_REST_URL"), rune: get("CLN_RUNE"), ...(has("CLN_CA_CERT") ? { ca: pemFrom(get("CLN_CA_CERT"), "CLN_CA_CERT") } : {}) }),
  },
  lnbits: { required: { LNBITS_URL: "url", LNBITS_ADMIN_KEY: "adminKey" }, make: (get) => new LnbitsWallet({ url: get("LNBITS_URL"), adminKey: get("LNBITS_ADMIN_KEY") }) },
  phoenixd: {
    required: { PHOENIXD_PASSWORD: "password" },
    optional: { PHOENIXD_URL: "url" },
    make: (get, has) => new PhoenixdWallet({ password: get("PHOENIXD_PASSWORD"), ...(has("PHOENIXD_URL") ? { url: get("PHOENIXD_URL") } : {}) }),
  },
};

/** Every variable, for a message: what belongs together, optional ones in brackets. */
function overview(): string {
  return Object.entries(CHOICES)
    .map(([name, { required, optional = {} }]) => `  ${name}: ${[Object.keys(required).join(" + "), ...Object.keys(optional).map((one) => `[${one}]`)].join(" ")}`)
    .join("\n");
}

/** Makes the wallet; what its class says of an option is said of the variable that the option came from. */
function made({ required, optional, make }: Choice, get: (name: string) => string, has: (name: string) => boolean): Wallet {
  try {
    return make(get, has);
  } catch (error) {
    if (!isL402Error(error)) throw error;
    const { message } = error;
    const [variable, option = ""] = Object.entries({ ...required, ...optional }).find(([, name]) => message.startsWith(`${name} `)) ?? [];
    throw variable === undefined ? error : invalid(`${variable}${message.slice(option.length)}`);
  }
}

/**
 * The one wallet whose variables are all set; where several are, `L402_WALLET` names it. Certificates and the LND
 * macaroon may be given as the path of their file.
 *
 * @throws {L402Error} `invalid_options` when it is none, or not clear which
 */
export function walletFromEnv(env: WalletEnv = process.env): Wallet {
  if (typeof env !== "object" || env === null) throw invalid(`walletFromEnv takes an object of variables, such as process.env. It needs those of one wallet:\n${overview()}`);
  const get = (name: string): string => {
    const value: unknown = env[name] ?? "";
    if (typeof value !== "string") throw invalid(`${name} must be a text.`);
    return value.trim();
  };
  const has = (name: string): boolean => get(name) !== "";
  const chosen = get("L402_WALLET");
  if (chosen !== "") {
    const choice = Object.hasOwn(CHOICES, chosen) ? CHOICES[chosen] : undefined;
    if (choice === undefined) throw invalid(`L402_WALLET must be one of ${Object.keys(CHOICES).join(", ")}.`);
    const missing = Object.keys(choice.required).filter((name) => !has(name));
    if (missing.length > 0) throw invalid(`L402_WALLET is ${chosen}, and ${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not set.`);
    return made(choice, get, has);
  }
  const complete = Object.entries(CHOICES).filter(([, { required }]) => Object.keys(required).every(has));
  const [first] = complete;
  if (first === undefined) {
    const begun = Object.values(CHOICES).flatMap(({ required, optional = {} }) => (Object.keys({ ...required, ...optional }).some(has) ? Object.keys(required).filter((name) => !has(name)) : []));
    const hint = begun.length === 0 ? "No wallet is set in the environment." : `No wallet is complete in the environment: ${begun.join(", ")} ${begun.length === 1 ? "is" : "are"} missing.`;
    throw invalid(`${hint} Set those of one wallet:\n${overview()}`);
  }
  if (complete.length > 1) throw invalid(`The environment has ${complete.map(([name]) => name).join(" and ")}; say by L402_WALLET which one pays.`);
  return made(first[1], get, has);
}

/** PEM as it is, with `\n` written out, in base64, or as the path of its file. */
function pemFrom(value: string, name: string): string {
  const isPem = (text: string): boolean => text.includes("-----BEGIN CERTIFICATE-----");
  if (isPem(value)) return value.replaceAll("\\n", "\n");
  const decoded = Buffer.from(value, "base64").toString("latin1");
  if (isPem(decoded)) return decoded;
  return readGiven(value, name).toString("latin1");
}

/** Hex or base64 as it is, or the path of its file. */
function macaroonFrom(value: string): string | Uint8Array {
  return /[/\\]|\.macaroon$/.test(value) && !/^[A-Za-z0-9+/]{80,}={0,2}$/.test(value) ? readGiven(value, "LND_MACAROON") : value;
}

/** The error names the variable, and neither value nor path: it may be a secret that is no path. */
function readGiven(path: string, name: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw invalid(`${name} is neither the thing itself nor a file that can be read (${(error as { code?: string }).code ?? "unreadable"}).`);
  }
}
