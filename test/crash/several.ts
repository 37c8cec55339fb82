/** Several processes on one ledger, one of which is killed while the others go on. */
import { Killed, type Buyer, type Nursery } from "./buyer.ts";
import { payPoints, recoverPoints, statementsOf } from "./points.ts";
import type { Arm, Books, Fetched, Phase } from "./protocol.ts";
import type { Purchase } from "./single.ts";
import type { Tally } from "./tally.ts";
import { isOpen, wasSent, type World } from "./world.ts";

/** Processes at a time. */
const TOGETHER = 3;
/** Longest time, ms, until one of them is killed at random. */
const RANDOM_MAX_MS = 150;
/** Patience, real ms, with a purchase that another process makes. */
const PATIENCE_MS = 2_000;
const RECOVERIES_KILLED_MAX = 2;
const ROUNDS_MAX = 12;

interface Errand {
  readonly purchase: Purchase;
  /** Other processes want the same. */
  readonly isShared: boolean;
  readonly mayFail: boolean;
}

export class Household {
  readonly #world: World;
  readonly #nursery: Nursery;
  readonly #tally: Tally;
  #living: Buyer[] = [];
  kills = 0;

  constructor(options: { readonly world: World; readonly nursery: Nursery; readonly tally: Tally }) {
    this.#world = options.world;
    this.#nursery = options.nursery;
    this.#tally = options.tally;
  }

