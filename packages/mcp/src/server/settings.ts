/** What the environment says. The names are those of the command `l402-tools`; an empty variable counts as unset. */
import type { L402ClientOptions } from "@l402-tools/core";
import { readFileSync } from "node:fs";
import { z } from "zod";

export type Env = Readonly<Record<string, string | undefined>>;

/** A variable or an argument that cannot be meant. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

const whole = z.string().regex(/^\d{1,16}$/, "must be a whole number, 0 or more").transform(Number);
const percent = z.string().regex(/^\d{1,3}(\.\d{1,4})?$/, "must be a number from 0 to 100").transform(Number);
const list = z.string().transform((text) => text.split(",").flatMap((part) => part.trim() || []));

/** `a.example=100,*.b.example=50`, or the same as a JSON object. A host that is there twice could be meant either way. */
const perDomain = z.string().transform((text, { issues }) => {
  const no = (message: string): never => {
    issues.push({ code: "custom", input: "", message });
    return z.NEVER;
  };
  const pairs = pairsOf(text);
  if (pairs === undefined) return no("must be like api.example.com=100,*.example.org=50, or a JSON object of the same");
  const hosts = pairs.map(([host]) => host.toLowerCase());
  if (hosts.some((host) => host.includes("/"))) return no("must name hosts alone: write api.example.com, without https:// and path");
  if (hosts.includes("__proto__")) return no("names a host that is none");
  if (new Set(hosts).size < hosts.length) return no("names a host twice");
  return Object.fromEntries(pairs);
});

function pairsOf(text: string): [host: string, most: number][] | undefined {
  const isJson = text.startsWith("{");
  const pair = isJson ? /^\s*"([^"\\]*)"\s*:\s*(\d{1,16})\s*$/ : /^\s*([^=\s]+)\s*=\s*(\d{1,16})\s*$/;
  if (isJson && !text.endsWith("}")) return undefined;
  const found = (isJson ? text.slice(1, -1) : text).split(",").map((part) => pair.exec(part));
  return found.every((match) => match !== null) ? found.map(([, host = "", most]) => [host, Number(most)]) : undefined;
}

const fileContent = z.string().transform((path, { issues }) => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    issues.push({ code: "custom", input: "", message: `names a file that cannot be read (${(error as { code?: string }).code ?? "unreadable"})` });
    return z.NEVER;
  }
});

const VARIABLES = z.object({
  BUDGET_SATS: whole.default(1_000).describe("Most sats to spend, fees included; 1000 if unset"),
  BUDGET_PER_DOMAIN: perDomain.optional().describe("Most sats by host: api.example.com=100,*.example.org=50, or a JSON object"),
  MAX_SATS_PER_REQUEST: whole.optional().describe("Refuses a dearer invoice"),
  APPROVE_ABOVE: whole.optional().describe("Dearer payments, in sats, need the user's yes, by elicitation; 0: every payment"),
  MAX_FEE_SATS: whole.optional().describe("Routing-fee allowance in sats; the greater of the two counts"),
  MAX_FEE_PERCENT: percent.optional().describe("Routing-fee allowance in percent"),
  ALLOWED_DOMAINS: list.optional().describe("The only hosts to talk to, with commas"),
  BLOCKED_DOMAINS: list.optional().describe("Hosts not to talk to, with commas"),
  L402_ALLOW_HOSTS: list.optional().describe("Hosts that may be plain http and private, for local development: localhost:8402"),
  L402_NETWORK: z.string().optional().describe("Lightning network of the invoices; bitcoin if unset"),
  L402_PAYMENT_TIMEOUT_MS: whole.optional().describe("How long a call waits for its payment; 60000 if unset"),
  L402_LEDGER: z.string().optional().describe("SQLite file for a budget that outlives the session and is shared; unset: the budget is this session's"),
  L402_LEDGER_GUARD: z.string().optional().describe("Where the guard of the ledger is, if not beside it"),
  L402_BUDGET_ID: z.string().optional().describe("Which budget of the ledger; default if unset"),
  L402_ENCRYPTION_KEY: z.string().optional().describe("Key of an encrypted ledger: 64 hex digits or base64"),
  L402_ENCRYPTION_KEY_FILE: fileContent.optional().describe("A file with that key"),
  L402_MCP_TOKEN: z
    .string()
    .regex(/^[\w.~+/-]{16,}=*$/, "must be at least 16 letters, digits or -._~+/, such as `openssl rand -hex 32` prints")
    .optional()
    .describe("With --http: the bearer token that clients have to send"),
});

/** Every variable but those of the wallet. */
export const variables: readonly { readonly name: string; readonly meaning: string }[] = Object.entries(VARIABLES.shape).map(([name, schema]) => ({ name, meaning: schema.description ?? "" }));

export interface Settings {
  readonly client: Omit<L402ClientOptions, "wallet" | "store">;
  readonly allowHosts: readonly string[];
  readonly ledger: { readonly path: string; readonly guardPath?: string; readonly encryptionKey?: string } | undefined;
  readonly token: string | undefined;
}

