/**
 * Units. Inside, money is millisatoshi as `bigint` and the unit is in the name (`amountMsat`). At the surface it is
 * whole satoshi as `number`: what was spent or is held rounds up, what remains rounds down, so that no report ever
 * promises more than there is.
 */

/** Millisatoshi in one satoshi. */
export const MSAT_PER_SAT = 1000n;

/** The largest amount, in satoshi, that a `number` at the surface carries exactly (2^53 - 1). */
export const MAX_SATS: number = Number.MAX_SAFE_INTEGER;

/** Whole satoshi that cover `msat`; rounds up. */
export function ceilSats(msat: bigint): number {
  return Number(msat >= 0n ? (msat + 999n) / MSAT_PER_SAT : msat / MSAT_PER_SAT);
}

/** Whole satoshi contained in `msat`; rounds down, and never below 0: an overrun leaves nothing, not a debt. */
export function floorSats(msat: bigint): number {
  return msat <= 0n ? 0 : Number(msat / MSAT_PER_SAT);
}

/** Millisatoshi in `sats`, which must be a whole number. */
export function satsToMsat(sats: number): bigint {
  return BigInt(sats) * MSAT_PER_SAT;
}
