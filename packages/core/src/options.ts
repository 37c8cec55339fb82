/**
 * The options of a client: their types, and the one place where they are checked. An option that cannot be meant (NaN,
 * negative, a fraction, infinite, above 2^53, of a wrong type, of an unknown name) is refused with a sentence.
 */
import { array, custom, optional, strictObject } from "zod/mini";
import { systemClock } from "./clock.ts";
import { L402Error } from "./errors.ts";
import { satsToMsat, MAX_SATS } from "./money.ts";
import type { Clock, LimitRule, SimpleWallet, Store, Wallet } from "./ports.ts";
import type { L402Event, PaymentIntent } from "./types.ts";
import type { Network } from "./invoice.ts";

/** `fetch`, as far as it is needed here. */
export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

/** Whether to make a payment. Only `true` approves. */
export type Approve = (intent: PaymentIntent) => boolean | Promise<boolean>;

/** One more limit. At least one of `sats` and `payments`; `per` is a rolling window, without it the limit is for life. */
export interface LimitOptions {
  sats?: number | undefined;
  payments?: number | undefined;
  /** A host name, or `*.example.com` for every host below it (not `example.com` itself); all ports. */
  domain?: string | undefined;
  /** A whole number and a unit: `30s`, `15m`, `1h`, `24h`, `7d`, `4w`. */
  per?: string | undefined;
}

/** Routing-fee allowance of a payment: the greater of the two. A part left out counts as 0. */
export interface MaxFeeOptions {
  sats?: number | undefined;
  percent?: number | undefined;
}

export interface L402ClientOptions {
  /** A `Wallet`, or just `{ payInvoice(bolt11): Promise<{ preimage }> }`. */
  wallet: Wallet | SimpleWallet;
  /** Most sats over the life of this budget, fees included. 0 means zero. @default unlimited */
  budgetSats?: number | undefined;
  /** Host name to most sats; `*.example.com` is one pot for all hosts below it. The global limit must pass too. */
  budgetPerDomain?: Readonly<Record<string, number>> | undefined;
  limits?: readonly LimitOptions[] | undefined;
  /** Refuses a dearer invoice (sats, without fee). @default unlimited */
  maxSatsPerRequest?: number | undefined;
  /** @default { sats: 10, percent: 1 } */
  maxFee?: MaxFeeOptions | undefined;
  /** Asked before each payment with the exact price, the hold already taken. Only `true` approves; a throw refuses. */
  approve?: Approve | undefined;
  /**
   * Payments of at most this many sats (without fee) need no approval. Above it `approve` is asked; without `approve` the
   * tool or framework that makes the call has to ask a person, else the payment is refused. @default every payment is
   * asked about when there is `approve`, none when there is not
   */
  approveAbove?: number | undefined;
  /** After each payment, also a late one: sats paid with the fee, and the URL. */
  onSpend?: ((sats: number, url: string) => unknown) | undefined;
  /** Just before `BudgetExceededError` is thrown: the URL, and the sats that were asked for. */
  onBudgetExceeded?: ((url: string, sats: number) => unknown) | undefined;
  /** Every step. Observers cannot change the outcome. */
  onEvent?: ((event: L402Event) => unknown) | undefined;
  /** Only these hosts (`host`, `*.host`) may be asked; checked on every redirect hop. */
  allowedDomains?: readonly string[] | undefined;
  blockedDomains?: readonly string[] | undefined;
  /** Where budget, payments and credentials live. @default in memory */
  store?: Store | undefined;
  /** Which budget in a shared store. @default "default" */
  budgetId?: string | undefined;
  /** How many payments may be with the wallet at a time. @default 1 */
  paymentConcurrency?: number | undefined;
  /** How many more may wait. @default 100 */
  maxQueuedPayments?: number | undefined;
  /** How long a call waits for its payment, ms. @default 60000 */
  paymentTimeoutMs?: number | undefined;
  /** Invoices of other networks are refused. @default "bitcoin" */
  network?: Network | undefined;
  /** `origin`: a kept credential is tried on other paths of its origin. @default "origin" */
  credentialScope?: "origin" | "path" | undefined;
  /** Hosts other than loopback and `.onion` that may get a credential over plain http. */
  allowInsecureHosts?: readonly string[] | undefined;
  /** How long `approve` may take, ms. @default 300000 */
  approvalTimeoutMs?: number | undefined;
  /** @default the system's */
  clock?: Clock | undefined;
  /** Transport to use. @default the global one */
  fetch?: typeof fetch | undefined;
}

