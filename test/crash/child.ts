/**
 * The process that is killed: an application that buys through the public API, with a ledger on disk and a wallet behind
 * a socket. It waits for orders on its standard input. The ports are wrapped, so that it can die at any step.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { writeSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import { isL402Error, L402Client, memoryStore, receiptOf, systemClock, type Clock, type LimitRule, type PayRequest, type Store, type StoredPayment, type Usage, type Wallet } from "@l402-tools/core";
import { sqliteStore, type SqliteStore } from "@l402-tools/stores/sqlite";
import type { Arm, Books, Fetched, Line, Mutant, Order, Phase, Promises, Recovered, Row, Setting, Step, Sum, WalletAnswer, WalletCall } from "./protocol.ts";

const say = (line: Line): void => void writeSync(1, `${JSON.stringify(line)}\n`);

let phase: Phase = "open";
let arm: { point: string; after: number } | undefined;
/** The store's operation that is under way: the statements that run in its context are its own. */
const operation = new AsyncLocalStorage<string>();

/** Passes a point; dies here if it was told to. */
function pass(name: string): void {
  const point = `${phase}.${name}`;
  if (arm?.point !== point || (arm.after -= 1) >= 0) return;
  say({ dying: point });
  process.kill(process.pid, "SIGKILL");
}

/** Every statement is a point of the operation that it belongs to; a commit has a point before and one after it. */
function watchStatements(): void {
  for (const name of ["run", "get", "all"] as const) {
    const original = StatementSync.prototype[name] as (this: StatementSync, ...values: unknown[]) => unknown;
    (StatementSync.prototype as unknown as Record<string, unknown>)[name] = function watched(this: StatementSync, ...values: unknown[]): unknown {
      const commit = this.sourceSQL === "COMMIT";
      pass(`${operation.getStore() ?? "open"}.${commit ? "commit" : "sql"}`);
      const result = original.apply(this, values);
      if (commit) pass(`${operation.getStore() ?? "open"}.committed`);
      return result;
    };
  }
  const exec = DatabaseSync.prototype.exec;
  DatabaseSync.prototype.exec = function watched(this: DatabaseSync, text: string): void {
    const commit = text === "COMMIT";
    pass(`${operation.getStore() ?? "open"}.${commit ? "commit" : "sql"}`);
    exec.call(this, text);
    if (commit) pass(`${operation.getStore() ?? "open"}.committed`);
  };
}

/** Operations of the store that are not answered yet. */
let underWay = 0;

type Operation = (...values: never[]) => Promise<unknown>;

function watchStore(inner: Store): Store {
  const watched: Record<string, unknown> = { ...inner };
  for (const name of ["reserve", "dispatch", "settle", "fail", "unknown", "void", "link", "accepted", "refused", "claim", "ownerAlive", "purchase", "credential"]) {
    const original = (inner as unknown as Record<string, Operation | undefined>)[name];
    if (original === undefined) continue;
    watched[name] = async (...values: never[]) => {
      pass(`${name}.before`);
      underWay += 1;
      try {
        const result = await operation.run(name, () => original(...values));
        pass(`${name}.after`);
        return result;
      } finally {
        underWay -= 1;
      }
    };
  }
  watched["payments"] = async function* list(...values: Parameters<Store["payments"]>): AsyncGenerator<StoredPayment> {
    pass("list.before");
    yield* inner.payments(...values);
    pass("list.after");
  };
  return watched as unknown as Store;
}

