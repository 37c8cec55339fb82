/** What the steps of one client share: its ports, its rules and what it has under way. Children share all but the rules. */
import type { Challenge } from "./challenge.ts";
import { emitter, tell } from "./events.ts";
import type { Invoice } from "./invoice.ts";
import { memoryStore } from "./memory-store.ts";
import { ceilSats } from "./money.ts";
import type { Config, Fetch, Rules } from "./options.ts";
import type * as Paying from "./paying.ts";
import type { Clock, KeptCredential, Store, StoredPayment, Wallet } from "./ports.ts";
import type { OriginDesk, PaymentQueue } from "./queue.ts";
import { Book } from "./report.ts";
import type { Hop } from "./request.ts";
import { answering } from "./store.ts";
import { asWallet } from "./wallet.ts";

export interface MaxFee {
  readonly msat: bigint;
  readonly percent: number;
}

/** A 402 that may be paid: the challenge, its invoice, and the hop it belongs to. */
export interface Offer {
  readonly challenge: Challenge;
  readonly invoice: Invoice;
  readonly hop: Hop;
  readonly host: string;
  readonly requestKey: string;
  /** Fingerprint of the caller's own request, before redirects. */
  readonly callKey: string;
  /** When its request was made: a count over this client's requests and accepted credentials. */
  readonly turn: number;
  /** A person was asked about this invoice, and said yes. */
  approved: boolean;
}

/** How a payment ended, as far as this process knows. */
export type Outcome =
  | { readonly status: "settled"; readonly credential: KeptCredential; readonly feeMsat: bigint }
  | { readonly status: "failed"; readonly error: Error }
  | { readonly status: "unknown"; readonly error: Error }
  /** Dispatch was not granted: voided, too old, or paused. */
  | { readonly status: "not_sent" };

/** A credential without a caller, the request it was bought for, and when (`turn`). */
export interface Orphan {
  readonly credential: KeptCredential;
  readonly requestKey: string;
  readonly turn: number;
}

/** A purchase under way in this process, for identical ones to share. */
export interface Flight {
  paymentHash: string | undefined;
  dispatched: boolean;
  readonly result: Promise<FlightResult>;
  readonly end: (result: FlightResult) => void;
}

export type FlightResult =
  /** `answered`: the server took it for the purchase it was bought for. */
  | { readonly status: "credential"; readonly credential: KeptCredential; readonly answered: boolean }
  /** `rules`: whose rules refused it. */
  | { readonly status: "error"; readonly error: unknown; readonly rules?: Rules }
  /** It came to nothing before a payment; whoever follows may make the purchase itself. */
  | { readonly status: "none" };

export interface Line {
  readonly config: Config;
  readonly rules: Rules;
  readonly fetch: Fetch;
  readonly insecureHosts: readonly string[];
  readonly clock: Clock;
  readonly store: Store;
  readonly wallet: Wallet;
  readonly book: Book;
  readonly emit: ReturnType<typeof emitter>;
  readonly state: LineState;
}

export interface LineState {
  /** Names this process; each reservation of it adds a number. */
  readonly owner: string;
  /** Made when it is first needed. */
  queue: PaymentQueue | undefined;
  /** The part of the line that pays, loaded when the first 402 has come. */
  paying: Promise<typeof Paying> | undefined;
  readonly desks: Map<string, { desk: OriginDesk; users: number }>;
  readonly flights: Map<string, Flight>;
  /** Reservations that a call of this process works on. */
  readonly working: Set<string>;
  /** Payments that are with the wallet, by payment hash, until they end. */
  readonly live: Map<string, Promise<Outcome>>;
  /** Paid, but not on record yet, by payment hash: the store did not answer. */
  readonly unbooked: Map<string, Outcome & { status: "settled" }>;
  /** Payment hashes whose fresh credential was refused for good; refused again, they do not stop a new purchase. */
  readonly rejected: Set<string>;
  /** By payment hash: tells whoever waits for the wallet that a look-up or a person ended the payment. */
  readonly elsewhere: Map<string, (outcome: Outcome) => void>;
  /** Payment hashes whose credential a caller of this process is about to show: nobody else uses it up before. */
  readonly redeeming: Set<string>;
  /** This process's holds, by reservation, with the book they are in. */
  readonly holds: Map<string, { paymentHash: string; msat: bigint; book: Book }>;
  /** Credentials whose callers left before the server answered, for calls that began before they were bought. */
  readonly orphans: Orphan[];
  /** By origin: the newest credential that its server accepted, and when (`turn`). */
  readonly accepted: Map<string, { credential: KeptCredential; turn: number }>;
  readonly suspensions: Map<string, { refusals: number; until: number }>;
  readonly quotes: Map<string, Offer & { readonly id: string }>;
  /** Questions to persons that are being asked. Their holds may end in a moment, since most frameworks leave the call. */
  readonly asking: Set<Promise<unknown>>;
  /** By idempotency key: offers that a person was asked about and did not approve. Nothing is held for them. */
  readonly asked: Map<string, Offer>;
  /** When a look-up first said `not_found`, by payment hash, epoch ms. */
  readonly notFound: Map<string, number>;
  readonly near: Set<string>;
  /** The recovery before the first payment. */
  recovery: Promise<unknown> | "done" | undefined;
  readonly ownsStore: boolean;
  turn: number;
  reservations: number;
  children: number;
  closed: boolean;
  /** Background look-ups are under way. */
  watching: boolean;
  /** Aborted when the client is closed. */
  readonly stop: AbortController;
}

