/** The numbered points of the line at which a process is killed, and what leads there. */

/** What is done to reach a point. */
export type Recipe =
  /** Asked, paid, delivered. */
  | "buy"
  /** The same with an idempotency key. */
  | "buy-with-key"
  /** The person says no. */
  | "deny"
  /** The wallet says that it failed. */
  | "fail"
  /** The wallet does not know; the money is on its way. */
  | "dark"
  /** A used-up credential is shown first. */
  | "used-up"
  /** A kept credential serves a new idempotency key. */
  | "link";

export interface Point {
  readonly name: string;
  /** Absent: it is passed in recovery, or when the ledger is opened. */
  readonly recipe?: Recipe;
}

/** One operation of the store: before it is asked for, between its statements, around its commit, when it was answered. */
const writeOf = (phase: string, operation: string): string[] => ["before", "sql", "commit", "committed", "after"].map((at) => `${phase}.${operation}.${at}`);

const recipes: Readonly<Record<Recipe, readonly string[]>> = {
  buy: [
    "pay.http.ask",
    "pay.http.offer",
    ...writeOf("pay", "reserve"),
    "pay.approve",
    ...writeOf("pay", "dispatch"),
    "pay.wallet.call",
    "pay.wallet.written",
    "pay.wallet.received",
    "pay.wallet.locked",
    "pay.wallet.moved",
    "pay.wallet.answered",
    ...writeOf("pay", "settle"),
    "pay.http.show",
    "pay.http.served",
    "pay.http.shown",
    ...writeOf("pay", "accepted"),
    "pay.credential.before",
    "pay.credential.after",
  ],
  "buy-with-key": ["pay.purchase.before", "pay.purchase.after"],
  deny: writeOf("pay", "void"),
  fail: writeOf("pay", "fail"),
  dark: [...writeOf("pay", "unknown"), "pay.lookup.call", "pay.lookup.served", "pay.lookup.answered"],
  "used-up": writeOf("pay", "refused"),
  link: writeOf("pay", "link"),
};

/** Points of a purchase. */
export const payPoints: readonly Point[] = Object.entries(recipes).flatMap(([recipe, names]) => names.map((name) => ({ name, recipe: recipe as Recipe })));

const recovery = {
  always: ["recover.list.before", "recover.list.after"],
  reserved: ["recover.ownerAlive.before", "recover.ownerAlive.after", ...writeOf("recover", "void")],
  sent: ["recover.ownerAlive.before", "recover.ownerAlive.after", ...writeOf("recover", "claim"), "recover.lookup.call", "recover.lookup.served", "recover.lookup.answered"],
  settled: writeOf("recover", "settle"),
  failed: writeOf("recover", "fail"),
} as const;

/** Points of a recovery that finds such rows. */
export const recoverPoints: Readonly<Record<keyof typeof recovery, readonly string[]>> = recovery;

/** Points at which a ledger is opened, and those at which there is none yet. */
export const openPoints: readonly string[] = ["open.open.sql", "open.open.after"];
export const newPoints: readonly string[] = ["open.open.sql", "open.open.commit", "open.open.committed", "open.open.after"];

/** Every point, in order of its number. */
export const allPoints: readonly string[] = [...new Set([...newPoints, ...payPoints.map((point) => point.name), ...Object.values(recovery).flat()])];

/** Statements of an operation, about: the kill strikes one of them. */
export function statementsOf(point: string): number {
  if (!point.endsWith(".sql")) return 1;
  if (point.startsWith("open.")) return 14;
  return { reserve: 24, settle: 18, accepted: 7, refused: 7, link: 6, dispatch: 6, claim: 6, unknown: 6 }[point.split(".")[1] as string] ?? 12;
}
