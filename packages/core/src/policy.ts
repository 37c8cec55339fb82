/** Rules other than limits: which hosts may be asked, and which offers may be paid. */
import { matchesDomain } from "./budget.ts";
import { PolicyError } from "./errors.ts";
import { ceilSats, floorSats } from "./money.ts";
import type { Rules } from "./options.ts";
import { hostOf } from "./request.ts";

/** @throws {PolicyError} `policy_domain` when the host is blocked or not among the allowed ones. */
export function authorizeHost(rules: Rules, url: URL): void {
  if (rules.blocked.length === 0 && rules.allowed.length === 0) return;
  const host = hostOf(url);
  if (rules.blocked.some((domain) => matchesDomain(domain, host))) {
    throw new PolicyError("policy_domain", `${host} is a blocked domain; the request was not sent.`);
  }
  if (!rules.allowed.every((list) => list.some((domain) => matchesDomain(domain, host)))) {
    throw new PolicyError("policy_domain", `${host} is not one of the allowed domains; the request was not sent.`);
  }
}

/** @throws {PolicyError} `policy_price` when the invoice is dearer than the client or the call allows. */
export function authorizePrice(rules: Rules, host: string, amountMsat: bigint, maxPriceMsat: bigint | undefined): void {
  for (const [most, source] of [
    [rules.maxMsatPerRequest, "maxSatsPerRequest"],
    [maxPriceMsat, "maxPriceSats"],
  ] as const) {
    if (most !== undefined && amountMsat > most) {
      throw new PolicyError("policy_price", `${host} asks ${ceilSats(amountMsat)} sats, more than the ${floorSats(most)} sats that ${source} allows. Nothing was paid.`);
    }
  }
}
