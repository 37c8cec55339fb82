/** One process at a time on one ledger: it is killed, and the next one goes on from there. */
import { Killed, type Buyer, type Nursery } from "./buyer.ts";
import { newPoints, openPoints, payPoints, recoverPoints, statementsOf, type Recipe } from "./points.ts";
import type { Arm, Books, Fetched, Phase, Recovered } from "./protocol.ts";
import type { Tally } from "./tally.ts";
import { isOpen, wasSent, type World } from "./world.ts";

/** Something that the application wants, until it has it. */
export interface Purchase {
  readonly path: string;
  readonly key?: string;
  readonly authorization?: string;
}

/** Kills in a row of those who only recover. */
const RECOVERIES_KILLED_MAX = 4;
/** Longest time, ms, until a process is killed at random. */
const RANDOM_MAX_MS = 220;
/** Patience, real ms, where the answer is known not to come; more each time, since a slow machine needs it to get there. */
const PATIENCE_MS = 120;
const ROUNDS_MAX = 12;
/** Patience, real ms, where the wallet has the answer: however slow the machine is, the call must bring it. */
const LAZY_PATIENCE_MS = 60_000;

export interface Single {
  readonly world: World;
  readonly nursery: Nursery;
  readonly tally: Tally;
  /** Points to kill at; absent: all. */
  readonly focus?: readonly string[];
}

/** A ledger and the processes that lived on it, one after the other. */
export class Life {
  readonly #world: World;
  readonly #nursery: Nursery;
  readonly #tally: Tally;
  readonly #focus: readonly string[] | undefined;
  readonly #delivered: Purchase[] = [];
  #pending: Purchase | undefined;
  #books: Books | undefined;
  #inARow = 0;
  #isOpened = false;
  #phase: Phase = "open";
  /** The process under way has called nothing yet: nothing goes on beside its recovery. */
  #isFresh = true;
  exhausted = false;
  kills = 0;

  constructor({ world, nursery, tally, focus }: Single) {
    this.#world = world;
    this.#nursery = nursery;
    this.#tally = tally;
    this.#focus = focus;
  }

