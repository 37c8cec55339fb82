/**
 * What must hold after every step: the invariants I1 to I12 of the design's reliability rules, computed from the rows of
 * the store and from what really happened at the wallet, and never by asking the engine.
 */
import { receiptOf } from "../../src/credential.ts";
import { isL402Error } from "../../src/errors.ts";
import type { LimitRule, PaymentState, ReserveRequest, ReserveResult, SettleResult, StoredPayment, Usage } from "../../src/ports.ts";
import type { Call, Process, Sent, World } from "./world.ts";

export class Violation extends Error {
  readonly rule: string;
  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`);
    this.name = "Violation";
    this.rule = rule;
  }
}

const HOLDING: ReadonlySet<PaymentState> = new Set(["reserved", "sending", "unknown"]);
const NEXT: Readonly<Record<string, readonly PaymentState[]>> = {
  none: ["reserved"],
  reserved: ["sending", "voided"],
  sending: ["settled", "failed", "unknown"],
  unknown: ["settled", "failed"],
  settled: [],
  failed: ["reserved", "settled"],
  voided: ["reserved", "settled"],
};

export function covers(rule: LimitRule, row: { readonly scopes: readonly string[]; readonly host: string }): boolean {
  if (!row.scopes.includes(rule.scope)) return false;
  if (rule.domain === undefined) return true;
  return rule.domain.startsWith("*.") ? row.host.endsWith(rule.domain.slice(1)) : row.host === rule.domain;
}

export class Checker {
  readonly #world: World;
  rows: ReadonlyMap<string, StoredPayment> = new Map();
  /** Ended by a person against the facts, or without the preimage: that the books are wrong then is theirs. */
  readonly byHand: Set<string> = new Set();
  /** What late settlements and overruns took above their holds, msat, by payment hash. */
  readonly #excess = new Map<string, bigint>();
  #paused = false;
  readonly #keys = new Map<string, Set<string>>();
  readonly #spendReceipts = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  get disturbed(): boolean {
    return this.#excess.size > 0;
  }

  // --- the rows ---

  /** Reads the store, and compares it with what it was, with itself and with the limits. */
  async look(): Promise<void> {
    const world = this.#world;
    const before = this.rows;
    const rows = new Map<string, StoredPayment>();
    for (const row of await world.rowsOf()) rows.set(row.paymentHash, row);
    const usages = await world.usage();
    this.rows = rows;
    const unresolved = new Map<string, string>();
    for (const [hash, row] of rows) {
      const old = before.get(hash);
      if (old?.state !== row.state) this.#transition(hash, old, row);
      if (row.state === "settled") {
        if (row.preimage !== undefined && row.preimage !== world.preimageOf(hash)) throw new Violation("I8", `${hash} is settled with a wrong preimage`);
        if (row.feeMsat > row.maxFeeMsat && !this.#excess.has(hash)) throw new Violation("I2", `${hash} cost a fee of ${row.feeMsat}, held were ${row.maxFeeMsat}`);
      }
      if (!HOLDING.has(row.state)) continue;
      if (unresolved.has(row.requestKey)) throw new Violation("I4", `two unresolved payments of ${row.requestKey}`);
      unresolved.set(row.requestKey, hash);
    }
    for (const hash of before.keys()) if (!rows.has(hash)) throw new Violation("I7", `the row of ${hash} is gone`);
    for (const [index, rule] of world.rules.entries()) this.#limit(rule, usages[index] as Usage);
    this.moved();
  }

  #limit(rule: LimitRule, usage: Usage): void {
    const sums = this.#sums(rule);
    for (const field of ["spentMsat", "heldMsat", "payments", "heldPayments"] as const) {
      if (usage[field] !== sums[field]) throw new Violation("I3", `${JSON.stringify(shown(rule))}: the store counts ${field} ${usage[field]}, its rows say ${sums[field]}`);
    }
    let excess = 0n;
    let late = 0;
    for (const [hash, msat] of this.#excess) {
      if (!covers(rule, this.rows.get(hash) as StoredPayment)) continue;
      excess += msat;
      late += 1;
    }
    if (rule.maxMsat !== undefined && sums.spentMsat + sums.heldMsat > rule.maxMsat + excess) {
      throw new Violation("I1", `${JSON.stringify(shown(rule))}: ${sums.spentMsat} settled and ${sums.heldMsat} held`);
    }
    if (rule.maxPayments !== undefined && sums.payments + sums.heldPayments > rule.maxPayments + late) {
      throw new Violation("I12", `${JSON.stringify(shown(rule))}: ${sums.payments} settled and ${sums.heldPayments} held`);
    }
  }

  #sums(rule: LimitRule): { spentMsat: bigint; heldMsat: bigint; payments: number; heldPayments: number } {
    const sums = { spentMsat: 0n, heldMsat: 0n, payments: 0, heldPayments: 0 };
    for (const row of this.rows.values()) {
      if (!covers(rule, row)) continue;
      if (HOLDING.has(row.state)) {
        sums.heldMsat += row.amountMsat + row.maxFeeMsat;
        sums.heldPayments += 1;
      } else if (row.state === "settled" && (rule.windowMs === undefined || (row.resolvedAt as number) > this.#world.now - rule.windowMs)) {
        sums.spentMsat += row.amountMsat + row.feeMsat;
        sums.payments += 1;
      }
    }
    return sums;
  }

  #transition(hash: string, old: StoredPayment | undefined, row: StoredPayment): void {
    const from = old?.state ?? "none";
    const allowed = NEXT[from] as readonly PaymentState[];
    if (!allowed.includes(row.state) && !(from === "reserved" && row.state === "settled" && this.byHand.has(hash))) throw new Violation("I7", `${hash} went from ${from} to ${row.state}`);
    if (row.state === "failed" || row.state === "voided") {
      const open = this.#world.sentFor(hash).find((sent) => this.#mayCost(sent) && !sent.lied);
      if (open !== undefined && !this.byHand.has(hash)) throw new Violation("I6", `${hash} was released (${row.resolution}) while its money is ${open.state}`);
    }
    if (row.state === "settled" && !this.byHand.has(hash) && !this.#world.sentFor(hash).some((sent) => sent.state === "paid")) {
      throw new Violation("I10", `${hash} is booked as settled and was not paid`);
    }
  }

  #mayCost(sent: Sent): boolean {
    return sent.state === "locked" || sent.state === "paid" || (sent.state === "transit" && this.#world.now <= sent.cutoff);
  }

  /** The decision of a reservation, against the rows as they were. */
  reserved({ payment, maxFeeMsat, minFeeMsat, limits }: ReserveRequest, result: ReserveResult): void {
    if (result.status !== "reserved" && result.status !== "over_limit") return;
    if (this.#paused) throw new Violation("T7", "a payment was reserved in a paused budget");
    let fits = true;
    let room = maxFeeMsat;
    for (const rule of limits) {
      if (!covers(rule, payment)) continue;
      const sums = this.#sums(rule);
      if (rule.maxPayments !== undefined && sums.payments + sums.heldPayments + 1 > rule.maxPayments) fits = false;
      if (rule.maxMsat === undefined) continue;
      const left = rule.maxMsat - sums.spentMsat - sums.heldMsat - payment.amountMsat;
      if (left < room) room = left;
    }
    fits &&= room >= minFeeMsat;
    if (fits !== (result.status === "reserved")) throw new Violation("I1", `a payment of ${payment.amountMsat} + ${minFeeMsat} msat that ${fits ? "fits" : "does not fit"} was ${result.status}`);
    if (result.status === "over_limit") return;
    if (result.payment.maxFeeMsat !== room) throw new Violation("I2", `the fee held is ${result.payment.maxFeeMsat}, not ${room}`);
    for (const others of this.#keys.values()) others.delete(payment.paymentHash); // an ended one that is reserved anew
    if (payment.idempotencyKey !== undefined) {
      const hashes = this.#keys.get(payment.idempotencyKey) ?? new Set();
      this.#keys.set(payment.idempotencyKey, hashes.add(payment.paymentHash));
    }
  }

  dispatched(hash: string, sent: { attempt: number } | null): void {
    if (sent === null) return;
    if (this.#paused) throw new Violation("T7", "a payment was dispatched in a paused budget");
    const row = this.rows.get(hash);
    if (row?.state !== "reserved" || sent.attempt !== row.attempt + 1) throw new Violation("T2", `${hash} was dispatched from ${row?.state}`);
  }

  settled(hash: string, result: SettleResult, proof: { feeMsat: bigint }): void {
    const row = this.rows.get(hash) as StoredPayment;
    if (result.status === "late") {
      if (!this.byHand.has(hash) && !this.#world.sentFor(hash).some((sent) => sent.lied)) throw new Violation("I6", `${hash} was booked as ${row.state} (${row.resolution}), and was paid`);
      this.#excess.set(hash, row.amountMsat + proof.feeMsat);
      this.#paused = true;
    }
    if (result.status === "overrun") {
      if (!this.byHand.has(hash) && !this.#world.sentFor(hash).some((sent) => sent.overran || sent.lied)) throw new Violation("I2", `${hash} cost more than was held`);
      this.#excess.set(hash, proof.feeMsat - row.maxFeeMsat);
      this.#paused = true;
    }
    if (result.status === "settled" && (row.state === "failed" || row.state === "voided")) throw new Violation("T7", `${hash} was ${row.state}, and is booked as if nothing were wrong`);
  }

  resumed(): void {
    this.#paused = false;
  }

  // --- the money ---

  /** Just before the wallet is called. */
  pay(process: Process, sent: Sent): void {
    const { paymentHash } = sent;
    const row = this.rows.get(paymentHash);
    const { call } = sent;
    if (call?.state === "error" && !this.byHand.has(paymentHash) && (!isL402Error(call.error) || call.error.paid === "no")) throw new Violation("paid", `${paymentHash} is sent after its caller was told that nothing was paid`);
    const expired = (row?.expiresAt ?? 0) < this.#world.now;
    if (row?.state !== "sending" && row?.state !== "unknown" && !this.byHand.has(paymentHash) && !expired) throw new Violation("I5", `${paymentHash} was sent while its row is ${row?.state ?? "not there"}`);
    const other = this.#world.sentFor(paymentHash).find((one) => this.#mayCost(one) && !one.lied);
    if (other !== undefined && !this.byHand.has(paymentHash)) throw new Violation("I4", `${paymentHash} was sent again while its money is ${other.state}`);
    const most = this.#world.scenario.options.paymentConcurrency as number;
    const running = process.sent.filter((one) => !one.answered && one.deadline > this.#world.now && HOLDING.has(this.rows.get(one.paymentHash)?.state ?? "failed")).length;
    if (running + 1 > most) throw new Violation("I12", `${running + 1} payments are with the wallet at a time`);
  }

  /** Money moved, or a row changed: the books lead, and nothing is paid twice. */
  moved(): void {
    for (const [hash, all] of this.#world.sent) {
      if (this.byHand.has(hash) || all.some((sent) => sent.lied)) continue;
      let count = 0;
      for (const sent of all) {
        if (sent.state !== "locked" && sent.state !== "paid") continue;
        count += 1;
        const row = this.rows.get(hash);
        const booked = row === undefined ? 0n : row.state === "settled" ? row.amountMsat + row.feeMsat : HOLDING.has(row.state) ? row.amountMsat + row.maxFeeMsat : 0n;
        if (!sent.overran && (row?.amountMsat ?? 0n) + sent.feeMsat > booked) throw new Violation("I11", `the wallet spent ${(row?.amountMsat ?? 0n) + sent.feeMsat} on ${hash}, booked are ${booked} (${row?.state})`);
      }
      if (count > 1) throw new Violation("I4", `${hash} was paid ${count} times`);
    }
    for (const [key, hashes] of this.#keys) this.#atMostOne(hashes, `the idempotency key ${key}`);
    for (const call of this.#world.calls) if (call.reserved.size > 1) this.#atMostOne(call.reserved, `one call (${call.plan.method} ${call.plan.url})`);
  }

  #atMostOne(hashes: ReadonlySet<string>, what: string): void {
    let paid = 0;
    for (const hash of hashes) if (!this.byHand.has(hash) && this.#world.sentFor(hash).some((sent) => (sent.state === "paid" || sent.state === "locked") && !sent.lied)) paid += 1;
    if (paid > 1) throw new Violation("I4", `${what} paid ${paid} invoices`);
  }

  /** A person is asked only with the hold already taken. */
  asked(hash: string): void {
    if (this.rows.get(hash)?.state !== "reserved" && !this.#world.scenario.nastyStore && this.#world.scenario.processes === 1) throw new Violation("T1a", `approval is asked for ${hash}, which is ${this.rows.get(hash)?.state ?? "not on record"}`);
  }

  // --- what callers are told ---

  outcome(call: Call): void {
    const world = this.#world;
    const { error, response } = call;
    if (response !== undefined) {
      const receipt = receiptOf(response);
      if (receipt === undefined) {
        if (response.status === 200 && !call.plan.url.endsWith("/free")) throw new Violation("receipt", `${call.plan.url} was opened, and has no receipt`);
        return;
      }
      const row = this.rows.get(receipt.paymentHash);
      if (response.status === 402) throw new Violation("receipt", "a 402 is handed back with a receipt");
      if (receipt.reused) {
        if (receipt.amountMsat !== 0 || receipt.feeMsat !== 0) throw new Violation("receipt", "a reused credential cost something");
        return;
      }
      if (!call.reserved.has(receipt.paymentHash)) throw new Violation("receipt", "a receipt for what another call paid");
      if (world.scenario.processes === 1 && this.#spendReceipts.has(receipt.paymentHash)) throw new Violation("receipt", "two receipts for one payment");
      this.#spendReceipts.add(receipt.paymentHash);
      const booked = row?.state === "settled" && BigInt(receipt.amountMsat) === row.amountMsat && BigInt(receipt.feeMsat) === row.feeMsat;
      if (!booked && !world.scenario.nastyStore && !this.byHand.has(receipt.paymentHash) && row?.resolution?.startsWith("by hand") !== true) throw new Violation("receipt", `a receipt over ${receipt.amountMsat} + ${receipt.feeMsat} msat for a row that is ${row?.state} with ${row?.amountMsat} + ${row?.feeMsat}`);
      return;
    }
    const cost = [...call.reserved].find((hash) => !this.byHand.has(hash) && world.sentFor(hash).some((sent) => sent.call === call && this.#mayCost(sent) && !sent.lied));
    if (!isL402Error(error)) {
      const known = (call.abort?.signal.aborted === true && error === call.abort.signal.reason) || (error instanceof TypeError && error.message === "fetch failed");
      if (!known) throw new Violation("errors", `fetch threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      if (cost !== undefined) throw new Violation("paid", `an error of fetch (${String(error)}) hides that the money of ${cost} is ${world.sentFor(cost).at(-1)?.state}`);
      this.#noLeak(call, String(error));
    } else if (error.paid === "no") {
      if (cost !== undefined) throw new Violation("paid", `${error.code} says that nothing was paid, and the money of ${cost} is ${world.sentFor(cost).at(-1)?.state}`);
      this.#noLeak(call, error.code);
    } else {
      const { paymentHash } = error as { paymentHash?: string };
      const row = paymentHash === undefined ? undefined : this.rows.get(paymentHash);
      if (paymentHash !== undefined && row === undefined) throw new Violation("paid", `${error.code} is about a payment that is not on record`);
      if (error.code === "credential_rejected" && row?.state !== "settled" && !world.scenario.nastyStore) throw new Violation("paid", `${error.code} about a row that is ${row?.state}`);
      if (error.paid === "unknown" && row?.state === "voided" && call.owners.has(row.owner) && !world.scenario.nastyStore) throw new Violation("paid", `${error.code} about a payment that was voided: nothing was sent`);
    }
  }

  #noLeak(call: Call, what: string): void {
    if (this.#world.scenario.nastyStore) return;
    for (const hash of call.reserved) {
      const row = this.rows.get(hash);
      if (row !== undefined && HOLDING.has(row.state) && row.owner === call.process.line.state.owner && !this.#othersHold(call, hash)) {
        throw new Violation("leak", `${what}, and the row of ${hash} still is ${row.state}`);
      }
    }
  }

  /** The same invoice may have been reserved again by another call. */
  #othersHold(call: Call, hash: string): boolean {
    return this.#world.calls.some((other) => other !== call && other.state === "pending" && other.reserved.has(hash));
  }

  // --- at rest ---

  /** Nothing waits any more: every caller has an answer, and nothing is left behind. */
  atRest(): void {
    const world = this.#world;
    for (const [index, call] of world.calls.entries()) {
      if (call.state === "pending" && !call.process.dead) throw new Violation("I9", `call ${index} (${call.plan.method} ${call.plan.url}) never gets an answer`);
    }
    for (const process of world.processes) {
      if (process.dead) continue;
      const { state } = process.line;
      if (state.flights.size > 0) throw new Violation("leak", `flights: ${[...state.flights.keys()].join()}`);
      if (state.desks.size > 0) throw new Violation("leak", `desks: ${[...state.desks.keys()].join()}`);
      if (state.redeeming.size > 0) throw new Violation("leak", `redeeming: ${[...state.redeeming].join()}`);
      for (const hash of state.live.keys()) if (process.sent.every((sent) => sent.paymentHash !== hash || sent.answered)) throw new Violation("leak", `live: ${hash}`);
      const quiet = world.processes.length === 1 && !world.scenario.nastyStore && this.byHand.size === 0;
      if (quiet) this.#report(process);
      for (const row of this.rows.values()) {
        if (row.state === "reserved" && row.owner === state.owner && !world.scenario.nastyStore) throw new Violation("leak", `the row of ${row.paymentHash} is still reserved`);
      }
      const { paymentConcurrency, maxQueuedPayments } = world.scenario.options;
      const places = [];
      try {
        for (let index = (paymentConcurrency as number) + (maxQueuedPayments as number) - process.sent.filter((sent) => !sent.answered).length; index > 0 && state.queue !== undefined; index -= 1) places.push(state.queue.enter());
      } catch {
        throw new Violation("leak", "a place in the queue was not given back");
      } finally {
        for (const place of places) place.leave();
      }
    }
  }

  /** The client's own view, where no other process had a hand in it. */
  #report(process: Process): void {
    const report = process.report();
    let spent = 0n;
    let held = 0n;
    let count = 0;
    let told = 0;
    for (const row of this.rows.values()) {
      if (row.state === "settled") {
        spent += row.amountMsat + row.feeMsat;
        told += sats(row.amountMsat + row.feeMsat);
        count += 1;
      } else if (HOLDING.has(row.state)) held += row.amountMsat + row.maxFeeMsat;
    }
    const toldHere = process.told.reduce((sum, one) => sum + one.sats, 0);
    if (report.total !== sats(spent) || report.held !== sats(held) || report.transactions.length !== count || told !== toldHere) {
      throw new Violation("report", `the report says ${report.total} spent, ${report.held} held, ${report.transactions.length} payments, onSpend heard ${toldHere}; the store has ${sats(spent)}, ${sats(held)}, ${count}, ${told}`);
    }
    const open = new Set([...this.rows.values()].filter((row) => HOLDING.has(row.state)).map((row) => row.owner));
    for (const reservation of process.line.state.holds.keys()) if (!open.has(reservation)) throw new Violation("leak", "a hold is noted for a reservation that has ended");
  }

  /** After recovery: books and wallet agree to the millisatoshi. */
  audit(): void {
    const world = this.#world;
    for (const row of this.rows.values()) {
      const all = world.sentFor(row.paymentHash);
      if (this.byHand.has(row.paymentHash) || all.some((sent) => sent.lied)) continue;
      const paid = all.filter((sent) => sent.state === "paid");
      if (HOLDING.has(row.state)) throw new Violation("I9", `${row.paymentHash} is still ${row.state} (${row.resolution}); its money is ${all.map((sent) => sent.state).join() || "not sent"}`);
      if (row.state === "settled") {
        const fees = paid.reduce((sum, sent) => sum + (sent.feeTold ? sent.feeMsat : row.maxFeeMsat), 0n);
        // By hand the fee is booked at its allowance.
        if (paid.length !== 1 || (fees !== row.feeMsat && row.resolution?.startsWith("by hand") !== true)) throw new Violation("I10", `${row.paymentHash} is booked with a fee of ${row.feeMsat}, and was paid ${paid.length} times with fees of ${fees}`);
      } else if (paid.length > 0) throw new Violation("I10", `${row.paymentHash} is ${row.state}, and was paid`);
    }
    for (const [hash, all] of world.sent) if (!this.rows.has(hash) && all.length > 0) throw new Violation("I10", `${hash} was sent and is not on record`);
  }
}

function sats(msat: bigint): number {
  return Number((msat + 999n) / 1000n);
}

function shown(rule: LimitRule): object {
  return { ...rule, ...(rule.maxMsat === undefined ? {} : { maxMsat: Number(rule.maxMsat) }) };
}
