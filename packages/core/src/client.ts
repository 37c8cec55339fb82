import { matchesDomain, roomMsat, roomPayments } from "./budget.ts";
import { within } from "./clock.ts";
import { asksForPayment } from "./credential.ts";
import { L402Error } from "./errors.ts";
import { discard, send } from "./exchange.ts";
import { openLine, paying, type Line } from "./line.ts";
import { ceilSats, floorSats } from "./money.ts";
import { readChildOptions, readOptions, type ChildOptions, type ConfiguredLimit, type L402ClientOptions, type L402RequestInit } from "./options.ts";
import { paidFetch } from "./paid-fetch.ts";
import { authorizeHost } from "./policy.ts";
import type { PaymentFilter, Usage } from "./ports.ts";
import { recordOf } from "./record.ts";
import { Book } from "./report.ts";
import { captureCall } from "./request.ts";
import type { Balance, DomainBalance, LimitUsage, PaymentRecord, Quote, RecoveryReport, SpendingReport } from "./types.ts";

/** Quotes that are kept; the oldest goes first. */
const QUOTES_MAX = 1_000;
/** Longest wait, ms, for payments under way when a client is closed. */
const CLOSE_MAX_MS = 5_000;

/**
 * A `fetch` that pays L402 challenges from a Lightning wallet, inside a strict budget.
 *
 * @example
 * const client = new L402Client({ wallet, budgetSats: 1_000 });
 * const response = await client.fetch("https://api.example.com/weather");
 */
export class L402Client implements AsyncDisposable {
  readonly #line: Line;

  /** @throws {L402Error} `invalid_options`, naming the option that cannot be meant. */
  constructor(options: L402ClientOptions);
  /** @internal */
  constructor(line: Line, child: typeof CHILD);
  constructor(options: L402ClientOptions | Line, child?: typeof CHILD) {
    this.#line = child === CHILD ? (options as Line) : openLine(readOptions(options as L402ClientOptions));
    this.fetch = this.fetch.bind(this);
  }

  /** Whether whoever makes a call may have to ask a person: a rule has `approveAbove` and no `approve`. */
  get needsApprover(): boolean {
    return this.#line.rules.approvals.some(({ approve }) => approve === undefined);
  }