/** What a sub-agent's client may change: it can only tighten. */
export interface ChildOptions {
  /** Names the child's budget in the store: children of one label share it. @default a new budget each time */
  label?: string | undefined;
  budgetSats?: number | undefined;
  budgetPerDomain?: Readonly<Record<string, number>> | undefined;
  limits?: readonly LimitOptions[] | undefined;
  maxSatsPerRequest?: number | undefined;
  allowedDomains?: readonly string[] | undefined;
  blockedDomains?: readonly string[] | undefined;
  /** Asked after the parent's own. */
  approve?: Approve | undefined;
  /** As on the client; the parent's own threshold goes on to hold. */
  approveAbove?: number | undefined;
}

/** What `fetch` takes, and three things more. */
export interface L402RequestInit extends RequestInit {
  /** Makes the purchase the same for good: with one key at most one invoice is paid, and a re-run reuses its credential. */
  idempotencyKey?: string | undefined;
  /** Refuses a dearer invoice for this call (sats, without fee). It can only tighten. */
  maxPriceSats?: number | undefined;
  /** Pays exactly this quoted invoice. */
  quoteId?: string | undefined;
}

/** A limit as configured, beside the rule that a store checks. */
export interface ConfiguredLimit {
  readonly rule: LimitRule;
  readonly shown: { sats?: number; payments?: number; domain?: string; per?: string };
  /** `budgetSats` itself. */
  readonly total: boolean;
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Length in ms of a window such as `24h`, or `undefined` when it is not one. Ten years at most. */
function windowMs(per: unknown): number | undefined {
  const match = typeof per === "string" ? /^([1-9]\d{0,8})([smhdw])$/.exec(per) : null;
  if (match === null) return undefined;
  const ms = Number(match[1]) * (UNIT_MS[match[2] as string] as number);
  return ms <= 3650 * 86_400_000 ? ms : undefined;
}

/** Host name as the URL parser writes it: lower case, punycode, no trailing dot. `undefined` when it is not one. */
export function normalizeHost(host: unknown): string | undefined {
  if (typeof host !== "string" || host === "" || /[\s/@?#\\]/.test(host)) return undefined;
  const wildcard = host.startsWith("*.");
  const name = wildcard ? host.slice(2) : host;
  if (name === "" || name.includes("*")) return undefined;
  try {
    const url = new URL(`http://${name}`);
    if (url.port !== "" || (name.includes(":") && !name.startsWith("["))) return undefined;
    const plain = url.hostname.replace(/\.$/, "");
    return plain === "" ? undefined : wildcard ? `*.${plain}` : plain;
  } catch {
    return undefined;
  }
}

const whole = (least: number, most: number) => (value: unknown) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
const sats = () => optional(custom<number>(whole(0, MAX_SATS), { error: `must be a whole number of sats from 0 to 2^53 - 1` }));
const count = (least: number, most: number, unit: string) =>
  optional(custom<number>(whole(least, most), { error: `must be a whole number${unit} from ${least} to ${most}` }));
const func = <T>() => optional(custom<T>((value) => typeof value === "function", { error: "must be a function" }));
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const withMethods = <T>(methods: readonly string[], error: string) =>
  custom<T>((value) => value !== null && (typeof value === "object" || typeof value === "function") && methods.every((name) => typeof (value as Record<string, unknown>)[name] === "function"), { error });
const host = () => custom<string>((value) => normalizeHost(value) !== undefined, { error: "must be a host name such as api.example.com or *.example.com, without scheme, port or path" });
const hosts = () => optional(array(host(), { error: "must be a list of host names" }));
const text = (most: number) => optional(custom<string>((value) => typeof value === "string" && value !== "" && value.length <= most && !/[\u0000-\u001f]/.test(value), { error: `must be a text of 1 to ${most} characters` }));

const perDomain = () =>
  optional(
    custom<Readonly<Record<string, number>>>(
      (value) => isObject(value) && Object.entries(value).every(([name, most]) => normalizeHost(name) !== undefined && whole(0, MAX_SATS)(most)),
      { error: "must map host names (api.example.com, *.example.com; no scheme, port or path) to whole numbers of sats from 0 to 2^53 - 1" },
    ),
  );

const limits = () =>
  optional(
    array(
      strictObject({
        sats: sats(),
        payments: count(0, MAX_SATS, ""),
        domain: optional(host()),
        per: optional(custom<string>((value) => windowMs(value) !== undefined, { error: "must be a whole number and a unit (s, m, h, d, w), such as 1h or 24h, up to ten years" })),
      }),
      { error: "must be a list of limits" },
    ),
  );

const APPROVE = func<(intent: PaymentIntent) => boolean | Promise<boolean>>;
const label = () => optional(custom<string>((value) => typeof value === "string" && value !== "" && value.length <= 100 && !/[/\u0000-\u001f]/.test(value), { error: "must be a text of 1 to 100 characters without a slash" }));

const clientSchema = strictObject({
  wallet: custom<Wallet | SimpleWallet>(
    (value) => isObject(value) && (typeof value["pay"] === "function" ? isObject(value["capabilities"]) && typeof value["name"] === "string" : typeof value["payInvoice"] === "function"),
    { error: "must be a wallet: an object with name, capabilities and pay(request), or just with payInvoice(bolt11)" },
  ),
  budgetSats: sats(),
  budgetPerDomain: perDomain(),
  limits: limits(),
  maxSatsPerRequest: sats(),
  maxFee: optional(
    strictObject({
      sats: sats(),
      percent: optional(custom<number>((value) => typeof value === "number" && value >= 0 && value <= 100, { error: "must be a number from 0 to 100" })),
    }, { error: (issue) => (issue.code === "invalid_type" ? "must be an object such as { sats: 10, percent: 1 }" : undefined) }),
  ),
  approve: APPROVE(),
  approveAbove: sats(),
  onSpend: func<(sats: number, url: string) => unknown>(),
  onBudgetExceeded: func<(url: string, sats: number) => unknown>(),
  onEvent: func<(event: L402Event) => unknown>(),
  allowedDomains: hosts(),
  blockedDomains: hosts(),
  store: optional(withMethods<Store>(["reserve", "dispatch", "settle", "fail", "unknown", "void"], "must be a store, such as memoryStore()")),
  budgetId: label(),
  paymentConcurrency: count(1, 10_000, ""),
  maxQueuedPayments: count(0, 1_000_000, ""),
  paymentTimeoutMs: count(1, 86_400_000, " of milliseconds"),
  network: optional(custom<Network>((value) => ["bitcoin", "testnet", "signet", "regtest", "simnet"].includes(value as string), { error: "must be one of bitcoin, testnet, signet, regtest, simnet" })),
  credentialScope: optional(custom<"origin" | "path">((value) => value === "origin" || value === "path", { error: 'must be "origin" or "path"' })),
  allowInsecureHosts: hosts(),
  approvalTimeoutMs: count(1, 86_400_000, " of milliseconds"),
  clock: optional(withMethods<Clock>(["now", "sleep"], "must be a clock with now() and sleep(ms, signal)")),
  fetch: func<typeof fetch>(),
});

const childSchema = strictObject({
  label: label(),
  budgetSats: sats(),
  budgetPerDomain: perDomain(),
  limits: limits(),
  maxSatsPerRequest: sats(),
  allowedDomains: hosts(),
  blockedDomains: hosts(),
  approve: APPROVE(),
  approveAbove: sats(),
});

const callSchema = strictObject({ idempotencyKey: text(1_000), maxPriceSats: sats(), quoteId: text(200) });

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
}

/** The value as a person would write it; never the content of an object or a long text. */
function shown(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) return String(value);
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return Array.isArray(value) ? "a list" : `a value of type ${typeof value}`;
}

function check(what: string, schema: { safeParse(value: unknown): { success: boolean; error?: { issues: readonly unknown[] } } }, value: unknown): void {
  if (!isObject(value)) throw new L402Error("invalid_options", `${what} must be an object, got ${shown(value)}.`);
  const result = schema.safeParse(value);
  if (result.success) return;
  const issue = (result.error as { issues: readonly Issue[] }).issues[0] as Issue;
  const path = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    throw new L402Error("invalid_options", `Unknown option ${(issue.keys ?? []).map((key) => `\`${path === "" ? "" : `${path}.`}${key}\``).join(", ")}.`);
  }
  let given: unknown = value;
  for (const step of issue.path) given = (given as Record<PropertyKey, unknown> | undefined)?.[step];
  const sentence = issue.message.startsWith("must") ? issue.message : "has a wrong type";
  throw new L402Error("invalid_options", `Option \`${path}\` ${sentence}, got ${shown(given)}.`);
}

