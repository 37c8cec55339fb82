/**
 * A small world that the real engine lives in: a clock that stands still, a store, a wallet, servers and processes.
 * Nothing in it happens by itself. Each effect that the engine asks for waits until the scheduler releases it: first
 * its deed (the store's write, the server's handling, the wallet's move of money), and then, often in a release of its
 * own, the answer. So every interleaving is reachable, and between two releases the whole world can be looked at.
 */
import { takeInvoice, START, type PoolInvoice } from "./invoices.ts";
import { AsyncLocalStorage } from "node:async_hooks";
import { receiptOf } from "../../src/credential.ts";
import { isL402Error, PaymentFailedError, StoreError } from "../../src/errors.ts";
import { openLine, type Line } from "../../src/line.ts";
import { memoryStore } from "../../src/memory-store.ts";
import { readChildOptions, readOptions, type ChildOptions, type L402ClientOptions, type LimitOptions } from "../../src/options.ts";
import { paidFetch } from "../../src/paid-fetch.ts";
import type { Clock, LimitRule, LookupResult, PayRequest, PayResult, SimpleWallet, Store, StoredPayment, Usage, Wallet } from "../../src/ports.ts";
import { recover, resolveByHand } from "../../src/recovery.ts";
import { Book } from "../../src/report.ts";
import type { SpendingReport } from "../../src/types.ts";
import { Checker, Violation } from "./checker.ts";
import type { Tape } from "./tape.ts";

// The engine loads it at the first 402; here nothing waits for a file.
await import("../../src/paying.ts");

export const BUDGET = "default";

/** One thing that waits to be released. `owner`: the process whose crash ends it; `null`: the outside world's. */
interface Effect {
  readonly owner: Process | null;
  readonly what: string;
  readonly stage: "deed" | "answer";
  readonly run: () => void;
}

interface Sleeper {
  readonly owner: Process | null;
  readonly due: number;
  /** Of work in the background, which nobody waits for and which may go on for ever. */
  readonly idle: boolean;
  readonly wake: () => void;
}

/** One request to pay, as it is outside of the engine. */
export interface Sent {
  readonly paymentHash: string;
  readonly maxFeeMsat: bigint;
  /** After it the wallet does not begin it: half of what it promises, for the other half is the way from dispatch to wallet. */
  readonly cutoff: number;
  readonly deadline: number;
  /** Whose purchase sends it. */
  readonly call: Call | undefined;
  state: "transit" | "locked" | "paid" | "failed" | "lost";
  feeMsat: bigint;
  /** The wallet said that nothing moved, though it might. */
  lied: boolean;
  overran: boolean;
  feeTold: boolean;
  answered: boolean;
}

/** How one call of the wallet goes. */
interface Plan {
  readonly arrives: boolean;
  readonly outcome: "paid" | "failed";
  /** `late`: only after everything else came to rest. */
  readonly resolves: "soon" | "late";
  readonly answer: "truth" | "unknown" | "throw" | "in_flight" | "never" | "failed" | "garbage" | "wrong_preimage" | "no_preimage";
  readonly fee?: "overrun" | "untold";
}

const PLANS: readonly Plan[] = [
  { arrives: true, outcome: "paid", resolves: "soon", answer: "truth" },
  { arrives: true, outcome: "failed", resolves: "soon", answer: "truth" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "unknown" },
  { arrives: true, outcome: "failed", resolves: "soon", answer: "unknown" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "in_flight" },
  { arrives: true, outcome: "failed", resolves: "soon", answer: "in_flight" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "never" },
  { arrives: true, outcome: "failed", resolves: "soon", answer: "never" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "throw" },
  { arrives: false, outcome: "failed", resolves: "soon", answer: "throw" },
  { arrives: false, outcome: "failed", resolves: "soon", answer: "never" },
  { arrives: true, outcome: "paid", resolves: "late", answer: "in_flight" },
  { arrives: true, outcome: "paid", resolves: "late", answer: "truth" },
  { arrives: true, outcome: "failed", resolves: "late", answer: "never" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "garbage" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "wrong_preimage" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "no_preimage" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "truth", fee: "untold" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "failed" },
  { arrives: true, outcome: "paid", resolves: "soon", answer: "truth", fee: "overrun" },
];
/** The last two plans are of a wallet that breaks its word. */
const HONEST_PLANS: number = PLANS.length - 2;

