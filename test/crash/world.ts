/**
 * What outlives the killed processes: the Lightning network, the wallet behind its socket, the paywall, the time. And the
 * audit, which knows the truth.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { audit as auditOf, createLightning, createPaywall, systemClock, type Behaviour, type BehaviourName, type Lightning, type Paywall, type SimPayment, type SimWallet } from "@l402-tools/testing";
import type { Clock } from "@l402-tools/core";
import { sqliteStore } from "@l402-tools/stores/sqlite";
import type { Buyer } from "./buyer.ts";
import type { Books, Mutant, Promises, Row, Setting, WalletAnswer, WalletCall } from "./protocol.ts";
import type { Random } from "./random.ts";

/** The books and the money differ, or a caller was told something that is not so. */
export class Violation extends Error {}

export interface WorldOptions {
  readonly directory: string;
  readonly name: string;
  readonly random: Random;
  readonly mutant?: Mutant;
  readonly budgetSats?: number;
}

/** Longer than recovery waits after an expiry. */
const AFTER_EXPIRY_MS = 125_000;
const NOT_FOUND_FINAL_MS = 60_000;
/** Between two look-ups that must agree. */
const TWICE_MS = 31_000;
const LOG_LINES = 60;
/** The scope's rows, whatever it is. */
const OPEN: ReadonlySet<string> = new Set(["reserved", "sending", "unknown"]);

export const isOpen = (row: Row): boolean => OPEN.has(row.state);
export const wasSent = (row: Row): boolean => row.state === "sending" || row.state === "unknown";

const msat = (text: string): bigint => BigInt(text);
const sum = (amounts: Iterable<bigint>): bigint => [...amounts].reduce((total, amount) => total + amount, 0n);

export class World {
  readonly setting: Setting;
  readonly random: Random;
  readonly lightning: Lightning;
  readonly wallet: SimWallet;
  paywall!: Paywall;
  readonly promises: Promises;
  readonly directory: string;
  readonly log: string[] = [];
  readonly clock: Clock;
  offsetMs = 0;
  /** What the wallet does with the next payment for a path. */
  readonly manners = new Map<string, Behaviour | BehaviourName>();
  /** Paths whose payment the wallet never answers. */
  readonly silent = new Set<string>();
  /** Look-ups fail for want of a connection. */
  trouble = false;
  /** Paths whose kept credential is good once; the others' are good for ever. */
  readonly single = new Set<string>();
  /** Single-use paths that were only asked for with one key: they are paid once. */
  readonly keyed = new Set<string>();
  /** Requests that the wallet took and has not begun, since who sent them died. */
  readonly #notBegun: (() => void)[] = [];
  /** Calls that the wallet is about to answer. */
  readonly #moving = new Set<Promise<unknown>>();
  readonly #connections = new Map<number, Socket>();
  readonly #hello = new Map<number, () => void>();
  readonly #buyers = new Map<number, Buyer>();
  readonly #buyerOf = new Map<string, Buyer>();
  readonly #payees = new Map<string, Buyer>();
  readonly #server: Server;
  readonly #latency: number;
  #paths = 0;

  static async make(options: WorldOptions): Promise<World> {
    const world = new World(options);
    await world.#start();
    return world;
  }

