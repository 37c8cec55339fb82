/** Runs one schedule: draws a scenario and an order of events, lets it come to rest, recovers, and audits. */
import { START, takeInvoice } from "./invoices.ts";
import { receiptOf } from "../../src/credential.ts";
import { decodeInvoice } from "../../src/invoice.ts";
import type { Clock, Store, StoredPayment } from "../../src/ports.ts";
import { Violation } from "./checker.ts";
import { Tape } from "./tape.ts";
import { drawScenario, World, type CallPlan, type Extra, type Process, type Scenario } from "./world.ts";

/** More steps than any schedule takes to come to rest. */
const STEPS_MAX = 6_000;
const DAY_MS = 86_400_000;

export interface Outcome {
  readonly violation: Violation | undefined;
  readonly steps: number;
  readonly payments: number;
  readonly tape: readonly number[];
  readonly trace: readonly string[];
}

export interface RunOptions {
  /** Another store than the one in memory. */
  readonly store?: (clock: Clock) => Store;
  readonly trace?: boolean;
}

let current: World | undefined;
process.on("unhandledRejection", (error) => {
  if (current === undefined) throw error;
  current.fail(new Violation("rejection", `an unhandled rejection: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`));
});

// A stack for each of millions of expected errors takes more time than they do; `trace` brings it back.
const STACK = Error.stackTraceLimit;

// The engine loads its decoder at the first 402, and that takes more than promises.
await decodeInvoice(takeInvoice(1_000n, START, false, 0).invoice, { network: "bitcoin", now: START });

/** All promise work that can go on without an effect does so before the next immediate. */
const drain = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export async function runSchedule(source: number | readonly number[], options: RunOptions = {}): Promise<Outcome> {
  const tape = new Tape(source);
  const trace: string[] = [];
  const scenario = drawScenario(tape);
  const world = new World(tape, scenario, { ...(options.store === undefined ? {} : { store: options.store }), ...(options.trace === true ? { trace } : {}) });
  if (options.trace === true) trace.push(describe(scenario));
  current = world;
  Error.stackTraceLimit = options.trace === true ? STACK : 0;
  try {
    await play(world);
    const again = tape.one(3);
    const drawn = tape.values.length;
    await finish(world, again);
    if (world.violation === undefined && tape.values.length !== drawn) world.fail(new Error("something was drawn after the schedule"));
  } catch (error) {
    world.fail(error);
  }
  current = undefined;
  Error.stackTraceLimit = STACK;
  return { violation: world.violation, steps: world.steps, payments: world.checker.rows.size, tape: tape.values, trace };
}

function describe(scenario: Scenario): string {
  return JSON.stringify({ ...scenario, hosts: Object.fromEntries(scenario.hosts) });
}

async function step(world: World): Promise<boolean> {
  await drain();
  if (world.violation !== undefined) return false;
  world.steps += 1;
  if (world.steps > STEPS_MAX) {
    world.fail(new Violation("I9", `no rest after ${STEPS_MAX} steps`));
    return false;
  }
  return true;
}

async function play(world: World): Promise<void> {
  const { tape, scenario } = world;
  const toStart = [...scenario.calls];
  const extras = [...scenario.extras];
  do {
    const aborts = world.calls.filter((call) => call.abort?.signal.aborted === false && call.state === "pending" && !call.process.dead);
    const timely = !scenario.calm && world.sleepers > 0;
    const roll = extras.length > 0 || aborts.length > 0 || timely ? tape.pick(20) : 0;
    const choices = world.pending + (toStart.length > 0 ? 1 : 0);
    if (roll === 19 && extras.length > 0 && world.calls.length > 0) happen(world, extras.shift() as Extra);
    else if (roll === 18 && aborts.length > 0) {
      const call = aborts[tape.pick(aborts.length)];
      world.note(`abort call ${world.calls.indexOf(call as never)}`);
      call?.abort?.abort(new Error("the caller has left"));
    } else if (roll >= 16 && timely) world.passTime(tape.of(undefined, undefined, undefined, undefined, 300, 6_000, 61_000, 700_000));
    else if (choices > 0) {
      const choice = tape.pick(choices);
      if (choice < world.pending) world.release(choice);
      else {
        const plan = toStart.shift() as CallPlan;
        world.start(plan, alive(world, plan.process));
      }
    } else if (world.sleepers > 0) world.passTime();
    else if (extras.length > 0) happen(world, extras.shift() as Extra);
    else return;
  } while (await step(world));
}

function alive(world: World, id: number): Process {
  const wanted = world.processes[id] as Process;
  return wanted.dead ? (world.processes.at(-1) as Process) : wanted;
}

function happen(world: World, extra: Extra): void {
  const { tape, checker } = world;
  const living = world.processes.filter((process) => !process.dead);
  const process = living[tape.pick(living.length)] as Process;
  switch (extra) {
    case "crash":
      world.crash(process);
      world.spawn();
      return;
    case "recover":
      void world.recover(process);
      return;
    case "resume":
      void process.line.store.resume("default", "looked at it").catch(() => {});
      return;
    case "resolve":
    case "resolve-wrong": {
      const open = [...checker.rows.values()].filter((row) => row.state === "unknown" || row.state === "sending" || row.state === "failed");
      if (open.length === 0) return;
      const row = open[tape.pick(open.length)] as StoredPayment;
      if (extra === "resolve") {
        const truth = truthOf(world, row);
        if (truth === undefined || (row.state === "failed" && truth === "failed")) return;
        const withPreimage = truth === "settled" && !tape.one(2);
        if (truth === "settled" && !withPreimage) checker.byHand.add(row.paymentHash);
        void world.resolve(process, row.paymentHash, truth, withPreimage ? world.preimageOf(row.paymentHash) : undefined);
      } else {
        checker.byHand.add(row.paymentHash);
        void world.resolve(process, row.paymentHash, tape.of("failed", "settled"));
      }
    }
  }
}