/** What is drawn once for a schedule. */
export interface Scenario {
  readonly processes: number;
  readonly calls: readonly CallPlan[];
  readonly options: Pick<L402ClientOptions, "budgetSats" | "budgetPerDomain" | "limits" | "maxFee" | "paymentConcurrency" | "maxQueuedPayments" | "paymentTimeoutMs" | "approvalTimeoutMs" | "credentialScope">;
  readonly child: ChildOptions;
  readonly approves: boolean;
  readonly observes: boolean;
  readonly simple: boolean;
  readonly lying: boolean;
  readonly feeLimit: "enforced" | "quoted" | "none";
  readonly lookup: "by-hash" | "by-ref" | "none";
  readonly notFoundFinalAfterMs: number | null;
  readonly hosts: ReadonlyMap<string, HostPlan>;
  /** Time passes only when nothing else can happen. */
  readonly calm: boolean;
  readonly extras: readonly Extra[];
  /** Wallet, server, look-ups, store do not always as they should. */
  readonly nastyWallet: boolean;
  readonly nastyServer: boolean;
  readonly nastyStore: boolean;
}

export type Extra = "crash" | "recover" | "resolve" | "resolve-wrong" | "resume";

export interface CallPlan {
  readonly process: number;
  readonly child: boolean;
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly body: string | undefined;
  readonly key: string | undefined;
  readonly maxPriceSats: number | undefined;
  readonly aborts: boolean;
}

export interface HostPlan {
  readonly kind: "path" | "service" | "single";
  /** Presentations that are refused before a credential is taken; `Infinity`: it never is. */
  readonly refusesFirst: number;
  /** Asks for the same invoice again until it is paid; `service`: one invoice for all paths. */
  readonly sticky: "no" | "path" | "service";
  readonly short: boolean;
}

/** A call to `fetch`. */
export class Call {
  readonly plan: CallPlan;
  readonly process: Process;
  readonly abort: AbortController | undefined;
  /** Payment hashes that this very call reserved. */
  readonly reserved: Set<string> = new Set();
  /** The reservations themselves: an invoice may be reserved more than once. */
  readonly owners: Set<string> = new Set();
  state: "pending" | "ok" | "error" = "pending";
  response: Response | undefined;
  error: unknown;
  constructor(plan: CallPlan, process: Process) {
    this.plan = plan;
    this.process = process;
    this.abort = plan.aborts ? new AbortController() : undefined;
  }
}

/** A process: a client and its children. */
export class Process {
  readonly id: number;
  line!: Line;
  child!: Line;
  dead = false;
  readonly sent: Sent[] = [];
  readonly told: { sats: number; url: string }[] = [];
  constructor(id: number) {
    this.id = id;
  }
  report(): SpendingReport {
    return this.line.book.report();
  }
}

interface Token {
  readonly invoice: PoolInvoice;
  readonly host: string;
  readonly method: string;
  readonly path: string;
  presented: number;
  used: boolean;
  refused: boolean;
}

/** Which call an effect was asked for by. One for all worlds: each one more makes every promise dearer. */
const CALL: AsyncLocalStorage<Call> = new AsyncLocalStorage();

const PATHS: readonly string[] = ["/a", "/b", "/c"];

export class World {
  readonly tape: Tape;
  readonly scenario: Scenario;
  readonly store: Store;
  readonly rules: readonly LimitRule[];
  readonly checker: Checker;
  readonly processes: Process[] = [];
  readonly calls: Call[] = [];
  readonly sent: Map<string, Sent[]> = new Map();
  readonly tokens: Map<string, Token> = new Map();
  readonly issued: Map<string, PoolInvoice> = new Map();
  readonly trace: string[] | undefined;
  now: number = START;
  steps = 0;
  violation: Violation | undefined;
  /** After the schedule proper: everybody behaves, and nothing is drawn. */
  peace = false;
  #pending: Effect[] = [];
  #sleepers: Sleeper[] = [];
  #late: (() => void)[] = [];
  #serial = 0;
  readonly #sticky = new Map<string, PoolInvoice>();

  constructor(tape: Tape, scenario: Scenario, options: { store?: (clock: Clock) => Store; trace?: string[] } = {}) {
    this.tape = tape;
    this.scenario = scenario;
    this.trace = options.trace;
    const clock = this.#clock(null);
    this.store = (options.store ?? ((own) => memoryStore({ clock: own })))(clock);
    for (let id = 0; id < scenario.processes; id += 1) this.spawn();
    this.rules = (this.processes[0] as Process).child.rules.limits.map((limit) => limit.rule);
    this.checker = new Checker(this);
  }

