/** What the environment, the configuration file and the flags say. A flag wins over the environment, that over the file. */
import type { L402ClientOptions } from "@l402-tools/core";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UsageError } from "./errors.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** Limits and rules, as the client takes them; it checks their values. */
export type Rules = Pick<
  L402ClientOptions,
  "budgetId" | "budgetSats" | "budgetPerDomain" | "limits" | "maxSatsPerRequest" | "maxFee" | "allowedDomains" | "blockedDomains" | "network" | "paymentTimeoutMs"
>;

export interface Settings {
  readonly ledger: string | undefined;
  readonly guardPath: string | undefined;
  readonly encryptionKey: string | undefined;
  readonly rules: Rules;
  /** Dearer invoices are asked about at the terminal; sats, without fee. */
  readonly approveAboveSats: number | undefined;
  readonly allowHosts: readonly string[];
  /** The variables that `walletFromEnv` reads: all of the environment, or else all of the file. */
  readonly wallet: Env;
  /** A module that exports a wallet. Never from a file that merely lies around. */
  readonly walletModule: string | undefined;
  readonly warnings: readonly string[];
}

/** Flags that settings come from. */
export interface SettingFlags {
  readonly config?: string | undefined;
  readonly noConfig?: boolean | undefined;
  readonly ledger?: string | undefined;
  readonly budgetId?: string | undefined;
  readonly allowHosts?: readonly string[] | undefined;
  readonly walletModule?: string | undefined;
}

/** Every variable that `walletFromEnv` reads. */
export const WALLET_VARIABLES: readonly string[] = [
  ...["L402_WALLET", "BLINK_API_KEY", "BLINK_WALLET_ID", "BLINK_API_URL", "NWC_URL", "ALBY_TOKEN", "ALBY_HUB_URL"],
  ...["LND_REST_URL", "LND_MACAROON", "LND_TLS_CERT", "CLN_REST_URL", "CLN_RUNE", "CLN_CA_CERT"],
  ...["LNBITS_URL", "LNBITS_ADMIN_KEY", "PHOENIXD_PASSWORD", "PHOENIXD_URL"],
];

const FILE_NAME = "l402-tools.json";

const isText = (value: unknown): boolean => typeof value === "string" && value.trim() !== "";
const isNumber = (value: unknown): boolean => typeof value === "number";
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);

const TEXT = [isText, "a text"] as const;
const NUMBER = [isNumber, "a number"] as const;
const TEXTS = [isTexts, "a list of texts"] as const;
const OBJECT = [isObject, "an object"] as const;

/** The keys of the file. Amounts, hosts and limits are checked by the client, as those of its options. */
const KEYS = {
  $schema: TEXT,
  ledger: TEXT,
  guardPath: TEXT,
  encryptionKeyFile: TEXT,
  budgetId: TEXT,
  budgetSats: NUMBER,
  budgetPerDomain: OBJECT,
  limits: [Array.isArray, "a list"] as const,
  maxSatsPerRequest: NUMBER,
  maxFee: OBJECT,
  approveAboveSats: NUMBER,
  allowedDomains: TEXTS,
  blockedDomains: TEXTS,
  allowHosts: TEXTS,
  network: TEXT,
  paymentTimeoutMs: NUMBER,
  wallet: OBJECT,
};

type File = { [K in keyof typeof KEYS]?: unknown };

interface ReadFile {
  readonly values: File;
  readonly folder: string;
  readonly warnings: readonly string[];
}

const NOTHING: ReadFile = { values: {}, folder: ".", warnings: [] };

function readConfig(path: string): ReadFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`The configuration file ${path} cannot be read (${(error as { code?: string }).code ?? "unreadable"}).`);
  }
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    // The parser's own words quote the file, which may hold a wallet's key.
    throw new UsageError(`The configuration file ${path} is not valid JSON.`);
  }
  if (!isObject(values)) throw new UsageError(`The configuration file ${path} must hold an object.`);
  for (const [name, value] of Object.entries(values)) {
    const known = Object.hasOwn(KEYS, name) ? KEYS[name as keyof typeof KEYS] : undefined;
    if (known === undefined) throw new UsageError(`The configuration file ${path} has an unknown key ${JSON.stringify(name.slice(0, 40))}; there are ${Object.keys(KEYS).slice(1).join(", ")}.`);
    const [isValid, kind] = known;
    if (!isValid(value)) throw new UsageError(`In the configuration file ${path}, ${name} must be ${kind}.`);
  }
  const { wallet } = values as { wallet?: Record<string, unknown> };
  for (const [name, value] of Object.entries(wallet ?? {})) {
    if (!WALLET_VARIABLES.includes(name)) throw new UsageError(`In the configuration file ${path}, wallet has an unknown key ${JSON.stringify(name.slice(0, 40))}; there are ${WALLET_VARIABLES.join(", ")}.`);
    if (!isText(value)) throw new UsageError(`In the configuration file ${path}, wallet.${name} must be a text.`);
  }
  const isOpenToOthers = process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
  const warnings = wallet !== undefined && isOpenToOthers ? [`${path} holds a wallet's keys, and other users of this machine may read it: chmod 600 it.`] : [];
  return { values, folder: dirname(path), warnings };
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,16}$/.test(text)) throw new UsageError(`${name} must be a whole number, 0 or more.`);
  return Number(text);
}

