/**
 * The arithmetic of limits: what matches, what is left, what fits. Pure functions over a store's answers; the store
 * calls them inside its one atomic `reserve`, so that every store decides alike.
 */
import type { LimitRule, Usage } from "./ports.ts";

export const NO_USAGE: Usage = { spentMsat: 0n, heldMsat: 0n, payments: 0, heldPayments: 0 };

/** Whether `domain` (`host` or `*.host`; absent: everything) names `host`. Both normalised: lower case, no trailing dot. */
export function matchesDomain(domain: string | undefined, host: string): boolean {
  if (domain === undefined) return true;
  return domain.startsWith("*.") ? host.length > domain.length - 1 && host.endsWith(domain.slice(1)) : host === domain;
}

/** Millisatoshi that a rule still allows, negative after an overrun or a lowered limit; `undefined`: it limits no amount. */
export function roomMsat(rule: LimitRule, usage: Usage): bigint | undefined {
  return rule.maxMsat === undefined ? undefined : rule.maxMsat - usage.spentMsat - usage.heldMsat;
}

/** Payments that a rule still allows; `undefined`: it counts none. */
export function roomPayments(rule: LimitRule, usage: Usage): number | undefined {
  return rule.maxPayments === undefined ? undefined : rule.maxPayments - usage.payments - usage.heldPayments;
}

export type Fit = { readonly feeMsat: bigint } | { readonly rule: LimitRule; readonly usage: Usage };

/**
 * Whether one more payment fits all rules at once (invariant I1: settled + held never passes a limit). The fee
 * allowance shrinks from `maxFeeMsat` towards `minFeeMsat` to fit; the tightest rule that refuses is named.
 */
export function fit(
  checks: readonly { readonly rule: LimitRule; readonly usage: Usage }[],
  amountMsat: bigint,
  maxFeeMsat: bigint,
  minFeeMsat: bigint,
): Fit {
  // A hold is never below the amount, whatever a wallet says of its fees.
  if (amountMsat < 0n || maxFeeMsat < minFeeMsat || minFeeMsat < 0n) throw new RangeError("a hold is an amount and an allowance, neither below zero");
  let feeMsat = maxFeeMsat;
  let tightest: { rule: LimitRule; usage: Usage; room: bigint } | undefined;
  for (const { rule, usage } of checks) {
    const count = roomPayments(rule, usage);
    if (count !== undefined && count < 1) return { rule, usage };
    const room = roomMsat(rule, usage);
    if (room === undefined) continue;
    if (tightest === undefined || room < tightest.room) tightest = { rule, usage, room };
    if (room - amountMsat < feeMsat) feeMsat = room - amountMsat;
  }
  if (tightest !== undefined && feeMsat < minFeeMsat) return { rule: tightest.rule, usage: tightest.usage };
  return { feeMsat };
}