  // --- the scheduler ---

  get pending(): number {
    return this.#pending.length;
  }
  /** Sleepers that somebody waits for. */
  get sleepers(): number {
    let count = 0;
    for (const sleeper of this.#sleepers) if (!sleeper.idle) count += 1;
    return count;
  }
  /** Wakes what sleeps in the background; `false` if nothing does. */
  wakeIdle(): boolean {
    const idle = this.#sleepers.filter((sleeper) => sleeper.idle);
    this.#sleepers = this.#sleepers.filter((sleeper) => !sleeper.idle);
    for (const sleeper of idle) {
      this.now = Math.max(this.now, sleeper.due);
      sleeper.wake();
    }
    return idle.length > 0;
  }

  fail(error: unknown): void {
    this.violation ??= error instanceof Violation ? error : new Violation("harness", error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  note(line: string): void {
    this.trace?.push(`${this.now - START} ${line}`);
  }

  /** Releases the `index`-th waiting effect. */
  release(index: number): void {
    const [effect] = this.#pending.splice(index, 1) as [Effect];
    if (effect.owner?.dead === true && effect.stage === "answer") return;
    this.note(`${effect.stage} ${effect.owner === null ? "-" : `p${effect.owner.id}`} ${effect.what}`);
    effect.run();
  }

  /** Lets time go on to the next sleeper, or by `ms`; wakes one that is due. */
  passTime(ms?: number): void {
    if (ms !== undefined) this.now += ms;
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) if (first === undefined || sleeper.due < first.due) first = sleeper;
    if (first === undefined || (ms !== undefined && first.due > this.now)) return;
    this.now = Math.max(this.now, first.due);
    this.note("wake");
    this.#drop(first);
    first.wake();
  }

  #drop(sleeper: Sleeper): void {
    const index = this.#sleepers.indexOf(sleeper);
    if (index >= 0) this.#sleepers.splice(index, 1);
  }

  #push(effect: Effect): void {
    this.#pending.push(effect);
  }