  #may(point: string): boolean {
    return this.#focus === undefined || this.#focus.includes(point);
  }

  #armAt(point: string): Arm {
    const statements = statementsOf(point);
    return { point, after: statements === 1 ? 0 : this.#world.random.below(statements) };
  }

  async #step<S extends Parameters<Buyer["step"]>[1]>(buyer: Buyer, phase: Phase, step: S, arm?: Arm): Promise<Awaited<ReturnType<typeof buyer.step<S>>>> {
    this.#phase = phase;
    const world = this.#world;
    world.note(`#${buyer.id} ${phase}: ${step.do}${step.do === "fetch" ? ` ${new URL(step.url).pathname} key ${step.idempotencyKey ?? "-"}${step.patienceMs === undefined ? "" : ` for ${step.patienceMs} ms`}` : ""}${arm === undefined ? "" : ` to die at ${arm.point} ${arm.after}`}`);
    const result = await buyer.step(phase, step, arm);
    if (step.do !== "audit") world.note(`#${buyer.id} ${step.do}: ${JSON.stringify(result).slice(0, 500)}`);
    return result as Awaited<ReturnType<typeof buyer.step<S>>>;
  }

  /** Lives one process, until it is killed. `false`: it was not, and there is nothing more to do. */
  async next(): Promise<boolean> {
    const { random } = this.#world;
    const buyer = this.#nursery.take();
    this.#tally.processes += 1;
    const isRandom = this.#focus === undefined && random.chance(0.25);
    const timer = isRandom ? setTimeout(() => buyer.kill(), random.next() * RANDOM_MAX_MS) : undefined;
    try {
      const points = this.#isOpened ? openPoints : newPoints;
      const openArm = !isRandom && this.#focus === undefined && random.chance(this.#isOpened ? 0.08 : 0.8) ? this.#armAt(this.#tally.least(points, random)) : undefined;
      await this.open(buyer, openArm);
      this.#isOpened = true;
      await this.audit(buyer, "opened");
      if (this.#pending !== undefined) await this.#settle(buyer, this.#pending, !isRandom);
      for (let turn = 0; !this.exhausted && (turn < 8 || isRandom); turn += 1) await this.#purchase(buyer, isRandom);
      return false;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.kills += 1;
      this.#inARow = this.#phase === "pay" ? 0 : this.#inARow + 1;
      this.#tally.killed(error.point, this.#phase);
      this.#world.note(`#${buyer.id} ${error.message}`);
      await this.#world.drained(buyer);
      return true;
    } finally {
      clearTimeout(timer);
      if (!buyer.isGone) {
        await buyer.reap();
        await this.#world.drained(buyer);
      }
    }
  }

  async open(buyer: Buyer, arm?: Arm): Promise<void> {
    const world = this.#world;
    this.#isFresh = true;
    const connected = world.expect(buyer);
    const opened = await this.#step(buyer, "open", { do: "open", setting: world.setting, buyer: buyer.id, offsetMs: world.offsetMs }, arm);
    if (opened.unsafe !== null) world.fail(`the ledger takes itself for unsafe: ${opened.unsafe}`);
    await Promise.race([connected, buyer.gone]);
  }

  async audit(buyer: Buyer, when: "opened" | "recovered" | "ended"): Promise<Books> {
    const books = await this.#step(buyer, this.#phase, { do: "audit" });
    this.#tally.audits += 1;
    this.#world.check(books, when);
    this.#books = books;
    return books;
  }

  /** Recovers, perhaps to be killed at it, and looks at what came of it. */
  async recover(buyer: Buyer, mayDie: boolean): Promise<Recovered> {
    const world = this.#world;
    const { random } = world;
    const before = await this.audit(buyer, "opened");
    const isSent = before.rows.some(wasSent);
    let arm: Arm | undefined;
    let timer: NodeJS.Timeout | undefined;
    if (mayDie && this.#inARow < RECOVERIES_KILLED_MAX) {
      const points = this.#pointsOfRecovery(before).filter((point) => this.#may(point));
      const isNew = points.some((point) => this.#tally.points.get(point) === 0);
      if (points.length > 0 && random.chance(isNew ? 0.9 : 0.4)) arm = this.#armAt(this.#tally.least(points, random));
      else if (this.#focus === undefined && random.chance(0.1)) timer = setTimeout(() => buyer.kill(), random.next() * 5);
    }
    world.trouble = arm === undefined && isSent && this.#isFresh && random.chance(0.08);
    const { trouble } = world;
    try {
      const report = await this.#step(buyer, "recover", { do: "recover" }, arm);
      this.#tally.recoveries += 1;
      if (!trouble) {
        const after = await this.audit(buyer, "recovered");
        if (this.#isFresh) this.#compare(before, after, report);
        return report;
      }
    } finally {
      clearTimeout(timer);
      world.trouble = false;
    }
    const after = await this.audit(buyer, "opened");
    const still = new Set(after.rows.filter(isOpen).map((row) => row.hash));
    const released = before.rows.find((row) => wasSent(row) && !still.has(row.hash));
    if (released !== undefined) world.fail(`the wallet could not be reached, and ${released.hash} was brought to an end all the same`);
    return this.recover(buyer, mayDie);
  }

  /** What the report says is what became of the rows. */
  #compare(before: Books, after: Books, report: Recovered): void {
    const states = new Map(after.rows.map((row) => [row.hash, row.state]));
    const became = { settled: 0, failed: 0, voided: 0, stillUnknown: 0 };
    for (const row of before.rows.filter(isOpen)) {
      const state = states.get(row.hash);
      if (state === "settled" || state === "failed" || state === "voided") became[state] += 1;
      else if (state !== "reserved") became.stillUnknown += 1;
    }
    if (JSON.stringify(became) !== JSON.stringify({ settled: report.settled, failed: report.failed, voided: report.voided, stillUnknown: report.stillUnknown })) {
      this.#world.fail(`recovery reports ${JSON.stringify(report)}, and did ${JSON.stringify(became)}`);
    }
  }

  #pointsOfRecovery(books: Books): string[] {
    const points: string[] = [...recoverPoints.always];
    const sent = books.rows.filter(wasSent);
    if (books.rows.some((row) => row.state === "reserved")) points.push(...recoverPoints.reserved);
    if (sent.length > 0) points.push(...recoverPoints.sent);
    const live = new Set(sent.map((row) => this.#world.wallet.payments.findLast((payment) => payment.paymentHash === row.hash)?.status));
    if (live.has("settled")) points.push(...recoverPoints.settled);
    if (live.has("failed") || live.has(undefined)) points.push(...recoverPoints.failed);
    return points;
  }

  /** A call, whose answer must agree with the truth. */
  async #fetch(buyer: Buyer, purchase: Purchase, options: { arm?: Arm; patienceMs?: number; approve?: boolean } = {}): Promise<Fetched> {
    const world = this.#world;
    const { path, key, authorization } = purchase;
    if (key === undefined) world.keyed.delete(path);
    world.watch(path, buyer);
    const livesOf = (): number => world.attempts(path).filter((payment) => payment.status !== "failed").length;
    const before = livesOf();
    this.#isFresh = false;
    const fetched = await this.#step(
      buyer,
      "pay",
      {
        do: "fetch",
        url: `${world.paywall.url}${path}`,
        approve: options.approve ?? true,
        ...(key === undefined ? {} : { idempotencyKey: key }),
        ...(authorization === undefined ? {} : { authorization }),
        ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
      },
      options.arm,
    );
    this.#tally.calls += 1;
    const said = JSON.stringify(fetched).slice(0, 400);
    if (fetched.ok) {
      if (fetched.status !== 200 || fetched.body !== JSON.stringify({ goods: path })) world.fail(`${path} was answered with ${said}`);
      if (world.paidTimes(path) === 0) world.fail(`${path} was handed out, and never paid`);
    } else if (fetched.paid === null || fetched.paid === "no") {
      if (livesOf() !== before) world.fail(`a call for ${path} says that nothing was paid, and it was: ${said}`);
      if (world.paidTimes(path) > 0 && !world.single.has(path)) world.fail(`${path} was paid, and a call for it says: ${said}`);
    } else if (fetched.paid === "yes") {
      if (world.paidTimes(path) === 0) world.fail(`a call for ${path} says that it was paid, and it was not: ${said}`);
      const leftEarly = options.patienceMs !== undefined && fetched.code === "transport_failed";
      if (!world.single.has(path) && !leftEarly) world.fail(`the credential of ${path} does not work: ${said}`);
    }
    return fetched;
  }

  /** Brings a purchase to its end, whatever became of it so far; then nothing is paid for it any more. */
  async #settle(buyer: Buyer, purchase: Purchase, mayDie: boolean): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const { path } = purchase;
    // Without it the call itself must recover before it pays.
    if (random.chance(0.7)) await this.recover(buyer, mayDie);
    for (let round = 0; ; round += 1) {
      if (round > ROUNDS_MAX) world.fail(`${path} is never delivered`);
      const open = (this.#books as Books).rows.filter((row) => wasSent(row) && row.url.endsWith(path));
      const isDark = open.some((row) => !world.isPaid(row.hash));
      const isPaidBefore = world.paidTimes(path) > 0;
      const fetched = await this.#fetch(buyer, purchase, { patienceMs: isDark || world.manners.get(path) === "lose-answer" ? PATIENCE_MS * (round + 1) : LAZY_PATIENCE_MS });
      if (fetched.ok) break;
      if (this.#isUsedUp(purchase, fetched)) break;
      if (this.#isOverLimit(fetched)) return void (await this.#refused(buyer, path));
      if (fetched.paid === "unknown") {
        // Whoever waits for a wallet that will not answer is killed for it.
        if (world.silent.delete(path)) buyer.kill();
        const isProven = !isDark && (open.length > 0 || (!world.single.has(path) && isPaidBefore));
        if (isProven && !buyer.isKilled) world.fail(`${path} is paid, the wallet says so, and the call after the crash says: ${JSON.stringify(fetched)}`);
        await this.#decide(buyer, path, mayDie);
      } else if (fetched.code !== "payment_failed" && fetched.code !== "approval_denied" && fetched.code !== "transport_failed" && fetched.code !== null) world.fail(`a call for ${path} was refused: ${JSON.stringify(fetched)}`);
    }
    // What the wallet had not begun was held until now, or it is paid for a second time.
    if ((await world.begin()) > 0) await this.audit(buyer, "opened");
    await this.#again(buyer, purchase);
    this.#pending = undefined;
    this.#delivered.push(purchase);
  }

  /** Whether what was refused is good no more: all that was paid for has been handed out. */
  #isUsedUp({ path }: Purchase, fetched: Fetched): boolean {
    return !fetched.ok && fetched.code === "credential_rejected" && this.#world.isUsedUp(path);
  }

  #isOverLimit(fetched: Fetched): boolean {
    return !fetched.ok && fetched.code === "budget_exceeded";
  }

  /** The limit must really be reached: a hold of the dead that leaked would end the budget before its time. */
  async #refused(buyer: Buyer, path: string): Promise<void> {
    const world = this.#world;
    const { life, hour } = await this.audit(buyer, "opened");
    const price = world.paywall.sales.findLast((sale) => sale.path === path)?.amountMsat ?? 0n;
    const fits = BigInt(life.spentMsat) + BigInt(life.heldMsat) + price <= BigInt(world.setting.budgetSats) * 1000n;
    const fitsHour = BigInt(hour.spentMsat) + BigInt(hour.heldMsat) + price <= BigInt(world.setting.hourSats) * 1000n;
    if (fits && fitsHour) world.fail(`${path} costs ${price} msat, which the limits allow, and was refused: ${JSON.stringify({ life, hour })}`);
    this.#pending = undefined;
    this.exhausted = true;
  }

  /** Makes the truth about a payment known, and recovers. */
  async #decide(buyer: Buyer, path: string, mayDie: boolean): Promise<void> {
    const world = this.#world;
    const { random } = world;
    if (world.notBegun > 0) {
      if (random.chance(0.5)) await this.recover(buyer, mayDie); // it is not there yet, which proves nothing
      await world.begin();
    } else if (world.decide(path, () => random.chance(0.6)) === 0) {
      await this.#elapse(buyer);
      return void (await this.recover(buyer, mayDie));
    }
    await this.audit(buyer, "opened");
    await this.recover(buyer, mayDie);
  }

  /** Lets time pass, until nothing that was not begun can begin. */
  async #elapse(buyer: Buyer): Promise<void> {
    const world = this.#world;
    if (world.notBegun > 0) await world.begin();
    const { rows } = await this.audit(buyer, "opened");
    world.pass(rows.filter(isOpen));
    await this.#step(buyer, "recover", { do: "clock", offsetMs: world.offsetMs });
    if (world.promises.notFoundFinalAfterMs !== null) return;
    await this.#step(buyer, "recover", { do: "recover" });
    world.passTwice();
    await this.#step(buyer, "recover", { do: "clock", offsetMs: world.offsetMs });
    await this.audit(buyer, "opened");
  }

  /** What was bought is there for who asks again, by the key and without. */
  async #again(buyer: Buyer, purchase: Purchase): Promise<void> {
    const world = this.#world;
    if (world.single.has(purchase.path) || !world.random.chance(0.5)) return;
    const before = world.wallet.payCalls();
    const others = purchase.key === undefined ? [purchase] : [purchase, { path: purchase.path }];
    for (const one of others) {
      const fetched = await this.#fetch(buyer, one);
      if (!fetched.ok) world.fail(`${one.path} was delivered, and not again: ${JSON.stringify(fetched)}`);
    }
    if (world.wallet.payCalls() !== before) world.fail(`${purchase.path} was bought, and bought again`);
  }

  /** Buys something new, to be killed at it. */
  async #purchase(buyer: Buyer, isRandom: boolean): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const points = payPoints.filter((point) => this.#may(point.name));
    const name = isRandom ? undefined : this.#tally.least(points.map((point) => point.name), random);
    const recipe = name === undefined ? random.pick<Recipe>(["buy", "buy", "buy", "buy-with-key", "buy-with-key", "deny", "fail", "dark", "used-up", "link"]) : (payPoints.find((point) => point.name === name)?.recipe as Recipe);
    const purchase = await this.#prepare(buyer, recipe);
    if (purchase === undefined) return;
    this.#pending = purchase;
    const fetched = await this.#fetch(buyer, purchase, {
      approve: recipe !== "deny",
      ...(recipe === "dark" || world.manners.get(purchase.path) === "lose-answer" ? { patienceMs: PATIENCE_MS } : {}),
      ...(name === undefined ? {} : { arm: this.#armAt(name) }),
    });
    if (this.#isOverLimit(fetched)) return void (await this.#refused(buyer, purchase.path));
    if (fetched.ok) {
      this.#pending = undefined;
      this.#delivered.push(purchase);
      return;
    }
    await this.audit(buyer, "opened");
    await this.#settle(buyer, purchase, !isRandom);
  }

  async #prepare(buyer: Buyer, recipe: Recipe): Promise<Purchase | undefined> {
    const world = this.#world;
    const { random } = world;
    const key = (): string => `key ${random.below(2 ** 31)}`;
    const fresh = (): Purchase => {
      const path = world.newPath(random.chance(0.2) ? "once" : "item");
      if (recipe !== "buy-with-key" && !random.chance(0.4)) return { path };
      world.keyed.add(path);
      return { path, key: key() };
    };
    switch (recipe) {
      case "buy":
      case "buy-with-key":
      case "deny": {
        const purchase = fresh();
        if (random.chance(0.2)) world.manners.set(purchase.path, random.pick([{ moneyAfterMs: 3 }, { answerAfterMs: 5 }, "unknown-after-pay", "throw-after-pay", "lose-answer"] as const));
        return purchase;
      }
      case "fail": {
        const purchase = fresh();
        world.manners.set(purchase.path, random.pick(["fail:no_route", "fail:rejected_by_payee"] as const));
        return purchase;
      }
      case "dark": {
        const purchase = fresh();
        world.manners.set(purchase.path, random.pick(["unknown-in-flight", "in-flight", "throw-without-pay"] as const));
        return purchase;
      }
      case "used-up": {
        const used = this.#delivered.find(({ path }) => world.single.has(path));
        if (used !== undefined) {
          this.#delivered.splice(this.#delivered.indexOf(used), 1);
          return { path: used.path };
        }
        return this.#first(buyer, { path: world.newPath("once") });
      }
      case "link": {
        const bought = this.#delivered.find(({ path }) => !world.single.has(path));
        const purchase = bought ?? (await this.#first(buyer, { path: world.newPath("item") }));
        return purchase === undefined ? undefined : { path: purchase.path, key: key(), authorization: "Bearer mine" };
      }
    }
  }

  /** Buys what the next step needs. */
  async #first(buyer: Buyer, purchase: Purchase): Promise<Purchase | undefined> {
    this.#pending = purchase;
    const fetched = await this.#fetch(buyer, purchase);
    if (this.#isOverLimit(fetched)) await this.#refused(buyer, purchase.path);
    else if (!fetched.ok) await this.#settle(buyer, purchase, false);
    this.#pending = undefined;
    return this.exhausted ? undefined : purchase;
  }

  /** Buys once, so that the processes after it start faster. */
  async warm(): Promise<void> {
    const buyer = this.#nursery.take();
    await this.open(buyer);
    await this.#fetch(buyer, { path: this.#world.newPath("item") });
    await this.#step(buyer, "pay", { do: "flush" });
    await buyer.reap();
  }

  /** Brings everything to its end in a last process, and audits it to the millisatoshi. */
  async end(): Promise<void> {
    for (let tries = 0; !(await this.#end()); tries += 1) if (tries > 5) this.#world.fail("it never ends");
  }

  async #end(): Promise<boolean> {
    const world = this.#world;
    const buyer = this.#nursery.take();
    this.#tally.processes += 1;
    try {
      await this.open(buyer);
      await this.audit(buyer, "opened");
      if (this.#pending !== undefined) await this.#settle(buyer, this.#pending, false);
      await this.recover(buyer, false);
      for (const payment of world.wallet.payments.filter((one) => one.status === "in_flight")) world.wallet.settle(payment.paymentHash);
      await this.audit(buyer, "opened");
      await this.recover(buyer, false);
      if ((this.#books as Books).rows.some(isOpen)) {
        await this.#elapse(buyer);
        await this.recover(buyer, false);
      }
      await this.audit(buyer, "ended");
      const { problems } = await this.#step(buyer, "pay", { do: "verify" });
      if (problems.length > 0) world.fail(`the ledger does not add up: ${problems.join("; ")}`);
      const before = world.wallet.payCalls();
      for (const purchase of this.#delivered.filter(({ path }) => !world.single.has(path)).slice(-4)) await this.#fetch(buyer, purchase);
      if (world.wallet.payCalls() !== before) world.fail("what was bought was bought again");
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      return false;
    } finally {
      await buyer.reap();
      await world.drained(buyer);
    }
    await world.auditClosed();
    this.#tally.ledgers += 1;
    this.#tally.paid += world.wallet.payments.filter((payment) => payment.status === "settled").length;
    this.#tally.paidMsat += world.wallet.spentMsat;
    return true;
  }
}