/** A new line. */
export function openLine(config: Config): Line {
  const id = crypto.randomUUID();
  return {
    config,
    rules: config.rules,
    fetch: config.fetch,
    insecureHosts: config.insecureHosts,
    clock: config.clock,
    store: config.store === undefined ? memoryStore({ clock: config.clock }) : answering(config.store),
    wallet: asWallet(config.wallet),
    book: new Book(config.rules.ownBudgetMsat),
    emit: emitter(config.clock, config.onEvent),
    state: {
      owner: id,
      queue: undefined,
      paying: undefined,
      desks: new Map(),
      flights: new Map(),
      working: new Set(),
      live: new Map(),
      unbooked: new Map(),
      rejected: new Set(),
      elsewhere: new Map(),
      redeeming: new Set(),
      holds: new Map(),
      orphans: [],
      accepted: new Map(),
      suspensions: new Map(),
      quotes: new Map(),
      asking: new Set(),
      asked: new Map(),
      notFound: new Map(),
      near: new Set(),
      recovery: config.store === undefined ? "done" : undefined,
      ownsStore: config.store === undefined,
      turn: 0,
      reservations: 0,
      children: 0,
      closed: false,
      watching: false,
      stop: new AbortController(),
    },
  };
}

/** Orphans that are remembered; later calls find theirs in the store. */
const ORPHANS_MAX = 1_000;

export function noteOrphan({ state }: Line, credential: KeptCredential, requestKey: string): void {
  if (state.orphans.length >= ORPHANS_MAX) state.orphans.shift();
  state.orphans.push({ credential, requestKey, turn: (state.turn += 1) });
}

/** Notes a hold in this client's own view. */
export function noteHold(line: Line, payment: StoredPayment): void {
  const msat = payment.amountMsat + payment.maxFeeMsat;
  line.state.holds.set(payment.owner, { paymentHash: payment.paymentHash, msat, book: line.book });
  line.book.hold(msat);
}

/**
 * Takes a payment that has ended out of this client's own view; returns the book its hold was in. With `settled` the
 * hold may be under any name: an invoice is paid once, whichever reservation of it learns so.
 */
export function noteRelease(line: Line, payment: Pick<StoredPayment, "paymentHash" | "owner">, settled = false): Book | undefined {
  const { holds, notFound, owner } = line.state;
  notFound.delete(payment.paymentHash);
  let reservation = payment.owner;
  if (!holds.has(reservation) && (settled || !reservation.startsWith(`${owner}/`))) {
    // Where another process took the row over, the hold is still in our view under the name we gave it.
    for (const [name, hold] of holds) if (hold.paymentHash === payment.paymentHash) reservation = name;
  }
  const hold = holds.get(reservation);
  if (hold === undefined) return undefined;
  holds.delete(reservation);
  hold.book.release(hold.msat);
  return hold.book;
}

/** Books a settled payment in this client's own view, and tells its observers. */
export function noteSpend(line: Line, payment: StoredPayment, feeMsat: bigint): void {
  const book = noteRelease(line, payment, true) ?? line.book;
  book.spend({ url: payment.url, host: payment.host, paymentHash: payment.paymentHash, amountMsat: payment.amountMsat, feeMsat, ts: line.clock.now() });
  const spent = ceilSats(payment.amountMsat + feeMsat);
  line.emit("settled", payment.url, { paymentHash: payment.paymentHash, amountSats: spent });
  tell(line.config.onSpend, spent, payment.url);
}

/**
 * The part of the line that pays. It is loaded when it is first needed, so that a client that never meets a 402 does not
 * wait for decoders, hashes and queues.
 */
export function paying(line: Line): Promise<typeof Paying> {
  return (line.state.paying ??= import("./paying.ts"));
}