/** Limits of one scope, as a store checks them: the total first, then per domain, then the others. */
function limitsOf(scope: string, options: Pick<ChildOptions, "budgetSats" | "budgetPerDomain" | "limits">): ConfiguredLimit[] {
  const found: ConfiguredLimit[] = [];
  const add = (limit: LimitOptions, total: boolean): void => {
    const domain = limit.domain === undefined ? undefined : (normalizeHost(limit.domain) as string);
    found.push({
      total,
      rule: {
        scope,
        ...(domain === undefined ? {} : { domain }),
        ...(limit.per === undefined ? {} : { windowMs: windowMs(limit.per) as number }),
        ...(limit.sats === undefined ? {} : { maxMsat: satsToMsat(limit.sats) }),
        ...(limit.payments === undefined ? {} : { maxPayments: limit.payments }),
      },
      shown: {
        ...(limit.sats === undefined ? {} : { sats: limit.sats }),
        ...(limit.payments === undefined ? {} : { payments: limit.payments }),
        ...(domain === undefined ? {} : { domain }),
        ...(limit.per === undefined ? {} : { per: limit.per }),
      },
    });
  };
  if (options.budgetSats !== undefined) add({ sats: options.budgetSats }, true);
  for (const [domain, most] of Object.entries(options.budgetPerDomain ?? {})) add({ sats: most, domain }, false);
  for (const [index, limit] of (options.limits ?? []).entries()) {
    if (limit.sats === undefined && limit.payments === undefined) {
      throw new L402Error("invalid_options", `Option \`limits.${index}\` limits nothing: give it \`sats\`, \`payments\` or both.`);
    }
    add(limit, false);
  }
  return found;
}

