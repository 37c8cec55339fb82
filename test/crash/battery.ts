/** The battery: ledgers, the processes that are killed on them, and the count. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Nursery } from "./buyer.ts";
import type { Mutant } from "./protocol.ts";
import { randomOf } from "./random.ts";
import { Household } from "./several.ts";
import { Life } from "./single.ts";
import { Tally } from "./tally.ts";
import { Violation, World } from "./world.ts";

export interface BatteryOptions {
  readonly kills: number;
  readonly seed: number;
  /** Ledgers at a time. @default 3 */
  readonly lanes?: number;
  readonly mutant?: Mutant;
  /** Points to kill at; absent: all, and random times. */
  readonly focus?: readonly string[];
  /** Only ledgers with several processes, or none. @default every fifth */
  readonly several?: boolean;
  readonly onProgress?: (tally: Tally) => void;
  /** Keeps the ledger of a violation. @default false */
  readonly keep?: boolean;
}

const KILLS_PER_HOUSEHOLD = 20;
/** Kills of one ledger. */
const KILLS_PER_LEDGER = 45;

/** Runs until so many processes were killed. @throws {Violation} */
export async function runBattery(options: BatteryOptions): Promise<Tally> {
  const { kills, seed, lanes = 3, mutant, focus, keep = false } = options;
  const directory = mkdtempSync(join(tmpdir(), "l402-crash-"));
  const tally = new Tally();
  const nursery = new Nursery(join(directory, "compiled"), lanes);
  let worlds = 0;
  let failed = false;
  /** Not before every point was struck; a point that nothing leads to does not keep it going. */
  const isEnough = (): boolean => tally.kills >= kills && (focus !== undefined || options.several !== undefined || tally.missed.length === 0 || tally.kills >= kills + 1_000);

  const lane = async (): Promise<void> => {
    while (!failed && !isEnough()) {
      const number = (worlds += 1);
      const random = randomOf(seed * 1_000_003 + number);
      const isHousehold = focus === undefined && (options.several ?? number % 5 === 0);
      const world = await World.make({ directory, name: `ledger-${number}`, random, ...(isHousehold ? { budgetSats: 100_000 } : {}), ...(mutant === undefined ? {} : { mutant }) });
      const household = isHousehold ? new Household({ world, nursery, tally }) : undefined;
      try {
        while (household !== undefined && !failed && household.kills < KILLS_PER_HOUSEHOLD && !isEnough()) {
          await household.round();
          options.onProgress?.(tally);
        }
        if (household !== undefined) {
          if (!failed) await household.end();
          continue;
        }
        const life = new Life({ world, nursery, tally, ...(focus === undefined ? {} : { focus }) });
        while (!failed && !life.exhausted && life.kills < KILLS_PER_LEDGER && !isEnough()) {
          await life.next();
          options.onProgress?.(tally);
        }
        if (!failed) await life.end();
      } catch (error) {
        failed = true;
        throw error instanceof Violation ? new Violation(`seed ${seed}, ledger ${number}, after ${tally.kills} kills: ${error.message}`) : new Error(`seed ${seed}, ledger ${number}, after ${tally.kills} kills: ${(error as Error).stack}\n  ${world.log.join("\n  ")}`);
      } finally {
        await household?.close();
        await world.close(failed && keep);
      }
    }
  };
  try {
    const first = await World.make({ directory, name: "ledger-0", random: randomOf(seed) });
    await new Life({ world: first, nursery: new Nursery(join(directory, "compiled"), 0), tally: new Tally() }).warm().finally(() => first.close(false));
    const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
    const broken = ended.find((one) => one.status === "rejected");
    if (broken !== undefined) throw broken.reason as Error;
    return tally;
  } finally {
    await nursery.close();
    if (!(failed && keep)) rmSync(directory, { recursive: true, force: true });
  }
}
