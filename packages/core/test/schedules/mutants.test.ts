/** The schedules would notice: with any one guard taken out of the engine or the store, they fail. */
import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { edited, tryMutant, type Verdict } from "./mutate.ts";
import { MUTANTS } from "./mutants.ts";

/** Most schedules that a mutant may survive. */
const MOST = Number(process.env["MUTANT_SCHEDULES"] ?? 50_000);

test("a mutant must fit its source", () => {
  expect(() => edited("a b a", { file: "x.ts", from: "a", to: "c" })).toThrow("2 times");
  expect(() => edited("a b a", { file: "x.ts", from: "d", to: "c" })).toThrow("0 times");
  expect(edited("a b a", { file: "x.ts", from: "b", to: "c" })).toBe("a c a");
});

test(`${MUTANTS.length} mutants are caught`, { timeout: 3_600_000 }, async () => {
  const queue = [...MUTANTS];
  const verdicts: Verdict[] = [];
  const worker = async (): Promise<void> => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) verdicts.push(await tryMutant(mutant, MOST));
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
  for (const { name, caught, schedules } of verdicts) console.log(`${name}: ${caught === undefined ? "NOT CAUGHT" : `caught at schedule ${schedules}: ${caught.replace(/[0-9a-f]{64}/g, "…").split("\n", 1)[0]}`}`);
  expect(verdicts.filter(({ caught }) => caught === undefined).map(({ name }) => name)).toEqual([]);
  expect(verdicts).toHaveLength(MUTANTS.length);
});