/** Dearer payments (msat, without fee) need a yes: that of `approve`, or where it is undefined, of whoever makes the call. */
export interface ApprovalRule {
  readonly aboveMsat: bigint;
  readonly approve: Approve | undefined;
}

function approvalOf({ approve, approveAbove }: Pick<ChildOptions, "approve" | "approveAbove">): ApprovalRule[] {
  if (approve === undefined && approveAbove === undefined) return [];
  return [{ aboveMsat: approveAbove === undefined ? -1n : satsToMsat(approveAbove), approve }];
}

/** The rules of one client, each of which must pass; a child carries its parents' rules before its own. */
export interface Rules {
  /** Budget id, then each child down to this client. */
  readonly scopes: readonly string[];
  readonly limits: readonly ConfiguredLimit[];
  /** `budgetSats` of this very client, msat. */
  readonly ownBudgetMsat: bigint | undefined;
  /** Whether any limit is set, here or above. */
  readonly budgeted: boolean;
  readonly maxMsatPerRequest: bigint | undefined;
  /** Each list must allow the host. */
  readonly allowed: readonly (readonly string[])[];
  readonly blocked: readonly string[];
  /** Each that a payment is dear enough for must approve it. */
  readonly approvals: readonly ApprovalRule[];
  readonly label: string | undefined;
}

/** Everything a client needs, checked and with its defaults. */
export interface Config {
  readonly wallet: Wallet | SimpleWallet;
  readonly rules: Rules;
  readonly maxFee: { readonly msat: bigint; readonly percent: number };
  readonly onSpend: L402ClientOptions["onSpend"];
  readonly onBudgetExceeded: L402ClientOptions["onBudgetExceeded"];
  readonly onEvent: L402ClientOptions["onEvent"];
  readonly store: Store | undefined;
  readonly budgetId: string;
  readonly paymentConcurrency: number;
  readonly maxQueuedPayments: number;
  readonly paymentTimeoutMs: number;
  readonly approvalTimeoutMs: number;
  readonly network: Network;
  readonly credentialScope: "origin" | "path";
  readonly insecureHosts: readonly string[];
  readonly clock: Clock;
  readonly fetch: Fetch;
}