  /** Hands an answer over: now, or in a release of its own. */
  #answer(owner: Process | null, what: string, run: () => void): void {
    if (owner?.dead === true) return;
    if (!this.peace && this.tape.one(3)) this.#push({ owner, what, stage: "answer", run });
    else run();
  }

  #clock(owner: Process | null): Clock {
    return {
      now: () => this.now,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted === true) return reject(signal.reason as Error);
          if (owner?.dead === true) return;
          const sleeper: Sleeper = {
            owner,
            due: this.now + Math.max(0, ms),
            idle: signal !== undefined && signal === owner?.line.state.stop.signal,
            wake: () => {
              signal?.removeEventListener("abort", onAbort);
              resolve();
            },
          };
          const onAbort = (): void => {
            this.#drop(sleeper);
            reject(signal?.reason as Error);
          };
          this.#sleepers.push(sleeper);
          signal?.addEventListener("abort", onAbort, { once: true });
        }),
    };
  }

  // --- processes ---

  spawn(): Process {
    const { scenario } = this;
    const process = new Process(this.processes.length);
    this.processes.push(process);
    const options: L402ClientOptions = {
      ...scenario.options,
      wallet: this.#wallet(process),
      store: this.#storeOf(process),
      clock: this.#clock(process),
      fetch: ((url: string, init: RequestInit) => this.#http(process, url, init)) as typeof fetch,
      onSpend: (sats, url) => void process.told.push({ sats, url }),
      ...(scenario.approves ? { approve: (intent) => this.#approve(process, intent.paymentHash) } : {}),
      ...(scenario.observes ? { onEvent: () => {} } : {}),
    };
    const line = openLine(readOptions(options));
    process.line = line;
    const rules = readChildOptions(line.rules, { label: "kid", ...scenario.child }, "");
    process.child = { ...line, rules, book: new Book(rules.ownBudgetMsat, line.book) };
    return process;
  }

  crash(process: Process): void {
    this.note(`crash p${process.id}`);
    process.dead = true;
    this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.owner !== process);
    // What had left the process may still arrive.
    this.#pending = this.#pending.filter((effect) => effect.owner !== process || (effect.stage === "deed" && this.tape.one(2)));
  }

  start(plan: CallPlan, process: Process): Call {
    const call = new Call(plan, process);
    this.calls.push(call);
    this.note(`start call ${this.calls.length - 1} p${process.id} ${plan.method} ${plan.url} ${plan.key ?? ""}`);
    const line = plan.child ? process.child : process.line;
    const init = {
      method: plan.method,
      ...(plan.body === undefined ? {} : { body: plan.body }),
      ...(plan.key === undefined ? {} : { idempotencyKey: plan.key }),
      ...(plan.maxPriceSats === undefined ? {} : { maxPriceSats: plan.maxPriceSats }),
      ...(call.abort === undefined ? {} : { signal: call.abort.signal }),
    };
    CALL.run(call, () => paidFetch(line, plan.url, init)).then(
      (response) => {
        call.state = "ok";
        call.response = response;
        this.note(`call ${this.calls.indexOf(call)} HTTP ${response.status} ${JSON.stringify(receiptOf(response) ?? null)}`);
        this.#judge(call);
      },
      (error: unknown) => {
        call.state = "error";
        call.error = error;
        this.note(`call ${this.calls.indexOf(call)} ${isL402Error(error) ? `${error.code} paid=${error.paid}` : String(error)}`);
        this.#judge(call);
      },
    );
    return call;
  }

  #judge(call: Call): void {
    try {
      this.checker.outcome(call);
    } catch (error) {
      this.fail(error);
    }
  }

  recover(process: Process): Promise<unknown> {
    this.note(`recover p${process.id}`);
    return recover(process.line).catch((error: unknown) => {
      if (!isL402Error(error)) this.fail(error);
    });
  }

  resolve(process: Process, paymentHash: string, outcome: "settled" | "failed", preimage?: string): Promise<void> {
    this.note(`by hand ${paymentHash.slice(0, 6)} ${outcome}`);
    return resolveByHand(process.line, paymentHash, outcome, { why: "looked at it", ...(preimage === undefined ? {} : { preimage }) }).catch((error: unknown) => {
      if (!isL402Error(error)) this.fail(error);
    });
  }

  // --- the store ---

  /** One operation of the store. `after` sees its result at the instant of the deed. */
  #op<T>(owner: Process, what: string, writes: boolean, act: () => Promise<T>, after?: (result: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#push({
        owner,
        what,
        stage: "deed",
        run: () => {
          const fault = !this.peace && this.scenario.nastyStore ? this.tape.pick(24) : 0;
          const broken = (): void => this.#answer(owner, what, () => reject(new StoreError("store_unavailable", "The store does not answer.")));
          if (fault === 23) return broken();
          act()
            .then(async (result) => {
              after?.(result);
              if (writes) await this.checker.look();
              if (fault === 22) broken();
              else this.#answer(owner, what, () => resolve(result));
            })
            .catch((error: unknown) => this.fail(error));
        },
      });
    });
  }

  #storeOf(owner: Process): Store {
    const { store } = this;
    const short = (hash: string): string => hash.slice(0, 6);
    return {
      name: store.name,
      reserve: (request) => {
        const call = CALL.getStore();
        const { payment } = request;
        return this.#op(owner, `reserve ${short(payment.paymentHash)}`, true, () => store.reserve(request), (result) => {
          this.note(`  ${result.status}`);
          this.checker.reserved(request, result);
          if (result.status !== "reserved") return;
          call?.reserved.add(payment.paymentHash);
          call?.owners.add(payment.owner);
        });
      },
      dispatch: (hash, by, notAfter) => this.#op(owner, `dispatch ${short(hash)}`, true, () => store.dispatch(hash, by, notAfter), (sent) => this.checker.dispatched(hash, sent)),
      settle: (hash, proof) => this.#op(owner, `settle ${short(hash)}`, true, () => store.settle(hash, proof), (result) => this.checker.settled(hash, result, proof)),
      fail: (hash, attempt, why) => this.#op(owner, `fail ${short(hash)} ${attempt} ${why}`, true, () => store.fail(hash, attempt, why)),
      unknown: (hash, attempt, detail) => this.#op(owner, `unknown ${short(hash)} ${attempt}`, true, () => store.unknown(hash, attempt, detail)),
      void: (hash, why, by) => this.#op(owner, `void ${short(hash)} ${why}`, true, () => store.void(hash, why, by)),
      payment: (hash) => this.#op(owner, `payment ${short(hash)}`, false, () => store.payment(hash)),
      purchase: (budgetId, by) => this.#op(owner, "purchase", false, () => store.purchase(budgetId, by)),
      link: (budgetId, key, callKey, hash) => this.#op(owner, `link ${key} ${short(hash)}`, false, () => store.link(budgetId, key, callKey, hash)),
      payments: (budgetId, filter) => this.#list(owner, budgetId, filter),
      usage: (rules) => this.#op(owner, "usage", false, () => store.usage(rules)),
      hosts: (scope) => this.#op(owner, "hosts", false, () => store.hosts(scope)),
      credential: (query) => this.#op(owner, "credential", false, () => store.credential(query)),
      accepted: (hash) => this.#op(owner, `accepted ${short(hash)}`, false, () => store.accepted(hash)),
      refused: (hash, at) => this.#op(owner, `refused ${short(hash)}`, false, () => store.refused(hash, at)),
      resume: (budgetId, why) => this.#op(owner, "resume", true, () => store.resume(budgetId, why), () => this.checker.resumed()),
      paused: (budgetId) => this.#op(owner, "paused", false, () => store.paused(budgetId)),
      close: async () => {},
    };
  }

  async *#list(owner: Process, budgetId: string, filter: Parameters<Store["payments"]>[1]): AsyncGenerator<StoredPayment> {
    yield* await this.#op(owner, "payments", false, () => this.rowsOf(budgetId, filter));
  }

  async rowsOf(budgetId: string = BUDGET, filter?: Parameters<Store["payments"]>[1]): Promise<StoredPayment[]> {
    const rows: StoredPayment[] = [];
    for await (const row of this.store.payments(budgetId, filter)) rows.push(row);
    return rows;
  }

  usage(): Promise<readonly Usage[]> {
    return this.store.usage(this.rules);
  }

  // --- the wallet ---

  sentFor(paymentHash: string): readonly Sent[] {
    return this.sent.get(paymentHash) ?? [];
  }

  #approve(process: Process, paymentHash: string): Promise<boolean> {
    this.checker.asked(paymentHash);
    return new Promise((resolve, reject) => {
      this.#push({
        owner: process,
        what: "approve",
        stage: "deed",
        run: () => {
          const answer = this.peace ? 0 : this.tape.pick(8);
          if (answer === 7) reject(new Error("no"));
          else if (answer !== 6) resolve(answer !== 5);
        },
      });
    });
  }

  #feeOf(amountMsat: bigint): bigint {
    return amountMsat > 2_000n ? 1_000n : 500n;
  }

  #wallet(process: Process): Wallet | SimpleWallet {
    const { scenario } = this;
    if (scenario.simple) {
      return {
        payInvoice: async (text) => {
          const invoice = this.issued.get(text) as PoolInvoice;
          const result = await this.#pay(process, { ...invoice, maxFeeMsat: 0n, deadline: this.now + (scenario.options.paymentTimeoutMs ?? 60_000), attemptId: "" });
          if (result?.status === "settled") return { preimage: result.preimage as string };
          if (result?.status === "failed") throw new PaymentFailedError(result.message, { reason: result.reason });
          throw new Error("no idea");
        },
      };
    }
    return {
      name: "world",
      capabilities: {
        feeLimit: scenario.feeLimit,
        ...(scenario.feeLimit === "enforced" ? {} : { worstCaseFeeMsat: (amountMsat: bigint) => this.#feeOf(amountMsat) }),
        preimage: "always",
        lookup: scenario.lookup,
        notFoundFinalAfterMs: scenario.notFoundFinalAfterMs,
      },
      pay: (request) => this.#pay(process, request),
      ...(scenario.lookup === "none" ? {} : { lookup: (query) => this.#lookup(process, query) }),
      ...(scenario.feeLimit === "quoted" ? { quoteFee: (request) => this.#op(process, "quote", false, async () => ({ feeMsat: this.#feeOf(request.amountMsat), binding: true })) } : {}),
    };
  }

  #pay(process: Process, request: PayRequest): Promise<PayResult> {
    const { paymentHash } = request;
    const { scenario } = this;
    const expiresAt = [...this.issued.values()].find((one) => one.paymentHash === paymentHash)?.expiresAt ?? 0;
    const sent: Sent = {
      paymentHash,
      maxFeeMsat: request.maxFeeMsat,
      cutoff: Math.min(expiresAt, scenario.notFoundFinalAfterMs === null ? Infinity : this.now + scenario.notFoundFinalAfterMs / 2 - 1),
      deadline: request.deadline,
      call: CALL.getStore(),
      state: "transit",
      feeMsat: 0n,
      lied: false,
      overran: false,
      feeTold: true,
      answered: false,
    };
    this.note(`  wallet.pay ${paymentHash.slice(0, 6)}`);
    try {
      this.checker.pay(process, sent);
    } catch (error) {
      this.fail(error);
    }
    this.sent.set(paymentHash, [...this.sentFor(paymentHash), sent]);
    process.sent.push(sent);
    const choice = this.peace || !scenario.nastyWallet ? 0 : this.tape.pick(2 * PLANS.length);
    const plan = PLANS[choice >= (scenario.lying ? PLANS.length : HONEST_PLANS) ? 0 : choice] as Plan;
    return new Promise((resolve, reject) => {
      const say = (result: () => PayResult): void => {
        this.#push({
          owner: process,
          what: `pay ${paymentHash.slice(0, 6)} ${plan.answer}`,
          stage: "answer",
          run: () => {
            sent.answered = true;
            if (plan.answer === "throw") reject(new Error("socket hang up"));
            else resolve(result());
          },
        });
      };
      const answer = (): void => {
        const ref = `ref-${paymentHash}`;
        const preimage = this.#preimageOf(paymentHash);
        const feeMsat = sent.feeTold ? sent.feeMsat : null;
        switch (plan.answer) {
          case "never":
            return;
          case "truth":
            return say(() => (sent.state === "paid" ? { status: "settled", preimage, feeMsat, ref } : { status: "failed", reason: "no_route", message: "No route." }));
          case "failed":
            sent.lied = true;
            return say(() => ({ status: "failed", reason: "no_route", message: "No route." }));
          case "in_flight":
            return say(() => ({ status: "in_flight", ref }));
          case "unknown":
          case "throw":
            return say(() => ({ status: "unknown", cause: new Error("?"), ref }));
          case "garbage":
            return say(() => ({ state: "ok" }) as never);
          case "wrong_preimage":
            return say(() => ({ status: "settled", preimage: "00".repeat(32), feeMsat: sent.feeMsat, ref }));
          case "no_preimage":
            return say(() => ({ status: "settled", preimage: null, feeMsat: sent.feeMsat, ref }));
        }
      };
      const end = (): void => {
        sent.state = plan.outcome;
        this.note(`  money ${paymentHash.slice(0, 6)} ${plan.outcome}`);
        this.checker.moved();
        if (plan.answer === "truth" || plan.answer.endsWith("preimage")) answer();
      };
      const arrive = (): void => {
        const inTime = this.now <= sent.cutoff;
        sent.state = plan.arrives && inTime ? "locked" : !plan.arrives || this.now <= expiresAt ? "lost" : "failed";
        if (sent.state === "locked") {
          const least = scenario.simple ? 0n : this.#feeOf(this.#invoiceOf(paymentHash).amountMsat);
          const charged = plan.outcome === "failed" ? 0n : least < sent.maxFeeMsat || scenario.simple ? least : sent.maxFeeMsat;
          sent.overran = plan.fee === "overrun" && !scenario.simple;
          sent.feeTold = plan.fee !== "untold";
          sent.feeMsat = sent.overran ? sent.maxFeeMsat + 1_500n : charged;
          this.checker.moved();
          if (plan.resolves === "late" && !this.peace) this.#late.push(end);
          else this.#push({ owner: null, what: `money ${paymentHash.slice(0, 6)}`, stage: "deed", run: end });
          if (plan.answer !== "truth" && !plan.answer.endsWith("preimage")) answer();
        } else if (sent.state === "failed") say(() => ({ status: "failed", reason: "invoice_expired", message: "Expired." }));
        else if (plan.answer !== "never") say(() => ({ status: "unknown", cause: new Error("timeout") }));
      };
      this.#push({ owner: null, what: `request ${paymentHash.slice(0, 6)}`, stage: "deed", run: arrive });
    });
  }

  #invoiceOf(paymentHash: string): PoolInvoice {
    for (const one of this.issued.values()) if (one.paymentHash === paymentHash) return one;
    throw new Error(`no invoice ${paymentHash}`);
  }
  #preimageOf(paymentHash: string): string {
    return this.#invoiceOf(paymentHash).preimage;
  }
  preimageOf(paymentHash: string): string {
    return this.#preimageOf(paymentHash);
  }

  #lookup(process: Process, { paymentHash, ref }: { paymentHash: string; ref?: string }): Promise<LookupResult> {
    if (this.scenario.lookup === "by-ref" && ref === undefined) this.fail(new Violation("port", "a by-ref look-up without a ref"));
    return new Promise((resolve, reject) => {
      this.#push({
        owner: process,
        what: `lookup ${paymentHash.slice(0, 6)}`,
        stage: "deed",
        run: () => {
          const fault = this.peace || !this.scenario.nastyWallet ? 0 : this.tape.pick(10);
          if (fault === 9) return reject(new Error("connection refused"));
          const result = this.#found(paymentHash, fault === 8);
          this.note(`  lookup ${result.status}`);
          const run = (): void => resolve(result);
          if (this.peace) run();
          else this.#push({ owner: process, what: `lookup ${paymentHash.slice(0, 6)} ${result.status}`, stage: "answer", run });
        },
      });
    });
  }

  #found(paymentHash: string, worse: boolean): LookupResult {
    const all = this.sentFor(paymentHash).filter((sent) => sent.state !== "transit" && sent.state !== "lost");
    const paid = all.find((sent) => sent.state === "paid");
    if (paid !== undefined) return { status: "settled", preimage: worse ? null : this.#preimageOf(paymentHash), feeMsat: paid.feeTold ? paid.feeMsat : null };
    if (all.some((sent) => sent.state === "locked")) return worse ? { status: "failed", soft: true } : { status: "in_flight" };
    if (all.length > 0) return { status: "failed", soft: worse };
    return { status: "not_found" };
  }

  /** What hung on the network until now comes to its end. */
  endLate(): void {
    const late = this.#late;
    this.#late = [];
    for (const end of late) this.#push({ owner: null, what: "late money", stage: "deed", run: end });
  }

  // --- the servers ---

  #http(process: Process, href: string, init: RequestInit): Promise<Response> {
    const signal = init.signal ?? undefined;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      const url = new URL(href);
      this.#push({
        owner: process,
        what: `${init.method} ${url.host}${url.pathname}`,
        stage: "deed",
        run: () => {
          const fault = this.peace || !this.scenario.nastyServer ? 0 : this.tape.pick(16);
          const broken = (): void => this.#answer(process, "http broken", () => reject(new TypeError("fetch failed")));
          if (fault === 15) return broken();
          try {
            const reply = this.#serve(url, init, fault);
            if (fault === 14) return broken();
            this.note(`  HTTP ${reply.status}`);
            this.#answer(process, `http ${reply.status}`, () => resolve(reply));
          } catch (error) {
            this.fail(error);
          }
        },
      });
    });
  }

  #serve(url: URL, init: RequestInit, fault: number): Response {
    const host = url.hostname;
    const plan = this.scenario.hosts.get(host) as HostPlan;
    const method = init.method ?? "GET";
    const { pathname: path } = url;
    if (path === "/r") return new Response(null, { status: 307, headers: { location: "/a" } });
    if (path === "/free") return new Response(null, { status: 200 });
    const shown = /^L402 (\S+):([0-9a-f]{64})$/.exec((init.headers as Headers).get("authorization") ?? "");
    const token = shown === null ? undefined : this.tokens.get(shown[1] as string);
    if (token !== undefined) {
      if (token.host !== host || shown?.[2] !== token.invoice.preimage) this.fail(new Violation("secrets", `a credential of ${token.host} was shown to ${host}, or with a wrong preimage`));
      const here = plan.kind === "service" || plan.sticky === "service" || (token.path === path && token.method === method);
      if (here && !(plan.kind === "single" && token.used)) {
        if (fault === 13) return new Response(null, { status: 500 });
        if (fault === 12) return new Response(null, { status: 409 });
        token.presented += 1;
        if (this.peace || token.presented > plan.refusesFirst) {
          token.used = true;
          return new Response(null, { status: 200 });
        }
      }
      token.refused = true;
      if (fault === 11) return new Response(null, { status: 401 });
    }
    const invoice = this.#offer(host, method, path, plan);
    return new Response(null, { status: 402, headers: { "www-authenticate": `L402 macaroon="${invoice.credential}", invoice="${invoice.invoice}"` } });
  }

  #offer(host: string, method: string, path: string, plan: HostPlan): PoolInvoice {
    const place = plan.sticky === "service" ? host : `${host} ${method} ${path}`;
    const again = plan.sticky === "no" ? undefined : this.#sticky.get(place);
    if (again !== undefined && again.expiresAt > this.now + 12_000 && !this.sentFor(again.paymentHash).some((sent) => sent.state === "paid")) return again;
    const amountMsat = path === "/a" ? 1_000n : path === "/b" ? 2_500n : 4_000n;
    this.#serial += 1;
    const invoice = takeInvoice(amountMsat, this.now, plan.short, this.#serial);
    this.issued.set(invoice.invoice, invoice);
    this.#sticky.set(place, invoice);
    this.tokens.set(invoice.credential, { invoice, host, method, path, presented: 0, used: false, refused: false });
    return invoice;
  }
}