/** Variables of the command and of the wallets that this server does not read itself. */
const OTHERS: ReadonlySet<string> = new Set(["L402_CONFIG", "L402_WALLET", "L402_WALLET_MODULE"]);
const LIKE_OURS = /^(L402_|BUDGET|APPROV|MAX_(SAT|FEE)|(ALLOWED|BLOCKED)_DOMAIN)/;

/** How many letters have to be added, left out or changed to make one of the other. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [at, letter] of [...one].entries()) {
    const next = [at + 1];
    for (let to = 0; to < other.length; to += 1) next.push(Math.min(next[to]! + 1, row[to + 1]! + 1, row[to]! + (letter === other[to] ? 0 : 1)));
    row = next;
  }
  return row[other.length]!;
}

/** A rule under a wrong name would bind nothing, and money would move. */
function refuseMisspelt(name: string): void {
  if (name in VARIABLES.shape || OTHERS.has(name)) return;
  const upper = name.toUpperCase();
  const [edits, ours] = variables.map((one) => [distance(upper, one.name), one.name] as const).sort(([a], [b]) => a - b)[0]!;
  if (edits > 2 && !LIKE_OURS.test(upper)) return;
  throw new SettingsError(`There is no variable ${name.slice(0, 60)}, and it would have no effect.${edits <= 4 ? ` Is ${ours} meant?` : ""} See --help.`);
}

/** @throws {SettingsError} naming the variable that cannot be meant, never its value. */
export function readSettings(env: Env): Settings {
  const set = Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value?.trim() ? [[name, value.trim()]] : [])));
  const { success, data, error } = VARIABLES.safeParse(set);
  for (const name of Object.keys(set)) refuseMisspelt(name);
  if (!success) {
    const [issue] = error.issues;
    throw new SettingsError(`${String(issue?.path[0])} ${issue?.message}.`);
  }
  for (const name of ["L402_LEDGER_GUARD", "L402_BUDGET_ID", "L402_ENCRYPTION_KEY", "L402_ENCRYPTION_KEY_FILE"] as const) {
    if (data.L402_LEDGER === undefined && data[name] !== undefined) throw new SettingsError(`${name} is for a ledger, and L402_LEDGER, which says where that is, is not set.`);
  }
  const key = data.L402_ENCRYPTION_KEY ?? data.L402_ENCRYPTION_KEY_FILE;
  const { MAX_FEE_SATS: sats, MAX_FEE_PERCENT: feePercent } = data;
  return {
    client: {
      budgetSats: data.BUDGET_SATS,
      budgetPerDomain: data.BUDGET_PER_DOMAIN,
      maxSatsPerRequest: data.MAX_SATS_PER_REQUEST,
      approveAbove: data.APPROVE_ABOVE,
      maxFee: sats === undefined && feePercent === undefined ? undefined : { sats, percent: feePercent },
      allowedDomains: data.ALLOWED_DOMAINS,
      blockedDomains: data.BLOCKED_DOMAINS,
      network: data.L402_NETWORK as L402ClientOptions["network"],
      paymentTimeoutMs: data.L402_PAYMENT_TIMEOUT_MS,
      budgetId: data.L402_BUDGET_ID,
    },
    allowHosts: data.L402_ALLOW_HOSTS ?? [],
    ledger:
      data.L402_LEDGER === undefined
        ? undefined
        : { path: data.L402_LEDGER, ...(data.L402_LEDGER_GUARD === undefined ? {} : { guardPath: data.L402_LEDGER_GUARD }), ...(key === undefined ? {} : { encryptionKey: key }) },
    token: data.L402_MCP_TOKEN,
  };
}

/** Options in the words of other packages, and the variables that they come from. */
const VARIABLE_OF: Readonly<Record<string, string>> = {
  budgetSats: "BUDGET_SATS",
  budgetPerDomain: "BUDGET_PER_DOMAIN",
  maxSatsPerRequest: "MAX_SATS_PER_REQUEST",
  approveAbove: "APPROVE_ABOVE",
  "maxFee.sats": "MAX_FEE_SATS",
  "maxFee.percent": "MAX_FEE_PERCENT",
  allowedDomains: "ALLOWED_DOMAINS",
  blockedDomains: "BLOCKED_DOMAINS",
  allowHosts: "L402_ALLOW_HOSTS",
  network: "L402_NETWORK",
  paymentTimeoutMs: "L402_PAYMENT_TIMEOUT_MS",
  budgetId: "L402_BUDGET_ID",
  guardPath: "L402_LEDGER_GUARD",
  encryptionKey: "L402_ENCRYPTION_KEY",
  path: "L402_LEDGER",
};

/** A message about options as one about variables. */
export function inVariables(message: string): string {
  return message.replace(/^(?:Option|The tools' option|sqliteStore:) `?(maxFee\.\w+|\w+)(?:\.[^`]*)?`?/, (whole, option: string) => VARIABLE_OF[option] ?? whole);
}