  private constructor({ directory, name, random, mutant, budgetSats }: WorldOptions) {
    this.random = random;
    this.directory = join(directory, name);
    mkdirSync(this.directory, { recursive: true });
    this.clock = { now: () => Date.now() + this.offsetMs, sleep: (ms, signal) => systemClock.sleep(ms, signal) };
    this.lightning = createLightning({ clock: this.clock, seed: `${name} ${random.next()}` });
    this.promises = { feeLimit: "enforced", preimage: "always", lookup: "by-hash", notFoundFinalAfterMs: random.chance(0.6) ? NOT_FOUND_FINAL_MS : null };
    this.wallet = this.lightning.wallet({
      balanceSats: 1_000_000,
      feeMsat: (amount) => amount / 1000n + 7n,
      notFoundFinalAfterMs: this.promises.notFoundFinalAfterMs,
      behave: ({ invoice }) => {
        const path = this.pathOf(invoice);
        const manner = this.manners.get(path);
        this.manners.delete(path);
        if (manner === "lose-answer") this.silent.add(path);
        return manner;
      },
    });
    this.wallet.observe((payment) => this.#moved(payment));
    this.#latency = random.pick([0, 0, 2, 8]);
    const budget = budgetSats ?? 1_200 + random.below(1_500);
    this.setting = {
      ledger: join(this.directory, "ledger.db"),
      ...(random.chance(0.3) ? { encryptionKey: createHash("sha256").update(name).digest("hex") } : {}),
      walletPort: 0,
      promises: this.promises,
      budgetSats: budget,
      hourSats: Math.floor(budget * 0.9),
      credentialScope: random.pick(["origin", "path", "path"]),
      ...(mutant === undefined ? {} : { mutant }),
    };
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async #start(): Promise<void> {
    const invoices = this.random.pick(["fresh", "fresh", "until-paid"] as const);
    const invoiceExpirySeconds = 3600;
    const price = new Map<string, bigint>();
    const sold = {
      priceMsat: (request: Request) => {
        const { pathname } = new URL(request.url);
        const kept = price.get(pathname) ?? BigInt(5_000 + this.random.below(40_000));
        price.set(pathname, kept);
        return kept;
      },
      handler: (request: Request) => {
        const { pathname } = new URL(request.url);
        this.#payees.get(pathname)?.strike("pay.http.served");
        return { goods: pathname };
      },
    };
    this.paywall = await createPaywall({
      lightning: this.lightning,
      name: "shop",
      invoices,
      invoiceExpirySeconds,
      routes: { "/item/*": { ...sold, credential: "path" }, "/once/*": { ...sold, credential: "single-use" } },
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    (this.setting as { walletPort: number }).walletPort = (this.#server.address() as { port: number }).port;
  }

  note(text: string): void {
    this.log.push(text);
    if (this.log.length > LOG_LINES) this.log.shift();
  }

  fail(text: string): never {
    throw new Violation(`${text}\n  ledger ${this.setting.ledger}, ${JSON.stringify(this.promises)}, scope ${this.setting.credentialScope}\n  ${this.log.join("\n  ")}`);
  }

  newPath(kind: "item" | "once"): string {
    const path = `/${kind}/${(this.#paths += 1)}`;
    if (kind === "once") this.single.add(path);
    return path;
  }

  pathOf(invoice: string): string {
    return this.lightning.find(invoice)?.description.split(" ")[1] ?? "";
  }

  /** From now on points that the parent passes for this path strike this buyer. */
  watch(path: string, buyer: Buyer): void {
    this.#payees.set(path, buyer);
  }

  #moved(payment: SimPayment): void {
    const buyer = this.#buyerOf.get(payment.paymentHash);
    if (payment.status === "in_flight") buyer?.strike("pay.wallet.locked");
    else if (payment.status === "settled") buyer?.strike("pay.wallet.moved");
  }

  #serve(socket: Socket): void {
    let buyer: number | undefined;
    socket.on("error", () => {});
    const answer = (body: WalletAnswer): void => {
      if (!socket.destroyed) socket.write(`${JSON.stringify(body)}\n`);
    };
    createInterface({ input: socket }).on("error", () => {}).on("line", (text) => {
      const call = JSON.parse(text) as WalletCall;
      if (call.method === "hello") {
        buyer = call.buyer;
        this.#connections.set(buyer, socket);
        this.#hello.get(buyer)?.();
      } else if (call.method === "pay") void this.#pay(call, this.#buyers.get(buyer as number) as Buyer).then(answer);
      else void this.#lookUp(call, this.#buyers.get(buyer as number) as Buyer).then(answer);
    });
  }

  async #pay(call: WalletCall & { method: "pay" }, buyer: Buyer): Promise<WalletAnswer> {
    const { id, invoice, paymentHash } = call;
    const path = this.pathOf(invoice);
    this.note(`wallet: pay ${paymentHash.slice(0, 8)} for ${path}`);
    this.#buyerOf.set(paymentHash, buyer);
    const dying = buyer.arm?.point === "pay.wallet.received" || buyer.arm?.point === "pay.wallet.written";
    buyer.strike("pay.wallet.received");
    if (dying && this.random.chance(0.5)) await new Promise<void>((begin) => this.#notBegun.push(begin));
    const paying = this.wallet.pay({ ...call, amountMsat: msat(call.amountMsat), maxFeeMsat: msat(call.maxFeeMsat), deadline: Number.POSITIVE_INFINITY }).catch(() => ({ status: "unknown" as const }));
    if (!this.silent.has(path)) {
      this.#moving.add(paying);
      void paying.then(() => this.#moving.delete(paying));
    }
    const result = await paying;
    if (this.#latency > 0) await systemClock.sleep(this.#latency);
    this.note(`wallet: ${result.status} ${paymentHash.slice(0, 8)}`);
    if (result.status === "settled") return { id, status: "settled", preimage: result.preimage, feeMsat: result.feeMsat === null ? null : String(result.feeMsat) };
    if (result.status === "failed") return { id, status: "failed", reason: result.reason, message: result.message };
    return { id, status: result.status };
  }

  async #lookUp({ id, paymentHash }: WalletCall & { method: "lookup" }, buyer: Buyer): Promise<WalletAnswer> {
    if (this.trouble) return { id, status: "trouble" };
    const found = await this.wallet.lookup({ paymentHash });
    this.note(`wallet: look-up ${paymentHash.slice(0, 8)}: ${found.status}`);
    buyer.strike("pay.lookup.served");
    buyer.strike("recover.lookup.served");
    if (found.status === "settled") return { id, status: "settled", preimage: found.preimage, feeMsat: found.feeMsat === null ? null : String(found.feeMsat) };
    if (found.status === "failed") return { id, status: "failed", soft: found.soft };
    return { id, status: found.status };
  }

  /** Knows a buyer before it is told to open the ledger. */
  expect(buyer: Buyer): Promise<void> {
    this.#buyers.set(buyer.id, buyer);
    return new Promise((resolve) => this.#hello.set(buyer.id, resolve));
  }

  /** Waits until nothing that a dead buyer wrote can arrive any more. */
  async drained(buyer: Buyer): Promise<void> {
    await buyer.gone;
    const socket = this.#connections.get(buyer.id);
    if (socket !== undefined && !socket.closed) await once(socket, "close");
    this.#connections.delete(buyer.id);
    await Promise.all(this.#moving);
  }

  /** The wallet begins what it took from the dead. */
  async begin(): Promise<number> {
    const waiting = this.#notBegun.splice(0);
    for (const begin of waiting) begin();
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all(this.#moving);
    return waiting.length;
  }

  /** Decides the money that is on its way for a path. */
  decide(path: string, settles: () => boolean): number {
    const hanging = this.attempts(path).filter((payment) => payment.status === "in_flight");
    for (const { paymentHash } of hanging) {
      const settle = settles();
      this.note(`the network ${settle ? "settles" : "fails"} ${paymentHash.slice(0, 8)}`);
      if (settle) this.wallet.settle(paymentHash);
      else this.wallet.fail(paymentHash);
    }
    return hanging.length;
  }

  get notBegun(): number {
    return this.#notBegun.length;
  }

  /** Moves time on, until "not found" is a proof for these rows. */
  pass(rows: readonly Row[]): void {
    const now = this.clock.now();
    const byExpiry = this.promises.notFoundFinalAfterMs === null || rows.some((row) => row.attempt > 1);
    const until = byExpiry ? Math.max(now, ...rows.map((row) => row.expiresAt + AFTER_EXPIRY_MS)) : now + NOT_FOUND_FINAL_MS + 1_000;
    this.offsetMs += until - now;
    this.note(`time passes: ${until - now} ms`);
  }

  passTwice(): void {
    this.offsetMs += TWICE_MS;
  }

  hashesOf(path: string): ReadonlySet<string> {
    return new Set(this.paywall.sales.filter((sale) => sale.path === path).map((sale) => sale.paymentHash));
  }

  /** Every attempt of the wallet to pay for a path. */
  attempts(path: string): SimPayment[] {
    const hashes = this.hashesOf(path);
    return this.wallet.payments.filter((payment) => hashes.has(payment.paymentHash));
  }

  isPaid(paymentHash: string): boolean {
    return this.wallet.payments.some((payment) => payment.paymentHash === paymentHash && payment.status === "settled");
  }

  paidTimes(path: string): number {
    return this.attempts(path).filter((payment) => payment.status === "settled").length;
  }

  /** How often a path may have been paid by now. */
  #payable(path: string): number {
    if (!this.single.has(path) || this.keyed.has(path)) return 1;
    return 1 + this.#deliveries(path);
  }

  #deliveries(path: string): number {
    return this.paywall.sales.filter((sale) => sale.path === path).reduce((delivered, sale) => delivered + sale.delivered, 0);
  }

  /** Whether every credential that was bought for a single-use path has been used. */
  isUsedUp(path: string): boolean {
    return this.single.has(path) && this.#deliveries(path) >= this.paidTimes(path);
  }

  /**
   * Compares the books with the money. At any moment: nothing is paid that is not on record as sent, nothing twice, and
   * no limit is passed. `recovered`: what the wallet knows is booked, and nothing is held for the dead.
   */
  check(books: Books, when: "opened" | "recovered" | "ended"): void {
    this.lightning.assertConserved();
    const twice = this.lightning.doublePayments();
    if (twice.length > 0) this.fail(`${when}: an invoice was paid twice: ${JSON.stringify(twice, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}`);
    if (books.unsafe !== null) this.fail(`${when}: the ledger takes itself for unsafe: ${books.unsafe}`);
    if (books.paused !== null) this.fail(`${when}: the budget is paused: ${books.paused}`);
    const rows = new Map(books.rows.map((row) => [row.hash, row]));
    const byHash = new Map<string, SimPayment[]>();
    for (const payment of this.wallet.payments) byHash.set(payment.paymentHash, [...(byHash.get(payment.paymentHash) ?? []), payment]);

    for (const [hash, payments] of byHash) {
      const live = payments.filter((payment) => payment.status !== "failed");
      const row = rows.get(hash);
      if (row === undefined) this.fail(`${when}: the wallet was sent ${hash}, which is not on record`);
      if (live.length === 0) continue;
      if (row.state !== "settled" && !wasSent(row)) this.fail(`${when}: the wallet has ${live[0]?.status} ${hash}, and the ledger says ${row.state} (${row.resolution})`);
      if (when !== "opened" && row.state !== "settled" && live.some((payment) => payment.status === "settled")) this.fail(`${when}: ${hash} was paid, and is still ${row.state}`);
    }
    for (const row of books.rows) {
      const payments = byHash.get(row.hash) ?? [];
      if (row.state === "settled") {
        const paid = sum(payments.filter((payment) => payment.status === "settled").map((payment) => payment.amountMsat + payment.feeMsat));
        const booked = msat(row.amountMsat) + msat(row.feeMsat);
        if (paid !== booked) this.fail(`${when}: ${row.hash} cost ${paid} msat, and ${booked} are booked`);
        if (row.preimage === undefined) this.fail(`${when}: ${row.hash} is paid, and its credential is lost`);
        if (createHash("sha256").update(Buffer.from(row.preimage, "hex")).digest("hex") !== row.hash) this.fail(`${when}: the preimage of ${row.hash} is not its own`);
      } else if (when !== "opened" && row.state === "reserved") this.fail(`${when}: ${row.hash} is held for a process that is dead`);
      else if (when === "ended" && isOpen(row)) this.fail(`${when}: ${row.hash} is still ${row.state}`);
      else if (when === "recovered" && wasSent(row) && !this.#mayBeOpen(row, payments)) this.fail(`recovered: ${row.hash} is ${row.state}, and the wallet has ${payments.at(-1)?.status ?? "never seen it"}`);
    }
    this.#checkSums(books, when);
    for (const path of new Set(this.paywall.sales.map((sale) => sale.path))) {
      const times = this.paidTimes(path);
      if (times > this.#payable(path)) this.fail(`${when}: ${path} was paid ${times} times, of ${this.#payable(path)}`);
    }
  }

  /** Whether proof is still to come for a payment that was sent. */
  #mayBeOpen(row: Row, payments: readonly SimPayment[]): boolean {
    const last = payments.at(-1);
    if (last?.status === "in_flight") return true;
    const now = this.clock.now();
    const expired = now > row.expiresAt + AFTER_EXPIRY_MS + TWICE_MS + 5_000;
    if (last !== undefined) return row.attempt > 1 && !expired;
    return this.promises.notFoundFinalAfterMs === null ? !expired : now < (row.dispatchedAt ?? 0) + NOT_FOUND_FINAL_MS + 500;
  }

  #checkSums({ rows, life, hour, hosts }: Books, when: string): void {
    const settled = rows.filter((row) => row.state === "settled");
    const held = rows.filter(isOpen);
    const spentMsat = sum(settled.map((row) => msat(row.amountMsat) + msat(row.feeMsat)));
    const heldMsat = sum(held.map((row) => msat(row.amountMsat) + msat(row.maxFeeMsat)));
    const told = `spent ${life.spentMsat}, held ${life.heldMsat}`;
    if (msat(life.spentMsat) !== spentMsat || msat(life.heldMsat) !== heldMsat) this.fail(`${when}: the sums (${told}) are not those of the rows (spent ${spentMsat}, held ${heldMsat})`);
    if (msat(hosts.spentMsat) !== spentMsat || msat(hosts.heldMsat) !== heldMsat) this.fail(`${when}: the hosts' sums (${JSON.stringify(hosts)}) are not those of the rows (spent ${spentMsat}, held ${heldMsat})`);
    if (life.payments !== settled.length || life.heldPayments !== held.length) this.fail(`${when}: ${life.payments} payments and ${life.heldPayments} holds are counted, of ${settled.length} and ${held.length}`);
    if (msat(hour.spentMsat) > spentMsat || msat(hour.heldMsat) !== heldMsat) this.fail(`${when}: the hour's sums are not those of the rows`);
    if (spentMsat + heldMsat > BigInt(this.setting.budgetSats) * 1000n) this.fail(`${when}: ${spentMsat} msat spent and ${heldMsat} held, of a budget of ${this.setting.budgetSats} sats`);
    if (msat(hour.spentMsat) + msat(hour.heldMsat) > BigInt(this.setting.hourSats) * 1000n) this.fail(`${when}: ${JSON.stringify(hour)}, of ${this.setting.hourSats} sats an hour`);
    if (this.wallet.spentMsat > spentMsat + heldMsat) this.fail(`${when}: the wallet spent ${this.wallet.spentMsat} msat; the books have ${told}`);
  }

  /** The audit that everybody can use, on the ledger as it lies there. */
  async auditClosed(): Promise<void> {
    if (this.setting.mutant === "ledger-in-memory") return;
    const { ledger: path, encryptionKey } = this.setting;
    const store = sqliteStore({ path, clock: this.clock, ...(encryptionKey === undefined ? {} : { encryptionKey }) });
    try {
      await auditOf({ lightning: this.lightning, store });
    } finally {
      await store.close();
    }
  }

  async close(keep: boolean): Promise<void> {
    for (const socket of this.#connections.values()) socket.destroy();
    this.#server.close();
    await this.paywall.close();
    if (!keep) rmSync(this.directory, { recursive: true, force: true });
  }
}
