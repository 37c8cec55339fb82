/**
 * Runs many schedules, from the command line or as a child of the tests:
 *
 *   node packages/core/test/schedules/main.ts                       the default number
 *   SCHEDULES=5000 SCHEDULE_SEED=7 node …/main.ts                    so many, from another seed
 *   SCHEDULE=123456789 node …/main.ts                                one again, with its trace
 *
 * The last line is JSON. Exits with 1 when a schedule failed.
 */
import { mix } from "./tape.ts";
import { runSchedule } from "./run.ts";

const env = process.env;
if (env["SCHEDULE"] !== undefined) {
  const outcome = await runSchedule(Number(env["SCHEDULE"]), { trace: true });
  for (const line of outcome.trace) console.log(line);
  console.log(outcome.violation?.stack ?? "no violation");
  process.exit(outcome.violation === undefined ? 0 : 1);
}

const count = Number(env["SCHEDULES"] ?? 10_000);
const base = Number(env["SCHEDULE_SEED"] ?? 1);
const shard = Number(env["SCHEDULE_SHARD"] ?? 0);
const shards = Number(env["SCHEDULE_SHARDS"] ?? 1);
const failuresMax = Number(env["SCHEDULE_FAILURES"] ?? 1);
const started = performance.now();
const failures: { seed: number; rule: string; message: string; steps: number }[] = [];
let done = 0;
let steps = 0;
let payments = 0;
for (let index = shard; index < count && failures.length < failuresMax; index += shards) {
  const seed = mix(base * 0x10001 + index);
  const outcome = await runSchedule(seed);
  done += 1;
  steps += outcome.steps;
  payments += outcome.payments;
  if (outcome.violation !== undefined) failures.push({ seed, rule: outcome.violation.rule, message: outcome.violation.message, steps: outcome.steps });
}
const seconds = (performance.now() - started) / 1_000;
console.log(JSON.stringify({ done, steps, payments, perSecond: Math.round(done / seconds), failures }));
process.exit(failures.length === 0 ? 0 : 1);
