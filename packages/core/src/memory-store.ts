/**
 * The store of one process: everything in `Map`s. Each method decides and writes in one synchronous block, without an
 * `await` in between, and is atomic by that. It forgets everything when the process ends; a durable budget needs
 * `@l402-tools/stores`.
 */
import { fit, matchesDomain, NO_USAGE } from "./budget.ts";
import { systemClock } from "./clock.ts";
import { StoreError } from "./errors.ts";
import type {
  Clock,
  KeptCredential,
  LimitRule,
  NewPayment,
  PaymentFilter,
  PaymentState,
  ReserveRequest,
  ReserveResult,
  SettleResult,
  Store,
  StoredPayment,
  Usage,
} from "./ports.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Row extends Mutable<StoredPayment> {
  /** Idempotency keys whose purchase this payment is. */
  keys: Set<string>;
  /** `METHOD path` at which the server refused the credential. */
  refusedAt: Set<string>;
}

/** Settlements in order of time with running sums, so that any window is one binary search. Times never decrease. */
class Journal {
  readonly #at: number[] = [];
  readonly #sumMsat: bigint[] = [];
  get payments(): number {
    return this.#at.length;
  }
  get spentMsat(): bigint {
    return this.#sumMsat.at(-1) ?? 0n;
  }
  add(at: number, msat: bigint): void {
    this.#sumMsat.push(this.spentMsat + msat);
    this.#at.push(at);
  }
  /** What was settled after `time` (exclusive). */
  after(time: number): { spentMsat: bigint; payments: number } {
    let low = 0;
    let high = this.#at.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#at[middle] as number) > time) high = middle;
      else low = middle + 1;
    }
    const before = low === 0 ? 0n : (this.#sumMsat[low - 1] as bigint);
    return { spentMsat: this.spentMsat - before, payments: this.payments - low };
  }
}

/** What one scope, or one host of it, has settled and holds. */
class Counter {
  readonly journal: Journal = new Journal();
  heldMsat = 0n;
  heldPayments = 0;
  usage(since: number | undefined): Usage {
    const { journal, heldMsat, heldPayments } = this;
    return { ...(since === undefined ? { spentMsat: journal.spentMsat, payments: journal.payments } : journal.after(since)), heldMsat, heldPayments };
  }
}

interface Account {
  readonly all: Counter;
  readonly hosts: Map<string, Counter>;
}

/** The credentials of one origin: per method and path, newest last; and those accepted anywhere, newest last. */
interface Shelf {
  readonly paths: Map<string, string[]>;
  accepted: string[];
}

const HOLDING: ReadonlySet<PaymentState> = new Set(["reserved", "sending", "unknown"]);
/** Accepted credentials of an origin that are offered to other paths; older ones stay with their own path. */
const ACCEPTED_MAX = 16;
/** Refusals remembered for one credential; one that was refused at so many paths is offered to no other. */
const REFUSED_MAX = 64;

const keyOf = (budgetId: string, name: string): string => `${budgetId}\u0000${name}`;

/**
 * A store in memory. `await using` closes it, too.
 *
 * @param options.clock decides rolling windows; give it the client's clock when that is not the system's.
 */
