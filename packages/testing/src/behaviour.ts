import type { FailureReason, PayRequest } from "@l402-tools/core";

/**
 * What a wallet does with one payment. Three things are independent: what happens to the money, what the caller is
 * told, and what proof comes with it. Everything left out is what a good wallet does.
 */
export interface Behaviour {
  /**
   * The money: `settle` (default), `fail` (tried, failed, nothing moved), `hang` (locked on its way until
   * `wallet.settle` or `wallet.fail`), `none` (the wallet never got the request).
   */
  readonly money?: "settle" | "fail" | "hang" | "none";
  /** How long the money takes, ms of the clock. @default the wallet's `delayMs` */
  readonly moneyAfterMs?: number;
  /** Reason of `money: "fail"` and of `answer: "failed"`. @default "no_route" */
  readonly reason?: FailureReason;
  /**
   * The answer: `truth` (default), `settled` and `failed` (said at once, true or not), `in_flight` (at once), `unknown`
   * and `throw` (once the money is where it goes), `timeout` (unknown at the request's deadline), `never`.
   */
  readonly answer?: "truth" | "settled" | "failed" | "in_flight" | "unknown" | "throw" | "timeout" | "never";
  /** How much later the answer arrives, ms of the clock. */
  readonly answerAfterMs?: number;
  /** The preimage in the answer. @default "real" */
  readonly preimage?: "real" | "null" | "wrong" | "empty" | "short" | "upper";
  /** Charges this much more than `maxFeeMsat` allows, msat. */
  readonly overchargeMsat?: bigint;
  /** Leaves the fee out of the answer. */
  readonly feeUnknown?: boolean;
}

/** The behaviours that have a name. */
export type BehaviourName =
  | "ok"
  | `fail:${FailureReason}`
  | "hang"
  | "hang-in-flight"
  | "hang-after-pay"
  | "lose-answer"
  | "unknown-after-pay"
  | "unknown-without-pay"
  | "unknown-in-flight"
  | "throw-after-pay"
  | "throw-without-pay"
  | "timeout-after-pay"
  | "timeout-without-pay"
  | "timeout-in-flight"
  | "answer-late"
  | "in-flight"
  | "in-flight-then-settle"
  | "in-flight-then-fail"
  | "lie-failed-but-paid"
  | "lie-failed-pays-later"
  | "lie-settled-unpaid"
  | "preimage-wrong"
  | "preimage-empty"
  | "preimage-null"
  | "preimage-short"
  | "preimage-upper"
  | "overcharge"
  | "fee-null";

const LATER_MS = 5000;

/** The named behaviours, spelled out; `fail:<reason>` is `{ money: "fail", reason }`. */
export const behaviours: Readonly<Record<Exclude<BehaviourName, `fail:${string}`>, Behaviour>> = {
  ok: {},
  hang: { money: "none", answer: "never" },
  "hang-in-flight": { money: "hang", answer: "never" },
  "hang-after-pay": { answer: "never" },
  "lose-answer": { answer: "never" },
  "unknown-after-pay": { answer: "unknown" },
  "unknown-without-pay": { money: "none", answer: "unknown" },
  "unknown-in-flight": { money: "hang", answer: "unknown" },
  "throw-after-pay": { answer: "throw" },
  "throw-without-pay": { money: "none", answer: "throw" },
  "timeout-after-pay": { answer: "timeout" },
  "timeout-without-pay": { money: "none", answer: "timeout" },
  "timeout-in-flight": { money: "hang", answer: "timeout" },
  "answer-late": { answerAfterMs: LATER_MS },
  "in-flight": { money: "hang", answer: "in_flight" },
  "in-flight-then-settle": { moneyAfterMs: LATER_MS, answer: "in_flight" },
  "in-flight-then-fail": { money: "fail", moneyAfterMs: LATER_MS, answer: "in_flight" },
  "lie-failed-but-paid": { moneyAfterMs: 0, answer: "failed" },
  "lie-failed-pays-later": { moneyAfterMs: LATER_MS, answer: "failed" },
  "lie-settled-unpaid": { money: "none", answer: "settled", preimage: "wrong" },
  "preimage-wrong": { preimage: "wrong" },
  "preimage-empty": { preimage: "empty" },
  "preimage-null": { preimage: "null" },
  "preimage-short": { preimage: "short" },
  "preimage-upper": { preimage: "upper" },
  overcharge: { overchargeMsat: 1000n },
  "fee-null": { feeUnknown: true },
};

/** Decides for each call; `undefined` means a good wallet. */
export type BehaviourScript = (request: PayRequest, call: number) => Behaviour | BehaviourName | undefined;

/** A behaviour by name or in full. */
export function behaviourOf(behaviour: Behaviour | BehaviourName | undefined): Behaviour {
  if (behaviour === undefined) return {};
  if (typeof behaviour !== "string") return behaviour;
  if (behaviour.startsWith("fail:")) return { money: "fail", reason: behaviour.slice("fail:".length) as FailureReason };
  const known = behaviours[behaviour as keyof typeof behaviours] as Behaviour | undefined;
  if (known === undefined) throw new Error(`there is no behaviour named "${behaviour}"`);
  return known;
}

/**
 * What one look-up answers. `throw` is network trouble, `never` hangs; the others but `truth` are what a lagging or
 * lying wallet says.
 */
export type LookupBehaviour = "truth" | "throw" | "never" | "not-found" | "in-flight" | "failed" | "failed-soft" | "preimage-wrong" | "preimage-null";