const normalized = (list: readonly string[] | undefined): string[] => (list ?? []).map((name) => normalizeHost(name) as string);

/** @throws {L402Error} `invalid_options`, naming the option. */
export function readOptions(options: L402ClientOptions): Config {
  check("The options of L402Client", clientSchema, options);
  const budgetId = options.budgetId ?? "default";
  const limits = limitsOf(budgetId, options);
  // A custom transport is called as a plain function; the global one is looked up at each call, so that a test or an
  // instrumentation that replaces it later is honoured.
  const transport = options.fetch;
  return {
    wallet: options.wallet,
    rules: {
      scopes: [budgetId],
      limits,
      ownBudgetMsat: options.budgetSats === undefined ? undefined : satsToMsat(options.budgetSats),
      budgeted: options.budgetSats !== undefined || options.budgetPerDomain !== undefined || options.limits !== undefined,
      maxMsatPerRequest: options.maxSatsPerRequest === undefined ? undefined : satsToMsat(options.maxSatsPerRequest),
      allowed: options.allowedDomains === undefined ? [] : [normalized(options.allowedDomains)],
      blocked: normalized(options.blockedDomains),
      approvals: approvalOf(options),
      label: undefined,
    },
    maxFee: options.maxFee === undefined ? { msat: 10_000n, percent: 1 } : { msat: satsToMsat(options.maxFee.sats ?? 0), percent: options.maxFee.percent ?? 0 },
    onSpend: options.onSpend,
    onBudgetExceeded: options.onBudgetExceeded,
    onEvent: options.onEvent,
    store: options.store,
    budgetId,
    paymentConcurrency: options.paymentConcurrency ?? 1,
    maxQueuedPayments: options.maxQueuedPayments ?? 100,
    paymentTimeoutMs: options.paymentTimeoutMs ?? 60_000,
    approvalTimeoutMs: options.approvalTimeoutMs ?? 300_000,
    network: options.network ?? "bitcoin",
    credentialScope: options.credentialScope ?? "origin",
    insecureHosts: normalized(options.allowInsecureHosts),
    clock: options.clock ?? systemClock,
    fetch: transport === undefined ? (input, init) => globalThis.fetch(input, init) : (input, init) => transport(input, init),
  };
}

/**
 * A child's rules: all of its parent's, and its own on top.
 *
 * @throws {L402Error} `invalid_options`, naming the option.
 */
export function readChildOptions(parent: Rules, options: ChildOptions, unlabelled: string): Rules {
  check("The options of child()", childSchema, options);
  const scope = `${parent.scopes.at(-1)}/${options.label ?? unlabelled}`;
  const own = options.maxSatsPerRequest === undefined ? undefined : satsToMsat(options.maxSatsPerRequest);
  const inherited = parent.maxMsatPerRequest;
  return {
    scopes: [...parent.scopes, scope],
    limits: [...parent.limits, ...limitsOf(scope, options)],
    ownBudgetMsat: options.budgetSats === undefined ? undefined : satsToMsat(options.budgetSats),
    budgeted: parent.budgeted || options.budgetSats !== undefined || options.budgetPerDomain !== undefined || options.limits !== undefined,
    maxMsatPerRequest: own === undefined ? inherited : inherited === undefined || own < inherited ? own : inherited,
    allowed: options.allowedDomains === undefined ? parent.allowed : [...parent.allowed, normalized(options.allowedDomains)],
    blocked: [...parent.blocked, ...normalized(options.blockedDomains)],
    approvals: [...parent.approvals, ...approvalOf(options)],
    label: options.label ?? parent.label,
  };
}

/** The three things that a call may add to `fetch`'s own. @throws {L402Error} `invalid_options`, naming it. */
export function readCallOptions(init: L402RequestInit | undefined): { idempotencyKey?: string; maxPriceMsat?: bigint; quoteId?: string } {
  if (init === undefined || (init.idempotencyKey === undefined && init.maxPriceSats === undefined && init.quoteId === undefined)) return {};
  const { idempotencyKey, maxPriceSats, quoteId } = init;
  check("The options of fetch", callSchema, { idempotencyKey, maxPriceSats, quoteId });
  return {
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(maxPriceSats === undefined ? {} : { maxPriceMsat: satsToMsat(maxPriceSats) }),
    ...(quoteId === undefined ? {} : { quoteId }),
  };
}
