/**
 * The ledger's time. Windows are decided by it, so it never runs backwards:
 *
 * - A clock that was set back by up to a day makes it stand still until the clock has caught up.
 * - One that is back by more had been far ahead, and was corrected. Standing still would freeze windows for that long;
 *   so time goes on from where it stood, at the clock's pace, and rows are stamped with the clock's own time again.
 * - One that was set forward empties windows, as time does. Only a limit for life is safe from that.
 */
import { StoreError } from "@l402-tools/core";

/** Longest step back, ms, that is waited out. */
const STEP_BACK_MAX_MS = 86_400_000;

/** What is on record: the ledger's time, and the clock's reading at which it was so. Both epoch ms. */
export interface Tick {
  readonly at: number;
  readonly reading: number;
}

/** `at` orders and windows; `wall` is for people, invoices and leases. They differ only after a clock was far ahead. */
export interface Moment extends Tick {
  readonly wall: number;
}

/** The moment at which the clock reads `reading`, after `last`. */
export function momentAfter(last: Tick, reading: number): Moment {
  if (!Number.isSafeInteger(Math.trunc(reading))) throw new StoreError("store_unavailable", `The clock reads ${String(reading)}, which is no time.`);
  const now = Math.trunc(reading);
  if (now >= last.at) return { at: now, reading: now, wall: now };
  if (last.at - now <= STEP_BACK_MAX_MS) return { at: last.at, reading: now, wall: last.at };
  return { at: last.at + Math.max(0, now - last.reading), reading: now, wall: now };
}

/** Whether the clock, which stood at `last`, had been far ahead and was corrected since. That goes on record. */
export function wasCorrected(last: Tick, now: Tick): boolean {
  return last.reading - now.reading > STEP_BACK_MAX_MS;
}

/** Remembers, beside what is on record, what this process has seen: a read moves time on as well. */
export function ledgerTime(clock: { now(): number }): (onRecord: Tick) => Moment {
  let seen: Tick = { at: 0, reading: 0 };
  return (onRecord) => {
    const moment = momentAfter(onRecord.at >= seen.at ? onRecord : seen, clock.now());
    seen = moment;
    return moment;
  };
}
