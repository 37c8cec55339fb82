import { answerOf, bomb, endless, trickle, type Answer } from "./answer.ts";
import { mintMacaroon, readAuthorization, verifyCredential, type Presented } from "./credential.ts";
import { derive } from "./hash.ts";
import type { IssuedInvoice, Lightning, LightningNode, NewInvoice } from "./lightning.ts";
import { memoryFetch } from "./memory-fetch.ts";
import { createMisbehaving, IMITATION, misbehaviourOf, type Misbehaviour, type MisbehaviourName } from "./misbehave.ts";
import { serve } from "./serve.ts";
import { challengeOn, type WireFields, type WireName } from "./wire.ts";

/**
 * What a bought credential opens: every path of the service that costs no more than was paid (`service`, as aperture
 * does), one method and path (`path`), one method and path once (`single-use`), or the service `uses` times (`prepaid`).
 */
export type CredentialKind = "service" | "path" | "single-use" | "prepaid";

/** A fixed price, or one for each request; `call` counts the requests of the route from 1. */
export type Price<T> = T | ((request: Request, call: number) => T | Promise<T>);

/** What routes and the service as a whole can set. */
export interface SellingOptions {
  /** The form of the challenge. @default "lsat-l402" */
  readonly wire?: WireName;
  /** @default "service" */
  readonly credential?: CredentialKind;
  /** Uses of a prepaid credential. @default 10 */
  readonly uses?: number;
  /** Life of a credential. @default no end */
  readonly credentialExpirySeconds?: number;
  /** @default 3600 */
  readonly invoiceExpirySeconds?: number;
  /** A new invoice for each challenge, or the same one until it is paid or expired. @default "fresh" */
  readonly invoices?: "fresh" | "until-paid";
  /** Hold invoices, which the test settles. @default false */
  readonly holdInvoices?: boolean;
  /** The answer to a bad, expired or used credential: a fresh challenge, or 401. @default 402 */
  readonly refuseWith?: 402 | 401;
  /** What goes wrong, each time. */
  readonly misbehave?: MisbehaviourName | Misbehaviour | readonly (MisbehaviourName | Misbehaviour)[];
}

/** A path. Without a price it is free. */
export interface RouteOptions extends SellingOptions {
  readonly priceSats?: Price<number>;
  readonly priceMsat?: Price<bigint>;
  /** @default any */
  readonly methods?: readonly string[];
  /** Text and bytes as they are; anything else as JSON. @default `{ "ok": true }` */
  readonly body?: unknown;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Makes the body, or the whole response. */
  readonly handler?: (request: Request, sale: Sale | undefined) => unknown;
  /** Text in the invoice. @default name of the service and path */
  readonly description?: string;
}

export interface PaywallOptions extends SellingOptions {
  readonly lightning: Lightning;
  readonly routes: Readonly<Record<string, RouteOptions>>;
  /** Name of the service. @default "paywall" */
  readonly name?: string;
  /** Who is paid. @default the node named like the service */
  readonly payee?: LightningNode;
  /** `false`: no server, only `paywall.fetch`. @default true */
  readonly listen?: boolean;
  /** The origin without a server. @default `https://<name>.example` */
  readonly origin?: string;
}

/** An invoice that was issued, and what came of it. */
export interface Sale {
  readonly paymentHash: string;
  readonly invoice: string;
  readonly method: string;
  readonly path: string;
  /** The price in the invoice, msat. */
  readonly amountMsat: bigint;
  readonly credential: CredentialKind;
  readonly issuedAt: number;
  readonly paid: boolean;
  /** Times that its credential was accepted and the goods were handed out. */
  readonly delivered: number;
  /** Times that its credential was refused. */
  readonly refused: number;
  /** Uses left; `undefined`: no limit. */
  readonly usesLeft: number | undefined;
}

/** A request that arrived. */
export interface LoggedRequest {
  readonly at: number;
  readonly method: string;
  readonly url: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly authorized: boolean;
  /** Payment hash of the credential that came with it. */
  readonly paymentHash?: string;
  /** Payment hash of the invoice that it was answered with. */
  readonly challenged?: string;
  /** Why its credential was refused. */
  readonly refused?: string;
  /** Absent until it is answered; 0: the connection was broken. */
  readonly status?: number;
}