function listOf(text: string | undefined): string[] | undefined {
  return text?.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** `a.example=100,*.b.example=50`, or the same as a JSON object. */
function perDomain(text: string | undefined): Record<string, number> | undefined {
  if (text === undefined) return undefined;
  const wrong = new UsageError("BUDGET_PER_DOMAIN must be like api.example.com=100,*.example.org=50, or a JSON object of the same.");
  if (text.startsWith("{")) {
    try {
      return JSON.parse(text) as Record<string, number>;
    } catch {
      throw wrong;
    }
  }
  const found: [string, number][] = (listOf(text) ?? []).map((part) => {
    const [, host, most] = /^([^=\s]+)\s*=\s*(\d{1,16})$/.exec(part) ?? [];
    if (host === undefined || most === undefined) throw wrong;
    return [host, Number(most)];
  });
  return Object.fromEntries(found);
}

function maxFee(env: (name: string) => string | undefined): Rules["maxFee"] {
  const feeSats = wholeNumber("MAX_FEE_SATS", env("MAX_FEE_SATS"));
  const percent = env("MAX_FEE_PERCENT");
  if (percent !== undefined && !/^\d{1,3}(\.\d{1,4})?$/.test(percent)) throw new UsageError("MAX_FEE_PERCENT must be a number from 0 to 100.");
  if (feeSats === undefined && percent === undefined) return undefined;
  return { ...(feeSats === undefined ? {} : { sats: feeSats }), ...(percent === undefined ? {} : { percent: Number(percent) }) };
}

function keyFrom(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new UsageError(`The file of the ledger's encryption key, ${path}, cannot be read (${(error as { code?: string }).code ?? "unreadable"}).`);
  }
}

/** Only what is set. */
function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** @throws {UsageError} naming the variable, key or flag that cannot be meant, never its value. */
export function readSettings(flags: SettingFlags, environment: Env, cwd: string): Settings {
  const env = (name: string): string | undefined => {
    const value = environment[name]?.trim();
    return value === "" ? undefined : value;
  };
  const named = flags.config ?? env("L402_CONFIG");
  const found = resolve(cwd, named ?? FILE_NAME);
  const { values: file, folder, warnings } = flags.noConfig !== true && (named !== undefined || existsSync(found)) ? readConfig(found) : NOTHING;
  /** A path of the file is meant from the file's folder. */
  const path = (flag: string | undefined, variable: string, key: "ledger" | "guardPath" | "encryptionKeyFile"): string | undefined => {
    const here = flag ?? env(variable);
    if (here !== undefined) return resolve(cwd, here);
    return file[key] === undefined ? undefined : resolve(folder, file[key] as string);
  };
  const keyFile = path(undefined, "L402_ENCRYPTION_KEY_FILE", "encryptionKeyFile");
  const approveAboveSats = wholeNumber("APPROVE_ABOVE", env("APPROVE_ABOVE")) ?? (file.approveAboveSats as number | undefined);
  if (approveAboveSats !== undefined && !(Number.isSafeInteger(approveAboveSats) && approveAboveSats >= 0)) throw new UsageError("approveAboveSats must be a whole number of sats, 0 or more.");
  const walletInEnv = defined(Object.fromEntries(WALLET_VARIABLES.map((name) => [name, env(name)])));
  const rules = {
    budgetId: flags.budgetId ?? env("L402_BUDGET_ID") ?? file.budgetId,
    budgetSats: wholeNumber("BUDGET_SATS", env("BUDGET_SATS")) ?? file.budgetSats,
    budgetPerDomain: perDomain(env("BUDGET_PER_DOMAIN")) ?? file.budgetPerDomain,
    limits: file.limits,
    maxSatsPerRequest: wholeNumber("MAX_SATS_PER_REQUEST", env("MAX_SATS_PER_REQUEST")) ?? file.maxSatsPerRequest,
    maxFee: maxFee(env) ?? file.maxFee,
    allowedDomains: listOf(env("ALLOWED_DOMAINS")) ?? file.allowedDomains,
    blockedDomains: listOf(env("BLOCKED_DOMAINS")) ?? file.blockedDomains,
    network: env("L402_NETWORK") ?? file.network,
    paymentTimeoutMs: wholeNumber("L402_PAYMENT_TIMEOUT_MS", env("L402_PAYMENT_TIMEOUT_MS")) ?? file.paymentTimeoutMs,
  };
  const walletModule = flags.walletModule ?? env("L402_WALLET_MODULE");
  return {
    ledger: path(flags.ledger, "L402_LEDGER", "ledger"),
    guardPath: path(undefined, "L402_LEDGER_GUARD", "guardPath"),
    encryptionKey: env("L402_ENCRYPTION_KEY") ?? (keyFile === undefined ? undefined : keyFrom(keyFile)),
    rules: defined(rules) as Rules,
    approveAboveSats,
    allowHosts: [...(listOf(env("L402_ALLOW_HOSTS")) ?? (file.allowHosts as string[] | undefined) ?? []), ...(flags.allowHosts ?? [])],
    // As a whole: a file that lies around must not send a key of the environment to a server of its own choice.
    wallet: Object.keys(walletInEnv).length > 0 ? walletInEnv : ((file.wallet as Env | undefined) ?? {}),
    walletModule: walletModule === undefined ? undefined : resolve(cwd, walletModule),
    warnings,
  };
}
