import { PaymentFailedError } from "@l402-tools/core";
import type { FailureReason, LookupResult, PayRequest, PayResult, SimpleWallet, Wallet, WalletCapabilities } from "@l402-tools/core";
import { behaviourOf, type Behaviour, type BehaviourName, type BehaviourScript, type LookupBehaviour } from "./behaviour.ts";
import { derive } from "./hash.ts";
import type { NetworkInvoice, Rails } from "./lightning.ts";

export interface SimWalletOptions {
  /** @default "wallet-1", "wallet-2", … */
  name?: string;
  balanceSats?: number;
  balanceMsat?: bigint;
  /** Routing fee, msat: fixed, or for an amount. @default 0n */
  feeMsat?: bigint | ((amountMsat: bigint) => bigint);
  /** What the wallet promises about fees. @default "enforced" */
  feeLimit?: WalletCapabilities["feeLimit"];
  /** @default the real fee, where the limit is not enforced */
  worstCaseFeeMsat?: (amountMsat: bigint) => bigint;
  /** @default "always" */
  preimage?: WalletCapabilities["preimage"];
  /** @default "by-hash" */
  lookup?: WalletCapabilities["lookup"];
  /** @default null */
  notFoundFinalAfterMs?: number | null;
  /** How long a payment is on its way, ms of the clock. @default 0 */
  delayMs?: number | ((request: PayRequest) => number);
  /** `false`: pays an invoice as often as it is told to, so that a test sees double payments. @default true */
  idempotent?: boolean;
  /** What every call does unless `next` queued something. */
  behave?: Behaviour | BehaviourName | BehaviourScript;
  /** The first so many look-ups of each payment answer `not_found`, though it is there. @default 0 */
  lookupLag?: number;
}

/** One attempt of a wallet to pay an invoice. */
export interface SimPayment {
  readonly paymentHash: string;
  readonly invoice: string;
  readonly attemptId: string;
  readonly ref: string;
  readonly amountMsat: bigint;
  /** What is charged on top. */
  readonly feeMsat: bigint;
  /** What was allowed on top. */
  readonly maxFeeMsat: bigint;
  readonly status: "in_flight" | "settled" | "failed";
  readonly reason?: FailureReason;
  readonly startedAt: number;
  readonly resolvedAt?: number;
}

/** One call of the wallet. */
export interface SimCall {
  readonly method: "pay" | "lookup" | "quoteFee" | "balance";
  readonly paymentHash?: string;
  readonly attemptId?: string;
  readonly at: number;
}

/** A wallet of the simulated network. It implements core's `Wallet` port, and does as told. */
export interface SimWallet extends Wallet {
  readonly balanceMsat: bigint;
  /** Amounts and fees of payments on their way. */
  readonly inFlightMsat: bigint;
  /** Amounts and fees of settled payments. */
  readonly spentMsat: bigint;
  /** Every attempt that had money locked, oldest first. */
  readonly payments: readonly SimPayment[];
  /** Every call, oldest first. */
  readonly calls: readonly SimCall[];
  /** How often `pay` was called, for one payment hash or in all. */
  payCalls(paymentHash?: string): number;
  /** Queues what the next calls of `pay` do, one each. */
  next(...behaviours: (Behaviour | BehaviourName)[]): void;
  /** Queues what the next calls of `lookup` answer, one each. */
  nextLookup(...behaviours: LookupBehaviour[]): void;
  /** What every call does that has nothing queued; `undefined`: a good wallet. */
  behave(behaviour: Behaviour | BehaviourName | BehaviourScript | undefined): void;
  /**
   * From now on calls of `pay` stop, before any money moves (`"before"`), or when the money moved and the answer is
   * about to be given (`"answer"`), until they are released.
   */
  hold(at?: "before" | "answer"): void;
  /** Lets the oldest `count` stopped calls go on (default: all that are stopped now); returns how many. */
  release(count?: number): number;
  /** Ends `hold` and releases all. */
  unhold(): void;
  /** Calls that are stopped. */
  readonly held: number;
  /** Settles a payment that hangs in flight. */
  settle(paymentHash: string): void;
  /** Fails a payment that hangs in flight. */
  fail(paymentHash: string, reason?: FailureReason): void;
  /** The wallet forgets its history: look-ups find nothing, and nothing stops it from paying again. */
  forget(paymentHash?: string): void;
  /** Told after each move of money. */
  observe(listener: (payment: SimPayment) => void): void;
  /** The least a wallet can be. A definite failure throws `PaymentFailedError`, or with `plainErrors` an `Error`. */
  asSimple(options?: { timeoutMs?: number; plainErrors?: boolean; throwMeansFailed?: boolean }): SimpleWallet;
  lookup(query: { paymentHash: string; ref?: string }): Promise<LookupResult>;
  balance(): Promise<{ spendableMsat: bigint }>;
}

