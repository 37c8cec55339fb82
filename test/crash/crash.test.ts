import { describe, expect, it } from "vitest";
import { runBattery } from "./battery.ts";
import { allPoints } from "./points.ts";
import type { Mutant } from "./protocol.ts";

const KILLS = Number(process.env["CRASH_KILLS"] ?? 1_000);
const SEED = Number(process.env["CRASH_SEED"] ?? Date.now() % 1_000_000);
/** Nothing depends on how long it takes; this ends what hangs. */
const HANGS_MS = 1_800_000;

describe("kill -9", () => {
  it(
    `a process that is killed at any point of the line, or at any time, loses nothing: ${KILLS} kills`,
    async () => {
      const start = performance.now();
      const tally = await runBattery({ kills: KILLS, seed: SEED });
      console.log(tally.table());
      console.log(tally.line(SEED, (performance.now() - start) / 1000));
      expect(allPoints.length).toBeGreaterThanOrEqual(20);
      expect(tally.kills).toBeGreaterThanOrEqual(KILLS);
      expect(tally.missed, "points that were never struck").toEqual([]);
    },
    HANGS_MS,
  );

  const mutants: readonly { readonly mutant: Mutant; readonly focus: readonly string[]; readonly noticed: RegExp }[] = [
    { mutant: "dispatch-after-wallet", focus: ["pay.wallet.moved", "pay.wallet.answered"], noticed: /the ledger says reserved/ },
    { mutant: "release-sending", focus: ["pay.wallet.moved", "pay.wallet.answered"], noticed: /the ledger says failed/ },
    { mutant: "settle-without-credential", focus: ["pay.settle.after", "pay.http.show"], noticed: /its credential is lost/ },
    { mutant: "leaked-hold", focus: ["pay.reserve.after", "pay.dispatch.before"], noticed: /held for a process that is dead/ },
    { mutant: "fee-forgotten", focus: ["pay.settle.after", "pay.http.show"], noticed: /msat, and \d+ are booked/ },
    { mutant: "not-found-is-proof", focus: ["pay.wallet.written", "pay.wallet.received"], noticed: /the ledger says failed|was paid 2 times/ },
    { mutant: "ledger-in-memory", focus: ["pay.wallet.moved", "pay.http.show"], noticed: /not on record/ },
  ];
  it.each(mutants)(
    "notices $mutant",
    async ({ mutant, focus, noticed }) => {
      await expect(runBattery({ kills: 300, seed: 2, lanes: 1, mutant, focus })).rejects.toThrow(noticed);
    },
    HANGS_MS,
  );
});