/** Draws a scenario; all zeros: one process, two calls, everybody behaves. */
export function drawScenario(tape: Tape): Scenario {
  const nasty = tape.of("no", "some", "all");
  const some = (): boolean => nasty === "all" || (nasty === "some" && tape.one(2));
  const nastyWallet = some();
  const nastyServer = some();
  const nastyStore = nasty !== "no" && tape.one(6);
  const processes = tape.of(1, 1, 1, 2, 3);
  const hostNames = ["a.test", "b.test"];
  const hosts = new Map<string, HostPlan>();
  for (const host of hostNames) {
    hosts.set(host, {
      kind: tape.of<HostPlan["kind"]>("path", "service", "single"),
      refusesFirst: tape.of(0, 0, 0, 0, 0, 1, 3, Infinity),
      sticky: tape.of<HostPlan["sticky"]>("no", "no", "no", "path", "service"),
      short: tape.one(3),
    });
  }
  const count = 2 + tape.pick(5);
  const alike = tape.one(2);
  const calls: CallPlan[] = [];
  for (let index = 0; index < count; index += 1) {
    const method = tape.of<"GET" | "POST">("GET", "GET", "GET", "POST");
    calls.push({
      process: tape.pick(processes),
      child: tape.one(5),
      url: `https://${hostNames[tape.one(4) ? 1 : 0]}${alike ? PATHS[tape.of(0, 0, 0, 1)] : tape.of("/a", "/b", "/c", "/a", "/b", "/c", "/r", "/free")}`,
      method,
      body: method === "POST" ? tape.of("x", "y") : undefined,
      key: tape.of(undefined, undefined, undefined, "k1", "k2"),
      maxPriceSats: tape.of(undefined, undefined, undefined, undefined, undefined, 2),
      aborts: tape.one(5),
    });
  }
  const limits: LimitOptions[] = [];
  if (tape.one(3)) limits.push({ payments: 1 + tape.pick(3) });
  if (tape.one(3)) limits.push({ sats: 3 + tape.pick(6), per: tape.of("1h", "2m") });
  if (tape.one(4)) limits.push({ sats: 3 + tape.pick(4), domain: "*.test" });
  if (tape.one(6)) limits.push({ payments: 1, per: "1m", domain: "a.test" });
  const simple = tape.one(8);
  const feeLimit = tape.of<Scenario["feeLimit"]>("enforced", "enforced", "quoted", "none");
  const extras: Extra[] = [];
  if (nasty !== "no") {
    for (let left = tape.pick(4); left > 0; left -= 1) extras.push(tape.of<Extra>("recover", "recover", "crash", "resolve", "resolve-wrong", "resume"));
  }
  return {
    processes,
    calls,
    options: {
      budgetSats: tape.of(20, 3, 4, 5, 6, 8, 10, 0),
      ...(tape.one(3) ? { budgetPerDomain: { "a.test": 2 + tape.pick(6) } } : {}),
      limits,
      maxFee: { sats: tape.of(1, 2, 0), percent: 0 },
      paymentConcurrency: tape.of(1, 1, 2, 3),
      maxQueuedPayments: tape.of(100, 100, 100, 0, 1),
      paymentTimeoutMs: tape.of(60_000, 5_000, 500),
      approvalTimeoutMs: tape.of(5_000, 300_000),
      credentialScope: tape.of("origin", "origin", "path"),
    },
    child: { budgetSats: tape.of(6, 2, 4), ...(tape.one(3) ? { limits: [{ payments: 1 }] } : {}) },
    approves: tape.one(6),
    observes: tape.one(4),
    simple,
    lying: nastyWallet && tape.one(4),
    feeLimit,
    lookup: simple ? "none" : tape.of<Scenario["lookup"]>("by-hash", "by-hash", "by-hash", "by-ref", "none"),
    notFoundFinalAfterMs: tape.of(null, null, 5_000, 90_000),
    hosts,
    calm: nasty === "no" || tape.one(2),
    extras,
    nastyWallet,
    nastyServer,
    nastyStore,
  };
}