interface Attempt extends SimPayment {
  status: SimPayment["status"];
  reason?: FailureReason;
  resolvedAt?: number;
  preimage: string;
  lookups: number;
  forgotten: boolean;
  decide?: (outcome: "settle" | FailureReason) => void;
}

type Outcome = { status: "settled"; attempt: Attempt } | { status: "failed"; reason: FailureReason } | { status: "nothing" };

const never = new Promise<never>(() => {});

/** @internal `lightning.wallet()` makes them. */
export function createWallet(rails: Rails, options: SimWalletOptions, number: number): SimWallet {
  const { clock } = rails;
  const name = options.name ?? `wallet-${number}`;
  const feeOf = typeof options.feeMsat === "function" ? options.feeMsat : () => (options.feeMsat as bigint | undefined) ?? 0n;
  const feeLimit = options.feeLimit ?? "enforced";
  const idempotent = options.idempotent ?? true;
  const withPreimage = options.preimage ?? "always";
  const lookupBy = options.lookup ?? "by-hash";

  let balanceMsat = options.balanceMsat ?? BigInt(options.balanceSats ?? 0) * 1000n;
  if (balanceMsat < 0n) throw new Error("a balance is not below zero");
  let inFlightMsat = 0n;
  let spentMsat = 0n;
  const attempts: Attempt[] = [];
  const byHash = new Map<string, Attempt>();
  const calls: SimCall[] = [];
  const queue: Behaviour[] = [];
  const lookupQueue: LookupBehaviour[] = [];
  const listeners: ((payment: SimPayment) => void)[] = [];
  let standing: Behaviour | BehaviourName | BehaviourScript | undefined = options.behave;
  let gate: "before" | "answer" | undefined;
  const stopped: (() => void)[] = [];
  let payCount = 0;

  const stop = (at: "before" | "answer"): Promise<void> | undefined => (gate === at ? new Promise((go) => stopped.push(go)) : undefined);
  const moved = (attempt: Attempt): void => {
    for (const listener of listeners) listener(attempt);
  };
  const known = (paymentHash: string): Attempt | undefined => {
    const attempt = byHash.get(paymentHash);
    return attempt === undefined || attempt.forgotten ? undefined : attempt;
  };

  /** Why a good wallet does not even try. */
  const refusal = (request: PayRequest, invoice: NetworkInvoice | undefined, feeMsat: bigint, behaviour: Behaviour): FailureReason | undefined => {
    if (invoice === undefined) return "no_route";
    if (invoice.paymentHash !== request.paymentHash || invoice.amountMsat !== request.amountMsat || request.amountMsat <= 0n) return "invalid_invoice";
    if (clock.now() >= invoice.expiresAt) return "invoice_expired";
    if (feeLimit === "enforced" && behaviour.overchargeMsat === undefined && feeMsat > request.maxFeeMsat) return "fee_too_high";
    if (balanceMsat < request.amountMsat + feeMsat) return "insufficient_balance";
    if (invoice.state === "cancelled") return "rejected_by_payee";
    const repeat = !idempotent || byHash.get(invoice.paymentHash)?.forgotten === true;
    if (invoice.state === "settled" && !repeat) return "rejected_by_payee";
    return undefined;
  };

  const resolve = (attempt: Attempt, invoice: NetworkInvoice, reason: FailureReason | undefined): Outcome => {
    const total = attempt.amountMsat + attempt.feeMsat;
    inFlightMsat -= total;
    attempt.resolvedAt = clock.now();
    if (reason === undefined) {
      attempt.status = "settled";
      spentMsat += total;
      rails.deliver(invoice, attempt.amountMsat, attempt.feeMsat);
    } else {
      attempt.status = "failed";
      attempt.reason = reason;
      balanceMsat += total;
    }
    moved(attempt);
    return reason === undefined ? { status: "settled", attempt } : { status: "failed", reason };
  };

  /** From the lock to the outcome; the caller's patience plays no part. */
  const travel = async (attempt: Attempt, invoice: NetworkInvoice, behaviour: Behaviour, delayMs: number): Promise<Outcome> => {
    if (delayMs > 0) await clock.sleep(delayMs);
    if (behaviour.money === "fail") return resolve(attempt, invoice, behaviour.reason ?? "no_route");
    if (behaviour.money === "hang") {
      const decision = await new Promise<"settle" | FailureReason>((decide) => {
        attempt.decide = decide;
      });
      return resolve(attempt, invoice, decision === "settle" ? undefined : decision);
    }
    if (invoice.state === "cancelled") return resolve(attempt, invoice, "rejected_by_payee");
    if (invoice.hold && invoice.decided === undefined) {
      invoice.state = "accepted";
      await new Promise<"settle" | "cancel">((decided) => invoice.waiting.push(decided));
    }
    return resolve(attempt, invoice, invoice.decided === "cancel" ? "rejected_by_payee" : undefined);
  };

  /** Locks the money at once if all is well; `sent` says so. */
  const send = (request: PayRequest, behaviour: Behaviour): { attempt?: Attempt; outcome: Promise<Outcome>; refused?: FailureReason } => {
    if (behaviour.money === "none") return { outcome: Promise.resolve({ status: "nothing" }) };
    const invoice = rails.find(request.invoice);
    const feeMsat = behaviour.overchargeMsat === undefined ? feeOf(request.amountMsat) : request.maxFeeMsat + behaviour.overchargeMsat;
    const reason = refusal(request, invoice, feeMsat, behaviour);
    if (reason !== undefined || invoice === undefined) {
      const refused = reason ?? "no_route";
      return { refused, outcome: Promise.resolve({ status: "failed", reason: refused }) };
    }
    const attempt: Attempt = {
      paymentHash: request.paymentHash,
      invoice: request.invoice,
      attemptId: request.attemptId,
      ref: `${name}-${attempts.length + 1}`,
      amountMsat: request.amountMsat,
      feeMsat,
      maxFeeMsat: request.maxFeeMsat,
      status: "in_flight",
      startedAt: clock.now(),
      preimage: invoice.preimage,
      lookups: 0,
      forgotten: false,
    };
    attempts.push(attempt);
    byHash.set(attempt.paymentHash, attempt);
    balanceMsat -= attempt.amountMsat + feeMsat;
    inFlightMsat += attempt.amountMsat + feeMsat;
    moved(attempt);
    const delay = behaviour.moneyAfterMs ?? (typeof options.delayMs === "function" ? options.delayMs(request) : (options.delayMs ?? 0));
    return { attempt, outcome: travel(attempt, invoice, behaviour, delay) };
  };

  const shownPreimage = (preimage: string | undefined, how: Behaviour["preimage"]): string | null => {
    const invented = derive(rails.seed, `wrong preimage ${name} ${calls.length}`).toString("hex");
    const real = preimage ?? invented;
    if (withPreimage === "never" || how === "null") return null;
    if (how === "wrong") return invented;
    if (how === "empty") return "";
    if (how === "short") return real.slice(0, 62);
    return how === "upper" ? real.toUpperCase() : real;
  };

  const settledAnswer = (attempt: Attempt | undefined, behaviour: Behaviour): PayResult => ({
    status: "settled",
    preimage: shownPreimage(attempt?.preimage, behaviour.preimage),
    feeMsat: behaviour.feeUnknown === true ? null : (attempt?.feeMsat ?? 0n),
    ...(attempt === undefined ? {} : { ref: attempt.ref }),
  });

  const failedAnswer = (reason: FailureReason): PayResult => ({ status: "failed", reason, message: `${name}: ${reason}` });

  const unknownAnswer = (cause: unknown, attempt: Attempt | undefined): PayResult => ({
    status: "unknown",
    cause,
    ...(attempt === undefined ? {} : { ref: attempt.ref }),
  });

  const timeout = (): Error => new DOMException("the wallet did not answer in time", "TimeoutError");

  /** Waits for `work`, but not beyond the request's deadline or signal. */
  const patient = async (request: PayRequest, work: Promise<PayResult>, attempt: Attempt | undefined): Promise<PayResult> => {
    if (request.signal?.aborted === true) return unknownAnswer(request.signal.reason, attempt);
    const over = new AbortController();
    const racers = [work];
    if (Number.isFinite(request.deadline)) {
      racers.push(
        clock.sleep(request.deadline - clock.now(), over.signal).then(
          () => unknownAnswer(timeout(), attempt),
          () => never,
        ),
      );
    }
    const { signal } = request;
    if (signal !== undefined) {
      racers.push(
        new Promise((answer) => {
          const aborted = (): void => answer(unknownAnswer(signal.reason, attempt));
          signal.addEventListener("abort", aborted, { once: true });
          over.signal.addEventListener("abort", () => signal.removeEventListener("abort", aborted), { once: true });
        }),
      );
    }
    try {
      return await Promise.race(racers);
    } finally {
      over.abort();
    }
  };

  const answer = async (request: PayRequest, behaviour: Behaviour, sent: ReturnType<typeof send>): Promise<PayResult> => {
    const { attempt, outcome, refused } = sent;
    const late = async (): Promise<void> => {
      if (behaviour.answerAfterMs !== undefined) await clock.sleep(behaviour.answerAfterMs);
      await stop("answer");
    };
    switch (behaviour.answer ?? "truth") {
      case "never":
        return never;
      case "timeout":
        await clock.sleep(request.deadline - clock.now());
        return unknownAnswer(timeout(), attempt);
      case "in_flight":
        await late();
        return refused === undefined ? { status: "in_flight", ...(attempt === undefined ? {} : { ref: attempt.ref }) } : failedAnswer(refused);
      case "failed":
        if (behaviour.moneyAfterMs === 0) await outcome;
        await late();
        return failedAnswer(behaviour.reason ?? "no_route");
      case "settled":
        await late();
        return settledAnswer(attempt, behaviour);
      case "unknown":
      case "throw": {
        if (behaviour.money !== "hang") await outcome;
        await late();
        const cause = Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
        if (behaviour.answer === "throw") throw cause;
        return unknownAnswer(cause, attempt);
      }
      case "truth": {
        const truth = outcome.then(async (result): Promise<PayResult> => {
          await late();
          if (result.status === "settled") return settledAnswer(result.attempt, behaviour);
          return failedAnswer(result.status === "failed" ? result.reason : "other");
        });
        return patient(request, truth, attempt);
      }
    }
  };

  /** An idempotent wallet answers for the payment that it already has. */
  const repeated = async (request: PayRequest, attempt: Attempt, behaviour: Behaviour): Promise<PayResult> => {
    if (behaviour.answer === "never") return never;
    if (behaviour.answer === "throw") throw new Error("socket hang up");
    if (behaviour.answer === "unknown" || behaviour.answer === "timeout") return unknownAnswer(timeout(), attempt);
    return attempt.status === "settled" ? settledAnswer(attempt, behaviour) : { status: "in_flight", ref: attempt.ref };
  };

  const wallet: SimWallet = {
    name,
    capabilities: {
      feeLimit,
      ...(feeLimit === "enforced" && options.worstCaseFeeMsat === undefined ? {} : { worstCaseFeeMsat: options.worstCaseFeeMsat ?? feeOf }),
      preimage: withPreimage,
      lookup: lookupBy,
      notFoundFinalAfterMs: options.notFoundFinalAfterMs ?? null,
    },
    async pay(request) {
      calls.push({ method: "pay", paymentHash: request.paymentHash, attemptId: request.attemptId, at: clock.now() });
      payCount += 1;
      const behaviour = queue.shift() ?? behaviourOf(typeof standing === "function" ? standing(request, payCount) : standing);
      await stop("before");
      const before = idempotent ? known(request.paymentHash) : undefined;
      if (before !== undefined && before.status !== "failed") return repeated(request, before, behaviour);
      return answer(request, behaviour, send(request, behaviour));
    },
    async lookup(query) {
      calls.push({ method: "lookup", paymentHash: query.paymentHash, at: clock.now() });
      const behaviour = lookupQueue.shift() ?? "truth";
      if (behaviour === "throw") throw Object.assign(new Error("connection refused"), { code: "ECONNREFUSED" });
      if (behaviour === "never") return never;
      if (behaviour === "not-found") return { status: "not_found" };
      if (behaviour === "in-flight") return { status: "in_flight" };
      if (behaviour === "failed") return { status: "failed", soft: false };
      if (behaviour === "failed-soft") return { status: "failed", soft: true };
      if (lookupBy === "by-ref" && query.ref === undefined) throw new Error("this wallet looks payments up by its own reference");
      const attempt = lookupBy === "by-ref" ? attempts.find((one) => one.ref === query.ref && !one.forgotten) : known(query.paymentHash);
      if (attempt === undefined) return { status: "not_found" };
      attempt.lookups += 1;
      if (attempt.lookups <= (options.lookupLag ?? 0)) return { status: "not_found" };
      if (attempt.status === "in_flight") return { status: "in_flight" };
      if (attempt.status === "failed") return { status: "failed", soft: false };
      const how = behaviour === "preimage-wrong" ? "wrong" : behaviour === "preimage-null" ? "null" : "real";
      return { status: "settled", preimage: shownPreimage(attempt.preimage, how), feeMsat: attempt.feeMsat };
    },
    async quoteFee(request) {
      calls.push({ method: "quoteFee", paymentHash: request.paymentHash, attemptId: request.attemptId, at: clock.now() });
      return { feeMsat: feeOf(request.amountMsat), binding: feeLimit !== "none" };
    },
    async balance() {
      calls.push({ method: "balance", at: clock.now() });
      return { spendableMsat: balanceMsat };
    },
    get balanceMsat() {
      return balanceMsat;
    },
    get inFlightMsat() {
      return inFlightMsat;
    },
    get spentMsat() {
      return spentMsat;
    },
    payments: attempts,
    calls,
    payCalls: (paymentHash) => calls.filter((call) => call.method === "pay" && (paymentHash === undefined || call.paymentHash === paymentHash)).length,
    next(...behaviours) {
      queue.push(...behaviours.map(behaviourOf));
    },
    nextLookup(...behaviours) {
      lookupQueue.push(...behaviours);
    },
    behave(behaviour) {
      standing = behaviour;
    },
    hold(at = "before") {
      gate = at;
    },
    release(count = stopped.length) {
      const released = stopped.splice(0, count);
      for (const go of released) go();
      return released.length;
    },
    unhold() {
      gate = undefined;
      wallet.release();
    },
    get held() {
      return stopped.length;
    },
    settle(paymentHash) {
      hanging(paymentHash)("settle");
    },
    fail(paymentHash, reason = "no_route") {
      hanging(paymentHash)(reason);
    },
    forget(paymentHash) {
      for (const attempt of attempts) {
        if (paymentHash === undefined || attempt.paymentHash === paymentHash) attempt.forgotten = true;
      }
    },
    observe(listener) {
      listeners.push(listener);
    },
    asSimple(simple = {}) {
      return {
        ...(simple.throwMeansFailed === undefined ? {} : { throwMeansFailed: simple.throwMeansFailed }),
        async payInvoice(invoice) {
          const found = rails.find(invoice);
          const result = await wallet.pay({
            invoice,
            paymentHash: found?.paymentHash ?? "",
            amountMsat: found?.amountMsat ?? 0n,
            maxFeeMsat: 0n,
            deadline: clock.now() + (simple.timeoutMs ?? 60_000),
            attemptId: `simple-${payCount + 1}`,
          });
          if (result.status === "settled") return { preimage: result.preimage ?? "" };
          if (result.status === "failed") {
            throw simple.plainErrors === true ? new Error(result.message) : new PaymentFailedError(result.message, { reason: result.reason });
          }
          throw new Error(`${name}: the payment's outcome is not known`, result.status === "unknown" ? { cause: result.cause } : {});
        },
      };
    },
  };

  const hanging = (paymentHash: string): ((outcome: "settle" | FailureReason) => void) => {
    const attempt = byHash.get(paymentHash);
    if (attempt?.decide === undefined || attempt.status !== "in_flight") throw new Error(`${name}: no payment ${paymentHash} hangs in flight`);
    return attempt.decide;
  };

  if (lookupBy === "none") delete (wallet as { lookup?: unknown }).lookup;
  return wallet;
}
