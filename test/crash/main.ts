/** `npm run test:crash -- --kills 10000 --seed 1`: the battery by itself. */
import { parseArgs } from "node:util";
import { runBattery } from "./battery.ts";
import type { Mutant } from "./protocol.ts";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "10000" }, seed: { type: "string" }, lanes: { type: "string", default: "3" }, mutant: { type: "string" }, focus: { type: "string" }, several: { type: "boolean" }, keep: { type: "boolean", default: false } },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
console.log(`seed ${seed}`);
const start = performance.now();
let told = 0;
const tally = await runBattery({
  kills: Number(values.kills),
  seed,
  lanes: Number(values.lanes),
  keep: values.keep,
  ...(values.several === undefined ? {} : { several: values.several }),
  ...(values.mutant === undefined ? {} : { mutant: values.mutant as Mutant }),
  ...(values.focus === undefined ? {} : { focus: values.focus.split(",") }),
  onProgress: (tally) => {
    if (tally.kills < told + 500) return;
    told = tally.kills;
    console.log(`${tally.kills} kills, ${Math.round((performance.now() - start) / 1000)} s`);
  },
});
console.log(tally.table());
console.log(tally.line(seed, (performance.now() - start) / 1000));
const { user, system } = process.cpuUsage();
console.log(`the parent used ${Math.round((user + system) / 1e6)} s of CPU`);
if (tally.missed.length > 0) {
  console.error(`never struck: ${tally.missed.join(", ")}`);
  process.exitCode = 1;
}
