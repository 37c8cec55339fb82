/** What a run has counted so far. */
import { allPoints } from "./points.ts";
import type { Random } from "./random.ts";

export class Tally {
  /** Kills by point. */
  readonly points: Map<string, number> = new Map(allPoints.map((point) => [point, 0]));
  /** Kills at a random time, by what the process was about. */
  readonly random: Map<string, number> = new Map();
  /** Kills among several processes on one ledger; they are in the other counts too. */
  several = 0;
  ledgers = 0;
  calls = 0;
  recoveries = 0;
  audits = 0;
  paid = 0;
  paidMsat = 0n;
  processes = 0;

  get kills(): number {
    let kills = 0;
    for (const count of this.points.values()) kills += count;
    for (const count of this.random.values()) kills += count;
    return kills;
  }

  get missed(): string[] {
    return allPoints.filter((point) => this.points.get(point) === 0);
  }

  killed(point: string | undefined, about: string): void {
    if (point === undefined) this.random.set(about, (this.random.get(about) ?? 0) + 1);
    else this.points.set(point, (this.points.get(point) ?? 0) + 1);
  }

  /** The point of these that was struck least. */
  least(points: readonly string[], random: Random): string {
    const scored = points.map((point) => [point, (this.points.get(point) ?? 0) + random.next()] as const);
    return scored.reduce((best, one) => (one[1] < best[1] ? one : best))[0];
  }

  table(): string {
    const lines = [...this.points].map(([point, count], index) => `${String(index + 1).padStart(4)}  ${point.padEnd(30)}${String(count).padStart(6)}`);
    const times = [...this.random].map(([about, count]) => `      ${`at random, in ${about}`.padEnd(30)}${String(count).padStart(6)}`);
    return [...lines, ...times].join("\n");
  }

  line(seed: number, seconds: number): string {
    const atPoints = [...this.points.values()].reduce((sum, count) => sum + count, 0);
    const inRecovery = [...this.points, ...this.random].reduce((sum, [name, count]) => (name.startsWith("recover") || name.startsWith("open") ? sum + count : sum), 0);
    const covered = allPoints.length - this.missed.length;
    return (
      `kill -9: ${this.kills} kills of ${this.processes} processes (${atPoints} at ${covered} of ${allPoints.length} points, ${this.kills - atPoints} at random times; ${inRecovery} during recovery, ` +
      `${this.several} among several processes), ${this.ledgers} ledgers, ${this.calls} calls, ${this.recoveries} recoveries, ${this.audits} audits, ${this.paid} payments of ${this.paidMsat} msat: ` +
      `drift 0 msat, 0 double payments, 0 lost credentials, 0 leaked holds; ${Math.round(this.kills / seconds)} kills/s, seed ${seed}`
    );
  }
}