  #arm(points: readonly string[]): Arm {
    const { random } = this.#world;
    const point = this.#tally.least(points, random);
    const statements = statementsOf(point);
    return { point, after: statements === 1 ? 0 : random.below(statements) };
  }

  async #join(): Promise<Buyer> {
    const world = this.#world;
    const buyer = this.#nursery.take();
    this.#tally.processes += 1;
    const connected = world.expect(buyer);
    const { unsafe } = await buyer.step("open", { do: "open", setting: world.setting, buyer: buyer.id, offsetMs: world.offsetMs });
    if (unsafe !== null) world.fail(`the ledger takes itself for unsafe: ${unsafe}`);
    await connected;
    this.#living.push(buyer);
    return buyer;
  }

  async #died(buyer: Buyer, error: Killed, about: Phase): Promise<void> {
    this.kills += 1;
    this.#tally.several += 1;
    this.#tally.killed(error.point, about);
    this.#living = this.#living.filter((one) => one !== buyer);
    this.#world.note(`#${buyer.id} ${error.message} in ${about}`);
    await this.#world.drained(buyer);
  }

  #errands(shared: readonly Purchase[]): Errand[] {
    const world = this.#world;
    const { random } = world;
    const own = Array.from({ length: 2 + random.below(2) }, (): Errand => {
      const path = world.newPath(random.chance(0.15) ? "once" : "item");
      const mayFail = random.chance(0.15);
      if (mayFail) world.manners.set(path, "fail:no_route");
      else if (random.chance(0.3)) world.manners.set(path, random.pick([{ moneyAfterMs: 4 }, { answerAfterMs: 6 }, "unknown-after-pay"] as const));
      if (random.chance(0.5)) return { purchase: { path }, isShared: false, mayFail };
      world.keyed.add(path);
      return { purchase: { path, key: `own ${path}` }, isShared: false, mayFail };
    });
    const errands = [...own, ...shared.map((purchase): Errand => ({ purchase, isShared: true, mayFail: false }))];
    return errands.map((errand) => ({ errand, order: random.next() })).sort((a, b) => a.order - b.order).map(({ errand }) => errand);
  }

  async #fetch(buyer: Buyer, { path, key }: Purchase, patienceMs: number | undefined, arm?: Arm): Promise<Fetched> {
    const world = this.#world;
    world.watch(path, buyer);
    world.note(`#${buyer.id} fetch ${path} key ${key ?? "-"}${arm === undefined ? "" : ` to die at ${arm.point} ${arm.after}`}`);
    const fetched = await buyer.step("pay", { do: "fetch", url: `${world.paywall.url}${path}`, approve: true, ...(key === undefined ? {} : { idempotencyKey: key }), ...(patienceMs === undefined ? {} : { patienceMs }) }, arm);
    this.#tally.calls += 1;
    world.note(`#${buyer.id} fetch ${path}: ${JSON.stringify(fetched).slice(0, 260)}`);
    if (fetched.ok && (fetched.status !== 200 || fetched.body !== JSON.stringify({ goods: path }))) world.fail(`${path} was answered with ${JSON.stringify(fetched)}`);
    const leftEarly = patienceMs !== undefined && !fetched.ok && fetched.code === "transport_failed";
    if (!fetched.ok && fetched.paid === "yes" && !leftEarly && !world.single.has(path)) world.fail(`the credential of ${path} does not work: ${JSON.stringify(fetched)}`);
    return fetched;
  }

  /** Runs its errands; the one it died at, if it did. */
  async #run(buyer: Buyer, errands: readonly Errand[], arm: Arm | undefined): Promise<Errand | undefined> {
    const world = this.#world;
    const armedAt = world.random.below(errands.length);
    for (const [index, errand] of errands.entries()) {
      try {
        const fetched = await this.#fetch(buyer, errand.purchase, errand.isShared ? PATIENCE_MS : undefined, index === armedAt ? arm : undefined);
        if (fetched.ok) continue;
        const said = JSON.stringify(fetched);
        if (errand.mayFail && fetched.code === "payment_failed") continue;
        // Whoever makes it may have died at it.
        if (errand.isShared && (fetched.paid === "unknown" || fetched.name === "TimeoutError" || fetched.code === "transport_failed")) continue;
        world.fail(`#${buyer.id} lives and could not buy ${errand.purchase.path}: ${said}`);
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        await this.#died(buyer, error, "pay");
        return errand;
      }
    }
    return undefined;
  }

  async #audit(buyer: Buyer, when: "opened" | "recovered" | "ended"): Promise<Books> {
    const books = await buyer.step("pay", { do: "audit" });
    this.#tally.audits += 1;
    this.#world.check(books, when);
    return books;
  }

  /** Time passes for everybody. */
  async #tell(): Promise<void> {
    for (const buyer of this.#living) await buyer.step("recover", { do: "clock", offsetMs: this.#world.offsetMs });
  }

  /** A new process recovers, with the others looking on; it may be killed at it. */
  async #recover(mayDie: boolean): Promise<Buyer> {
    const world = this.#world;
    const { random } = world;
    for (let deaths = 0; ; ) {
      const buyer = await this.#join();
      const before = await this.#audit(buyer, "opened");
      const sent = before.rows.filter(wasSent);
      const points = [...recoverPoints.always, ...(before.rows.some((row) => row.state === "reserved") ? recoverPoints.reserved : []), ...(sent.length > 0 ? recoverPoints.sent : [])];
      const arm = mayDie && deaths < RECOVERIES_KILLED_MAX && random.chance(0.4) ? this.#arm(points) : undefined;
      try {
        world.note(`#${buyer.id} recovers${arm === undefined ? "" : ` to die at ${arm.point} ${arm.after}`}`);
        const report = await buyer.step("recover", { do: "recover" }, arm);
        this.#tally.recoveries += 1;
        world.note(`#${buyer.id} ${JSON.stringify(report)}`);
        return buyer;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        deaths += 1;
        await this.#died(buyer, error, "recover");
      }
    }
  }

  /** Some buy, one is killed, and what it left is brought to its end. */
  async round(): Promise<void> {
    const world = this.#world;
    const { random } = world;
    while (this.#living.length < TOGETHER) await this.#join();
    const shared: Purchase[] = Array.from({ length: 1 + random.below(2) }, () => {
      const path = world.newPath("item");
      return { path, key: `shared ${path}` };
    });
    const buyers = [...this.#living];
    const victim = random.pick(buyers);
    const points = payPoints.filter(({ recipe }) => recipe === "buy" || recipe === "buy-with-key").map((point) => point.name);
    const arm = random.chance(0.5) ? this.#arm(points) : undefined;
    const timer = arm === undefined ? setTimeout(() => victim.kill(), random.next() * RANDOM_MAX_MS) : undefined;
    const lost = await Promise.all(buyers.map((buyer) => this.#run(buyer, this.#errands(shared), buyer === victim ? arm : undefined)));
    clearTimeout(timer);
    // It may have come when it had nothing to do any more.
    if (victim.isKilled && this.#living.includes(victim)) await this.#died(victim, new Killed(undefined), "pay");

    const buyer = await this.#recover(true);
    await this.#audit(buyer, "recovered");
    await this.#finish(buyer, [...lost.flatMap((errand) => (errand === undefined ? [] : [errand.purchase])), ...shared]);
    for (const one of this.#living) await this.#audit(one, "recovered");
    if (this.#living.length > TOGETHER) await this.#leave(random.pick(this.#living));
  }

  async #leave(buyer: Buyer): Promise<void> {
    this.#living = this.#living.filter((one) => one !== buyer);
    await buyer.reap();
    await this.#world.drained(buyer);
  }

  async #finish(buyer: Buyer, purchases: readonly Purchase[]): Promise<void> {
    const world = this.#world;
    for (const purchase of purchases) {
      for (let rounds = 0; ; rounds += 1) {
        const isPaid = world.paidTimes(purchase.path) > 0;
        const books = await this.#audit(buyer, "opened");
        const isDark = !isPaid && books.rows.some((row) => isOpen(row) && row.url.endsWith(purchase.path));
        const fetched = await this.#fetch(buyer, purchase, isDark ? 100 * (rounds + 1) : undefined);
        if (fetched.ok || (fetched.code === "credential_rejected" && world.isUsedUp(purchase.path))) break;
        if (isPaid && !isDark && !world.single.has(purchase.path)) world.fail(`${purchase.path} is paid, and not delivered: ${JSON.stringify(fetched)}`);
        if (rounds > ROUNDS_MAX) world.fail(`${purchase.path} is never delivered: ${JSON.stringify(fetched)}`);
        if (fetched.paid !== "unknown") continue;
        if ((await world.begin()) === 0 && world.decide(purchase.path, () => true) === 0) {
          world.pass((await this.#audit(buyer, "opened")).rows.filter(isOpen));
          await this.#tell();
          await buyer.step("recover", { do: "recover" });
          world.passTwice();
          await this.#tell();
        }
        await buyer.step("recover", { do: "recover" });
        await this.#audit(buyer, "recovered");
      }
    }
  }

  async end(): Promise<void> {
    const world = this.#world;
    const buyer = await this.#recover(false);
    const books = await this.#audit(buyer, "recovered");
    if (books.rows.some(isOpen)) {
      world.pass(books.rows.filter(isOpen));
      await this.#tell();
      await buyer.step("recover", { do: "recover" });
      world.passTwice();
      await this.#tell();
      await buyer.step("recover", { do: "recover" });
    }
    await this.#audit(buyer, "ended");
    const { problems } = await buyer.step("pay", { do: "verify" });
    if (problems.length > 0) world.fail(`the ledger does not add up: ${problems.join("; ")}`);
    for (const one of [...this.#living]) await this.#leave(one);
    await world.auditClosed();
    this.#tally.ledgers += 1;
    this.#tally.paid += world.wallet.payments.filter((payment) => payment.status === "settled").length;
    this.#tally.paidMsat += world.wallet.spentMsat;
  }

  async close(): Promise<void> {
    for (const buyer of [...this.#living]) await this.#leave(buyer);
  }
}