/** How a payment really ended, if that is certain. `over`: nobody will send it any more. */
function truthOf(world: World, row: StoredPayment, over = false): "settled" | "failed" | undefined {
  const all = world.sentFor(row.paymentHash);
  if (all.some((sent) => sent.state === "paid")) return "settled";
  if ((!over && all.length < row.attempt) || all.some((sent) => sent.state === "locked" || (sent.state === "transit" && world.now <= sent.cutoff))) return undefined;
  return "failed";
}

/** Lets everything go on, in order, until nothing waits. */
async function rest(world: World): Promise<boolean> {
  while (await step(world)) {
    if (world.pending > 0) world.release(0);
    else if (world.sleepers > 0) world.passTime();
    else return true;
  }
  return false;
}

/** `again`: the same calls are made once more by a new process. */
async function finish(world: World, again: boolean): Promise<void> {
  const { checker, scenario } = world;
  if (world.violation !== undefined) return;
  world.note("--- rest");
  checker.atRest();
  ideal(world);
  world.peace = true;
  world.endLate();
  if (!(await rest(world))) return;
  checker.atRest();

  const open = [...checker.rows.values()].some((row) => row.state === "reserved" || row.state === "sending" || row.state === "unknown");
  if (!open && !again) return checker.audit();
  world.note("--- recovery");
  world.now += 8 * DAY_MS;
  for (let turn = 0; turn < 2 && world.wakeIdle(); turn += 1) if (!(await rest(world))) return;
  const fresh = world.spawn();
  for (let turn = 0; turn < 2; turn += 1) {
    void world.recover(fresh);
    if (!(await rest(world))) return;
    world.now += 40_000;
  }
  for (const row of checker.rows.values()) {
    if (row.state !== "unknown" && row.state !== "sending") continue;
    // What no look-up can tell, a person does, by what really happened.
    const told = scenario.lookup === "by-hash" || (scenario.lookup === "by-ref" && row.walletRef !== undefined);
    const truth = truthOf(world, row, true);
    if (told || truth === undefined) continue;
    void world.resolve(fresh, row.paymentHash, truth, truth === "settled" ? world.preimageOf(row.paymentHash) : undefined);
    if (!(await rest(world))) return;
  }
  checker.audit();
  if (!again) return;
  void fresh.line.store.resume("default", "looked at it");
  if (!(await rest(world))) return;
  await buyAgain(world, fresh);
}

/** Where everybody behaves and time waits: an API whose credential covers its service is bought once. */
function ideal(world: World): void {
  const { scenario, checker } = world;
  if (!scenario.calm || scenario.nastyServer || scenario.nastyWallet || scenario.nastyStore || scenario.processes > 1 || scenario.options.credentialScope === "path" || scenario.calls.some((call) => call.aborts)) return;
  for (const [host, plan] of scenario.hosts) {
    if (plan.kind !== "service" || plan.refusesFirst > 0) continue;
    const bought = [...checker.rows.values()].filter((row) => row.host === host && row.state === "settled").length;
    if (bought > (scenario.options.paymentConcurrency as number)) throw new Violation("2.2", `${bought} payments to ${host}, whose credential covers the whole service`);
  }
}

/** What was paid is not lost: the same calls once more, in a new process, cost nothing where the credential still is good. */
async function buyAgain(world: World, fresh: Process): Promise<void> {
  const { checker, scenario } = world;
  world.note("--- again");
  const done = new Set<string>();
  for (const call of [...world.calls]) {
    const { plan } = call;
    const url = new URL(plan.url);
    const place = `${plan.method} ${url.host}${url.pathname} ${plan.key ?? ""}`;
    if (done.has(place) || url.pathname === "/free" || url.pathname === "/r") continue;
    done.add(place);
    const host = scenario.hosts.get(url.hostname);
    const kept = [...checker.rows.values()].filter((row) => row.state === "settled" && row.preimage !== undefined && row.host === url.hostname && row.method === plan.method && row.path === url.pathname);
    const newest = kept.reduce<StoredPayment | undefined>((last, row) => (last === undefined || (row.resolvedAt as number) >= (last.resolvedAt as number) ? row : last), undefined);
    const token = newest === undefined ? undefined : world.tokens.get(newest.credential);
    const good = kept.length === 1 && token !== undefined && !token.refused && !(host?.kind === "single" && token.used) && !checker.byHand.has(newest?.paymentHash ?? "");
    const before = paidCount(world);
    const again = world.start({ ...plan, aborts: false, maxPriceSats: 0, child: false }, fresh);
    if (!(await rest(world))) return;
    if (paidCount(world) !== before) throw new Violation("I4", `${place} paid above its maxPriceSats of 0`);
    if (plan.key !== undefined) continue;
    if (good && again.response?.status !== 200) throw new Violation("lost", `${place} was paid, and asks to be paid again: ${String(again.error)}`);
    if (good && receiptOf(again.response as Response)?.reused !== true) throw new Violation("receipt", `${place} was opened without a payment, and its receipt does not say so`);
  }
}

function paidCount(world: World): number {
  let count = 0;
  for (const all of world.sent.values()) count += all.length;
  return count;
}