/** A running service that sells over L402. */
export interface Paywall {
  readonly name: string;
  /** Its origin, without a slash at the end. */
  readonly url: string;
  readonly payee: LightningNode;
  readonly requests: readonly LoggedRequest[];
  readonly sales: readonly Sale[];
  /** Paid sales. */
  readonly paidSales: readonly Sale[];
  sale(paymentHash: string): Sale | undefined;
  /** Adds or replaces a route. */
  route(path: string, options: RouteOptions): void;
  /** Queues misbehaviours; each strikes at the next request that it can strike. */
  next(...misbehaviours: (MisbehaviourName | Misbehaviour)[]): void;
  /** The same service without a socket. Any host is answered. */
  readonly fetch: typeof fetch;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface SaleRecord extends Sale {
  delivered: number;
  refused: number;
  usesLeft: number | undefined;
  readonly expiresAt: number | undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";
const NO_STORE = ["Cache-Control", "no-store"] as const;

function listOf(value: SellingOptions["misbehave"]): Misbehaviour[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? (value as (MisbehaviourName | Misbehaviour)[]) : [value as MisbehaviourName | Misbehaviour]).map(misbehaviourOf);
}

async function answerFrom(value: unknown, route: RouteOptions): Promise<Answer> {
  if (value instanceof Response) return answerOf(value.status, [...value.headers], new Uint8Array(await value.arrayBuffer()));
  const headers = Object.entries(route.headers ?? {});
  const typed = headers.some(([name]) => name.toLowerCase() === "content-type");
  const type = typeof value === "string" ? TEXT_TYPE : value instanceof Uint8Array ? "application/octet-stream" : JSON_TYPE;
  const body = typeof value === "string" || value instanceof Uint8Array ? value : JSON.stringify(value ?? { ok: true });
  return answerOf(route.status ?? 200, typed ? headers : [["Content-Type", type], ...headers], body);
}

const handlers = new WeakMap<Paywall, (request: Request) => Promise<Answer>>();

/** Starts a service that sells `routes` for Lightning payments of `lightning`. */
export async function createPaywall(options: PaywallOptions): Promise<Paywall> {
  const { lightning } = options;
  const { clock } = lightning;
  const name = options.name ?? "paywall";
  const payee = options.payee ?? lightning.node(name);
  const secret = derive(payee.publicKey, `paywall ${name}`);
  const routes = new Map<string, RouteOptions & { standing: Misbehaviour[]; calls: number }>();
  const requests: Mutable<LoggedRequest>[] = [];
  const sales = new Map<string, SaleRecord>();
  const open = new Map<string, IssuedInvoice>();
  const misbehaving = createMisbehaving();
  let firstInvoice: IssuedInvoice | undefined;

  const addRoute = (path: string, route: RouteOptions): void => {
    if (!path.startsWith("/")) throw new Error(`the path of a route begins with a slash: "${path}"`);
    routes.set(path, { ...options, ...route, standing: listOf(route.misbehave ?? options.misbehave), calls: 0 } as never);
  };
  for (const [path, route] of Object.entries(options.routes)) addRoute(path, route);
  type Route = NonNullable<ReturnType<typeof routes.get>>;

  const routeOf = (path: string): Route | undefined => {
    const exact = routes.get(path);
    if (exact !== undefined) return exact;
    return [...routes].find(([pattern]) => pattern.endsWith("/*") && path.startsWith(pattern.slice(0, -1)))?.[1];
  };

  const priceOf = async (route: Route, request: Request): Promise<bigint | undefined> => {
    const ask = <T>(price: Price<T>): T | Promise<T> =>
      typeof price === "function" ? (price as (request: Request, call: number) => T | Promise<T>)(request, route.calls) : price;
    if (route.priceMsat !== undefined) return ask(route.priceMsat);
    return route.priceSats === undefined ? undefined : BigInt(await ask(route.priceSats)) * 1000n;
  };

  /** The invoice of a challenge. */
  const issue = (route: Route, method: string, path: string, amountMsat: bigint, wrong: ReadonlyMap<MisbehaviourName, Misbehaviour>): IssuedInvoice => {
    if (wrong.has("reused-invoice") && firstInvoice !== undefined) return firstInvoice;
    const key = `${method} ${path} ${amountMsat}`;
    const kept = open.get(key);
    if (route.invoices === "until-paid" && kept !== undefined && kept.state === "open" && kept.expiresAt > clock.now()) return kept;
    const expirySeconds = route.invoiceExpirySeconds ?? 3600;
    const expiring = wrong.get("expiring-invoice");
    const fields: NewInvoice = {
      description: route.description ?? `${name} ${path}`,
      expirySeconds: expiring === undefined ? expirySeconds : Math.ceil((expiring.ms ?? 5000) / 1000),
      hold: route.holdInvoices ?? false,
      ...(wrong.has("amountless-invoice") ? {} : { amountMsat: wrong.has("zero-invoice") ? 0n : amountMsat }),
      ...(wrong.has("wrong-network") ? { network: lightning.network === "bitcoin" ? "testnet" : "bitcoin" } : {}),
      ...(wrong.has("expired-invoice") ? { issuedAt: clock.now() - (expirySeconds + 60) * 1000 } : {}),
    };
    const invoice = payee.invoice(fields);
    const credential = route.credential ?? "service";
    const usesLeft = credential === "single-use" ? 1 : credential === "prepaid" ? (route.uses ?? 10) : undefined;
    const sale: SaleRecord = {
      paymentHash: invoice.paymentHash,
      invoice: invoice.invoice,
      method,
      path,
      amountMsat,
      credential,
      issuedAt: clock.now(),
      expiresAt: route.credentialExpirySeconds === undefined ? undefined : clock.now() + route.credentialExpirySeconds * 1000,
      get paid() {
        return payee.isPaid(invoice.paymentHash);
      },
      delivered: 0,
      refused: 0,
      usesLeft,
    };
    sales.set(invoice.paymentHash, sale);
    open.set(key, invoice);
    firstInvoice ??= invoice;
    return invoice;
  };

  const caveatsOf = (sale: SaleRecord): string[] => {
    const scope = sale.credential === "service" || sale.credential === "prepaid" ? [`services=${name}:0`] : [`RequestPath = ${sale.path}`, `RequestMethod = ${sale.method}`];
    return sale.expiresAt === undefined ? scope : [...scope, `${name}_valid_until=${Math.floor(sale.expiresAt / 1000)}`];
  };

  const challenge = async (route: Route, request: Request, path: string, amountMsat: bigint, log: Mutable<LoggedRequest>): Promise<Answer> => {
    const list = misbehaving.pick("challenge", path, route.standing);
    const wrong = new Map(list.map((misbehaviour) => [misbehaviour.name, misbehaviour]));
    const method = request.method;
    const invoice = issue(route, method, path, amountMsat, wrong);
    log.challenged = invoice.paymentHash;
    const sale = sales.get(invoice.paymentHash) as SaleRecord;
    const bound = wrong.has("other-hash") ? derive(secret, `other ${invoice.paymentHash}`).toString("hex") : invoice.paymentHash;
    const macaroon = mintMacaroon({
      secret,
      paymentHash: bound,
      tokenId: derive(secret, `token ${invoice.paymentHash}`).toString("hex"),
      caveats: caveatsOf(sale),
      location: "lsat",
    });
    const fields: WireFields = { macaroon: Buffer.from(macaroon).toString("base64"), invoice: invoice.invoice, amountMsat, paymentHash: invoice.paymentHash };
    const wire = challengeOn(route.wire ?? "lsat-l402", fields);
    let headers: (readonly [string, string])[] = [["Content-Type", wire.contentType], NO_STORE, ...wire.headers];
    const huge = wrong.get("huge-header");
    if (huge !== undefined) headers = [...headers, ["X-Padding", "a".repeat(huge.bytes ?? 64 * 1024)]];
    // Small enough for the header limit of clients, and many more than anyone needs.
    if (wrong.has("many-challenges")) headers = [...headers, ["WWW-Authenticate", Array.from({ length: 500 }, (_, i) => `Scheme${i} a="b"`).join(", ")]];
    let body = wire.body;
    let answer = answerOf(402, headers, body);
    if (wrong.has("price-claim-low")) {
      body = JSON.stringify({ ...(route.wire === "json-body" ? JSON.parse(wire.body) : {}), price_sats: 1, priceSats: 1, amountSats: 1 });
      answer = answerOf(402, [...headers.filter(([header]) => header !== "Content-Type"), ["Content-Type", JSON_TYPE]], body);
    }
    if (wrong.has("imitate-tool-text-402")) answer = answerOf(402, headers, IMITATION);
    if (wrong.has("challenge-on-200")) answer.status = 200;
    if (wrong.has("challenge-on-401")) answer.status = 401;
    if (wrong.has("challenge-on-500")) answer.status = 500;
    if (wrong.has("endless-402")) answer.body = endless();
    const slow = wrong.get("slow-402");
    if (slow !== undefined) answer.body = trickle(new TextEncoder().encode(body), slow.ms ?? 1000, clock);
    const packed = wrong.get("bomb-402");
    return packed === undefined ? answer : bomb(answer, packed.bytes ?? 64 * 1024 * 1024);
  };

  const redirect = (to: string, from: string): Answer => answerOf(307, [["Location", new URL(to, from).href], NO_STORE], "");

  const deliver = async (route: Route, request: Request, path: string, sale: SaleRecord | undefined): Promise<Answer> => {
    const answer = await answerFrom(route.handler === undefined ? route.body : await route.handler(request, sale), route);
    if (sale?.usesLeft !== undefined) answer.headers.push(["X-Credits-Remaining", String(sale.usesLeft)]);
    let result = answer;
    for (const misbehaviour of misbehaving.pick("body", path, route.standing)) {
      if (misbehaviour.name === "endless-body") result.body = endless();
      if (misbehaviour.name === "slow-body" && result.body instanceof Uint8Array) result.body = trickle(result.body, misbehaviour.ms ?? 1000, clock);
      if (misbehaviour.name === "imitate-tool-text") result.body = new TextEncoder().encode(IMITATION);
      if (misbehaviour.name === "drop-in-body") result.drop = "in-body";
      if (misbehaviour.name === "bomb") result = bomb(result, misbehaviour.bytes ?? 64 * 1024 * 1024);
    }
    return result;
  };

  /** Why this credential does not open this route now. */
  const refusalOf = (route: Route, presented: Presented, request: Request, path: string, amountMsat: bigint): string | undefined => {
    const bad = verifyCredential(presented, secret, (caveat) => {
      const match = /^([\w.-]+) ?= ?(.*)$/.exec(caveat);
      const [, key, value] = match ?? [];
      if (key === "services") return value === `${name}:0` ? null : "another service";
      if (key === `${name}_valid_until`) return Number(value) * 1000 > clock.now() ? null : "expired";
      if (key === "RequestPath") return value === path ? null : "another path";
      if (key === "RequestMethod") return value === request.method ? null : "another method";
      return "an unknown caveat";
    });
    if (bad !== undefined) return bad;
    const sale = sales.get(presented.paymentHash);
    if (sale === undefined) return "nothing was sold for this payment";
    if (!sale.paid) return "the invoice is not settled";
    if (sale.credential !== (route.credential ?? "service")) return "another kind of credential";
    if (sale.usesLeft === 0) return "used up";
    if (sale.credential === "service" && sale.amountMsat < amountMsat) return "it costs more than was paid";
    return undefined;
  };

  const redeem = async (route: Route, request: Request, path: string, amountMsat: bigint, sale: SaleRecord, log: Mutable<LoggedRequest>): Promise<Answer> => {
    for (const misbehaviour of misbehaving.pick("redeem", sale.paymentHash, route.standing)) {
      log.refused = misbehaviour.name;
      sale.refused += 1;
      switch (misbehaviour.name) {
        case "price-rise": {
          const price = misbehaviour.priceSats === undefined ? amountMsat * 10n : BigInt(misbehaviour.priceSats) * 1000n;
          return challenge(route, request, path, price, log);
        }
        case "error-after-payment":
          return answerOf(misbehaviour.status ?? 503, [["Content-Type", TEXT_TYPE]], "try again later\n");
        case "reject-after-payment":
          return answerOf(401, [["WWW-Authenticate", "L402"]], "invalid credential\n");
        case "drop-after-payment":
          return { ...answerOf(502, [], ""), drop: "before" };
        case "redirect-after-payment":
          return redirect(misbehaviour.to ?? "/", request.url);
        default:
          return challenge(route, request, path, amountMsat, log);
      }
    }
    if (sale.usesLeft !== undefined) sale.usesLeft -= 1;
    const answer = await deliver(route, request, path, sale);
    if (answer.status < 500) sale.delivered += 1;
    else if (sale.usesLeft !== undefined) sale.usesLeft += 1;
    return answer;
  };

  const decide = async (request: Request, log: Mutable<LoggedRequest>): Promise<Answer> => {
    const { path } = log;
    const route = routeOf(path);
    for (const misbehaviour of misbehaving.pick("request", path, route?.standing ?? [])) {
      if (misbehaviour.name === "slow-headers") await clock.sleep(misbehaviour.ms ?? 60_000, request.signal);
      if (misbehaviour.name === "drop") return { ...answerOf(502, [], ""), drop: "before" };
      if (misbehaviour.name === "redirect") return redirect(misbehaviour.to ?? "/", request.url);
      if (misbehaviour.name === "redirect-loop") return redirect(`${path}?hop=${requests.length}`, request.url);
    }
    if (route === undefined) return answerOf(404, [["Content-Type", TEXT_TYPE]], "not found\n");
    if (route.methods !== undefined && !route.methods.includes(request.method)) {
      return answerOf(405, [["Content-Type", TEXT_TYPE], ["Allow", route.methods.join(", ")]], "method not allowed\n");
    }
    route.calls += 1;
    const amountMsat = await priceOf(route, request);
    if (amountMsat === undefined) return deliver(route, request, path, undefined);
    const authorization = request.headers.get("authorization");
    if (authorization === null || !/^(L402|LSAT)\b/i.test(authorization)) return challenge(route, request, path, amountMsat, log);
    const presented = readAuthorization(authorization);
    if (presented !== undefined) log.paymentHash = presented.paymentHash;
    const refusal = presented === undefined ? "malformed" : refusalOf(route, presented, request, path, amountMsat);
    const sale = presented === undefined ? undefined : sales.get(presented.paymentHash);
    if (refusal === undefined && sale !== undefined) return redeem(route, request, path, amountMsat, sale, log);
    log.refused = refusal ?? "unknown";
    if (sale !== undefined) sale.refused += 1;
    if (route.refuseWith !== 401) return challenge(route, request, path, amountMsat, log);
    return answerOf(401, [["Content-Type", JSON_TYPE], ["WWW-Authenticate", "L402"]], JSON.stringify({ error: "credential refused", detail: log.refused }));
  };

  const handle = async (request: Request): Promise<Answer> => {
    const url = new URL(request.url);
    const log: Mutable<LoggedRequest> = {
      at: clock.now(),
      method: request.method,
      url: request.url,
      path: url.pathname,
      headers: Object.fromEntries(request.headers),
      authorized: request.headers.has("authorization"),
    };
    requests.push(log);
    const answer = await decide(request, log);
    log.status = answer.drop === "before" ? 0 : answer.status;
    return answer;
  };

  const serving = options.listen === false ? undefined : await serve(handle);
  const close = async (): Promise<void> => {
    await serving?.close();
  };
  const paywall: Paywall = {
    name,
    url: serving?.url ?? options.origin ?? `https://${name}.example`,
    payee,
    requests,
    get sales() {
      return [...sales.values()];
    },
    get paidSales() {
      return [...sales.values()].filter((sale) => sale.paid);
    },
    sale: (paymentHash) => sales.get(paymentHash),
    route: addRoute,
    next: (...list) => misbehaving.queue(...list),
    fetch: memoryFetch(handle),
    close,
    [Symbol.asyncDispose]: close,
  };
  handlers.set(paywall, handle);
  return paywall;
}

/** One `fetch` for several services without sockets, by origin; any other origin cannot be reached. */
export function fetchOf(...paywalls: readonly Paywall[]): typeof fetch {
  const byOrigin = new Map(paywalls.map((paywall) => [new URL(paywall.url).origin, handlers.get(paywall)]));
  return memoryFetch(async (request) => byOrigin.get(new URL(request.url).origin)?.(request) ?? { ...answerOf(502, [], ""), drop: "before" });
}
