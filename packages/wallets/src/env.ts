/** The wallet that the environment describes. */
import { readFileSync } from "node:fs";
import type { Wallet } from "@l402-tools/core";
import { AlbyHubWallet } from "./alby-hub.ts";
import { BlinkWallet } from "./blink.ts";
import { ClnWallet } from "./cln.ts";
import { LnbitsWallet } from "./lnbits.ts";
import { LndWallet } from "./lnd.ts";
import { NwcWallet } from "./nwc.ts";
import { invalid } from "./options.ts";
import { PhoenixdWallet } from "./phoenixd.ts";

export type WalletEnv = Readonly<Record<string, string | undefined>>;

interface Choice {
  readonly required: readonly string[];
  readonly optional?: readonly string[];
  make(get: (name: string) => string, has: (name: string) => boolean): Wallet;
}

const CHOICES: Readonly<Record<string, Choice>> = {
  blink: {
    required: ["BLINK_API_KEY", "BLINK_WALLET_ID"],
    optional: ["BLINK_API_URL"],
    make: (get, has) => new BlinkWallet(get("BLINK_API_KEY"), get("BLINK_WALLET_ID"), has("BLINK_API_URL") ? { url: get("BLINK_API_URL") } : {}),
  },
  nwc: { required: ["NWC_URL"], make: (get) => new NwcWallet({ url: get("NWC_URL") }) },
  "alby-hub": { required: ["ALBY_TOKEN", "ALBY_HUB_URL"], make: (get) => new AlbyHubWallet({ token: get("ALBY_TOKEN"), url: get("ALBY_HUB_URL") }) },
  lnd: {
    required: ["LND_REST_URL", "LND_MACAROON"],
    optional: ["LND_TLS_CERT"],
    make: (get, has) =>
      new LndWallet({ url: get("LND_REST_URL"), macaroon: macaroonFrom(get("LND_MACAROON")), ...(has("LND_TLS_CERT") ? { cert: pemFrom(get("LND_TLS_CERT"), "LND_TLS_CERT") } : {}) }),
  },
  cln: {
    required: ["CLN_REST_URL", "CLN_RUNE"],
    optional: ["CLN_CA_CERT"],
    make: (get, has) => new ClnWallet({ url: get("CLN_REST_URL"), rune: get("CLN_RUNE"), ...(has("CLN_CA_CERT") ? { ca: pemFrom(get("CLN_CA_CERT"), "CLN_CA_CERT") } : {}) }),
  },
  lnbits: { required: ["LNBITS_URL", "LNBITS_ADMIN_KEY"], make: (get) => new LnbitsWallet({ url: get("LNBITS_URL"), adminKey: get("LNBITS_ADMIN_KEY") }) },
  phoenixd: {
    required: ["PHOENIXD_PASSWORD"],
    optional: ["PHOENIXD_URL"],
    make: (get, has) => new PhoenixdWallet({ password: get("PHOENIXD_PASSWORD"), ...(has("PHOENIXD_URL") ? { url: get("PHOENIXD_URL") } : {}) }),
  },
};

/** Every variable, for a message: what belongs together, optional ones in brackets. */
function overview(): string {
  return Object.entries(CHOICES)
    .map(([name, { required, optional = [] }]) => `  ${name}: ${[required.join(" + "), ...optional.map((one) => `[${one}]`)].join(" ")}`)
    .join("\n");
}

/**
 * The one wallet whose variables are all set; where several are, `L402_WALLET` names it. Certificates and the LND
 * macaroon may be given as the path of their file.
 *
 * @throws {L402Error} `invalid_options` when it is none, or not clear which
 */
export function walletFromEnv(env: WalletEnv = process.env): Wallet {
  const get = (name: string): string => (env[name] ?? "").trim();
  const has = (name: string): boolean => get(name) !== "";
  const chosen = get("L402_WALLET");
  if (chosen !== "") {
    const choice = Object.hasOwn(CHOICES, chosen) ? CHOICES[chosen] : undefined;
    if (choice === undefined) throw invalid(`L402_WALLET must be one of ${Object.keys(CHOICES).join(", ")}.`);
    const missing = choice.required.filter((name) => !has(name));
    if (missing.length > 0) throw invalid(`L402_WALLET is ${chosen}, and ${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not set.`);
    return choice.make(get, has);
  }
  const complete = Object.entries(CHOICES).filter(([, { required }]) => required.every(has));
  const [first] = complete;
  if (first === undefined) {
    const begun = Object.values(CHOICES).flatMap(({ required, optional = [] }) => ([...required, ...optional].some(has) ? required.filter((name) => !has(name)) : []));
    const hint = begun.length === 0 ? "No wallet is set in the environment." : `No wallet is complete in the environment: ${begun.join(", ")} ${begun.length === 1 ? "is" : "are"} missing.`;
    throw invalid(`${hint} Set those of one wallet:\n${overview()}`);
  }
  if (complete.length > 1) throw invalid(`The environment has ${complete.map(([name]) => name).join(" and ")}; say by L402_WALLET which one pays.`);
  return first[1].make(get, has);
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