/** A wallet behind a socket: what it is asked for is told to it, and what it says is believed. */
function walletOn(port: number, buyer: number, promises: Promises): Wallet {
  const socket = connect(port, "127.0.0.1");
  const waiting = new Map<number, (answer: WalletAnswer) => void>();
  let count = 0;
  createInterface({ input: socket }).on("error", () => {}).on("line", (text) => {
    const answer = JSON.parse(text) as WalletAnswer;
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  socket.on("error", () => {});
  type Body = WalletCall extends infer Call ? (Call extends WalletCall ? Omit<Call, "id"> : never) : never;
  const ask = (body: Body, written: () => void): Promise<WalletAnswer> =>
    new Promise((resolve, reject) => {
      const id = (count += 1);
      waiting.set(id, resolve);
      socket.write(`${JSON.stringify({ id, ...body })}\n`, (error) => (error ? reject(error) : written()));
    });
  void ask({ method: "hello", buyer }, () => {}).catch(() => {});
  return {
    name: "far",
    capabilities: promises,
    async pay({ invoice, paymentHash, amountMsat, maxFeeMsat, attemptId }: PayRequest) {
      pass("wallet.call");
      const answer = await ask({ method: "pay", invoice, paymentHash, amountMsat: String(amountMsat), maxFeeMsat: String(maxFeeMsat), attemptId }, () => pass("wallet.written"));
      pass("wallet.answered");
      if (answer.status === "settled") return { status: "settled", preimage: answer.preimage, feeMsat: answer.feeMsat === null ? null : BigInt(answer.feeMsat) };
      if (answer.status === "failed") return { status: "failed", reason: (answer.reason ?? "other") as "other", message: answer.message ?? "" };
      return answer.status === "in_flight" ? { status: "in_flight" } : { status: "unknown", cause: new Error(`the wallet: ${answer.status}`) };
    },
    async lookup({ paymentHash }) {
      pass("lookup.call");
      const answer = await ask({ method: "lookup", paymentHash }, () => {});
      pass("lookup.answered");
      if (answer.status === "settled") return { status: "settled", preimage: answer.preimage, feeMsat: answer.feeMsat === null ? null : BigInt(answer.feeMsat) };
      if (answer.status === "failed") return { status: "failed", soft: answer.soft ?? false };
      if (answer.status === "in_flight" || answer.status === "not_found") return { status: answer.status };
      throw new Error("the wallet cannot be reached");
    },
  };
}

/** Breaks the store and the wallet in one way. */
function mutate(mutant: Mutant | undefined, store: Store, wallet: Wallet): { store: Store; wallet: Wallet } {
  switch (mutant) {
    case undefined:
    case "ledger-in-memory":
      return { store, wallet };
    case "dispatch-after-wallet": {
      const dispatches = new Map<string, () => Promise<unknown>>();
      return {
        store: {
          ...store,
          async dispatch(...values) {
            dispatches.set(values[0], () => store.dispatch(...values));
            return { attempt: 1 };
          },
        },
        wallet: {
          ...wallet,
          async pay(request) {
            const result = await wallet.pay(request);
            await dispatches.get(request.paymentHash)?.();
            return result;
          },
        },
      };
    }
    case "release-sending":
      return {
        wallet,
        store: {
          ...store,
          async *payments(...values) {
            for await (const payment of store.payments(...values)) {
              if (phase === "recover" && (payment.state === "sending" || payment.state === "unknown")) await store.fail(payment.paymentHash, payment.attempt, "it takes too long");
              else yield payment;
            }
          },
        },
      };
    case "settle-without-credential":
      return { wallet, store: { ...store, settle: (hash, proof) => store.settle(hash, { ...proof, preimage: null }) } };
    case "leaked-hold":
      return { wallet, store: { ...store, ownerAlive: async () => true } };
    case "fee-forgotten":
      return { wallet, store: { ...store, settle: (hash, proof) => store.settle(hash, { ...proof, feeMsat: 0n }) } };
    case "not-found-is-proof": {
      const lookup = wallet.lookup as NonNullable<Wallet["lookup"]>;
      return {
        store,
        wallet: {
          ...wallet,
          async lookup(query) {
            const found = await lookup(query);
            return found.status === "not_found" ? { status: "failed", soft: false } : found;
          },
        },
      };
    }
  }
}

const BUDGET = "default";
let offsetMs = 0;
const clock: Clock = { now: () => Date.now() + offsetMs, sleep: (ms, signal) => systemClock.sleep(ms, signal) };

interface Shop {
  readonly client: L402Client;
  /** The store as it is, for the audit. */
  readonly store: Store & Partial<Pick<SqliteStore, "verify" | "unsafe">>;
  readonly setting: Setting;
}
let shop: Shop | undefined;
let approves = true;

function open(setting: Setting, buyer: number): { unsafe: string | null } {
  const store: Shop["store"] =
    setting.mutant === "ledger-in-memory" ? memoryStore({ clock }) : sqliteStore({ path: setting.ledger, clock, ...(setting.encryptionKey === undefined ? {} : { encryptionKey: setting.encryptionKey }) });
  pass("open.after");
  const wallet = walletOn(setting.walletPort, buyer, setting.promises);
  const client = new L402Client({
    ...mutate(setting.mutant, watchStore(store), wallet),
    budgetSats: setting.budgetSats,
    limits: [{ sats: setting.hourSats, per: "1h" }],
    network: "regtest",
    credentialScope: setting.credentialScope,
    paymentTimeoutMs: 60_000,
    clock,
    approve: () => {
      pass("approve");
      return approves;
    },
    fetch: watchFetch,
  });
  shop = { client, store, setting };
  return { unsafe: store.unsafe?.() ?? null };
}

/** Requests without a credential that is ours are the first of their purchase. */
const watchFetch: typeof fetch = async (input, init) => {
  const shown = /^L(402|SAT) /.test(new Headers(init?.headers).get("authorization") ?? "");
  pass(shown ? "http.show" : "http.ask");
  const response = await fetch(input, init);
  pass(shown ? "http.shown" : response.status === 402 ? "http.offer" : "http.free");
  return response;
};

/** With what it came from. */
function messageOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message} <- ${messageOf(cause)}` : message;
}

async function buy(client: L402Client, step: Step & { do: "fetch" }): Promise<Fetched> {
  approves = step.approve;
  try {
    const response = await client.fetch(step.url, {
      ...(step.idempotencyKey === undefined ? {} : { idempotencyKey: step.idempotencyKey }),
      ...(step.authorization === undefined ? {} : { headers: { authorization: step.authorization } }),
      ...(step.patienceMs === undefined ? {} : { signal: AbortSignal.timeout(step.patienceMs) }),
    });
    const receipt = receiptOf(response);
    return { ok: true, status: response.status, body: await response.text(), reused: receipt?.reused ?? null, paidMsat: receipt === undefined ? null : receipt.amountMsat + receipt.feeMsat };
  } catch (error) {
    const { name } = error as Error;
    const message = messageOf(error);
    return { ok: false, name, message, ...(isL402Error(error) ? { code: error.code, paid: error.paid } : { code: null, paid: null }) };
  }
}

const sumOf = ({ spentMsat, heldMsat, payments, heldPayments }: Usage): Sum => ({ spentMsat: String(spentMsat), heldMsat: String(heldMsat), payments, heldPayments });

function rowOf(payment: StoredPayment): Row {
  return {
    hash: payment.paymentHash,
    state: payment.state,
    url: payment.url,
    amountMsat: String(payment.amountMsat),
    maxFeeMsat: String(payment.maxFeeMsat),
    feeMsat: String(payment.feeMsat),
    attempt: payment.attempt,
    expiresAt: payment.expiresAt,
    ...(payment.preimage === undefined ? {} : { preimage: payment.preimage }),
    ...(payment.dispatchedAt === undefined ? {} : { dispatchedAt: payment.dispatchedAt }),
    ...(payment.resolution === undefined ? {} : { resolution: payment.resolution }),
  };
}

async function books(shop: Shop): Promise<Books> {
  // A payment of this process may end meanwhile: what is told is of one moment.
  for (let before = ""; ; ) {
    const found = await booksOnce(shop);
    const sums = JSON.stringify([found.life, found.hosts]);
    if (sums === before) return found;
    before = sums;
  }
}

async function booksOnce({ store, setting }: Shop): Promise<Books> {
  const hour: LimitRule = { scope: BUDGET, windowMs: 3_600_000, maxMsat: BigInt(setting.hourSats) * 1000n };
  const [life, inHour] = (await store.usage([{ scope: BUDGET }, hour])) as [Usage, Usage];
  let spentMsat = 0n;
  let heldMsat = 0n;
  for (const usage of (await store.hosts(BUDGET)).values()) {
    spentMsat += usage.spentMsat;
    heldMsat += usage.heldMsat;
  }
  const rows: Row[] = [];
  for await (const payment of store.payments(BUDGET)) rows.push(rowOf(payment));
  return { rows, life: sumOf(life), hour: sumOf(inHour), hosts: { spentMsat: String(spentMsat), heldMsat: String(heldMsat) }, paused: await store.paused(BUDGET), unsafe: store.unsafe?.() ?? null };
}

async function recover(client: L402Client): Promise<Recovered> {
  const { settled, failed, voided, stillUnknown } = await client.recover();
  return { settled, failed, voided, stillUnknown: stillUnknown.length };
}

async function run(step: Step): Promise<unknown> {
  if (step.do === "open") {
    offsetMs = step.offsetMs;
    return open(step.setting, step.buyer);
  }
  if (step.do === "clock") {
    offsetMs = step.offsetMs;
    return null;
  }
  if (step.do === "flush") {
    flushCompileCache();
    return null;
  }
  if (shop === undefined) throw new Error("there is no ledger open");
  switch (step.do) {
    case "recover":
      return recover(shop.client);
    case "fetch": {
      const fetched = await buy(shop.client, step);
      // What goes on beside the call is part of the step.
      while (underWay > 0) await setImmediate();
      return fetched;
    }
    case "audit":
      return books(shop);
    case "verify":
      return { problems: (await shop.store.verify?.())?.problems ?? [] };
  }
}

watchStatements();
process.stdin.on("end", () => process.exit()); // the parent is gone
createInterface({ input: process.stdin }).on("line", (text) => {
  const order = JSON.parse(text) as Order;
  phase = order.phase;
  arm = order.arm === undefined ? undefined : { ...(order.arm satisfies Arm) };
  run(order.step).then(
    (result) => {
      arm = undefined;
      say({ done: result });
    },
    (error: unknown) => say({ broke: (error as Error).stack ?? String(error) }),
  );
});
say({ ready: true });