export function memoryStore(options: { clock?: Clock } = {}): Store & { [Symbol.asyncDispose](): Promise<void> } {
  const clock = options.clock ?? systemClock;
  const rows = new Map<string, Row>();
  const open = new Map<string, Set<string>>();
  const keys = new Map<string, { paymentHash: string; callKey: string }>();
  const accounts = new Map<string, Account>();
  const shelves = new Map<string, Shelf>();
  const pauses = new Map<string, string>();
  let latest = 0;
  let closed = false;

  /** The store's time never runs backwards, or a rolling window could be emptied by setting the clock. */
  const now = (): number => (latest = Math.max(latest, clock.now()));

  async function close(): Promise<void> {
    closed = true;
  }

  const alive = (): void => {
    if (closed) throw new StoreError("store_unavailable", "The store is closed: make a new client, or close the store later.");
  };

  function account(scope: string): Account {
    let found = accounts.get(scope);
    if (found === undefined) accounts.set(scope, (found = { all: new Counter(), hosts: new Map() }));
    return found;
  }

  /** Every counter that a payment counts in: of each scope, the whole and its host's. */
  function counters(payment: NewPayment): Counter[] {
    return payment.scopes.flatMap((scope) => {
      const { all, hosts } = account(scope);
      let host = hosts.get(payment.host);
      if (host === undefined) hosts.set(payment.host, (host = new Counter()));
      return [all, host];
    });
  }

  function usageOf(rule: LimitRule): Usage {
    const found = accounts.get(rule.scope);
    if (found === undefined) return NO_USAGE;
    const since = rule.windowMs === undefined ? undefined : now() - rule.windowMs;
    if (rule.domain === undefined) return found.all.usage(since);
    if (!rule.domain.startsWith("*.")) return found.hosts.get(rule.domain)?.usage(since) ?? NO_USAGE;
    const sum: Mutable<Usage> = { ...NO_USAGE };
    for (const [host, counter] of found.hosts) {
      if (!matchesDomain(rule.domain, host)) continue;
      const usage = counter.usage(since);
      sum.spentMsat += usage.spentMsat;
      sum.heldMsat += usage.heldMsat;
      sum.payments += usage.payments;
      sum.heldPayments += usage.heldPayments;
    }
    return sum;
  }

  function hold(row: Row): void {
    for (const counter of counters(row)) {
      counter.heldMsat += row.amountMsat + row.maxFeeMsat;
      counter.heldPayments += 1;
    }
    const request = keyOf(row.budgetId, row.requestKey);
    open.set(request, (open.get(request) ?? new Set()).add(row.paymentHash));
  }

  function release(row: Row): void {
    for (const counter of counters(row)) {
      counter.heldMsat -= row.amountMsat + row.maxFeeMsat;
      counter.heldPayments -= 1;
    }
    const request = keyOf(row.budgetId, row.requestKey);
    const hashes = open.get(request);
    hashes?.delete(row.paymentHash);
    if (hashes?.size === 0) open.delete(request);
  }

  /** Ends a row; what only an unresolved payment needs is not kept. */
  function end(row: Row, state: "settled" | "failed" | "voided", resolution: string): void {
    if (HOLDING.has(row.state)) release(row);
    row.state = state;
    row.resolution = resolution;
    row.resolvedAt = now();
    row.invoice = "";
  }

  function shelf(row: StoredPayment): Shelf {
    const key = keyOf(row.budgetId, row.origin);
    let found = shelves.get(key);
    if (found === undefined) shelves.set(key, (found = { paths: new Map(), accepted: [] }));
    return found;
  }

  function take(list: string[], paymentHash: string): void {
    const index = list.indexOf(paymentHash);
    if (index >= 0) list.splice(index, 1);
  }

  const at = (place: { method: string; path: string }): string => `${place.method} ${place.path}`;
  const copy = (row: Row): StoredPayment => {
    const { keys: _keys, refusedAt: _refusedAt, ...payment } = row;
    return payment;
  };
  const kept = (row: Row): KeptCredential => ({
    paymentHash: row.paymentHash,
    origin: row.origin,
    method: row.method,
    path: row.path,
    scheme: row.scheme,
    credential: row.credential,
    preimage: row.preimage as string,
    settledAt: row.resolvedAt as number,
    ...(row.acceptedAt === undefined ? {} : { acceptedAt: row.acceptedAt }),
  });
  const isFree = (row: Row): boolean => row.state === "voided" || row.state === "failed";
  /** A purchase that came to nothing, or was settled by hand without a preimage, may be made again. */
  const isVacant = (row: StoredPayment): boolean => row.state === "voided" || row.state === "failed" || (row.state === "settled" && row.preimage === undefined);

  function link(row: Row, idempotencyKey: string, callKey: string): boolean {
    const key = keyOf(row.budgetId, idempotencyKey);
    const current = rows.get(keys.get(key)?.paymentHash ?? "");
    if (current !== undefined && current !== row && current.keys.has(key) && !isVacant(current)) return false;
    current?.keys.delete(key);
    keys.set(key, { paymentHash: row.paymentHash, callKey });
    row.keys.add(key);
    return true;
  }

  function byKey(budgetId: string, idempotencyKey: string): StoredPayment | undefined {
    const key = keyOf(budgetId, idempotencyKey);
    const linked = keys.get(key);
    const row = linked === undefined ? undefined : rows.get(linked.paymentHash);
    return row?.keys.has(key) ? { ...copy(row), idempotencyKey, callKey: (linked as { callKey: string }).callKey } : undefined;
  }

  function byRequest(budgetId: string, requestKey: string): StoredPayment | undefined {
    const [first] = open.get(keyOf(budgetId, requestKey)) ?? [];
    const row = first === undefined ? undefined : rows.get(first);
    return row === undefined ? undefined : copy(row);
  }

  function reserve({ payment, maxFeeMsat, minFeeMsat, limits }: ReserveRequest): ReserveResult {
    const why = pauses.get(payment.budgetId);
    if (why !== undefined) return { status: "paused", why };
    const old = rows.get(payment.paymentHash);
    if (old !== undefined && !isFree(old)) return { status: "exists", payment: copy(old) };
    const keyed = payment.idempotencyKey === undefined ? undefined : byKey(payment.budgetId, payment.idempotencyKey);
    if (keyed !== undefined && !isVacant(keyed)) return { status: "purchase", payment: keyed };
    const unresolved = byRequest(payment.budgetId, payment.requestKey);
    if (unresolved !== undefined) return { status: "purchase", payment: unresolved };

    const checks = limits.filter((rule) => matchesDomain(rule.domain, payment.host)).map((rule) => ({ rule, usage: usageOf(rule) }));
    const room = fit(checks, payment.amountMsat, maxFeeMsat, minFeeMsat);
    if (!("feeMsat" in room)) return { status: "over_limit", ...room };

    for (const key of old?.keys ?? []) keys.delete(key);
    const row: Row = {
      ...payment,
      state: "reserved",
      attempt: old?.attempt ?? 0,
      maxFeeMsat: room.feeMsat,
      feeMsat: 0n,
      reservedAt: now(),
      keys: new Set(),
      refusedAt: new Set(),
    };
    rows.delete(row.paymentHash); // a row that is reserved anew moves to the end: payments() is in order of time
    rows.set(row.paymentHash, row);
    hold(row);
    if (payment.idempotencyKey !== undefined) link(row, payment.idempotencyKey, payment.callKey ?? payment.requestKey);
    return { status: "reserved", payment: copy(row) };
  }

  function settle(paymentHash: string, proof: { preimage: string | null; feeMsat: bigint; resolution: string }): SettleResult {
    const row = rows.get(paymentHash);
    if (row === undefined) return { status: "missing" };
    if (row.state === "settled") return { status: "already" };
    const spentMsat = row.amountMsat + proof.feeMsat; // before the first write: it throws for what is not a bigint
    const late = isFree(row);
    const overrun = !late && proof.feeMsat > row.maxFeeMsat;
    end(row, "settled", proof.resolution);
    row.feeMsat = proof.feeMsat;
    for (const counter of counters(row)) counter.journal.add(row.resolvedAt as number, spentMsat);
    if (proof.preimage !== null) {
      row.preimage = proof.preimage;
      const { paths } = shelf(row);
      paths.set(at(row), [...(paths.get(at(row)) ?? []), paymentHash]);
    }
    if (late) pauses.set(row.budgetId, `payment ${paymentHash} was booked as not paid, and was paid`);
    if (overrun) pauses.set(row.budgetId, `payment ${paymentHash} cost a fee of ${proof.feeMsat} msat where ${row.maxFeeMsat} msat were held`);
    return { status: late ? "late" : overrun ? "overrun" : "settled" };
  }

  function credential(query: { budgetId: string; origin: string; method: string; path: string; anyPath: boolean; except?: ReadonlySet<string> }): KeptCredential | undefined {
    const found = shelves.get(keyOf(query.budgetId, query.origin));
    if (found === undefined) return undefined;
    const here = at(query);
    const usable = (hash: string): Row | undefined => {
      const row = rows.get(hash) as Row;
      return row.refusedAt.has(here) || query.except?.has(hash) ? undefined : row;
    };
    const own = found.paths.get(here);
    for (let index = (own?.length ?? 0) - 1; index >= 0; index -= 1) {
      const row = usable((own as string[])[index] as string);
      if (row !== undefined) return kept(row);
    }
    if (!query.anyPath) return undefined;
    for (let index = found.accepted.length - 1; index >= 0; index -= 1) {
      const row = usable(found.accepted[index] as string);
      if (row !== undefined && row.refusedAt.size < REFUSED_MAX) return kept(row);
    }
    return undefined;
  }

  return {
    name: "memory",
    async reserve(request) {
      alive();
      return reserve(request);
    },
    async dispatch(paymentHash, owner, notAfter) {
      alive();
      const row = rows.get(paymentHash);
      if (row === undefined || row.state !== "reserved" || row.owner !== owner || clock.now() > notAfter || pauses.has(row.budgetId)) return null; // the invoice's life is the wall clock's
      row.state = "sending";
      row.attempt += 1;
      row.dispatchedAt = now();
      return { attempt: row.attempt };
    },
    async settle(paymentHash, proof) {
      alive();
      return settle(paymentHash, proof);
    },
    async fail(paymentHash, attempt, resolution) {
      alive();
      const row = rows.get(paymentHash);
      if (row === undefined || (row.state !== "sending" && row.state !== "unknown") || row.attempt !== attempt) return false;
      end(row, "failed", resolution);
      return true;
    },
    async unknown(paymentHash, attempt, detail) {
      alive();
      const row = rows.get(paymentHash);
      if (row === undefined || (row.state !== "sending" && row.state !== "unknown") || row.attempt !== attempt) return false;
      if (detail.walletRef !== undefined) row.walletRef = detail.walletRef;
      if (row.state === "unknown") return false;
      row.state = "unknown";
      row.resolution = detail.resolution;
      return true;
    },
    async void(paymentHash, resolution, owner) {
      alive();
      const row = rows.get(paymentHash);
      if (row === undefined || row.state !== "reserved" || (owner !== undefined && row.owner !== owner)) return false;
      end(row, "voided", resolution);
      return true;
    },
    async payment(paymentHash) {
      alive();
      const row = rows.get(paymentHash);
      return row === undefined ? undefined : copy(row);
    },
    async purchase(budgetId, by) {
      alive();
      return "requestKey" in by ? byRequest(budgetId, by.requestKey) : byKey(budgetId, by.idempotencyKey);
    },
    async link(budgetId, idempotencyKey, callKey, paymentHash) {
      alive();
      const row = rows.get(paymentHash);
      return row !== undefined && row.budgetId === budgetId && link(row, idempotencyKey, callKey);
    },
    async *payments(budgetId, filter: PaymentFilter = {}) {
      alive();
      const states = filter.state === undefined ? undefined : new Set([filter.state].flat());
      for (const row of rows.values()) {
        if (row.budgetId !== budgetId || (states !== undefined && !states.has(row.state))) continue;
        if ((filter.host !== undefined && row.host !== filter.host) || (filter.since !== undefined && row.reservedAt < filter.since)) continue;
        yield copy(row);
      }
    },
    async usage(rules) {
      alive();
      return rules.map(usageOf);
    },
    async hosts(scope) {
      alive();
      return new Map([...(accounts.get(scope)?.hosts ?? [])].map(([host, counter]) => [host, counter.usage(undefined)]));
    },
    async credential(query) {
      alive();
      return credential(query);
    },
    async accepted(paymentHash) {
      alive();
      const row = rows.get(paymentHash);
      if (row?.preimage === undefined) return;
      row.acceptedAt = now();
      row.refusedAt.delete(at(row));
      const { accepted, paths } = shelf(row);
      if (accepted.at(-1) !== paymentHash) {
        take(accepted, paymentHash);
        accepted.push(paymentHash);
        if (accepted.length > ACCEPTED_MAX) accepted.shift();
      }
      const own = paths.get(at(row)) ?? [];
      if (!own.includes(paymentHash)) paths.set(at(row), [...own, paymentHash]);
    },
    async refused(paymentHash, place) {
      alive();
      const row = rows.get(paymentHash);
      if (row?.preimage === undefined) return;
      if (row.refusedAt.size < REFUSED_MAX || at(place) === at(row)) row.refusedAt.add(at(place));
      if (at(place) !== at(row)) return;
      // Refused where it was bought: it is used up or expired, and is offered nowhere else either.
      const { paths, accepted } = shelf(row);
      take(accepted, paymentHash);
      const own = paths.get(at(row)) ?? [];
      take(own, paymentHash);
      if (own.length === 0) paths.delete(at(row));
    },
    async resume(budgetId) {
      alive();
      pauses.delete(budgetId);
    },
    async paused(budgetId) {
      alive();
      return pauses.get(budgetId) ?? null;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