  /**
   * `fetch`, which pays a 402 that carries an L402 challenge if the budget and the rules allow it, and then returns what
   * was paid for. A 402 without such a challenge is handed back as it is. Can be passed on as a plain function.
   *
   * @throws {L402Error} whose `paid` says whether money moved. Before anything was sent to a wallet, an abort rejects
   * with the signal's reason and a network failure as `fetch` does.
   */
  fetch(input: string | URL | Request, init?: L402RequestInit): Promise<Response> {
    return paidFetch(this.#line, input, init);
  }

  /**
   * The price of a request, or `null` when it is free. Pays and holds nothing; no kept credential is used. Pass
   * `{ quoteId: quote.id }` to `fetch` to pay exactly this invoice.
   *
   * @throws {ChallengeError | InvoiceError} when what the server asks for must not be paid.
   */
  async quote(input: string | URL | Request, init?: L402RequestInit): Promise<Quote | null> {
    const line = this.#line;
    this.#assertOpen();
    const call = await captureCall(input, init);
    authorizeHost(line.rules, call.first.url);
    const turn = (line.state.turn += 1);
    const reply = await send(line, call, call.first, () => undefined);
    const offer = asksForPayment(reply.response) ? await (await paying(line)).readOffer(line, call, reply, turn) : null;
    if (offer === null) {
      discard(reply.response, line.clock);
      return null;
    }
    const { quotes } = line.state;
    const id = crypto.randomUUID();
    if (quotes.size >= QUOTES_MAX) quotes.delete(quotes.keys().next().value as string);
    quotes.set(id, { ...offer, id });
    const { invoice, hop } = offer;
    return {
      id,
      url: hop.url.href,
      method: hop.method,
      amountSats: ceilSats(invoice.amountMsat),
      amountMsat: Number(invoice.amountMsat),
      payee: invoice.payee,
      description: invoice.description,
      network: invoice.network,
      paymentHash: invoice.paymentHash,
      expiresAt: invoice.expiresAt,
    };
  }

  /** What this client has spent, in sats; `null` when no budget is configured. Its own view: `balance()` asks the store. */
  spendingReport(): SpendingReport | null {
    return this.#line.rules.budgeted ? this.#line.book.report() : null;
  }

  /** The budget as the store has it, in sats: holds, every limit, and what other processes spent. @throws {StoreError} */
  async balance(): Promise<Balance> {
    const { rules, store } = this.#line;
    const scope = rules.scopes.at(-1) as string;
    const [whole, ...usages] = (await store.usage([{ scope }, ...rules.limits.map((limit) => limit.rule)])) as [Usage, ...Usage[]];
    const hosts = await store.hosts(scope);
    const limits = rules.limits.map((limit, index) => limitUsage(limit, usages[index] as Usage));
    const totals = rules.limits.filter((limit) => limit.total);
    const lifelong = rules.limits.flatMap(({ rule }, index) => (rule.domain === undefined && rule.windowMs === undefined ? [roomMsat(rule, usages[index] as Usage)] : []));
    const byDomain = Object.create(null) as Record<string, DomainBalance>;
    for (const [host, usage] of hosts) {
      byDomain[host] = { spentSats: ceilSats(usage.spentMsat), heldSats: ceilSats(usage.heldMsat), remainingSats: domainRoom(rules.limits, usages, host) };
    }
    for (const { rule } of rules.limits) {
      if (rule.domain !== undefined && !rule.domain.startsWith("*.") && byDomain[rule.domain] === undefined) {
        byDomain[rule.domain] = { spentSats: 0, heldSats: 0, remainingSats: domainRoom(rules.limits, usages, rule.domain) };
      }
    }
    const own = totals.at(-1);
    return {
      totalSats: own?.rule.maxMsat === undefined ? null : floorSats(own.rule.maxMsat),
      spentSats: ceilSats(whole.spentMsat),
      heldSats: ceilSats(whole.heldMsat),
      remainingSats: totals.length === 0 ? null : least(lifelong),
      byDomain,
      limits,
    };
  }

  /** Every payment of this budget on record, oldest first. @throws {StoreError} */
  async *payments(filter?: PaymentFilter): AsyncIterable<PaymentRecord> {
    for await (const payment of this.#line.store.payments(this.#line.config.budgetId, filter)) yield recordOf(payment);
  }

  /**
   * Brings payments with an open outcome to an end, by looking them up: one that was paid is booked and its credential
   * kept, one that certainly was not is released. Runs by itself before the first payment.
   */
  async recover(): Promise<RecoveryReport> {
    this.#assertOpen();
    return (await paying(this.#line)).recover(this.#line);
  }

  /**
   * Ends a payment by hand, on record; the only way that needs no proof by a machine. `settled` without a preimage
   * books the money and frees the request to be bought again.
   *
   * @throws {L402Error} `not_resolvable`
   */
  async resolve(paymentHash: string, outcome: "settled" | "failed", proof: { why: string; preimage?: string }): Promise<void> {
    this.#assertOpen();
    return (await paying(this.#line)).resolveByHand(this.#line, paymentHash, outcome, proof);
  }

  /** Lets the client pay again after an overrun stopped it; the reason goes on record. */
  async resume(proof: { why: string }): Promise<void> {
    this.#assertOpen();
    if (typeof proof?.why !== "string" || proof.why.trim() === "") throw new L402Error("invalid_options", 'resume needs a reason: { why: "…" }.');
    await this.#line.store.resume(this.#line.config.budgetId, proof.why);
  }

  /**
   * A sub-agent's client: it shares wallet, store and credentials, and counts against this client's limits besides its
   * own, which can only tighten them.
   *
   * @throws {L402Error} `invalid_options`
   */
  child(options: ChildOptions = {}): L402Client {
    this.#assertOpen();
    const parent = this.#line;
    const unlabelled = `child-${parent.state.owner.slice(0, 8)}-${(parent.state.children += 1)}`;
    const rules = readChildOptions(parent.rules, options, unlabelled);
    return new L402Client({ ...parent, rules, book: new Book(rules.ownBudgetMsat, parent.book) }, CHILD);
  }

  /**
   * Stops paying, waits a short while for payments under way, and closes the store if this client made it. A wallet or
   * store that was passed in stays open. On a child it does nothing: its parent is closed instead.
   */
  async close(): Promise<void> {
    const { state, clock, store, rules } = this.#line;
    if (rules.scopes.length > 1 || state.closed) return;
    state.closed = true;
    state.stop.abort(new Error("The client was closed."));
    await within(clock, clock.now() + CLOSE_MAX_MS, undefined, Promise.allSettled(state.live.values()));
    if (state.ownsStore) await store.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(): void {
    if (this.#line.state.closed) throw new L402Error("store_unavailable", "This client is closed; make a new one.");
  }
}

/** Marks the constructor call of `child`. */
const CHILD: unique symbol = Symbol("child");

function least(rooms: readonly (bigint | undefined)[]): number | null {
  const known = rooms.filter((room) => room !== undefined);
  return known.length === 0 ? null : floorSats(known.reduce((tightest, room) => (room < tightest ? room : tightest)));
}

function domainRoom(limits: readonly ConfiguredLimit[], usages: readonly Usage[], host: string): number | null {
  return least(limits.map(({ rule }, index) => (rule.domain !== undefined && matchesDomain(rule.domain, host) ? roomMsat(rule, usages[index] as Usage) : undefined)));
}

function limitUsage({ rule, shown }: ConfiguredLimit, usage: Usage): LimitUsage {
  const room = roomMsat(rule, usage);
  const payments = roomPayments(rule, usage);
  return {
    ...shown,
    spentSats: ceilSats(usage.spentMsat),
    heldSats: ceilSats(usage.heldMsat),
    ...(room === undefined ? {} : { remainingSats: floorSats(room) }),
    ...(payments === undefined ? {} : { remainingPayments: Math.max(0, payments) }),
  };
}
